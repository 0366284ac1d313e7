"""How many records a second does a ring carry between two processes, and how soon is one seen?

The producer stages 256-byte records and publishes once per group of 64; the consumer drains batches
by peek and commit, and copies each batch once, as a shard does before it parses it.
"""

from __future__ import annotations

import pickle
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from benchmarks.carriers import pipe, queue, zeromq
from benchmarks.harness import (
    ROOT,
    Answer,
    Benchmark,
    Figure,
    Options,
    Target,
    take_turns,
    verify,
)
from benchmarks.records import Arrival, Departure, Records
from runtime.block import Block
from runtime.doorbell import Doorbell
from runtime.ring import KIND_CONTROL, KIND_EVENT, Batch, Consumer, Producer, ring_bytes

CAPACITY = 1 << 20
"""Small enough to stay in a core's own cache; a larger ring is measured below, and is slower."""
LOOK_AGAIN_S = 0.5
WAKES = 500
WAKE_PAUSE_S = 0.001
RUN = "import pickle, sys; f, a = pickle.loads(bytes.fromhex(sys.argv[1])); f(*a)"


@contextmanager
def in_child(produce: Callable[..., None], fds: tuple[int, ...], *arguments: Any) -> Iterator[None]:
    """A process that ends well by itself, or is ended."""
    command = [sys.executable, "-c", RUN, pickle.dumps((produce, arguments)).hex()]
    process = subprocess.Popen(command, pass_fds=fds, cwd=ROOT)
    try:
        yield
        verify("exit of the producer", process.wait(), 0)
    finally:
        process.kill()
        process.wait()


# Throughput


def ring(seed: int, seconds: float, *, capacity: int = CAPACITY) -> dict[str, float]:
    records = Records.of(seed)
    block = Block.create("ring", ring_bytes(capacity))
    arrived, room = Doorbell.create("arrived"), Doorbell.create("room")
    consumer = Consumer(block, generation=1, producer_doorbell=room)
    fds = (*block.fds, *arrived.fds, *room.fds)
    with in_child(produce_to_ring, fds, block, arrived, room, seed, seconds):
        batch = next_batch(consumer, arrived)
        arrival = Arrival()
        update = arrival.digest.update
        count = 0
        while batch.kinds[-1] == KIND_EVENT:
            update(memoryview(batch.joined(0, batch.count, b""))[1:-1])
            count += batch.count
            consumer.commit(batch.cursor_to)
            batch = consumer.peek() or next_batch(consumer, arrived)
        last = batch.count - 1
        update(memoryview(batch.joined(0, last, b""))[1:-1])
        figures = arrival.verified("ring", count + last, batch.frame(last), records)
        consumer.commit(batch.cursor_to)
    return figures


def next_batch(consumer: Consumer, arrived: Doorbell) -> Batch:
    while (batch := consumer.peek()) is None:
        arrived.announce()
        if consumer.used_bytes == 0:
            arrived.wait(LOOK_AGAIN_S)
        arrived.cancel()
    return batch


def produce_to_ring(
    block: Block, arrived: Doorbell, room: Doorbell, seed: int, seconds: float
) -> None:
    producer = Producer(block, generation=1, doorbell=arrived)
    departure = Departure()
    stage, publish = producer.stage, producer.publish
    for group in Records.of(seed).for_seconds(seconds, departure):
        for record in group:
            while not stage(record, KIND_EVENT):
                publish()
                await_room(producer, room)
        publish()
    end = departure.end()
    while not stage(end, KIND_CONTROL):
        await_room(producer, room)
    publish()


def await_room(producer: Producer, room: Doorbell) -> None:
    if producer.await_room():
        room.wait(LOOK_AGAIN_S)
    room.cancel()


# How soon a record wakes its reader


def wake(seconds: float) -> dict[str, float]:
    """From before `publish` in one process to behind `peek` in the other, which slept."""
    block = Block.create("wake", ring_bytes(1 << 16))  # room for all: a stall loses none
    arrived = Doorbell.create("arrived")
    consumer = Consumer(block, generation=1)
    wakes = min(WAKES, int(seconds / (2 * WAKE_PAUSE_S)))
    took_us: list[float] = []
    sequences: list[int] = []
    with in_child(produce_slowly, (*block.fds, *arrived.fds), block, arrived, wakes):
        while len(sequences) < wakes:
            batch = next_batch(consumer, arrived)
            took_us.append((time.monotonic_ns() - batch.received_ns[0]) / 1e3)
            sequences += batch.sequences
            consumer.commit(batch.cursor_to)
    verify("wake: sequences", sequences, list(range(wakes)))
    return {
        "µs median": statistics.median(took_us),
        "µs p99": sorted(took_us)[-1 - len(took_us) // 100],
    }


def produce_slowly(block: Block, arrived: Doorbell, wakes: int) -> None:
    producer = Producer(block, generation=1, doorbell=arrived)
    for sequence in range(wakes):
        time.sleep(WAKE_PAUSE_S)  # so that the reader sleeps
        now_ns = time.monotonic_ns()
        has_room = producer.stage(b"wake", KIND_EVENT, sequence=sequence, received_ns=now_ns)
        assert has_room, "the ring holds all of them"
        producer.publish()


def run(options: Options) -> Answer:
    seed = options.seed
    figures = take_turns(
        {
            "ring": partial(ring, seed),
            "ring of 64 MiB": partial(ring, seed, capacity=1 << 26),
            "multiprocessing.Queue": partial(queue, seed, grouped=False),
            "multiprocessing.Queue, 64 a message": partial(queue, seed, grouped=True),
            "multiprocessing.Pipe": partial(pipe, seed, grouped=False),
            "multiprocessing.Pipe, 64 a message": partial(pipe, seed, grouped=True),
            "pyzmq ipc": partial(zeromq, seed, grouped=False),
            "pyzmq ipc, 64 a message": partial(zeromq, seed, grouped=True),
            "doorbell wakes a sleeper": wake,
        },
        options,
    )
    return Answer(figures=figures, targets=targets(figures))


def targets(figures: tuple[Figure, ...]) -> tuple[Target, ...]:
    answer = Answer(figures=figures)
    rate = answer.median("ring", "records/s")
    queue_rate = answer.median("multiprocessing.Queue", "records/s")
    zmq_rate = answer.median("pyzmq ipc", "records/s")
    wake_us = answer.median("doorbell wakes a sleeper", "µs median")
    return (
        Target(what="ring, records/s", reached=rate, bound=3e6),
        Target(what="ring against multiprocessing.Queue", reached=rate / queue_rate, bound=8),
        Target(what="ring against pyzmq", reached=rate / zmq_rate, bound=2),
        Target(what="a sleeper wakes, µs", reached=wake_us, bound=100, sense="at most"),
    )


BENCHMARK = Benchmark(
    question="how many 256-byte records a second, from one process to another?", run=run
)
