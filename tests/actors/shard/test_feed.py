"""The feed on the actor's thread: snapshots of an idle shard, frames that are fed again."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from actors.messages.control import SCOPE_ALL, HistoryEnds, SessionBegins, encode_control
from actors.messages.feed import (
    FEED_RING_BYTES,
    FrameWanted,
    SnapshotWanted,
    Tag,
    Want,
    encode_want,
)
from actors.shard.actor import StateActor
from actors.shard.arguments import SHARD_WORDS, ShardArguments
from actors.shard.feed import Feed, FeedArguments, payloads
from actors.shard.journal import Journal, prepare
from actors.shard.shard import RefeedResult
from runtime.block import Block
from runtime.child import Child
from runtime.counters import Counters
from runtime.doorbell import Doorbell
from runtime.inbox import RingInbox
from runtime.ring import KIND_CONTROL, KIND_EVENT, Consumer, Producer, ring_bytes
from tests.actors.shard import cloud_lending as cloud
from tests.actors.shard.lending import RECEIVED_NS, A, Record, event
from tests.actors.shard.rig import Rig
from tests.actors.shard.test_shard import stream

DEADLINE_S = 20.0
BEAT_S = 0.5
MANY = 25_000


class Bench:
    """A shard between real rings, told by its actor to whoever holds the other end."""

    def __init__(self, path: Path, *, journalled: bool = True) -> None:
        self.path = path
        self.counters = Counters.create("shard-0", SHARD_WORDS)
        self.feed = FeedArguments(
            feed=Block.create("feed", ring_bytes(FEED_RING_BYTES)),
            wants=Block.create("wants", ring_bytes(1 << 16)),
        )
        doorbell, block = Doorbell.create("shard-0"), Block.create("ring", ring_bytes(8 << 20))
        self.events = Producer(block, generation=1, doorbell=doorbell)
        self.wants = Producer(self.feed.wants, generation=1, doorbell=doorbell)
        self.consumer = Consumer(self.feed.feed, generation=1)
        self._arguments = ShardArguments(
            index=0, shards=1, path=path, run="run-1", journalled=journalled, rings=(block,),
            doorbell=doorbell, producer_doorbells=(Doorbell.create("receiver-0"),),
            retention_days=7, retention_bytes=1 << 40, feed=self.feed,
        )  # fmt: skip
        self.generation = 0
        self.heard: list[tuple[int, int, Any]] = []
        prepare(path, "run-1")
        self.start()

    def start(self) -> None:
        self.generation += 1
        child = Child("shard-0", self.generation, self.counters)
        consumer = Consumer(self._arguments.rings[0], generation=self.generation)
        feed = Feed(self.feed, self.counters, self.generation)
        self.inbox = RingInbox(
            [consumer, feed.consumer], self._arguments.doorbell, beat_s=BEAT_S, linger_s=0.001
        )
        self.actor = StateActor.start(child, self._arguments, [consumer], self.inbox, feed=feed)

    def stop(self) -> None:
        self.actor.stop(block=False)
        assert self.inbox.ending.reached.wait(DEADLINE_S)

    def want(self, want: Want) -> None:
        assert self.wants.stage(encode_want(want), KIND_CONTROL)
        self.wants.publish()

    def send(self, payload: bytes, kind: int = KIND_EVENT, sequence: int = 0) -> None:
        assert self.events.stage(payload, kind, epoch=1, sequence=sequence, received_ns=RECEIVED_NS)

    def hear(self) -> None:
        while (batch := self.consumer.peek()) is not None:
            for index in range(batch.count):
                value = orjson.loads(batch.frame(index))
                self.heard.append((batch.flags[index], batch.sequences[index], value))
            self.consumer.commit(batch.cursor_to)

    def until_heard(self, tag: Tag, number: int) -> Any:
        found: list[Any] = []

        def is_heard() -> bool:
            self.hear()
            found[:] = [value for each, of, value in self.heard if (each, of) == (tag, number)]
            return bool(found)

        eventually(is_heard)
        return found[0]

    def of(self, tag: Tag) -> list[Any]:
        return [value for each, _, value in self.heard if each == tag]


def eventually(fact: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not fact():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.001)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "shard-00.db")
    yield bench
    bench.stop()


def with_agents(bench: Bench, count: int) -> None:
    """All of them named by a history."""
    bench.send(
        encode_control(SessionBegins(1, SCOPE_ALL, 1, "", count, None, 1)), kind=KIND_CONTROL
    )
    for number in range(count):
        bench.send(event(1, f"agent-{number}", history=True).payload, sequence=1)
        if number % 1_000 == 0:
            bench.events.publish()
            eventually(lambda: bench.events.used_bytes < bench.events.capacity // 2)
    bench.send(encode_control(HistoryEnds(1, SCOPE_ALL, True, 2)), kind=KIND_CONTROL)
    bench.events.publish()
    eventually(lambda: bench.counters.get("agents") == count)
    eventually(lambda: bench.counters.get("stale_since_us") == 0)


def test_an_idle_shard_tells_all_its_agents_without_waiting_for_its_beats(bench: Bench) -> None:
    with_agents(bench, MANY)
    began_s = time.monotonic()
    bench.want(SnapshotWanted(7))
    bench.until_heard(Tag.SNAPSHOT_ENDS, 7)
    parts = bench.of(Tag.AGENTS)
    assert len(parts) > MANY // 256
    assert time.monotonic() - began_s < len(parts) * BEAT_S / 4, "one part in each beat"
    assert {entry[1] for part in parts for entry in part} == {f"agent-{n}" for n in range(MANY)}
    print(f"{MANY} agents told in {time.monotonic() - began_s:.2f} s")


def test_events_go_on_between_the_parts_of_a_snapshot(bench: Bench) -> None:
    with_agents(bench, 2_000)
    bench.stop()
    bench.want(SnapshotWanted(1))
    for record in stream(4_000, 40, first=2_001):
        bench.send(record.payload, sequence=record.sequence)
    bench.events.publish()
    bench.start()  # finds eight batches, and the want
    bench.until_heard(Tag.SNAPSHOT_ENDS, 1)
    tags = [tag for tag, _ in itertools.groupby(bench.heard, key=lambda each: each[0])]
    assert tags.count(Tag.AGENTS) > 1, "all parts were told in a row"


def test_nothing_is_told_to_nobody(bench: Bench) -> None:
    for record in stream(200, 40, first=1):
        bench.send(record.payload, sequence=record.sequence)
    bench.events.publish()
    eventually(lambda: bench.counters.get("mark_sequence") == 200)
    assert bench.counters.get("feed_attached") == 0
    assert bench.consumer.peek() is None


def test_a_second_snapshot_waits_until_the_first_is_old_enough(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.shard.feed.SNAPSHOT_EVERY_S", 1.0)
    began_s = time.monotonic()
    for number in (1, 2):
        bench.want(SnapshotWanted(number))
        bench.until_heard(Tag.SNAPSHOT_ENDS, number)
    assert time.monotonic() - began_s >= 1.0
    assert bench.counters.get("feed_snapshots") == 2


def test_a_want_that_nobody_understands_is_counted(bench: Bench) -> None:
    assert bench.wants.stage(b'["everything"]', KIND_CONTROL)
    bench.want(SnapshotWanted(1))
    bench.until_heard(Tag.SNAPSHOT_ENDS, 1)
    assert bench.counters.get("wants_malformed") == 1


def test_each_life_of_a_shard_is_a_loss_to_whoever_reads_along(bench: Bench) -> None:
    bench.want(SnapshotWanted(1))
    assert bench.until_heard(Tag.SNAPSHOT_BEGINS, 1)[0] == 1
    bench.stop()
    bench.start()
    eventually(lambda: bench.counters.get("feed_losses") == 2)


# -- frames of the quarantine ----------------------------------------------------------------------


def quarantined(bench: Bench) -> list[tuple[int, bytes]]:
    journal = Journal(bench.path, "run-1")
    try:
        return list(journal._connection.execute("SELECT hash, frame FROM quarantine"))
    finally:
        journal.close()


def happens(bench: Bench, record: Record) -> None:
    """The mark moves with it: a million further is plausible next."""
    bench.send(record.payload, sequence=record.sequence)
    bench.events.publish()
    eventually(lambda: bench.counters.get("mark_sequence") == record.sequence)


def set_aside(bench: Bench, payload: bytes, sequence: int) -> int:
    """Its key in quarantine."""
    known = {key for key, _ in quarantined(bench)}
    bench.send(payload, sequence=sequence)
    bench.events.publish()
    eventually(lambda: bool({key for key, _ in quarantined(bench)} - known))
    (key,) = {key for key, _ in quarantined(bench)} - known
    return key


def test_a_frame_that_was_implausible_once_is_used_when_it_is_fed_again(bench: Bench) -> None:
    with_agents(bench, 1)
    far = event(3_000_000, A, "Talking")
    key = set_aside(bench, far.payload, far.sequence)
    happens(bench, event(900_000, A, timestamp="2026-11-21T21:59:59.000Z"))
    happens(bench, event(1_800_000, "agent-0", "Talking"))
    happens(bench, event(2_700_000, "agent-0", "Reserved"))
    before = bench.counters.snapshot()
    bench.want(FrameWanted(5, key))
    assert bench.until_heard(Tag.FED, 5) == ["applied", None]
    after = bench.counters.snapshot()
    assert after["applied"] == before["applied"] + 1
    assert after["received"] == before["received"] + 1
    assert after["mark_sequence"] == before["mark_sequence"]
    assert quarantined(bench) == []
    bench.want(FrameWanted(6, key))
    assert bench.until_heard(Tag.FED, 6)[0] == "unknown"


def test_a_frame_that_is_still_of_no_use_stays_in_quarantine(bench: Bench) -> None:
    key = set_aside(bench, b'{"type":"nothing"}', 0)
    bench.want(FrameWanted(1, key))
    outcome, reason = bench.until_heard(Tag.FED, 1)
    assert outcome == "quarantined"
    assert reason
    assert [each for each, _ in quarantined(bench)] == [key]


def test_a_frame_that_was_told_by_another_in_the_meantime_is_a_duplicate(bench: Bench) -> None:
    with_agents(bench, 1)
    far = event(3_000_000, A, "Talking")
    key = set_aside(bench, far.payload, far.sequence)
    for sequence in (900_000, 1_800_000, 2_700_000):
        happens(bench, event(sequence, A, "Talking"))
    assert bench.counters.get("duplicates") == 2
    bench.want(FrameWanted(1, key))
    assert bench.until_heard(Tag.FED, 1) == ["duplicates", None]


def test_a_frame_of_which_only_the_beginning_was_kept_is_not_fed(bench: Bench) -> None:
    key = set_aside(bench, event(1, A, note="x" * 5_000, state="").payload, 1)
    bench.want(FrameWanted(1, key))
    assert bench.until_heard(Tag.FED, 1) == ["unknown", "only the beginning of this frame was kept"]


def test_a_frame_of_the_cloud_is_judged_by_its_times_alone(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "shard-00.db", "cloud")
    rig.feed(cloud.begins(1), cloud.watches(A), cloud.snapshot("ON_QUEUE", 2, "IDLE", 2))
    newer = cloud.activity("MEAL", 3, "OFF_QUEUE", 3).payload
    assert rig.shard.feed_again(newer, cloud.at_us(4), rig.now_s) == RefeedResult("applied")
    assert rig.state(A) == "Not Available"
    assert rig.shard.feed_again(newer, cloud.at_us(4), rig.now_s) == RefeedResult("duplicates")
    older = cloud.activity("ON_QUEUE", 1, "IDLE", 1).payload
    assert rig.shard.feed_again(older, cloud.at_us(4), rig.now_s) == RefeedResult("duplicates")
    assert rig.counts["received"] == sum(rig.counts.values()) - rig.counts["received"]


def test_a_frame_of_long_ago_is_late_and_no_later_event_is_late_for_it(rig: Rig) -> None:
    rig.begin(newest=10)
    rig.feed(event(11, A, "Talking", "2026-11-21T22:00:30.000Z"))
    old = event(900, A, "Reserved", "2026-11-21T22:00:10.000Z").payload
    assert rig.shard.feed_again(old, RECEIVED_NS // 1_000, rig.now_s) == RefeedResult("late")
    new = event(900, A, "Reserved", "2026-11-21T22:00:40.000Z").payload
    assert rig.shard.feed_again(new, RECEIVED_NS // 1_000, rig.now_s) == RefeedResult("applied")
    rig.feed(event(12, A, "Available", "2026-11-21T22:00:50.000Z"))
    assert rig.state(A) == "Available"
    assert rig.causes()[-3:] == ["late", "live", "live"]


def test_a_history_that_is_fed_again_names_nobody(rig: Rig) -> None:
    rig.begin(newest=10)
    told = event(5, A, history=True).payload
    assert rig.shard.feed_again(told, RECEIVED_NS // 1_000, rig.now_s) == RefeedResult("applied")
    rig.end_history()
    assert rig.state(A) == "Unknown"


# -- records ---------------------------------------------------------------------------------------


def test_what_is_too_long_for_a_record_is_told_in_several() -> None:
    values = [[number, "x" * 100] for number in range(50)]
    pieces = list(payloads(values, 1_000))
    assert max(map(len, pieces)) <= 1_000
    assert [each for piece in pieces for each in orjson.loads(piece)] == values
