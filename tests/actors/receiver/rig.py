"""A receiver's surroundings without processes: rings and pages, a child, a loop to live in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from actors.genesys.http import GatewayAddress
from actors.messages.control import ControlRecord, Watermark, decode_control
from actors.messages.doubts import DOUBT_WORDS
from actors.receiver.loop import RECEIVER_WORDS, ReceiverArguments, _live
from runtime.block import Block
from runtime.child import Child
from runtime.clock import SystemClock
from runtime.counters import Counters
from runtime.doorbell import Doorbell
from runtime.ring import KIND_CONTROL, Consumer, ring_bytes

SHARD_WORDS = ("mark_epoch", "mark_sequence", "wants_history", "session", *DOUBT_WORDS)
DEADLINE_S = 10.0


def credentials() -> tuple[str, str]:
    return "client", "hunter2"


def in_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test())


async def until(fact: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
    async with asyncio.timeout(deadline_s):
        while not fact():
            await asyncio.sleep(0.005)


@dataclass(frozen=True, slots=True)
class Record:
    kind: int
    flags: int
    epoch: int
    sequence: int
    received_ns: int
    payload: bytes

    @property
    def control(self) -> ControlRecord:
        assert self.kind == KIND_CONTROL, self
        return decode_control(self.payload)


@dataclass
class Rig:
    """`shards` rings with their consumers, and the page of the receiver."""

    url: str
    shards: int = 2
    capacity: int = 1 << 20
    attempts_max: int = 10
    generation: int = 0
    ca_file: Path | None = None
    proxy: str | None = None
    appointments: bool = False
    taken: list[list[Record]] = field(default_factory=list)

    def __post_init__(self) -> None:
        count = range(self.shards)
        self.rings = tuple(Block.create(f"ring-{i}", ring_bytes(self.capacity)) for i in count)
        self.doorbells = tuple(Doorbell.create(f"shard-{i}") for i in count)
        self.own_doorbell = Doorbell.create("receiver")
        self.pages = tuple(Counters.create(f"shard-{i}", SHARD_WORDS) for i in count)
        self.counters = Counters.create("receiver-0", RECEIVER_WORDS)
        self.consumers = [
            Consumer(ring, generation=1, producer_doorbell=self.own_doorbell) for ring in self.rings
        ]
        self.taken = [[] for _ in count]
        self.child = Child("receiver-0", 1, self.counters)

    @contextlib.asynccontextmanager
    async def living(self) -> AsyncIterator[asyncio.Task[None]]:
        """A receiver lives for as long as the block lasts, then it is asked to stop."""
        self.generation += 1
        self.child = Child("receiver-0", self.generation, self.counters)
        arguments = ReceiverArguments(
            address=GatewayAddress(
                api_url=self.url, credentials=credentials, ca_file=self.ca_file, proxy=self.proxy
            ),
            rings=self.rings,
            shard_doorbells=self.doorbells,
            own_doorbell=self.own_doorbell,
            shard_counters=self.pages,
            attempts_max=self.attempts_max,
            appointments=self.appointments,
        )
        life = asyncio.ensure_future(_live(self.child, arguments, SystemClock()))
        try:
            yield life
        finally:
            self.child.stop()
            async with asyncio.timeout(DEADLINE_S):
                await asyncio.wait([life])
        life.result()

    def read(self) -> list[list[Record]]:
        """Everything that every ring has brought so far."""
        for taken, consumer in zip(self.taken, self.consumers, strict=True):
            while (batch := consumer.peek()) is not None:
                taken += [
                    Record(
                        batch.kinds[i],
                        batch.flags[i],
                        batch.epochs[i],
                        batch.sequences[i],
                        batch.received_ns[i],
                        batch.frame(i),
                    )
                    for i in range(batch.count)
                ]
                consumer.commit(batch.cursor_to)
        return self.taken

    def controls(self, shard: int = 0) -> list[ControlRecord]:
        """Without the watermarks."""
        records = [each.control for each in self.read()[shard] if each.kind == KIND_CONTROL]
        return [record for record in records if not isinstance(record, Watermark)]

    def watermark(self, shard: int) -> int:
        records = [each.control for each in self.read()[shard] if each.kind == KIND_CONTROL]
        marks = [record.sequence for record in records if isinstance(record, Watermark)]
        return marks[-1] if marks else 0

    def payloads(self, kind: int) -> list[bytes]:
        return [each.payload for taken in self.read() for each in taken if each.kind == kind]

    def set_mark(self, epoch: int, sequence: int) -> None:
        for page in self.pages:
            page.set("mark_epoch", epoch)
            page.set("mark_sequence", sequence)
