"""What a shard holds: its agents, and the rows that it owes to its journal.

Knows no rule of the merge, no file and no clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from actors.messages.transition import GapRow, Row, Transition
from actors.shard.native import Native

AGENTS_MAX = 2_000_000
"""Agents of one shard, some 250 MB: names that a gateway makes up do not grow memory for ever."""
CORRELATED_MAX = 10_000
"""Newest transitions that bear a correlation id and are kept in mind: over half an hour of what a
sender may cause."""


class Appointment(NamedTuple):
    """What an agent is planned for next; the newest that was told."""

    start_us: int
    end_us: int
    at_us: int
    """When it was told."""


class Correlated(NamedTuple):
    """A transition that somebody's command caused."""

    user_id: str
    correlation: str
    state: str
    presence: str | None
    at_us: int
    definition: str = ""
    """Cloud: id of the presence definition that it shows."""


class Agent:
    """One agent as the shard holds it. About 0.5 KB with its texts and its place in the maps."""

    __slots__ = (
        "appointment",
        "at_us",
        "epoch",
        "id",
        "is_placed",
        "named",
        "native",
        "presence",
        "queue",
        "row",
        "sequence",
        "state",
        "user_id",
    )

    def __init__(self, agent_id: int, user_id: str) -> None:
        self.id = agent_id
        self.user_id = user_id
        self.state: str | None = None
        self.at_us = 0
        self.queue: str | None = None
        """The text of its queues (`actors.messages.queues`)."""
        self.is_placed = False
        """Cloud: its queues are those that the planner read, no longer a guess by its events."""
        self.presence: str | None = None
        self.epoch = 0
        self.sequence = 0
        self.row = 0
        self.named = 0
        """The session whose history named this agent last."""
        self.appointment: Appointment | None = None
        self.native: Native | None = None
        """Cloud: what the platform says itself."""

    def replay(self, row: Transition) -> None:
        """What a committed row did to this agent; nothing if its page knows the row already."""
        if row.id <= self.row:
            return
        self.row = row.id
        if row.cause == "late":
            return
        self.state, self.at_us = row.to_state, row.at_us
        self.queue, self.presence = row.queue, row.presence
        self.epoch, self.sequence = max((row.epoch, row.sequence), (self.epoch, self.sequence))


