"""Naming: has names read anew from time to time, beside the loop. Knows no file and no agent.

What cannot be read changes nothing: the names that were known before stay, and the log says why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from actors.web.names import NO_NAMES, Names
from runtime.errors import RuntimeFault

REFRESH_S: Final = 60.0


class NameReader:
    """One life. `read` may block, and raise RuntimeFault; `take` is given names that are others
    than before."""

    def __init__(self, read: Callable[[], Names], take: Callable[[Names], None]) -> None:
        self._read = read
        self._take = take
        self._names = NO_NAMES
        self._trouble = ""
        self._log = structlog.get_logger("actors.web")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._live())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def refresh(self) -> None:
        try:
            names = await asyncio.to_thread(self._read)
        except RuntimeFault as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                self._log.warning("names.unreadable", cause=self._trouble)
            return
        self._trouble = ""
        if names != self._names:
            self._names = names
            self._take(names)

    async def _live(self) -> None:
        while True:
            await self.refresh()
            await asyncio.sleep(REFRESH_S)
