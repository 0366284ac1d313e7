"""A state actor on its thread, between real rings and a real journal, as tests meet it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import apsw

from actors.messages.control import (
    Dialect,
)
from actors.messages.transition import Transition
from actors.shard.actor import StateActor
from actors.shard.answering import Answering, AnsweringArguments
from actors.shard.arguments import SHARD_WORDS, ShardArguments
from actors.shard.journal import Journal, prepare
from actors.shard.roster_ring import RosterRing
from runtime.block import Block
from runtime.child import Child
from runtime.counters import LOADED, Counters
from runtime.doorbell import Doorbell
from runtime.exit import Exit
from runtime.inbox import RingInbox
from runtime.ring import Consumer, Producer, ring_bytes
from tests.actors.shard.lending import RECEIVED_NS
from tests.actors.shard.test_shard import stream

DEADLINE_S = 10.0


class Bench:
    """One producer, one state actor; a kill is an actor whose memory is let go."""

    def __init__(
        self,
        path: Path,
        *,
        journalled: bool = True,
        answering: AnsweringArguments | None = None,
        dialect: Dialect = "wsp",
    ) -> None:
        self.counters = Counters.create("shard-0", SHARD_WORDS)
        self.generation = 0
        doorbell, reverse = Doorbell.create("shard-0"), Doorbell.create("receiver-0")
        block = Block.create("ring", ring_bytes(1 << 20))
        self.producer = Producer(block, generation=1, doorbell=doorbell)
        shows = Block.create("planner to shard-0", ring_bytes(1 << 16))
        self.roster = Producer(shows, generation=1, doorbell=doorbell)
        self.arguments = ShardArguments(
            index=0,
            shards=1,
            path=path,
            run="run-1",
            journalled=journalled,
            rings=(block,),
            doorbell=doorbell,
            producer_doorbells=(reverse,),
            retention_days=7,
            retention_bytes=1 << 40,
            answering=answering,
            roster=shows if dialect == "cloud" else None,
            dialect=dialect,
        )
        prepare(path, "run-1")

    def start(self, after: Exit | None = None) -> None:
        self.generation += 1
        child = Child("shard-0", self.generation, self.counters, predecessor=after)
        consumer = Consumer(self.arguments.rings[0], generation=self.generation)
        consumers, answering = [consumer], None
        if self.arguments.answering is not None:
            answering = Answering(self.arguments.answering, self.counters, self.generation)
            consumers.append(answering.consumer)
        roster = None
        if self.arguments.roster is not None:
            roster = RosterRing(self.arguments.roster, self.counters, self.generation, [consumer])
            consumers.append(roster.consumer)
        self.inbox = RingInbox(consumers, self.arguments.doorbell, beat_s=0.05, linger_s=0.001)
        self.actor = StateActor.start(
            child, self.arguments, [consumer], self.inbox, answering=answering, roster=roster
        )
        self.wait(lambda: self.counters.get("phase") >= LOADED)

    def send(self, first: int, count: int) -> None:
        for record in stream(count, 40, first=first):
            assert self.producer.stage(
                record.payload, 1, epoch=1, sequence=record.sequence, received_ns=RECEIVED_NS
            )
        self.producer.publish()

    def dies(self) -> BaseException | None:
        """Until it has; what it died of."""
        assert self.inbox.ending.reached.wait(DEADLINE_S)
        return self.inbox.ending.failure

    def stop(self) -> None:
        self.actor.stop(block=False)
        assert self.inbox.ending.reached.wait(DEADLINE_S)

    def wait(self, fact: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + DEADLINE_S
        pause = threading.Event()
        while not fact():
            assert time.monotonic() < deadline_s, self.counters.snapshot()
            pause.wait(0.005)

    def reasons(self) -> list[str]:
        connection = apsw.Connection(str(self.arguments.path))
        try:
            return [reason for (reason,) in connection.execute("SELECT reason FROM quarantine")]
        finally:
            connection.close()

    def all_rows(self) -> list[Transition]:
        journal = Journal(self.arguments.path, "run-1", self.arguments.dialect)
        try:
            return list(journal.rows_behind(0))
        finally:
            journal.close()

    def rows(self) -> list[int]:
        return [row.sequence for row in self.all_rows()]
