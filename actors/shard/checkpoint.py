"""Checkpoints: the agents' current states, written page by page beside the transitions.

Knows no file and no clock. A cycle visits every page once and writes those that changed; rows up
to the cycle's first are then in the pages, and a restart replays only what stands behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import orjson

from actors.shard.agent_table import Agent, AgentTable, Appointment
from actors.shard.journal import CheckpointPage
from actors.shard.native import unpacked

PAGE_AGENTS: Final = 256
CYCLE_S: Final = 20.0
"""A cycle begins at most this long after the last one did …"""
CYCLE_ROWS: Final = 50_000
"""… or after so many rows, so that neither a restart nor a reader has much to replay."""


class Checkpoint:
    """Which pages are due."""

    def __init__(self, *, now_s: float, replay_from: int, upto: dict[int, int]) -> None:
        self.replay_from = replay_from
        """Rows up to here are in the pages."""
        self._upto = upto
        self._began_s = now_s
        self._cycle_row = replay_from
        self._remaining: Iterator[int] | None = None
        self._appointed: set[int] = set()

    def is_due(self, last_row: int, now_s: float, *, is_appointed: bool = False) -> bool:
        """Whether a cycle runs, or should begin because there are rows, or appointments, that no
        page has."""
        rows = last_row - self._cycle_row
        is_behind = rows > 0 or is_appointed
        return self._remaining is not None or (
            is_behind and (rows >= CYCLE_ROWS or now_s - self._began_s >= CYCLE_S)
        )

    def due(
        self, agent_table: AgentTable, now_s: float, pages_max: int, *, finish: bool = False
    ) -> tuple[CheckpointPage, ...]:
        """The next dirty pages of the running cycle, at most `pages_max`; begins a cycle when one
        is due, and with `finish` completes a whole new one (a clean stop)."""
        last_row = agent_table.next_row - 1
        if finish:
            self._begin(agent_table, now_s, last_row)
            pages_max = len(agent_table.by_id) + 1
        elif not self.is_due(last_row, now_s, is_appointed=bool(agent_table.appointed)):
            return ()
        elif self._remaining is None:
            self._begin(agent_table, now_s, last_row)
        assert self._remaining is not None
        pages: list[CheckpointPage] = []
        for number in self._remaining:
            agents = agent_table.by_id[number * PAGE_AGENTS : (number + 1) * PAGE_AGENTS]
            upto = self._upto.get(number, 0)
            if number in self._appointed or any(agent.row > upto for agent in agents):
                pages.append(CheckpointPage(number, last_row, encode_page(agents)))
                self._upto[number] = last_row
                if len(pages) >= pages_max:
                    return tuple(pages)
        self._remaining = None
        self.replay_from = self._cycle_row
        return tuple(pages)

    def _begin(self, agent_table: AgentTable, now_s: float, last_row: int) -> None:
        self._began_s, self._cycle_row = now_s, last_row
        self._remaining = iter(range(-(-len(agent_table.by_id) // PAGE_AGENTS)))
        self._appointed = {page_of(agent_id) for agent_id in agent_table.appointed}
        agent_table.appointed.clear()


def page_of(agent_id: int) -> int:
    """The page of an agent; agents are numbered from 1."""
    return (agent_id - 1) // PAGE_AGENTS


def encode_page(agents: Iterable[Agent]) -> bytes:
    """A JSON array of [id, user id, state, at µs, queue, presence, epoch, sequence, row id]; behind
    these the appointment of an agent that has one, and the native values of one that has them."""
    return orjson.dumps(
        [_all_fields(a) if a.appointment or a.native else _fields(a) for a in agents]
    )


def _all_fields(a: Agent) -> tuple[Any, ...]:
    appointment = None if a.appointment is None else tuple(a.appointment)
    if a.native is None:
        return (*_fields(a), appointment)
    return (*_fields(a), appointment, a.native.packed())


def _fields(a: Agent) -> tuple[Any, ...]:
    return (a.id, a.user_id, a.state, a.at_us, a.queue, a.presence, a.epoch, a.sequence, a.row)


def decode_page(data: bytes) -> Iterator[Agent]:
    for fields in orjson.loads(data):
        agent = Agent(fields[0], fields[1])
        (agent.state, agent.at_us, agent.queue) = fields[2:5]
        (agent.presence, agent.epoch, agent.sequence, agent.row) = fields[5:9]
        if len(fields) > 9 and fields[9] is not None:
            agent.appointment = Appointment._make(fields[9])
        if len(fields) > 10:
            agent.native = unpacked(fields[10])
        yield agent
