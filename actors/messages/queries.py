"""Owns what sender and shards say to each other: questions down, answers up. Pure.

Knows no ring and no actor. Everything is asked again until it is answered, so an answer may be
dropped (a shard waits for nobody) and either end may be killed: no record is ever the only one.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

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
    """Tell when a transition of this agent bears this correlation id, also if it was before this.
    In the cloud dialect that is `presence@` and the µs of the presence's modifiedDate.

    Renewed about once a second for as long as the sender cares.
    """

    user_id: str
    correlation: str


class AgentRecord(NamedTuple):
    question: int
    user_id: str
    state: str | None  # None: never seen; "Unknown": a history did not confirm it
    presence: str | None  # as the last event bore it
    queue: str | None
    at_us: int  # since when the agent is in this state; 0 if never seen
    stale_since_us: int | None  # None: confirmed now; 0: no session was ever up
    definition: str | None = None  # cloud: id of the presence definition that it is in
    routing: str | None = None  # cloud: routing status, by its normal name


class QueueRecord(NamedTuple):
    """Only agents whose state is confirmed are counted, by what `presences.held` says."""

    question: int
    queue: str
    available: int
    busy: int
    other: int
    unknown: int  # agents of the queue that are held as Unknown
    stale_since_us: int | None


class TransitionSeen(NamedTuple):
    """A committed transition bears this correlation id. Told once for each renewal of its watch."""

    correlation: str
    user_id: str
    state: str
    presence: str | None
    at_us: int


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
