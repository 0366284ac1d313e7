"""Replies: what a shard answers when the sender asks. Knows no ring, no journal and no clock.

What it is shown must be committed: a shard answers between two batches, and tells of correlated
transitions after their commit. A question that is never answered is asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from actors.genesys.presences import held
from actors.messages.control import UNKNOWN
from actors.messages.queries import (
    WATCH_LEASE_S,
    AgentRecord,
    Answer,
    AskAgent,
    AskQueue,
    Question,
    QueueRecord,
    TransitionSeen,
    Watch,
    is_shown_by,
)
from actors.messages.queues import queues_of
from actors.shard.agent_table import CORRELATED_MAX, Agent, AgentTable, Correlated
from actors.shard.native import TIMELESS_US

WATCHES_MAX = 10_000
"""Beyond it a watch is not kept, and learns of its transition when it is renewed."""

_Key = tuple[str, str]  # user id, correlation id


class Replies:
    """What the sender watches, and the correlated transitions that it may ask about."""

    def __init__(self, presence_of_state: Mapping[str, str]) -> None:
        self._presence_of_state = presence_of_state
        self._watches: dict[_Key, tuple[float, Watch]] = {}
        """Until when each is kept; the one renewed last stands last."""
        self._watched: dict[str, dict[str, Watch]] = {}
        """The same by user and name."""
        self._shown: dict[_Key, TransitionSeen] = {}
        """The newest; the oldest stands first."""

    @property
    def watches(self) -> int:
        """How many transitions are waited for."""
        return len(self._watches)

    def note(self, correlated: Iterable[Correlated]) -> list[TransitionSeen]:
        """Remembers committed transitions; tells of those that somebody waits for."""
        told = []
        for user_id, correlation, state, presence, at_us, definition in correlated:
            key = (user_id, correlation)
            shown = TransitionSeen(correlation, user_id, state, presence, at_us, definition)
            self._shown.pop(key, None)
            self._shown[key] = shown
            if user_id in self._watched:
                watches = self._watched[user_id].values()
                answered = [each for each in watches if is_shown_by(each, shown)]
                told += [shown] if answered else []
                for watch in answered:
                    self._drop_watch((user_id, watch.correlation))
        while len(self._shown) > CORRELATED_MAX:
            del self._shown[next(iter(self._shown))]
        return told

    def _drop_watch(self, key: _Key) -> None:
        if self._watches.pop(key, None) is not None:
            user_id, correlation = key
            del self._watched[user_id][correlation]
            if not self._watched[user_id]:
                del self._watched[user_id]

    def forget_unrenewed(self, now_s: float) -> None:
        """Drops the watches whose lease is over."""
        while self._watches:
            key = next(iter(self._watches))
            if self._watches[key][0] > now_s:
                break
            self._drop_watch(key)

    def answer(
        self,
        questions: Sequence[Question],
        agent_table: AgentTable,
        stale_since_us: int | None,
        now_s: float,
        stale_of: Callable[[Agent], int | None] | None = None,
    ) -> Iterator[Answer]:
        """The answers, in the order of the questions; one look at all agents for all queues.

        `stale_of`: since when one agent is not confirmed, where that is not the same for all.
        """
        queues = {each.queue for each in questions if isinstance(each, AskQueue)}
        counts = queue_counts(agent_table.by_id, queues, self._presence_of_state) if queues else {}
        stale = earliest_stale(agent_table.by_id, queues, stale_of) if stale_of and queues else {}
        unknown = unplaced(agent_table.by_id) if queues and stale_of else 0
        for question in questions:
            match question:
                case AskAgent(number, user_id):
                    agent = agent_table.by_user.get(user_id)
                    since_us = stale_of(agent) if stale_of and agent else stale_since_us
                    yield _told(number, user_id, agent, since_us)
                case AskQueue(number, queue):
                    since_us = stale.get(queue, stale_since_us)
                    yield QueueRecord(number, queue, *counts[queue], since_us, unknown)
                case Watch():
                    shown = self._watch(question, now_s)
                    shown = shown or _held(agent_table.by_user.get(question.user_id), question)
                    if shown is not None:
                        yield shown

    def _watch(self, watch: Watch, now_s: float) -> TransitionSeen | None:
        """What is waited for, if it was before; else from now on it is waited for."""
        key = (watch.user_id, watch.correlation)
        _, before = self._watches.get(key, (0.0, None))
        self._drop_watch(key)
        if before != watch and (shown := self._shown_before(watch)) is not None:
            return shown
        if len(self._watches) < WATCHES_MAX:
            self._watches[key] = (now_s + WATCH_LEASE_S, watch)
            self._watched.setdefault(watch.user_id, {})[watch.correlation] = watch
        return None

    def _shown_before(self, watch: Watch) -> TransitionSeen | None:
        """Once for each watch: what comes while it is kept is told, and ends it. A look at all that
        is kept takes a millisecond; an index of it would cost something at every transition."""
        if not watch.definition:
            return self._shown.get((watch.user_id, watch.correlation))
        mine = (each for each in self._shown.values() if each.user_id == watch.user_id)
        return next((each for each in mine if is_shown_by(watch, each)), None)


def _told(
    number: int, user_id: str, agent: Agent | None, stale_since_us: int | None
) -> AgentRecord:
    if agent is None:
        return AgentRecord(number, user_id, None, None, None, 0, stale_since_us)
    native = agent.native
    return AgentRecord(
        number,
        user_id,
        agent.state,
        agent.presence,
        agent.queue,
        agent.at_us,
        stale_since_us,
        None if native is None else native.definition or None,
        None if native is None else native.routing_status or None,
        native is None or agent.is_placed,
    )


def _held(agent: Agent | None, watch: Watch) -> TransitionSeen | None:
    """Cloud: the presence that is waited for is the one that is held, however long it has been."""
    if agent is None or agent.native is None or agent.state is None:
        return None
    native = agent.native
    if native.presence_us <= TIMELESS_US:
        return None
    shown = TransitionSeen(
        native.correlation,
        agent.user_id,
        agent.state,
        agent.presence,
        native.presence_us,
        native.definition,
    )
    return shown if is_shown_by(watch, shown) else None


def queue_counts(
    agents: Iterable[Agent], queues: Collection[str], presence_of_state: Mapping[str, str]
) -> dict[str, tuple[int, int, int, int]]:
    """Per queue: agents that are available, busy, otherwise confirmed, and Unknown; each agent in
    each of its queues.

    Looks at every agent: 0.1 ms for 2,500, 1 to 4 ms for 50,000. An index by queue would cost the
    hot loop something at every event, for a question that comes with some commands.
    """
    counts = {queue: [0, 0, 0, 0] for queue in queues}
    for agent, asked in _concerned(agents, queues):
        if agent.state == UNKNOWN:
            place = 3
        else:
            presence = held(agent.state, agent.presence, presence_of_state)
            place = {"available": 0, "busy": 1}.get(presence or "", 2)
        for queue in asked:
            counts[queue][place] += 1
    return {queue: (each[0], each[1], each[2], each[3]) for queue, each in counts.items()}


def earliest_stale(
    agents: Iterable[Agent], queues: Collection[str], stale_of: Callable[[Agent], int | None]
) -> dict[str, int | None]:
    """Since when the counts of these queues are not confirmed, because somebody in them is not;
    nothing of a queue that nobody is in."""
    found: dict[str, int | None] = {}
    for agent, asked in _concerned(agents, queues):
        own = stale_of(agent)
        for queue in asked:
            held = found.get(queue)
            found[queue] = own if held is None else held if own is None else min(held, own)
    return found


def _concerned(
    agents: Iterable[Agent], queues: Collection[str]
) -> Iterator[tuple[Agent, tuple[str, ...]]]:
    """The agents that are in one of these queues, and in which of them. A text is read once,
    however many agents bear it."""
    asked_in: dict[str | None, tuple[str, ...]] = {None: ()}
    for agent in agents:
        asked = asked_in.get(agent.queue)
        if asked is None:
            asked = tuple(queue for queue in queues_of(agent.queue) if queue in queues)
            asked_in[agent.queue] = asked
        if asked:
            yield agent, asked


def unplaced(agents: Iterable[Agent]) -> int:
    """Cloud: agents that are watched and in a state, and of whom nobody knows yet in which queues
    they are."""
    return sum(
        not agent.is_placed
        and agent.native is not None
        and agent.native.scope != ""
        and agent.state not in (None, UNKNOWN)
        for agent in agents
    )
