"""Receiver: what it costs to take a frame off a socket and to put it into the ring of its shard.

One process and one connection of the loopback, over which a thread sends frames that lie ready. The
plain twins are listeners in Python: one looks for the owner in the bytes, the other parses first.
All of them write the same records into the same rings, whose content is verified; CPU of the loop's
thread, with the socket's reads and the WebSocket in it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import orjson
import uvloop
from picows import WSFrame, WSListener, WSTransport, ws_connect
from xxhash import xxh3_64, xxh3_64_intdigest

from actors.messages.partition import shard_of
from actors.receiver.listener import Listener
from actors.receiver.ring_writer import OUTLET_WORDS, RingWriter
from benchmarks.feed import Course
from benchmarks.harness import (
    Answer,
    Benchmark,
    Contestant,
    Options,
    Target,
    WrongResultError,
    take_turns,
    verify,
)
from runtime.block import Block
from runtime.counters import Counters
from runtime.doorbell import Doorbell
from runtime.ring import KIND_EVENT, Consumer, Producer, ring_bytes

FRAMES: Final = 50_000
SHARDS: Final = 2
RING_BYTES: Final = 1 << 25
"""Room for a whole turn: nothing waits for a reader."""
SENT_BYTES: Final = 1 << 18
LOOK_S: Final = 0.0005
PATIENCE_S: Final = 30.0
CPU: Final = "CPU µs/event"
OURS, ROUTED, PARSED = "ours", "routed in Python", "parsed first, orjson"
_ACCEPT: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3


class Counting(Protocol):
    @property
    def frames(self) -> int: ...


class Rings:
    """One for each shard, with room for a whole turn."""

    def __init__(self) -> None:
        blocks = [Block.create(f"ring-{i}", ring_bytes(RING_BYTES)) for i in range(SHARDS)]
        self.producers = [
            Producer(block, generation=1, doorbell=Doorbell.create(block.name)) for block in blocks
        ]
        self._consumers = [Consumer(block, generation=1) for block in blocks]

    def taken(self) -> list[tuple[int, int, int]]:
        """Of each ring: records, and a hash of their frames and of their sequences."""
        told = []
        for consumer in self._consumers:
            count, frames, sequences = 0, xxh3_64(), xxh3_64()
            while (batch := consumer.peek()) is not None:
                count += batch.count
                frames.update(memoryview(batch.joined(0, batch.count, b""))[1:-1])
                sequences.update(struct.pack(f"<{batch.count}q", *batch.sequences))
                consumer.commit(batch.cursor_to)
            told.append((count, frames.intdigest(), sequences.intdigest()))
        return told


def expected(events: Sequence[tuple[bytes, int, int]]) -> list[tuple[int, int, int]]:
    told = []
    for shard in range(SHARDS):
        mine = [
            (frame, sequence)
            for frame, _, sequence in events
            if shard_of(orjson.loads(frame)["data"]["userId"], SHARDS) == shard
        ]
        frames = xxh3_64_intdigest(b"".join(frame for frame, _ in mine))
        sequences = struct.pack(f"<{len(mine)}q", *(sequence for _, sequence in mine))
        told.append((len(mine), frames, xxh3_64_intdigest(sequences)))
    return told


# The contestants


class _Line:
    """What a listener tells: here only frames that it should have routed itself."""

    def on_connected(self, transport: WSTransport) -> None:
        pass

    def on_message(self, payload: bytes, _is_text: bool, /) -> None:
        raise WrongResultError(f"not routed: {payload!r}")


def ours(rings: Rings) -> Counting:
    def soon(callback: Callable[[], None]) -> object:
        return asyncio.get_running_loop().call_soon(callback)

    def overflow() -> None:
        raise WrongResultError("a ring is full")

    counters = Counters.create("receiver", OUTLET_WORDS)
    ring_writer = RingWriter(rings.producers, counters, soon, lambda _: None, overflow)
    listener = Listener(_Line(), ring_writer)
    listener.is_fast = True
    listener.epoch = 1
    return listener


class _Plain(WSListener):
    """Counts, puts a record into its ring, and shows what a read brought at its end."""

    def __init__(self, rings: Rings) -> None:
        self.frames = 0
        self._producers = rings.producers
        self._owners: dict[Any, Producer] = {}
        self._read_ns = 0

    def put(self, user: str | bytes, payload: bytes, sequence: int, is_last: bool) -> None:
        self.frames += 1
        owner = self._owners.get(user)
        if owner is None:
            owner = self._owners[user] = self._producers[shard_of(user, SHARDS)]
        now_ns = self._read_ns = self._read_ns or time.time_ns()
        if not owner.stage(payload, KIND_EVENT, epoch=1, sequence=sequence, received_ns=now_ns):
            raise WrongResultError("a ring is full")
        if is_last:
            self._read_ns = 0
            for producer in self._producers:
                producer.publish()


class Routed(_Plain):
    """Trusts that the frame is as it usually is."""

    def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
        payload = frame.get_payload_as_bytes()
        at = payload.index(b'"userId":"') + 10
        user = payload[at : payload.index(b'"', at)]
        at = payload.index(b'"sequence":') + 11
        sequence = int(payload[at : payload.index(b",", at)])
        self.put(user, payload, sequence, frame.last_in_buffer)


class Parsed(_Plain):
    def on_ws_frame(self, _transport: WSTransport, frame: WSFrame) -> None:
        payload = frame.get_payload_as_bytes()
        event = orjson.loads(payload)
        self.put(event["data"]["userId"], payload, event["sequence"], frame.last_in_buffer)


# The gateway: a socket that is told what to send


class Sending(threading.Thread):
    """Shakes hands with one client, and sends it the whole stream as often as it is asked."""

    def __init__(self, events: Sequence[tuple[bytes, int, int]]) -> None:
        super().__init__(daemon=True)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self._server.getsockname()[1]}/"
        self._stream = memoryview(b"".join(_head(frame) + frame for frame, _, _ in events))
        self.wanted = threading.Semaphore(0)
        self.is_over = False

    def run(self) -> None:
        with self._server, self._server.accept()[0] as client:
            request = b""
            while not request.endswith(b"\r\n\r\n"):
                request += client.recv(4_096)
            client.sendall(_upgrade(request))
            while True:
                self.wanted.acquire()
                if self.is_over:
                    return
                for first in range(0, len(self._stream), SENT_BYTES):
                    client.sendall(self._stream[first : first + SENT_BYTES])


def _head(frame: bytes) -> bytes:
    """A whole text message of the usual length, not masked (RFC 6455, 5.2)."""
    assert len(frame) < 1 << 16
    return b"\x81" + (
        bytes([len(frame)]) if len(frame) < 126 else b"\x7e" + struct.pack(">H", len(frame))
    )


def _upgrade(request: bytes) -> bytes:
    lines = dict(line.partition(b": ")[::2] for line in request.split(b"\r\n"))
    key = {name.lower(): value for name, value in lines.items()}[b"sec-websocket-key"]
    accept = base64.b64encode(hashlib.sha1(key + _ACCEPT).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


async def _taken(
    make: Callable[[Rings], Any],
    events: Sequence[tuple[bytes, int, int]],
    content: list[tuple[int, int, int]],
    seconds: float,
) -> Mapping[str, float]:
    rings, sending = Rings(), Sending(events)
    sending.start()
    listener = make(rings)
    transport, _ = await ws_connect(lambda: listener, sending.url)
    deadline_s, spent_ns, turns = time.perf_counter() + seconds, 0, 0
    while not spent_ns or time.perf_counter() < deadline_s:
        turns += 1
        began_ns, patience_s = time.thread_time_ns(), time.perf_counter() + PATIENCE_S
        sending.wanted.release()
        while listener.frames < turns * FRAMES:
            await asyncio.sleep(LOOK_S)
            if time.perf_counter() > patience_s:
                raise WrongResultError(f"{listener.frames} frames of {turns * FRAMES}")
        if turns > 1:  # the first one touches every page of the rings
            spent_ns += time.thread_time_ns() - began_ns
        verify("records in the rings", rings.taken(), content)
    sending.is_over = True
    sending.wanted.release()
    transport.disconnect()
    await asyncio.to_thread(sending.join)
    return {CPU: spent_ns / 1e3 / ((turns - 1) * FRAMES)}


def run(options: Options) -> Answer:
    events = Course().batch(FRAMES)
    content = expected(events)

    def contestant(make: Callable[[Rings], Any]) -> Contestant:
        return lambda seconds: uvloop.run(_taken(make, events, content, seconds))

    contestants = {OURS: contestant(ours), ROUTED: contestant(Routed), PARSED: contestant(Parsed)}
    answer = Answer(figures=take_turns(contestants, options))
    targets = tuple(
        Target(
            what=f"{OURS} against {twin}: {CPU}",
            reached=answer.median(OURS, CPU) / answer.median(twin, CPU),
            bound=0.5,
            sense="at most",
        )
        for twin in (ROUTED, PARSED)
    )
    return Answer(figures=answer.figures, targets=targets)


BENCHMARK = Benchmark(
    question="What does a frame cost from the socket into the ring of its shard?", run=run
)
