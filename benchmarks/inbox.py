"""What does a message cost an actor, whose inbox is a ring, a pykka queue, or a queue.Queue?

One process, a producer in its main thread, a reader in another: all share one interpreter lock, so
the CPU of both sides is the figure that tells. Each reader digests every byte.
"""

from __future__ import annotations

import queue
import threading
import time
from functools import partial
from typing import Any

import pykka

from benchmarks.harness import Answer, Benchmark, Options, Target, take_turns
from benchmarks.records import GROUP, Arrival, Departure, Records
from benchmarks.ring import await_room
from runtime.block import Block
from runtime.doorbell import Doorbell
from runtime.inbox import RingInbox
from runtime.ring import KIND_EVENT, Batch, Consumer, Producer, ring_bytes
from runtime.ring_actor import RingActor, wait_for

CAPACITY = 1 << 20
BACKLOG_RECORDS_MAX = 4096
"""About what stands in a full ring of that capacity."""
BACKLOG_PAUSE_S = 0.0005


class Tally:
    """What a reader met; written by its thread only."""

    def __init__(self) -> None:
        self.arrival = Arrival()
        self.update = self.arrival.digest.update
        self.count = 0

    def figures(self, what: str, departure: Departure, records: Records) -> dict[str, float]:
        """The CPU of both threads is in the process's time: the departure adds none of its own."""
        departure.cpu_before_ns = time.process_time_ns()
        return self.arrival.verified(what, self.count, departure.end(), records)


# The ring


class BatchReader(RingActor):
    def __init__(self, inbox: RingInbox, tally: Tally) -> None:
        super().__init__(inbox)
        self.tally = tally

    def on_batch(self, batch: Batch) -> None:
        self.tally.update(memoryview(batch.joined(0, batch.count, b""))[1:-1])
        self.tally.count += batch.count


def ring_actor(seed: int, seconds: float) -> dict[str, float]:
    block = Block.create("inbox", ring_bytes(CAPACITY))
    arrived, room = Doorbell.create("arrived"), Doorbell.create("room")
    producer = Producer(block, generation=1, doorbell=arrived)
    consumer = Consumer(block, generation=1, producer_doorbell=room)
    records, departure, tally = Records.of(seed), Departure(), Tally()
    actor = BatchReader.start(RingInbox([consumer], arrived), tally)
    stage, publish = producer.stage, producer.publish
    for group in records.for_seconds(seconds, departure):
        for record in group:
            while not stage(record, KIND_EVENT):
                publish()
                await_room(producer, room)
        publish()
    actor.stop(block=False)  # delivered when the ring is empty
    wait_for(actor)
    return tally.figures("RingActor", departure, records)


# A plain actor


class MessageReader(pykka.ThreadingActor):
    def __init__(self, tally: Tally) -> None:
        super().__init__()
        self.tally = tally

    def on_receive(self, message: Any) -> None:
        self.tally.update(message)
        self.tally.count += 1


def plain_actor(seed: int, seconds: float) -> dict[str, float]:
    records, departure, tally = Records.of(seed), Departure(), Tally()
    actor = MessageReader.start(tally)
    inbox = actor.actor_inbox
    assert isinstance(inbox, queue.Queue)
    tell = actor.tell
    for group in records.for_seconds(seconds, departure):
        while inbox.qsize() > BACKLOG_RECORDS_MAX - GROUP:
            time.sleep(BACKLOG_PAUSE_S)
        for record in group:
            tell(record)
    actor.stop()
    return tally.figures("ThreadingActor", departure, records)


# A queue without an actor


def plain_queue(seed: int, seconds: float) -> dict[str, float]:
    records, departure, tally = Records.of(seed), Departure(), Tally()
    inbox: queue.Queue[bytes] = queue.Queue(BACKLOG_RECORDS_MAX)
    reader = threading.Thread(target=read_queue, args=(inbox, tally))
    reader.start()
    put = inbox.put
    for group in records.for_seconds(seconds, departure):
        for record in group:
            put(record)
    put(b"")
    reader.join()
    return tally.figures("queue.Queue", departure, records)


def read_queue(inbox: queue.Queue[bytes], tally: Tally) -> None:
    get = inbox.get
    while record := get():
        tally.update(record)
        tally.count += 1


def run(options: Options) -> Answer:
    figures = take_turns(
        {
            "RingInbox and RingActor": partial(ring_actor, options.seed),
            "pykka.ThreadingActor, tell()": partial(plain_actor, options.seed),
            "queue.Queue and a thread": partial(plain_queue, options.seed),
        },
        options,
    )
    answer = Answer(figures=figures)
    ring_rate = answer.median("RingInbox and RingActor", "records/s")
    plain_rate = answer.median("pykka.ThreadingActor, tell()", "records/s")
    target = Target(what="RingActor against tell()", reached=ring_rate / plain_rate, bound=2)
    return Answer(figures=figures, targets=(target,))


BENCHMARK = Benchmark(
    question="what does a message cost an actor, by ring, by tell() and by queue.Queue?", run=run
)
