"""Readers: people who look at the page all day, as far as its stream is concerned."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Final

import aiohttp

RETRY_S: Final = 0.5
LINE_BYTES_MAX: Final = 4 << 20
"""Changes of all agents at once, after a stall."""
STATUS_OK: Final = 200


class Readers:
    """Each follows the stream, and comes back behind the last event that it has seen. On a thread
    of their own."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._is_stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.events = 0
        self.changes = 0
        self.snapshots = 0
        self.resyncs = 0
        self.returns = 0
        self.problems: list[str] = []

    def start(self, address: str) -> None:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._all(address)), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._is_stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    async def _all(self, address: str) -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=5)
        async with aiohttp.ClientSession(timeout=timeout, read_bufsize=LINE_BYTES_MAX) as http:
            tasks = [asyncio.create_task(self._one(http, address)) for _ in range(self._count)]
            while not self._is_stopping.is_set():
                await asyncio.sleep(0.1)
            for task in tasks:
                task.cancel()
            for told in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(told, Exception):
                    self.problems.append(repr(told))

    async def _one(self, http: aiohttp.ClientSession, address: str) -> None:
        following = Following()
        while True:
            # Killed, or not there yet: the page would try again as well.
            with suppress(aiohttp.ClientError, TimeoutError, OSError):
                if not following.last:
                    async with http.get(f"{address}/api/snapshot") as answer:
                        answer.raise_for_status()
                        following.last = (await answer.json())["id"]
                    self.snapshots += 1
                headers = {"Last-Event-ID": following.last}
                async with http.get(f"{address}/api/stream", headers=headers) as stream:
                    if stream.status != STATUS_OK:
                        self.problems.append(f"status {stream.status}")
                    async for line in stream.content:
                        told = following.hear(line)
                        self.events += told is not None
                        self.changes += told == "changes"
                        if told == "resync":
                            self.resyncs += 1
                            break
            self.returns += 1
            await asyncio.sleep(RETRY_S)


class Following:
    """Where a reader stands in the stream. Knows no socket."""

    def __init__(self) -> None:
        self.last = ""
        """The id to come back with; empty: only a new snapshot helps."""
        self._id = self._event = ""

    def hear(self, line: bytes) -> str | None:
        """The name of the event that ends with this line."""
        field, _, value = line.decode().rstrip("\r\n").partition(": ")
        if field == "id":
            self._id = value
        elif field == "event":
            self._event = value
        elif not field and self._event:
            told, self._event = self._event, ""
            self.last = "" if told == "resync" else self._id
            return told
        return None