class AgentTable:
    """Agents by user id and by number, and the rows that no journal has yet."""

    def __init__(self, *, owns: Callable[[str], bool] = lambda _: True, rows_kept: bool = True):
        self.owns = owns
        self.by_user: dict[str, Agent] = {}
        self.by_id: list[Agent] = []
        self.next_row = 1
        self._rows_kept = rows_kept
        self.rows: list[Row] | None = [] if rows_kept else None
        self.gaps: list[GapRow] = []
        self.new_agents: list[tuple[int, str]] = []
        self.appointed: set[int] = set()
        """Numbers of agents whose appointment, or presence of another source, no checkpoint has
        yet."""
        self.natives: list[tuple[int, str]] = []
        """Cloud: the native values behind a row, by the row's number."""
        self.watched: dict[int, tuple[str, int]] = {}
        """Cloud: by an agent's number, the scope that watches it now ("": none) and the session in
        which it was named last; what no journal has yet."""
        self.touched: set[int] = set()
        """Numbers of agents that have changed without a row, until a reader is told."""
        self.correlated: deque[Correlated] = deque(maxlen=CORRELATED_MAX)
        """What bears a correlation id, until somebody takes it: in the order of the rows."""

    @property
    def is_full(self) -> bool:
        """Whether no agent is admitted any more."""
        return len(self.by_id) >= AGENTS_MAX

    def admit(self, user_id: str) -> Agent:
        """A new agent, numbered; it has no state yet."""
        agent = Agent(len(self.by_id) + 1, user_id)
        self.by_user[user_id] = agent
        self.by_id.append(agent)
        self.new_agents.append((agent.id, user_id))
        return agent

    def appoint(self, agent: Agent, appointment: Appointment) -> None:
        """Keeps the newest appointment. It is no state change, so it makes no row."""
        if agent.appointment is None or appointment.at_us > agent.appointment.at_us:
            agent.appointment = appointment
            self.appointed.add(agent.id)

    def touch(self, agent: Agent) -> None:
        """Something changed that makes no row, and that a checkpoint holds."""
        self.appointed.add(agent.id)
        self.touched.add(agent.id)

    def place(self, agent: Agent, queue: str | None) -> None:
        """Cloud: the queues of an agent as the planner read them. No state change makes no row."""
        if agent.queue != queue:
            agent.queue = queue
            self.appointed.add(agent.id)
        elif agent.is_placed:
            return
        agent.is_placed = True
        self.touched.add(agent.id)

    def watch(self, agent: Agent, scope: str, named: int) -> None:
        """Cloud: where the agent is watched, and the session that named it."""
        self.watched[agent.id] = (scope, named)
        self.touched.add(agent.id)

    def restore(self, agent: Agent) -> None:
        """An agent of the journal; they come in the order of their numbers."""
        assert agent.id == len(self.by_id) + 1, f"agent {agent.id} after {len(self.by_id)}"
        self.by_user[agent.user_id] = agent
        self.by_id.append(agent)

    def write(
        self,
        agent: Agent,
        to_state: str,
        *,
        at_us: int,
        received_us: int,
        epoch: int,
        sequence: int,
        queue: str | None = None,
        presence: str | None = None,
        correlation: str | None = None,
        definition: str = "",
        cause: str,
    ) -> None:
        """Adds a row of this agent and chains it to the previous one."""
        row = self.next_row
        self.next_row = row + 1
        if self.rows is not None:
            self.rows.append(
                (
                    row,
                    agent.id,
                    agent.row,
                    agent.state,
                    to_state,
                    at_us,
                    received_us,
                    epoch,
                    sequence,
                    queue,
                    presence,
                    correlation,
                    cause,
                )
            )
        agent.row = row
        if correlation is not None:
            self.correlated.append(
                Correlated(agent.user_id, correlation, to_state, presence, at_us, definition)
            )

    def write_gap(self, gap: GapRow, received_us: int) -> None:
        """Adds a gap among the transitions, so that readers meet it in order."""
        assert gap.row == self.next_row
        self.next_row += 1
        self.gaps.append(gap)
        if self.rows is not None:
            self.rows.append(
                (
                    gap.row,
                    0,
                    0,
                    None,
                    "",
                    gap.at_us,
                    received_us,
                    gap.epoch,
                    gap.last_sequence,
                    None,
                    None,
                    None,
                    "gap",
                )
            )

    def keep_rows(self) -> None:
        """Also without a journal, for a reader."""
        if self.rows is None:
            self.rows = []

    def drop_rows(self) -> None:
        """Nobody reads any more; what a journal is owed stays."""
        if not self._rows_kept:
            self.rows = None
            self.natives = []

    def take_rows(self) -> tuple[list[Row], list[tuple[int, str]]]:
        """Rows, and the native values behind them, that no journal is owed."""
        assert not self._rows_kept
        if self.rows is None:
            return [], []
        taken = self.rows, self.natives
        self.rows, self.natives = [], []
        return taken

    def take(self) -> PendingWrites:
        """What the journal is owed since the last call; the caller now answers for it."""
        pending = PendingWrites(
            self.new_agents,
            self.rows if self.rows is not None else [],
            self.gaps,
            self.natives,
            self.watched,
        )
        self.new_agents = []
        self.gaps = []
        self.natives = []
        self.watched = {}
        if self.rows is not None:
            self.rows = []
        return pending


class PendingWrites(NamedTuple):
    """Agents, transitions and gaps that the next transaction must hold; in the cloud dialect also
    native values by row, and who is watched by number."""

    agents: list[tuple[int, str]]
    rows: list[Row]
    gaps: list[GapRow]
    natives: list[tuple[int, str]]
    watched: dict[int, tuple[str, int]]
