"""Book: the sender's database, as web reads it: beside the loop, so that no disk stops a request.

Knows no HTTP and writes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from actors.messages.commands import StatusChanged
from actors.sender import reader
from actors.sender.commands import RETRY_AFTER_MS, Command
from actors.sender.reader import AuditRow, CommandStory, WebhookMessageRow
from actors.sender.store import OutboxCounts
from runtime.errors import RuntimeFault

THREADS: Final = 2
Read = TypeVar("Read")


class CommandReader:
    """Raises RuntimeFault where the database cannot be read."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="book")

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def commands(self, *, limit: int, step: str | None, user_id: str | None) -> list[Command]:
        """The newest first."""
        return await self._read(
            lambda: reader.read_commands(self._data_dir, limit=limit, step=step, user_id=user_id),
            [],
        )

    async def command(self, command_id: str) -> CommandStory | None:
        return await self._read(lambda: reader.read_command(self._data_dir, command_id), None)

    async def standing(self, command_id: str) -> StatusChanged | None:
        """As the sender would tell it, if its word was lost. None also if that cannot be read now:
        whoever waits looks again."""
        try:
            story = await self.command(command_id)
        except RuntimeFault:
            return None
        if story is None:
            return None
        command = story.command
        after_ms = RETRY_AFTER_MS.get(command.code)
        return StatusChanged(command.id, command.step, command.code, command.detail, after_ms)

    async def messages(self, *, limit: int, state: str | None) -> list[WebhookMessageRow]:
        """The newest first."""
        return await self._read(
            lambda: reader.read_letters(self._data_dir, limit=limit, state=state), []
        )

    async def audit(
        self, *, limit: int, user_id: str | None, command: str | None, before: int | None
    ) -> list[AuditRow]:
        """The newest first."""
        return await self._read(
            lambda: reader.read_audit(
                self._data_dir, limit=limit, user_id=user_id, command=command, before=before
            ),
            [],
        )

    async def outbox(self) -> OutboxCounts:
        return await self._read(
            lambda: reader.read_outbox(self._data_dir), OutboxCounts(0, 0, None)
        )

    async def _read(self, read: Callable[[], Read], nothing: Read) -> Read:
        """`nothing` before the first sender has begun its database."""

        def guarded() -> Read:
            return read() if reader.has_store(self._data_dir) else nothing

        return await asyncio.get_running_loop().run_in_executor(self._threads, guarded)
