"""Board: what readers of the stream see, as they were told it, and the snapshot they begin with.

Knows no socket and no ring. Once a tick it turns what changed in the model into one event; the
snapshot is made of the same values, so that one with the id of an event and the events behind it
give what the model has. Each agent is encoded when it changes, never when somebody asks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple

from actors.genesys.times import utc
from actors.messages.queues import former_queue, queues_of
from actors.web.changes import QUEUE, STALE, STATE, AgentChange, ChangedAgent, Changes, last_told
from actors.web.encoding import encode
from actors.web.hub import Hub
from actors.web.names import NO_NAMES, Names
from actors.web.read_model import AgentView, Health, ReadModel
from actors.web.rendering import counts_shown, health_shown, health_told, history_shown
from runtime.clock import Clock

CHANGES_MAX: Final = 5_000
"""In one event, some 500 KB and 20 ms of the loop; where more changed at once, the rest waits for
the next tick."""
HEALTH_EVERY_S: Final = 1.0
"""A reader that heard nothing for twice that time knows that its stream is dead."""
RATE_OVER_S: Final = 10.0
SPARE_QUEUES_MAX: Final = 1_000
"""Queues in the snapshot that have no agents any more; then it numbers anew."""
CATCHING_UP: Final = "the page is loading a snapshot"
GONE: Final = "agents were removed"
RENAMED: Final = "queues were renamed"


class EncodedSnapshot(NamedTuple):
    """Encoded, but for what is of the one who asks: `head + tail(…)` is one JSON document."""

    event_id: str
    head: bytes
    summary: Mapping[str, Any]

    def tail(self, *, may_write: bool, who: str | None) -> bytes:
        return encode({**self.summary, "may_write": may_write, "who": who}) + b"}"


class _Row:
    """One agent, as it was told last."""

    __slots__ = ("packed", "stale_at", "told")

    def __init__(self, told: ChangedAgent, packed: tuple[bytes, int]) -> None:
        self.told = told
        self.packed, self.stale_at = packed
        """As the snapshot has it, and where in it the digit of `stale` stands."""


class Board:
    """One for all readers; on the loop of the web child."""

    def __init__(
        self,
        model: ReadModel,
        hub: Hub,
        clock: Clock,
        *,
        name: str = "",
        thresholds: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        self.model = model
        self.hub = hub
        self.clock = clock
        self.names = NO_NAMES
        self.health: Health = model.health(clock.wall_us())
        self._name = name
        self._thresholds = {state: list(each) for state, each in (thresholds or {}).items()}
        self._rows: dict[str, _Row] = {}
        self._states: dict[str, int] = {}  # numbered as they come
        self._queues: dict[str, int] = {}
        self._stale_rows = 0
        self._pending: dict[str, AgentView] = {}
        """Changed, and not told yet."""
        self._removals = model.removals
        self._transitions = model.transitions
        self._rates: deque[tuple[float, int]] = deque()
        self._said_s = self._swept_s = float("-inf")
        self._snapshot: EncodedSnapshot | None = None

    # -- what is told ------------------------------------------------------------------------------

    def publish(self, changes: Iterable[AgentView], health: Health) -> None:
        """Once a tick, also when nothing changed."""
        model, now_s = self.model, self.clock.now_s()
        self._snapshot = None
        self._note_rate(now_s)
        pending = self._pending
        for view in changes:
            pending[view.user_id] = view
        flip = self._flip(health)
        if flip is not None:
            self._mark_all(flip)
        self._sweep(health, now_s)
        views = list(islice(pending.values(), CHANGES_MAX))
        for view in views:
            del pending[view.user_id]
        if pending:
            reasons = (CATCHING_UP, *health.reasons)
            health = health._replace(is_live=False, is_lagging=True, reasons=reasons)
        was, self.health = self.health, health
        told = self._take(views)
        if model.removals != self._removals:
            self._removals = model.removals
            self._forget()
            self.hub.resync(GONE)
        elif told or flip is not None or model.transitions != self._transitions:
            self._tell(told, flip)
        elif health != was or now_s >= self._said_s + HEALTH_EVERY_S:
            self.hub.tell_health(self.hello())
        else:
            return
        self._said_s = now_s
        self._transitions = model.transitions

    def hello(self) -> bytes:
        """What a health event says now."""
        return encode({"at": self.clock.wall_us() // 1_000, **health_told(self.health)})

    def name_all(self, names: Names) -> None:
        """Names were read again; the next tick tells what became of them."""
        before, self.names = self.names, names
        agents = self.model.agents
        for user_id in self._rows:
            if before.user(user_id) != names.user(user_id) and user_id in agents:
                self._pending[user_id] = agents[user_id]
        self._snapshot = None
        if any(before.queue(each) != names.queue(each) for each in self._queues):
            self.hub.resync(RENAMED)

    # -- what is asked -----------------------------------------------------------------------------

    def snapshot(self) -> EncodedSnapshot:
        """As of the last tick: made at most once between two."""
        if self._snapshot is None:
            head = {
                "id": self.hub.newest_id,
                "at": self.clock.wall_us() // 1_000,
                "states": list(self._states),
                "queues": [[each, self.names.queue(each)] for each in self._queues],
                "last": last_told(list(self.model.last)),
            }
            agents = b",".join([row.packed for row in self._rows.values()])
            joined = b"".join((encode(head)[:-1], b',"agents":[', agents, b'],"summary":'))
            self._snapshot = EncodedSnapshot(self.hub.newest_id, joined, self.summary())
        return self._snapshot

    def summary(self) -> dict[str, Any]:
        """All but who asks."""
        model = self.model
        return {
            "at": utc(self.clock.wall_us()),
            "dialect": model.dialect,
            "name": self._name,
            "agents": len(model.agents),
            "by_state": counts_shown(model.by_state),
            "stale": self.health.stale_agents,
            "queues": len(model.by_queue),
            "queues_unknown": model.unplaced,
            "transitions": model.transitions,
            "transitions_per_s": self._transitions_per_s(),
            "health": health_shown(self.health),
            "history": history_shown(model.history),
            "thresholds": self._thresholds,
        }

    # -- within ------------------------------------------------------------------------------------

    def _tell(self, changes: list[AgentChange], flip: int | None) -> None:
        model = self.model
        texts = {each.told[QUEUE] for each in changes} | {each.queue_before for each in changes}
        queues = {queue for text in texts for queue in queues_of(text)}
        new = model.transitions - self._transitions
        self.hub.publish(
            Changes(
                at_ms=self.clock.wall_us() // 1_000,
                changes=changes,
                last=list(model.last)[-new:] if new else [],
                by_state=counts_shown(model.by_state),
                queues={queue: dict(model.by_queue.get(queue, {})) for queue in queues},
                unplaced=model.unplaced,
                health=health_told(self.health),
                stale=flip,
            )
        )

    def _take(self, views: Iterable[AgentView]) -> list[AgentChange]:
        """Notes them as told."""
        rows, changes = self._rows, []
        if len(self._queues) > SPARE_QUEUES_MAX + 2 * len(self.model.by_queue):
            self._number_anew()
        for view in views:
            row = rows.get(view.user_id)
            told = self._told(view)
            if row is None:
                changes.append(AgentChange(told, None, None))
                rows[view.user_id] = _Row(told, self._packed(told))
                self._stale_rows += told[STALE]
            elif row.told != told:
                before = row.told
                changes.append(AgentChange(told, before[STATE], before[QUEUE]))
                self._stale_rows += told[STALE] - before[STALE]
                row.told, (row.packed, row.stale_at) = told, self._packed(told)
        return changes

    def _told(self, view: AgentView) -> ChangedAgent:
        return (
            view.user_id,
            self.names.user(view.user_id),
            view.state,
            view.since_us // 1_000,
            view.queue,
            view.presence,
            0 if self.model.stale_since_us(view) is None else 1,
        )

    def _packed(self, told: ChangedAgent) -> tuple[bytes, int]:
        user_id, name, state, since_ms, queue, presence, stale = told
        states, queues = self._states, self._queues
        at = states.setdefault(state, len(states))
        places = [queues.setdefault(each, len(queues)) for each in queues_of(queue)]
        former = queues.get(former_queue(queue) or "", -1)
        tail = b",%b]" % encode(places)
        packed = encode((user_id, name, at, since_ms, former, presence, stale))[:-1] + tail
        return packed, len(packed) - len(tail) - 1

    def _forget(self) -> None:
        """Those who are known no more."""
        for user_id in self._rows.keys() - self.model.agents.keys():
            self._stale_rows -= self._rows.pop(user_id).told[STALE]
        for user_id in self._pending.keys() - self.model.agents.keys():
            del self._pending[user_id]

    def _number_anew(self) -> None:
        self._queues.clear()
        for row in self._rows.values():
            row.packed, row.stale_at = self._packed(row.told)

    def _flip(self, health: Health) -> int | None:
        """1: everyone is stale now, 0: nobody is; None: as it was, or each for itself."""
        agents, stale = len(self.model.agents), health.stale_agents
        if stale == 0 and self._stale_rows:
            return 0
        if stale >= agents and self._stale_rows < len(self._rows):
            return 1
        return None

    def _mark_all(self, stale: int) -> None:
        digit = b"%d" % stale
        for row in self._rows.values():
            if row.told[STALE] != stale:
                user_id, name, state, since_ms, queue, presence, _ = row.told
                row.told = (user_id, name, state, since_ms, queue, presence, stale)
                # Encoding 50,000 takes four times as long.
                packed, at = row.packed, row.stale_at
                row.packed = packed[:at] + digit + packed[at + 1 :]
        self._stale_rows = stale * len(self._rows)

    def _sweep(self, health: Health, now_s: float) -> None:
        """Whoever became stale, or confirmed, without any other change, is to be told too. That as
        many are stale as were says nothing of who, unless it is nobody or everybody."""
        stale, rows = self._stale_rows, len(self._rows)
        is_settled = health.stale_agents == stale and stale in {0, rows}
        if is_settled or now_s < self._swept_s + HEALTH_EVERY_S:
            return
        self._swept_s = now_s
        stale_since_us, agents = self.model.stale_since_us, self.model.agents
        for user_id, row in self._rows.items():
            view = agents.get(user_id)
            if view is not None and (stale_since_us(view) is not None) != row.told[STALE]:
                self._pending[user_id] = view

    def _note_rate(self, now_s: float) -> None:
        self._rates.append((now_s, self.model.transitions))
        while len(self._rates) > 2 and self._rates[1][0] <= now_s - RATE_OVER_S:
            self._rates.popleft()

    def _transitions_per_s(self) -> float:
        if len(self._rates) < 2:
            return 0.0
        (from_s, first), (to_s, last) = self._rates[0], self._rates[-1]
        return round((last - first) / (to_s - from_s), 1) if to_s > from_s else 0.0
