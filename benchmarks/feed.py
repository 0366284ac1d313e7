"""Feed: what a reader that is attached costs a shard, for each event.

Two shards take the same batches in turn, one with a reader and one without: parse, merge, journal,
and what is told. Batches of 512 are a shard at its limit, of 8 some 4,000 events a second. CPU of
the thread; what the reader itself spends is not in it. In the end both readers' truth is compared:
the model with what the shard holds.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from actors.genesys.times import iso_ms
from actors.messages.control import SCOPE_ALL, HistoryEnds, SessionBegins, encode_control
from actors.shard.feed import FEED_WORDS, Feed, FeedArguments
from actors.shard.journal import Journal, prepare
from actors.shard.shard import Shard
from actors.web.arguments import WEB_WORDS, FeedEnds
from actors.web.feed_reader import ShardReader
from actors.web.read_model import ReadModel
from benchmarks.harness import (
    Answer,
    Benchmark,
    Figure,
    Options,
    Target,
    fsync_ms,
    overtime_is_wrong,
    under_way,
    verify,
)
from runtime.block import Block
from runtime.counters import Counters
from runtime.doorbell import Doorbell
from runtime.ring import KIND_CONTROL, KIND_EVENT, Batch, Consumer, Producer, ring_bytes

AGENTS: Final = 5_000
SIZES: Final = (512, 8)
START_US: Final = 1_795_000_000_000_000
EVENTS_PER_MS: Final = 5
STATES: Final = ("Available", "Talking", "Wrapped Up", "Not Available")
EVENTS_PER_TURN: Final = 2_048
EVENT_RING_BYTES: Final = 4 << 20
RISE_PERCENT_MAX: Final = 5.0
RUN: Final = "run"


class Course:
    """The frames of all agents, one change after the other."""

    def __init__(self) -> None:
        self._users = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(AGENTS)]
        self._step = 0

    def begin(self) -> list[tuple[bytes, int, int]]:
        begins = SessionBegins(1, SCOPE_ALL, 1, "", 1, None, START_US)
        ends = HistoryEnds(1, SCOPE_ALL, True, START_US)
        told = [(encode_control(begins), KIND_CONTROL, 0)]
        told += [(self._frame(number, 1, True), KIND_EVENT, 1) for number in range(AGENTS)]
        return [*told, (encode_control(ends), KIND_CONTROL, 0)]

    def batch(self, size: int) -> list[tuple[bytes, int, int]]:
        return [self._next() for _ in range(size)]

    def _next(self) -> tuple[bytes, int, int]:
        self._step += 1
        sequence = self._step + 1
        return self._frame(self._step * 7_919 % AGENTS, sequence, False), KIND_EVENT, sequence

    def _frame(self, number: int, sequence: int, is_history: bool) -> bytes:
        at = iso_ms(START_US + self._step // EVENTS_PER_MS * 1_000)
        state = STATES[(self._step // AGENTS + number) % len(STATES)]
        history = '"history":true,' if is_history else ""
        data = (
            f'"userId":"{self._users[number]}","state":"{state}",'
            f'"timestamp":"{at}","queueId":"q-{number % 50}"'
        )
        return (
            f'{{{history}"type":"routing.agents.state","sequence":{sequence},"data":{{{data}}}}}'
        ).encode()


class Side:
    """A shard as its actor drives it, without its thread."""

    def __init__(self, path: Path, *, is_journalled: bool, is_read: bool) -> None:
        self._shard = Shard(0, 1, rings=1, now_s=0.0, journalled=is_journalled)
        self._journal: Journal | None = None
        if is_journalled:
            prepare(path, RUN)
            self._journal = Journal(path, RUN)
        block = Block.create("events", ring_bytes(EVENT_RING_BYTES))
        bell = Doorbell.create("shard")
        self._producer = Producer(block, generation=1, doorbell=bell)
        self._consumer = Consumer(block, generation=1)
        arguments = FeedArguments(
            feed=Block.create("feed", ring_bytes(4 << 20)),
            wants=Block.create("wants", ring_bytes(64 << 10)),
        )
        page = Counters.create("shard", FEED_WORDS)
        self._feed = Feed(arguments, page, 1)
        self._model = ReadModel(1)
        self._reader: ShardReader | None = None
        if is_read:
            ends = FeedEnds(feed=arguments.feed, wants=arguments.wants, doorbell=bell)
            web = Counters.create("web", WEB_WORDS)
            self._reader = ShardReader(0, ends, page, self._model, counters=web, generation=1)
        self.cpu_ns = self.reader_ns = 0

    def take(self, records: list[tuple[bytes, int, int]]) -> None:
        for payload, kind, sequence in records:
            staged = self._producer.stage(
                payload, kind, epoch=1, sequence=sequence, received_ns=START_US * 1_000
            )
            verify("room in the ring", staged, True)
        self._producer.publish()
        began_ns = time.thread_time_ns()
        while (batch := self._consumer.peek()) is not None:
            self._take(batch)
            self._consumer.commit(batch.cursor_to)
        self.cpu_ns += time.thread_time_ns() - began_ns

    def _take(self, batch: Batch) -> None:
        self._shard.take(batch, 0.0)
        transaction = None
        if self._journal is not None:
            transaction = self._shard.prepare(0.0)
            self._journal.commit(transaction)
            self._shard.committed(transaction, START_US)
        self._feed.publish(self._shard, transaction)

    def read(self) -> None:
        """What a tick does; and the shard hears what the reader wants."""
        if self._reader is None:
            return
        began_ns = time.thread_time_ns()
        while self._reader.look(time.monotonic()):
            pass
        self.reader_ns += time.thread_time_ns() - began_ns
        wants = self._feed.consumer.peek()
        if wants is not None:
            self._feed.hear(wants)
            self._feed.consumer.commit(wants.cursor_to)
        while self._feed.has_more(time.monotonic()):
            self._feed.tell_more(self._shard, time.monotonic())

    @property
    def is_in_step(self) -> bool:
        return self._model.is_whole(0)

    def verify(self) -> None:
        held = {
            agent.user_id: (agent.state, agent.at_us) for agent in self._shard.agent_table.by_id
        }
        verify("agents held", len(held), AGENTS)
        if self._reader is not None:
            shown = {
                view.user_id: (view.state, view.since_us) for view in self._model.agents.values()
            }
            verify("what the reader shows is what the shard holds", shown == held, True)

    def close(self) -> None:
        if self._journal is not None:
            self._journal.close()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pairs", type=int, default=30, help="of turns, in each round")


def run(options: Options) -> Answer:
    figures: list[Figure] = []
    targets: list[Target] = []
    with overtime_is_wrong("feed", 600.0):
        for is_journalled in (True, False):
            for size in SIZES:
                with under_way(f"journalled: {is_journalled}, batches of {size}"):
                    _measure(options, is_journalled, size, figures, targets)
    facts = {"fsync_ms": fsync_ms()}
    return Answer(figures=tuple(figures), targets=tuple(targets), facts=facts)


def _measure(
    options: Options,
    is_journalled: bool,
    size: int,
    figures: list[Figure],
    targets: list[Target],
) -> None:
    where = f"journal {'full' if is_journalled else 'off'}, batches of {size}"
    costs: tuple[list[float], list[float]] = [], []
    reading: list[float] = []
    shuffle = random.Random(options.seed).shuffle
    for _ in range(options.repeat):
        with _sides(is_journalled) as sides:
            course = Course()
            for side in sides:
                side.take(course.begin())
            while not sides[1].is_in_step:
                sides[1].read()
            for turn in range(options.own.pairs + 1):
                batches = [course.batch(size) for _ in range(EVENTS_PER_TURN // size)]
                order = [0, 1]
                shuffle(order)
                for place in order:
                    side = sides[place]
                    side.cpu_ns = side.reader_ns = 0
                    for batch in batches:
                        side.take(batch)
                    side.read()
                    if turn:  # the first one warms up
                        costs[place].append(side.cpu_ns / 1e3 / EVENTS_PER_TURN)
                if turn:
                    reading.append(sides[1].reader_ns / 1e3 / EVENTS_PER_TURN)
            for side in sides:
                side.verify()
    unit = "shard µs"
    figures.append(Figure(subject=f"{where}: alone", unit=unit, values=tuple(costs[0])))
    figures.append(Figure(subject=f"{where}: with a reader", unit=unit, values=tuple(costs[1])))
    rises = tuple(100 * (read / alone - 1) for alone, read in zip(*costs, strict=True))
    figures.append(Figure(subject=f"{where}: rise of a pair", unit="%", values=rises))
    figures.append(Figure(subject=f"{where}: the reader's", unit="web µs", values=tuple(reading)))
    if is_journalled:
        targets.append(
            Target(
                what=f"{where}: median rise of a pair, %",
                reached=statistics.median(rises),
                bound=RISE_PERCENT_MAX,
                sense="at most",
            )
        )


@contextmanager
def _sides(is_journalled: bool) -> Iterator[tuple[Side, Side]]:
    with tempfile.TemporaryDirectory(prefix="presence-bench-") as name:
        sides = (
            Side(Path(name) / "alone.db", is_journalled=is_journalled, is_read=False),
            Side(Path(name) / "read.db", is_journalled=is_journalled, is_read=True),
        )
        yield sides
        for side in sides:
            side.close()


BENCHMARK = Benchmark(
    question="What does an attached reader cost a shard, for each event?",
    run=run,
    add_arguments=add_arguments,
)
