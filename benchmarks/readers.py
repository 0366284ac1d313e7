"""Readers: people who look at the page all day, as far as its stream is concerned."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Final

import aiohttp

RETRY_S: Final = 0.5
STATUS_OK: Final = 200


class Readers:
    """Each follows the stream, and comes back behind the last event that it has seen. On a thread
    of their own."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._is_stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.events = 0
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
        async with aiohttp.ClientSession(timeout=timeout) as http:
            tasks = [asyncio.create_task(self._one(http, address)) for _ in range(self._count)]
            while not self._is_stopping.is_set():
                await asyncio.sleep(0.1)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _one(self, http: aiohttp.ClientSession, address: str) -> None:
        last = ""
        while True:
            # Killed, or not there yet: the page would try again as well.
            with suppress(aiohttp.ClientError, TimeoutError, OSError):
                headers = {"Last-Event-ID": last} if last else {}
                async with http.get(f"{address}/api/stream", headers=headers) as stream:
                    if stream.status != STATUS_OK:
                        self.problems.append(f"status {stream.status}")
                    async for line in stream.content:
                        last = self._heard(line) or last
            self.returns += 1
            await asyncio.sleep(RETRY_S)

    def _heard(self, line: bytes) -> str | None:
        name, _, value = line.decode().rstrip("\r\n").partition(": ")
        if name == "event":
            self.events += 1
            self.resyncs += value == "resync"
        return value if name == "id" else None
