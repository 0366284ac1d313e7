"""The ring writer: nothing is lost, reordered or shown too early, however full the rings are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.messages.control import Gap, HistoryEnds, Watches, Watermark, encode_control
from actors.messages.partition import shard_of
from actors.receiver import ring_writer as ring_writer_module
from actors.receiver.ring_writer import OUTLET_WORDS, SPILL_RECORD_BYTES, RingWriter
from runtime.block import Block
from runtime.counters import Counters
from runtime.doorbell import Doorbell
from runtime.errors import LocalError
from runtime.ring import KIND_CONTROL, KIND_EVENT, KIND_REJECTED, Consumer, Producer, ring_bytes


class Bench:
    """A ring writer over small rings, with everything that it calls."""

    def __init__(self, shards: int = 2, capacity: int = 4096) -> None:
        self.blocks = [Block.create(f"ring-{i}", ring_bytes(capacity)) for i in range(shards)]
        self.doorbells = [Doorbell.create(f"shard-{i}") for i in range(shards)]
        self.counters = Counters.create("receiver", OUTLET_WORDS)
        self.consumers = [Consumer(block, generation=1) for block in self.blocks]
        self.soon: list[Callable[[], None]] = []
        self.pressure: list[bool] = []
        self.overflows = 0
        self.ring_writer = self.successor(1)

    def successor(self, generation: int) -> RingWriter:
        producers = [
            Producer(block, generation=generation, doorbell=doorbell)
            for block, doorbell in zip(self.blocks, self.doorbells, strict=True)
        ]
        return RingWriter(
            producers, self.counters, self.call_soon, self.pressure.append, self.overflow
        )

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def overflow(self) -> None:
        self.overflows += 1

    def turn(self) -> None:
        """One turn of the event loop."""
        due, self.soon = self.soon, []
        for callback in due:
            callback()

    def take(self, shard: int, records: int = 10_000) -> list[tuple[int, int, bytes]]:
        taken: list[tuple[int, int, bytes]] = []
        consumer = self.consumers[shard]
        while len(taken) < records and (batch := consumer.peek(records - len(taken))) is not None:
            taken += [
                (batch.kinds[i], batch.sequences[i], batch.frame(i)) for i in range(batch.count)
            ]
            consumer.commit(batch.cursor_to)
        return taken


def test_nothing_is_seen_before_it_is_published() -> None:
    bench = Bench()
    bench.ring_writer.event(b"A", b"payload", 1, 7)
    assert bench.take(shard_of("A", 2)) == []
    bench.ring_writer.publish()
    assert bench.take(shard_of("A", 2)) == [(KIND_EVENT, 7, b"payload")]


def test_the_first_staged_record_arms_one_publish_of_its_own() -> None:
    bench = Bench()
    for _ in range(3):
        bench.ring_writer.event(b"A", b"x", 1, 7)
    assert len(bench.soon) == 1
    bench.turn()
    assert len(bench.take(shard_of("A", 2))) == 3
    bench.ring_writer.event(b"A", b"x", 1, 8)
    assert len(bench.soon) == 1


def test_a_long_read_is_published_on_its_way() -> None:
    bench = Bench(shards=1, capacity=1 << 20)
    for sequence in range(1, 1025):
        bench.ring_writer.event(b"A", b"x", 1, sequence)
    assert len(bench.take(0)) == 1024
    assert bench.counters.get("published") == 2


def test_a_control_record_goes_to_every_ring() -> None:
    bench = Bench(shards=3)
    payload = encode_control(Watermark(1, 5))
    bench.ring_writer.control(payload, 1)
    bench.ring_writer.publish()
    assert [bench.take(shard) for shard in range(3)] == [[(KIND_CONTROL, 0, payload)]] * 3


def test_a_control_record_of_an_agent_goes_to_its_owner_only() -> None:
    bench = Bench()
    payload = encode_control(Watches("c0/3", "A"))
    bench.ring_writer.control_of(b"A", payload, 1)
    bench.ring_writer.publish()
    owner = shard_of("A", 2)
    assert [payload for _, _, payload in bench.take(owner)] == [payload]
    assert bench.take(1 - owner) == []


def test_a_rejected_record_says_why_and_is_cut() -> None:
    bench = Bench(capacity=1 << 16)
    bench.ring_writer.reject(b"y" * 5000, "not JSON", 1)
    bench.ring_writer.publish()
    assert bench.take(0) == [(KIND_REJECTED, 0, b"not JSON\0" + b"y" * 4096)]
    small = Bench(capacity=1024)
    small.ring_writer.reject(b"y" * 5000, "not JSON", 1)
    small.ring_writer.publish()
    assert len(small.take(0)[0][2]) == small.ring_writer.payload_max


@pytest.mark.parametrize(
    ("sequences", "watermark"),
    [
        ([5, 7, 6], 7),
        ([5, 0, -3], 5),
        ([5, 1_000_006, 2**62 - 1], 5),
        ([5, 1_000_005, 2_000_005, 3_000_006], 2_000_005),
    ],
)
def test_the_watermark_moves_by_plausible_sequences_only(
    sequences: list[int], watermark: int
) -> None:
    bench = Bench(capacity=1 << 16)
    for sequence in sequences:
        bench.ring_writer.event(b"A", b"x", 1, sequence)
    assert bench.ring_writer.watermark == bench.counters.get("watermark") == watermark


def test_what_the_gateway_names_is_known_without_being_routed() -> None:
    bench = Bench()
    bench.ring_writer.restart_watermark(50)
    bench.ring_writer.know(9_000_000)
    assert bench.ring_writer.watermark == 50
    bench.ring_writer.event(b"A", b"x", 1, 9_500_000)
    assert bench.ring_writer.watermark == 9_500_000


def test_pressure_begins_above_80_percent_and_ends_below_50() -> None:
    bench = Bench(shards=1, capacity=4096)
    for sequence in range(1, 27):  # 128 bytes each
        bench.ring_writer.event(b"A", b"x" * 104, 1, sequence)
        bench.ring_writer.publish()
        assert bench.pressure == ([True] if sequence * 128 > 0.8 * 4096 else [])
    bench.take(0, 10)
    bench.ring_writer.relieve()
    assert bench.pressure == [True], "exactly half full"
    bench.take(0, 1)
    bench.ring_writer.relieve()
    assert bench.pressure == [True, False]


def test_the_doorbell_rings_when_there_is_room_again() -> None:
    bench = Bench(shards=1, capacity=4096)
    own = Doorbell.create("receiver")
    bench.consumers = [Consumer(bench.blocks[0], generation=2, producer_doorbell=own)]
    for sequence in range(1, 60):
        bench.ring_writer.event(b"A", b"x" * 104, 1, sequence)
    bench.ring_writer.publish()
    bench.ring_writer.relieve()  # asks to be told
    own.cancel()
    bench.take(0, 31)
    assert own.wait(5.0)


@settings(max_examples=100)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("stage"), st.integers(0, 400)),
            st.tuples(st.just("take"), st.integers(1, 30)),
            st.tuples(st.sampled_from(["publish", "turn", "relieve", "control"]), st.just(0)),
        ),
        max_size=120,
    )
)
def test_records_arrive_once_and_in_order_however_full_the_rings_are(
    steps: list[tuple[str, int]],
) -> None:
    bench = Bench(shards=2, capacity=1024)
    sent: list[list[bytes]] = [[], []]
    got: list[list[bytes]] = [[], []]
    for number, (step, amount) in enumerate(steps):
        if step == "stage":
            payload = b"%06d" % number + b"x" * amount
            user = b"user-%d" % (number % 9)
            bench.ring_writer.event(user, payload, 1, number + 1)
            sent[shard_of(user, 2)].append(payload)
        elif step == "control":
            for shard in range(2):
                sent[shard].append(b"%06d" % number)
            bench.ring_writer.control(b"%06d" % number, 1)
        elif step == "take":
            got[number % 2] += [record[2] for record in bench.take(number % 2, amount)]
        else:
            bench.turn() if step == "turn" else getattr(bench.ring_writer, step)()
    bench.ring_writer.publish()
    while bench.ring_writer.is_spilling:
        for shard in range(2):
            got[shard] += [record[2] for record in bench.take(shard)]
        bench.ring_writer.relieve()
    for shard in range(2):
        got[shard] += [record[2] for record in bench.take(shard)]
    bench.ring_writer.relieve()
    assert got == sent
    assert bench.ring_writer.spill_bytes == bench.counters.get("spilled") == 0
    assert not bench.ring_writer.is_pressed
    assert bench.pressure == [True, False] * (len(bench.pressure) // 2)


def test_a_dropped_spill_keeps_gaps_and_takes_the_watermark_back() -> None:
    bench = Bench(shards=1, capacity=1024)
    ring_writer = bench.ring_writer
    gap = encode_control(Gap(1, "all", 1, 5, 6, "why", 0))
    for sequence in range(1, 41):
        ring_writer.event(b"A", b"x" * 40, 1, sequence)
    ring_writer.control(gap, 1)
    ring_writer.control(encode_control(HistoryEnds(1, "all", True, 0)), 1)
    ring_writer.publish()
    ring = bench.take(0)
    assert ring_writer.is_spilling
    assert ring_writer.drop_spill(12) == 40 - len(ring) + 1
    assert ring_writer.spill_bytes == SPILL_RECORD_BYTES + len(gap)
    assert ring_writer.watermark == bench.counters.get("watermark") == 12
    ring_writer.relieve()
    assert bench.take(0) == [(KIND_CONTROL, 0, gap)]
    assert bench.counters.get("spill_dropped") == 40 - len(ring) + 1


def test_an_overflow_is_told_once_until_the_spill_is_dropped() -> None:
    bench = Bench(shards=1, capacity=1024)
    big = b"x" * 400
    needed = ring_writer_module.SPILL_BYTES_MAX // (len(big) + SPILL_RECORD_BYTES) + 100
    for _ in range(needed):
        bench.ring_writer.event(b"A", big, 1, 1)
    assert bench.overflows == 1
    assert bench.ring_writer.is_overflowing
    bench.ring_writer.drop_spill(0)
    assert not bench.ring_writer.is_overflowing
    assert bench.ring_writer.spill_bytes == 0


def test_a_successor_stops_us() -> None:
    bench = Bench()
    bench.ring_writer.event(b"A", b"x", 1, 1)
    successor = bench.successor(2)
    bench.ring_writer.publish()
    with pytest.raises(LocalError, match="successor"):
        bench.ring_writer.raise_failure()
    successor.event(b"A", b"y", 1, 1)
    successor.publish()
    assert [payload for _, _, payload in bench.take(shard_of("A", 2))] == [b"y"]
