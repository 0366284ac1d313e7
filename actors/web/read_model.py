"""ReadModel: every agent as the shards told of it, counted, and what changed since the last look.
Pure.

Knows no ring, no clock and no HTTP. A shard's part of it is in step when a whole snapshot was read
and nothing was lost since; until then it shows what it knew and says that it lags. All times are
integer µs.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple

from actors.genesys.times import iso_ms
from actors.messages.control import Dialect
from actors.messages.queues import queues_of
from actors.messages.transition import Transition
from actors.shard.cloud_sessions import stale_since
from actors.shard.native import native_json, unpacked
from actors.shard.sessions import Scope, earliest_stale

LAST_MAX: Final = 200
HISTORY_MINUTES: Final = 60
MINUTE_US: Final = 60_000_000
COUNT_STALE_EVERY_US: Final = 1_000_000
"""Counting stale agents one by one takes some 10 ms of 50,000: not at every tick."""
READING: Final = "a snapshot is being read"
NEVER: Final = "no session since the start"
_SHOWN: Final = itemgetter(
    *map(
        Transition._fields.index,
        (
            "agent", "from_state", "to_state", "at_us", "received_us", "epoch", "sequence",
            "queue", "presence", "cause",
        ),
    )
)  # fmt: skip
"""What is shown of a committed row: plain tuples, hundreds a batch."""
_NATIVE: Final = len(Transition._fields)
"""Cloud: the native values stand behind a row."""


class LastTransition(NamedTuple):
    user_id: str
    from_state: str | None
    to_state: str
    at_us: int
    queue: str | None
    """The text of its queues (`actors.messages.queues`)."""
    cause: str


class Minute(NamedTuple):
    at_us: int
    by_state: dict[str, int]


class Health(NamedTuple):
    is_live: bool
    """All that is shown is confirmed now."""
    is_lagging: bool
    """Some shard has not told everything yet."""
    stale_since_us: int | None
    """The earliest time since when some session is not up; 0: it never was; None: all are."""
    stale_agents: int
    reasons: tuple[str, ...]
    """For people: why it is not live."""
    warnings: tuple[str, ...] = ()
    """For people: what may be the matter, though all is confirmed."""


class ChildHealth(NamedTuple):
    """What the pages of the other children say, as of one tick."""

    stale_since_us: int | None = None
    """Since when a child that feeds us does not live, whatever its last session says."""
    reasons: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class AgentView:
    """One agent. It is the same object for as long as the agent is known: read it, do not keep it
    for what it said."""

    __slots__ = (
        "epoch",
        "is_placed",
        "named",
        "number",
        "packed",
        "presence",
        "queue",
        "received_us",
        "scope",
        "sequence",
        "shard",
        "since_us",
        "state",
        "user_id",
    )

    def __init__(self, user_id: str, shard: int) -> None:
        self.user_id = user_id
        self.shard = shard
        self.number = 0
        """Of its journal."""
        self.state = ""
        self.since_us = 0
        self.queue: str | None = None
        """The text of its queues (`actors.messages.queues`)."""
        self.is_placed = True
        """Its queues are known."""
        self.presence: str | None = None
        self.received_us = 0
        """When its newest transition came to us; 0: before our time."""
        self.epoch = 0
        self.sequence = 0
        self.scope = ""
        self.named = 0
        self.packed: Sequence[Any] | None = None

    @property
    def queues(self) -> tuple[str, ...]:
        """It counts in each of them."""
        return queues_of(self.queue)

    @property
    def native(self) -> dict[str, Any] | None:
        """Cloud: what the platform says itself."""
        native = None if self.packed is None else unpacked(self.packed)
        return None if native is None else native_json(native)

    def __repr__(self) -> str:
        return f"AgentView({self.user_id!r}, {self.state!r})"


class _Part:
    """What one shard told."""

    __slots__ = ("is_reading", "is_whole", "numbers", "scopes", "stale_since_us")

    def __init__(self) -> None:
        self.numbers: dict[int, AgentView] = {}
        self.scopes: dict[str, Scope] = {}
        self.stale_since_us: int | None = 0
        self.is_reading = False  # a snapshot has begun
        self.is_whole = False


class ReadModel:
    """Written by the tick alone, read by everyone on its loop."""

    def __init__(self, shards: int, dialect: Dialect = "wsp") -> None:
        self.dialect = dialect
        self.agents: dict[str, AgentView] = {}
        """By user id; agents of whom no state was told yet are not among them."""
        self.by_state: Counter[str] = Counter()
        self.by_queue: dict[str, Counter[str]] = {}
        """Only queues that have agents, and states that are held. An agent counts in each of its
        queues."""
        self.last: deque[LastTransition] = deque(maxlen=LAST_MAX)
        """The newest stands last."""
        self.transitions = 0
        """Seen by this model; those that were lost are not among them."""
        self.history: deque[Minute] = deque(maxlen=HISTORY_MINUTES)
        self.removals = 0
        """Grows when agents are known no more, which `take_changes` cannot say."""
        self.vitals = ChildHealth()
        self._unplaced: set[str] = set()
        self._parts = tuple(_Part() for _ in range(shards))
        self._changed: dict[str, AgentView] = {}
        self._stale_agents = 0
        self._is_counted = False
        self._counted_us = -COUNT_STALE_EVERY_US

    # --- what readers ask --------------------------------------------------------------------

    def take_changes(self) -> list[AgentView]:
        """Whoever changed since the last call."""
        changed = list(self._changed.values())
        self._changed = {}
        return changed

    @property
    def is_lagging(self) -> bool:
        """Some shard has not told everything yet."""
        return not all(part.is_whole for part in self._parts)

    def is_whole(self, shard: int) -> bool:
        return self._parts[shard].is_whole

    @property
    def unplaced(self) -> int:
        """Cloud: agents that are watched, and of whom it is not known yet in which queues they are.
        Until there is none, the counts of a queue are too low."""
        return len(self._unplaced)

    def stale_since_us(self, view: AgentView) -> int | None:
        """Since when this agent is not confirmed; 0: never was; None: it is."""
        part = self._parts[view.shard]
        if self.dialect == "wsp":
            own = part.stale_since_us
        else:
            own = stale_since(part.scopes.get(view.scope), view.named, view.since_us)
        return self.vitals.stale_since_us if own is None else own

    def health(self, now_us: int) -> Health:
        own = _earliest(part.stale_since_us for part in self._parts)
        earliest = _earliest((own, self.vitals.stale_since_us))
        reasons = self.vitals.reasons
        if self.is_lagging:
            reasons = (READING, *reasons)
        elif own is not None:
            reasons = (f"no session since {iso_ms(own)}" if own else NEVER, *reasons)
        is_live = earliest is None and not self.is_lagging
        warnings, stale = self.vitals.warnings, self._count_stale(now_us)
        return Health(is_live, self.is_lagging, earliest, stale, reasons, warnings)

    def _count_stale(self, now_us: int) -> int:
        if self.vitals.stale_since_us is not None:
            return len(self.agents)
        if self.dialect == "wsp":
            stale = (part for part in self._parts if part.stale_since_us is not None)
            return sum(len(part.numbers) for part in stale)
        if not self._is_counted and now_us >= self._counted_us + COUNT_STALE_EVERY_US:
            of = self.stale_since_us
            self._stale_agents = sum(of(view) is not None for view in self.agents.values())
            self._is_counted, self._counted_us = True, now_us
        return self._stale_agents

    # --- what the tick tells -----------------------------------------------------------------
    # All of these raise ValueError, TypeError, KeyError or IndexError for what no shard says; what
    # they have changed then is half a record, and the shard is to tell everything anew.

    def pass_minute(self, now_us: int) -> None:
        """Keeps the counts of each minute, but for what is not known as a whole. A clock that was
        set back takes its future with it."""
        if self.is_lagging:
            return
        while self.history and self.history[-1].at_us > now_us:
            self.history.pop()
        if not self.history or now_us >= self.history[-1].at_us + MINUTE_US:
            self.history.append(Minute(now_us - now_us % MINUTE_US, dict(self.by_state)))

    def lose(self, shard: int) -> None:
        """Something of this shard was lost: what is shown of it is the past."""
        part = self._parts[shard]
        part.is_whole = part.is_reading = False

    def begin_snapshot(self, shard: int) -> None:
        part = self._parts[shard]
        part.is_whole, part.is_reading = False, True
        part.numbers = {}

    def end_snapshot(self, shard: int) -> None:
        """Whoever was not named is known no more."""
        part = self._parts[shard]
        if not part.is_reading:
            raise ValueError("the end of no snapshot")
        numbers = part.numbers
        gone = [
            view
            for view in self.agents.values()
            if view.shard == shard and numbers.get(view.number) is not view
        ]
        for view in gone:
            self._forget(view)
        part.is_whole, part.is_reading = True, False

    def tell_scopes(self, shard: int, scopes: Mapping[str, Mapping[str, Any]]) -> None:
        part = self._parts[shard]
        before = part.scopes
        part.scopes = {name: Scope(**fields) for name, fields in scopes.items()}
        part.stale_since_us = earliest_stale(part.scopes)
        self._is_counted = False
        if self.dialect == "cloud":
            self._mark_stale_changes(shard, before, part.scopes)

    def _mark_stale_changes(
        self, shard: int, before: Mapping[str, Scope], after: Mapping[str, Scope]
    ) -> None:
        """Agents of a scope whose staleness may have begun or ended. (wsp: it is everyone's, and
        `health` says so in fewer words.)"""
        flipped = {
            name
            for name in (*before, *after)
            if _confirms(before.get(name)) != _confirms(after.get(name))
        }
        if flipped:
            for user_id, view in self.agents.items():
                if view.scope in flipped and view.shard == shard:
                    self._changed[user_id] = view

    def tell_agents(self, shard: int, entries: Iterable[Sequence[Any]]) -> None:
        """What each of these agents is now."""
        part = self._parts[shard]
        if not (part.is_reading or part.is_whole):
            return
        self._is_counted = False
        numbers, agents = part.numbers, self.agents
        for entry in entries:
            number, user_id, state, at_us, queue, presence, epoch, sequence, *rest = entry
            scope, named, packed, is_placed = rest
            view = agents.get(user_id)
            if view is None:
                held = numbers.get(number)  # one without a state yet
                view = AgentView(user_id, shard) if held is None else held
            numbers[number] = view
            view.number = number
            view.epoch, view.sequence = epoch, sequence
            told = (scope, named, packed)
            if (view.scope, view.named, view.packed) != told:
                view.scope, view.named, view.packed = told
                if view.state:
                    self._changed[user_id] = view
            if view.is_placed != is_placed:
                view.is_placed = is_placed
                if view.state:
                    self._changed[user_id] = view
            if state is not None:
                self._take(view, state, at_us, queue, presence)
                self._note_place(view)
            elif view.state:  # its shard began empty, and was told no more than its name
                self._forget(view)

    def tell_rows(self, shard: int, rows: Iterable[Sequence[Any]]) -> None:
        """Committed transitions, in their order."""
        part = self._parts[shard]
        if not (part.is_reading or part.is_whole):
            return
        numbers, last = part.numbers, self.last
        for row in rows:
            (number, before, state, at_us, received_us, epoch, sequence, queue, presence, cause) = (
                _SHOWN(row)
            )
            if not number or cause == "late":
                continue
            view = numbers.get(number)
            if view is None:
                if part.is_reading:  # its turn in the snapshot comes, with this in it
                    continue
                raise ValueError(f"a transition of agent {number}, of whom nothing was told")
            self.transitions += 1
            last.append(LastTransition(view.user_id, before, state, at_us, queue, cause))
            view.received_us = received_us
            view.epoch, view.sequence = max((view.epoch, view.sequence), (epoch, sequence))
            native = row[_NATIVE] if len(row) > _NATIVE else None
            if native is not None and view.packed != native:
                view.packed = native
                self._changed[view.user_id] = view
            self._take(view, state, at_us, queue, presence)

    def _take(
        self, view: AgentView, state: str, at_us: int, queue: str | None, presence: str | None
    ) -> None:
        if view.state != state or view.queue != queue:
            if view.state:
                self._count(view.state, view.queue, -1)
            else:
                self.agents[view.user_id] = view
                self._note_place(view)
            self._count(state, queue, 1)
            view.state, view.queue = state, queue
        elif view.since_us == at_us and view.presence == presence:
            return
        view.since_us, view.presence = at_us, presence
        self._changed[view.user_id] = view

    def _note_place(self, view: AgentView) -> None:
        if view.is_placed or not view.scope:
            self._unplaced.discard(view.user_id)
        else:
            self._unplaced.add(view.user_id)

    def _forget(self, view: AgentView) -> None:
        self._count(view.state, view.queue, -1)
        view.state = ""
        del self.agents[view.user_id]
        self._unplaced.discard(view.user_id)
        self._changed.pop(view.user_id, None)
        self.removals += 1

    def _count(self, state: str, queue: str | None, step: int) -> None:
        self.by_state[state] += step
        if not self.by_state[state]:
            del self.by_state[state]
        for each in queues_of(queue):
            counts = self.by_queue.setdefault(each, Counter())
            counts[state] += step
            if not counts[state]:
                del counts[state]
                if not counts:
                    del self.by_queue[each]


def _confirms(scope: Scope | None) -> tuple[bool, bool, int]:
    """What it says of all of its agents, and of those whom its session named."""
    if scope is None:
        return (False, False, 0)
    return (scope.stale_since_us is None, scope.is_up, scope.session)


def _earliest(times: Iterable[int | None]) -> int | None:
    return min((time for time in times if time is not None), default=None)
