"""Shard: what an event costs a shard, by stage, on batches that lie ready in a ring.

Stages are those of `Shard.take`: frames of a batch joined and parsed at once, merged, made into a
transaction, committed. The plain twin parses frame by frame and judges each event through calls,
as one would write it first; its rows go into the same journal. CPU of the thread; in the end both
must hold, and have journalled, the same.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

import orjson

from actors.messages.control import SCOPE_ALL, SessionBegins, encode_control
from actors.shard.agent_table import AgentTable
from actors.shard.decode import JOINT, StateEvent, checked, parse_frames
from actors.shard.dedup import WINDOW_WIDTH, HashWindow, SequenceWindow
from actors.shard.journal import Journal, ShardProgress, Transaction, connect, prepare
from actors.shard.merge import digest_of
from actors.shard.shard import Shard
from benchmarks.feed import AGENTS, EVENT_RING_BYTES, RUN, START_US, Course
from benchmarks.harness import (
    Answer,
    Benchmark,
    Contestant,
    Options,
    Target,
    fsync_ms,
    take_turns,
    verify,
)
from runtime.block import Block
from runtime.doorbell import Doorbell
from runtime.ring import KIND_CONTROL, Batch, Consumer, Producer, ring_bytes

BATCH: Final = 512
BATCHES: Final = 8
"""Staged at once; between them nothing is measured."""
STAGES: Final = ("parse", "merge", "prepare", "commit")
CPU: Final = "CPU µs/event"
OURS, TWIN = "shard", "plain twin"
NOW_US: Final = START_US


class Spent:
    """CPU of this thread by stage."""

    def __init__(self) -> None:
        self.ns = dict.fromkeys(STAGES, 0)
        self._since_ns = 0

    def begin(self) -> None:
        self._since_ns = time.thread_time_ns()

    def end(self, stage: str) -> None:
        now_ns = time.thread_time_ns()
        self.ns[stage] += now_ns - self._since_ns
        self._since_ns = now_ns


class Ours:
    """A shard, driven stage by stage."""

    def __init__(self, journal: Journal | None) -> None:
        self._shard = Shard(0, 1, rings=1, now_s=0.0, journalled=journal is not None)
        self._journal = journal

    def begin(self, batch: Batch) -> None:
        self._shard.take(batch, 0.0)

    def take(self, batch: Batch, spent: Spent) -> None:
        shard, count = self._shard, batch.count
        spent.begin()
        values = parse_frames(batch.joined(0, count, JOINT), count, batch.frame)
        spent.end("parse")
        findings = shard.merge.events(
            values, batch.received_ns[:], batch.epochs[:], batch.flags, 0.0
        )
        shard.cursors[batch.ring] = batch.cursor_to
        del values  # as they are in a shard, before it commits
        spent.end("merge")
        verify("findings", findings, [])
        if self._journal is None:
            return
        spent.begin()
        transaction = shard.prepare(0.0)
        spent.end("prepare")
        self._journal.commit(transaction)
        shard.committed(transaction, NOW_US)
        spent.end("commit")

    @property
    def agent_table(self) -> AgentTable:
        return self._shard.agent_table


class Plain:
    """One frame after the other, each rule a call."""

    def __init__(self, journal: Journal | None) -> None:
        self.agent_table = AgentTable(rows_kept=journal is not None)
        self._journal = journal
        self._window, self._hashes = SequenceWindow(), HashWindow()
        self._mark, self._cursor = 0, 0
        self._counts = {"received": 0, "applied": 0, "duplicates": 0}

    def begin(self, batch: Batch) -> None:
        self._cursor = batch.cursor_to

    def take(self, batch: Batch, spent: Spent) -> None:
        spent.begin()
        values = [orjson.loads(batch.frame(index)) for index in range(batch.count)]
        spent.end("parse")
        self._hashes.turn(0.0)
        for value, received_ns in zip(values, batch.received_ns, strict=True):
            event = checked(value)
            assert isinstance(event, StateEvent), event
            self._judge(event, received_ns // 1000)
        self._cursor = batch.cursor_to
        del values
        spent.end("merge")
        if self._journal is None:
            return
        progress = ShardProgress(
            (self._cursor,), 1, self._mark, self.agent_table.next_row, dict(self._counts), {}, 0
        )
        transaction = Transaction(self.agent_table.take(), progress)
        spent.end("prepare")
        self._journal.commit(transaction)
        spent.end("commit")

    def _judge(self, event: StateEvent, received_us: int) -> None:
        self._counts["received"] += 1
        sequence = event.sequence
        if self._is_known(sequence):
            self._counts["duplicates"] += 1
            return
        self._window.add(sequence)
        self._mark = max(self._mark, sequence)
        digest = digest_of(event.user_id, event.state, event.stamp, event.queue)
        agent = self.agent_table.by_user.get(event.user_id)
        if agent is None:
            agent = self.agent_table.admit(event.user_id)
        elif digest in self._hashes or event.at_us <= agent.at_us:
            self._counts["duplicates"] += 1
            return
        self._hashes.younger.add(digest)
        self._counts["applied"] += 1
        self.agent_table.write(
            agent,
            event.state,
            at_us=event.at_us,
            received_us=received_us,
            epoch=1,
            sequence=sequence,
            queue=event.queue,
            cause="live",
        )
        agent.state, agent.at_us, agent.queue = event.state, event.at_us, event.queue
        agent.sequence = sequence

    def _is_known(self, sequence: int) -> bool:
        return sequence <= self._mark - WINDOW_WIDTH or sequence in self._window


def held(agent_table: AgentTable) -> dict[str, tuple[str | None, int, str | None, int]]:
    return {
        agent.user_id: (agent.state, agent.at_us, agent.queue, agent.sequence)
        for agent in agent_table.by_id
    }


def _measured(kind: type[Ours | Plain], is_journalled: bool, seconds: float) -> Mapping[str, float]:
    with tempfile.TemporaryDirectory(prefix="presence-bench-") as folder:
        path = Path(folder) / "shard.db"
        journal = None
        if is_journalled:
            prepare(path, RUN)
            journal = Journal(path, RUN)
        contestant, other = kind(journal), (Plain if kind is Ours else Ours)(None)
        try:
            spent, events = _driven(contestant, other, seconds)
        finally:
            if journal is not None:
                journal.close()
        verify("what is held", held(contestant.agent_table) == held(other.agent_table), True)
        if is_journalled:
            with closing(connect(path)) as connection:
                rows = connection.execute("SELECT count(*) FROM transitions").get
            verify("rows in the journal", rows, contestant.agent_table.next_row - 1)
            verify("rows written", rows, other.agent_table.next_row - 1)
    figures = {f"{stage} µs/event": ns / 1e3 / events for stage, ns in spent.ns.items() if ns}
    return {CPU: sum(spent.ns.values()) / 1e3 / events, **figures}


def _driven(contestant: Ours | Plain, other: Ours | Plain, seconds: float) -> tuple[Spent, int]:
    """The other one takes the same, unmeasured. How much was spent on how many events."""
    block = Block.create("events", ring_bytes(EVENT_RING_BYTES))
    producer = Producer(block, generation=1, doorbell=Doorbell.create("shard"))
    consumer = Consumer(block, generation=1)
    course, spent, events = Course(), Spent(), 0
    begins = encode_control(SessionBegins(1, SCOPE_ALL, 1, "", 0, None, START_US))

    def staged(records: list[tuple[bytes, int, int]]) -> None:
        for payload, kind, sequence in records:
            has_room = producer.stage(
                payload, kind, epoch=1, sequence=sequence, received_ns=START_US * 1_000
            )
            verify("room in the ring", has_room, True)
        producer.publish()

    staged([(begins, KIND_CONTROL, 0)])
    batch = consumer.peek()
    assert batch is not None
    for each in (contestant, other):
        each.begin(batch)
    consumer.commit(batch.cursor_to)
    deadline_s, warm_events = time.perf_counter() + seconds, 2 * AGENTS
    while warm_events or not events or time.perf_counter() < deadline_s:
        staged(course.batch(BATCH * BATCHES))
        gc.disable()  # as in a shard's process
        while (batch := consumer.peek(BATCH)) is not None:
            contestant.take(batch, spent)
            events += batch.count
            other.take(batch, Spent())
            consumer.commit(batch.cursor_to)
        gc.enable()
        if warm_events and events >= warm_events:  # every agent was met
            spent, events, warm_events = Spent(), 0, 0
    return spent, events


def run(options: Options) -> Answer:
    contestants: dict[str, Contestant] = {
        f"{name}, journal {'full' if is_journalled else 'off'}": partial(
            _measured, kind, is_journalled
        )
        for is_journalled in (False, True)
        for name, kind in ((OURS, Ours), (TWIN, Plain))
    }
    answer = Answer(figures=take_turns(contestants, options), facts={"fsync_ms": fsync_ms()})

    def share(journal: str) -> Target:
        ours, twin = (answer.median(f"{name}, journal {journal}", CPU) for name in (OURS, TWIN))
        what = f"journal {journal}: {CPU} against the twin's"
        return Target(what=what, reached=ours / twin, bound=1.0, sense="at most")

    return Answer(figures=answer.figures, targets=(share("off"), share("full")), facts=answer.facts)


BENCHMARK = Benchmark(question="What does an event cost a shard, stage by stage?", run=run)
