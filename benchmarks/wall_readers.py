"""WallReaders: pages that read the stream over real sockets, as bytes; one of them applies them.

Every reader begins with a snapshot's id and notes a hash of each frame by its id. Whoever reads the
same ids reads the same frames: so the view of one, compared with the truth, is that of all.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import Any, Final

import orjson
import uvloop
from xxhash import xxh3_64_intdigest

PATIENCE_S: Final = 60.0
CHUNK_BYTES: Final = 1 << 16
_HEADERS: Final = "Host: 127.0.0.1\r\nConnection: close\r\n\r\n"


def get(port: int, path: str) -> tuple[float, bytes]:
    """Seconds to the first byte of the answer, and its body."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        began_s = time.perf_counter()
        connection.sendall(f"GET {path} HTTP/1.1\r\n{_HEADERS}".encode())
        parts = [connection.recv(CHUNK_BYTES)]
        first_s = time.perf_counter() - began_s
        while parts[-1]:
            parts.append(connection.recv(CHUNK_BYTES))
    return first_s, b"".join(parts).partition(b"\r\n\r\n")[2]


class View:
    """Agents as a snapshot and the changes behind it tell them: state and since."""

    def __init__(self, snapshot: Any) -> None:
        states = snapshot["states"]
        self.id: str = snapshot["id"]
        self.agents = {each[0]: (states[each[2]], each[3]) for each in snapshot["agents"]}

    def apply(self, changes: list[Any]) -> None:
        for user_id, _name, state, since_ms, *_ in changes:
            self.agents[user_id] = (state, since_ms)


class Reader:
    """One stream. `frames`: by number, the hash of each."""

    def __init__(self, view: View | None = None) -> None:
        self.view = view
        self.frames: dict[int, int] = {}
        self.resyncs = 0
        self.bytes = 0
        self.published_ms: list[float] = []
        """From the event's time to its end in our hands, one for each event."""
        self.happened_ms: list[float] = []
        """From a transition, as its shard was given it, to our hands; the one who applies only."""
        self._rest = b""

    def push(self, chunk: bytes, now_ms: float) -> None:
        self.bytes += len(chunk)
        *whole, self._rest = (self._rest + chunk).split(b"\n\n")
        for frame in whole:
            head, _, data = frame.partition(b"\ndata: ")
            if b"event: changes" not in head:
                self.resyncs += b"event: resync" in head
                continue
            number = int(head.partition(b"\n")[0].rpartition(b"-")[2])
            self.frames[number] = xxh3_64_intdigest(frame)
            at = data[len(b'{"at":') :].partition(b",")[0]
            self.published_ms.append(now_ms - int(at))
            if self.view is not None:
                changes = orjson.loads(data)["changes"]
                self.happened_ms += [now_ms - each[3] for each in changes]
                self.view.apply(changes)


class WallReaders:
    """On a thread of their own."""

    def __init__(self, port: int, count: int) -> None:
        self._port = port
        view = View(orjson.loads(get(port, "/api/snapshot")[1]))
        self.began_at = int(view.id.rpartition("-")[2])
        self._from = view.id
        self.first = Reader(view)
        self.readers = [self.first, *(Reader() for _ in range(count - 1))]
        self._is_over = threading.Event()
        self._are_here = threading.Event()
        self.cpu_s = 0.0
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        if not self._are_here.wait(PATIENCE_S):
            raise TimeoutError("not all readers are connected")

    def newest(self) -> int:
        """The number up to which everyone has read who was not told to begin anew."""
        going = [reader for reader in self.readers if not reader.resyncs]
        return min((max(reader.frames, default=0) for reader in going), default=1 << 62)

    def close(self) -> None:
        self._is_over.set()
        self._thread.join(PATIENCE_S)
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._all())
        except BaseException as failure:
            self._failure = failure
        self.cpu_s = time.thread_time()

    async def _all(self) -> None:
        here = asyncio.Barrier(len(self.readers) + 1)
        tasks = [asyncio.create_task(self._one(reader, here)) for reader in self.readers]
        await here.wait()
        self._are_here.set()
        while not self._is_over.is_set():
            await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        for told in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(told, Exception):
                raise told

    async def _one(self, reader: Reader, here: asyncio.Barrier) -> None:
        stream, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 20)
        path = f"/api/stream?last_event_id={self._from}"
        writer.write(f"GET {path} HTTP/1.1\r\n{_HEADERS}".encode())
        head = await stream.readuntil(b"\r\n\r\n")
        if b" 200 " not in head.partition(b"\r\n")[0]:
            raise ConnectionError(head.decode())
        await here.wait()
        try:
            while size := int(await stream.readuntil(b"\r\n"), 16):
                chunk = (await stream.readexactly(size + 2))[:-2]
                reader.push(chunk, time.time_ns() / 1e6)
        finally:
            writer.close()
