"""Owns how a shard hears in which queues its agents are: it reads the planner's file.

It decides nothing. The planner's page says when all queues were read anew; what changed is read in
pieces between two batches, who is new to the shard by their ids. A start reads all of its agents at
once, so that no row of theirs is written with less than what is known.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import structlog

from actors.planner.store import (
    read_changed_memberships,
    read_memberships_of,
    read_memberships_version,
)
from actors.shard.agent_table import AgentTable
from runtime.counters import Counters
from runtime.errors import RuntimeFault

PIECE: Final = 512
"""Users at once: some 3 ms."""
RETRY_S: Final = 1.0
TEXTS_MAX: Final = 65_536
_LAST: Final = "\U0010ffff"
"""Behind every user's id."""


class Memberships:
    """Of one life of a shard. All calls are the actor's, between two of its batches."""

    def __init__(self, path: Path | None = None, planner: Counters | None = None) -> None:
        """`path`: of the planner's file; `planner`: its page. None: there is no planner, and
        nothing to be read."""
        self._path = path or Path()
        self._planner = planner
        self._after = (0, _LAST)
        """Version and user up to which changes were read; version 0: nothing is known yet."""
        self._version = 0  # of the reading that was taken over whole
        self._looked_up = 0  # so many agents of the table, by their numbers
        self._retry_at_s = float("-inf")
        self._has_failed = False
        self._texts: dict[str, str] = {}

    def start(self, agent_table: AgentTable, now_s: float) -> None:
        """Whoever the shard restored, by what an earlier run or life has read."""
        if self._planner is None:
            return
        try:
            self._begin(read_memberships_version(self._path))
        except RuntimeFault as error:
            self._fail(error, now_s)
        while self.has_more(agent_table, now_s):
            self.look(agent_table, now_s)

    def has_more(self, agent_table: AgentTable, now_s: float) -> bool:
        told = self._told
        if not (told or self._version) or now_s < self._retry_at_s:
            return False
        return told > self._version or self._looked_up < len(agent_table.by_id)

    def look(self, agent_table: AgentTable, now_s: float) -> None:
        """Takes over the next piece."""
        told = self._told
        if not self._version:
            self._begin(told)
        try:
            if self._looked_up < len(agent_table.by_id):
                self._look_up(agent_table)
            elif told > self._version:
                self._walk(agent_table, told)
        except RuntimeFault as error:
            self._fail(error, now_s)
        else:
            self._has_failed = False

    @property
    def _told(self) -> int:
        return 0 if self._planner is None else self._planner.get("memberships_version")

    def _begin(self, version: int) -> None:
        """Everybody is looked up by id: what was read up to here need not be walked."""
        self._version, self._after = version, (version, _LAST)

    def _look_up(self, agent_table: AgentTable) -> None:
        agents = agent_table.by_id[self._looked_up : self._looked_up + PIECE]
        found = read_memberships_of(self._path, [agent.user_id for agent in agents])
        for agent in agents:
            if agent.user_id in found:
                agent_table.place(agent, self._shared(found[agent.user_id]))
        self._looked_up += len(agents)

    def _walk(self, agent_table: AgentTable, told: int) -> None:
        changed = read_changed_memberships(self._path, self._after, PIECE)
        for user, text, version in changed:
            agent = agent_table.by_user.get(user)
            if agent is not None:
                agent_table.place(agent, self._shared(text))
            self._after = (version, user)
        if len(changed) < PIECE:
            self._version = told

    def _shared(self, text: str | None) -> str | None:
        """The one text of it that is kept: agents of a team are in the same queues."""
        if text is None:
            return None
        if len(self._texts) >= TEXTS_MAX:
            self._texts.clear()
        return self._texts.setdefault(text, text)

    def _fail(self, error: RuntimeFault, now_s: float) -> None:
        self._retry_at_s = now_s + RETRY_S
        if not self._has_failed:
            self._has_failed = True
            structlog.get_logger("actors.state").warning("queues.not_read", cause=str(error))
