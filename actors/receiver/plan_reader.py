"""Owns how a receiver comes by the newest plan: it reads the planner's file when that has changed.

It knows no channel: whoever follows the plan is handed it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from actors.planner.store import Roster, read_roster
from actors.receiver.task_group import TaskGroup
from runtime.clock import Clock
from runtime.counters import Counters
from runtime.errors import LocalError, TemporaryError

RETRY_S: Final = 1.0


class PlanReader:
    """For one event loop. `follow` takes each plan that is newer than the last one."""

    def __init__(
        self,
        path: Path,
        planner: Counters,
        *,
        tasks: TaskGroup,
        clock: Clock,
        follow: Callable[[Roster], None],
        log: Any,
    ) -> None:
        self._path = path
        self._planner = planner
        self._tasks = tasks
        self._clock = clock
        self._follow = follow
        self._log = log
        self._version = 0  # that was read last; the file's versions begin with 1
        self._is_reading = False
        self._retry_at_s = float("-inf")

    def read_if_new(self) -> None:
        """The file may know a plan before this run's planner has told of one: an older run's."""
        is_new = not self._version or self._planner.get("plan_version") > self._version
        if is_new and not self._is_reading and self._clock.now_s() >= self._retry_at_s:
            self._is_reading = True
            self._tasks.spawn(self._read())

    async def _read(self) -> None:
        """Beside the loop: it may name a hundred thousand agents."""
        try:
            roster = await asyncio.to_thread(read_roster, self._path)
        except (LocalError, TemporaryError) as error:
            self._log.warning("plan.not_read", cause=str(error))
            self._retry_at_s = self._clock.now_s() + RETRY_S
            return
        finally:
            self._is_reading = False
        if roster.version == 0:
            self._retry_at_s = self._clock.now_s() + RETRY_S
        elif not self._tasks.over.is_set():
            self._version = roster.version
            self._follow(roster)
