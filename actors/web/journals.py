"""Journals: what shards and planner have written, read beside the loop, so that no disk stops it.

Knows no HTTP and writes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

import apsw

from actors.planner.agent_reader import Agent, read_agents
from actors.planner.store import roster_path
from actors.shard import reader
from actors.shard.reader import HistoryPage, QuarantinedFrame
from runtime.errors import RuntimeFault

THREADS: Final = 2
Read = TypeVar("Read")


class Journals:
    """Raises RuntimeFault where one cannot be read."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="journals")

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def history(self, user_id: str, *, limit: int, before: str | None) -> HistoryPage:
        """The newest first. ValueError if `before` is none that a page has told."""
        return await self._read(
            lambda: reader.read_history_page(self._data_dir, user_id, limit=limit, before=before)
        )

    async def agents(self, users: Sequence[str]) -> dict[str, Agent]:
        """Who these are, as far as the planner has written it down; nobody, if it cannot be read at
        the moment: that keeps no state from being shown."""
        path = roster_path(self._data_dir)

        def read() -> dict[str, Agent]:
            try:
                return read_agents(path, users) if path.exists() else {}
            except (RuntimeFault, apsw.Error):
                return {}

        return await self._read(read)

    async def quarantine(self, *, limit: int) -> list[QuarantinedFrame]:
        """What came last comes first."""
        return await self._read(lambda: reader.read_quarantine(self._data_dir, limit=limit))

    async def quarantined(self, shard: int, key: str) -> QuarantinedFrame | None:
        return await self._read(lambda: reader.read_quarantined(self._data_dir, shard, key))

    async def _read(self, read: Callable[[], Read]) -> Read:
        return await asyncio.get_running_loop().run_in_executor(self._threads, read)
