"""Owns what sender and shards say to each other: questions down, answers up. Pure.

Knows no ring and no actor. Everything is asked again until it is answered, so an answer may be
dropped (a shard waits for nobody) and either end may be killed: no record is ever the only one.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

from actors.messages.codec import Vocabulary

WATCH_LEASE_S = 10.0
"""A watch that is not renewed for so long is forgotten by the shard."""


class AskAgent(NamedTuple):
    """What is this agent doing? Only its own shard is asked."""

    question: int  # the answer bears the same number
    user_id: str


class AskQueue(NamedTuple):
    """How many agents of this queue does the shard hold, by what they do? All shards are asked."""

    question: int
    queue: str


class Watch(NamedTuple):
    """Tell when a transition of this agent shows what the sender waits for (`is_shown_by`), also if
    it was before this. Renewed about once a second for as long as the sender cares.
    """

    user_id: str
    correlation: str  # wsp: a transition bears it; cloud: only a name of this watch
    definition: str = ""  # cloud: id of the presence definition that is wanted
    since_us: int = 0  # cloud: the presence was changed then or later, by its modifiedDate
    until_us: int | None = None  # cloud: … and not later than that


class AgentRecord(NamedTuple):
    question: int
    user_id: str
    state: str | None  # None: never seen; "Unknown": a history did not confirm it
    presence: str | None  # as the last event bore it
    queue: str | None  # the text of its queues (`actors.messages.queues`)
    at_us: int  # since when the agent is in this state; 0 if never seen
    stale_since_us: int | None  # None: confirmed now; 0: no session was ever up
    definition: str | None = None  # cloud: id of the presence definition that it is in
    routing: str | None = None  # cloud: routing status, by its normal name
    is_placed: bool = True  # cloud: false: who is a member of which queue was not read yet


class QueueRecord(NamedTuple):
    """Only agents whose state is confirmed are counted, by what `presences.held` says."""

    question: int
    queue: str
    available: int
    busy: int
    other: int
    unknown: int  # agents of the queue that are held as Unknown
    stale_since_us: int | None
    unplaced: int = 0  # cloud: agents of whom it is not known in which queues they are


class TransitionSeen(NamedTuple):
    """A committed transition bears this correlation id: in the cloud dialect `presence@` and the µs
    of the presence's modifiedDate. Told once for each renewal of a watch that it answers."""

    correlation: str
    user_id: str
    state: str
    presence: str | None
    at_us: int
    definition: str = ""  # cloud: id of the presence definition that it shows


PRESENCE_AT: Final = "presence@"


def is_shown_by(watch: Watch, shown: TransitionSeen) -> bool:
    """Whether this transition, of the agent of this watch, is what the watch waits for.

    A change is known again by its correlation id. A change of the cloud has none: it is known by
    the presence definition that was wanted *and* by when the presence was changed, so that an equal
    presence which somebody has set before by hand is not taken for it.
    """
    if not watch.definition:
        return shown.correlation == watch.correlation
    if shown.definition.lower() != watch.definition.lower():
        return False
    text = shown.correlation.removeprefix(PRESENCE_AT)
    if not text.isdecimal():
        return False
    return watch.since_us <= int(text) and (watch.until_us is None or int(text) <= watch.until_us)


Question: TypeAlias = AskAgent | AskQueue | Watch
Answer: TypeAlias = AgentRecord | QueueRecord | TransitionSeen

_QUESTIONS: Vocabulary[Question] = Vocabulary(
    {AskAgent: "agent?", AskQueue: "queue?", Watch: "watch"}
)
_ANSWERS: Vocabulary[Answer] = Vocabulary(
    {AgentRecord: "agent", QueueRecord: "queue", TransitionSeen: "shown"}
)

encode_question, decode_question = _QUESTIONS.encode, _QUESTIONS.decode
encode_answer, decode_answer = _ANSWERS.encode, _ANSWERS.decode
