"""Rings: what is staged, published, lent and committed; who owns an end; what corruption does."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys

import pytest

from runtime.block import Block
from runtime.doorbell import Doorbell
from runtime.errors import LocalError
from runtime.ring import KIND_CONTROL, KIND_EVENT, KIND_REJECTED, Producer, ring_bytes
from tests.runtime.ring_pair import COMMITTED, DATA, PUBLISHED, RingPair, frames, record_bytes

# What is staged and what is seen


def test_a_staged_record_is_invisible_until_it_is_published() -> None:
    pair = RingPair()
    assert pair.producer.stage(b"one", KIND_EVENT)
    assert pair.producer.staged
    assert pair.consumer.peek() is None
    pair.producer.publish()
    assert not pair.producer.staged
    assert frames(pair.lent()) == [b"one"]


def test_every_field_of_a_record_arrives() -> None:
    pair = RingPair()
    assert pair.producer.stage(
        b"all", KIND_REJECTED, flags=255, epoch=65535, sequence=-(2**63), received_ns=2**63 - 1
    )
    assert pair.producer.stage(b"", KIND_CONTROL)
    pair.producer.publish()
    batch = pair.lent()
    assert (batch.count, batch.kinds, batch.flags) == (2, bytes([2, 3]), bytes([255, 0]))
    assert (batch.epochs, batch.sequences) == ([65535, 0], [-(2**63), 0])
    assert batch.received_ns == [2**63 - 1, 0]
    assert frames(batch) == [b"all", b""]
    assert (batch.cursor_from, batch.cursor_to) == (0, record_bytes(3) + record_bytes(0))


def test_what_was_peeked_is_lent_again_until_it_is_committed() -> None:
    pair = RingPair()
    pair.send(b"one", b"two")
    assert frames(pair.lent(records_max=1)) == [b"one"]
    again = pair.lent()
    assert frames(again) == [b"one", b"two"]
    pair.consumer.commit(again.cursor_to)
    assert pair.consumer.peek() is None


def test_a_batch_has_at_most_the_records_and_the_bytes_that_were_asked_for() -> None:
    pair = RingPair()
    pair.send(b"a" * 40, b"b" * 40, b"c" * 40, b"d" * 40)
    assert pair.lent(records_max=3).count == 3
    batch = pair.consumer.peek(bytes_max=80)
    assert batch is not None
    assert batch.count == 2


def test_a_record_longer_than_the_bytes_asked_for_comes_alone() -> None:
    pair = RingPair()
    pair.send(b"a" * 40, b"b")
    batch = pair.consumer.peek(bytes_max=10)
    assert batch is not None
    assert frames(batch) == [b"a" * 40]


def test_publishing_nothing_rings_nobody() -> None:
    pair = RingPair()
    pair.doorbell.cancel()
    pair.doorbell.announce()
    pair.producer.publish()
    assert not pair.doorbell.wait(0)


def test_publishing_rings_a_sleeping_consumer() -> None:
    pair = RingPair()
    pair.doorbell.cancel()
    pair.doorbell.announce()
    pair.send(b"wake")
    assert pair.doorbell.wait(0)


# Room


def test_a_full_ring_refuses_and_changes_nothing() -> None:
    pair = RingPair(capacity=128)
    pair.send(b"x" * 40, b"y" * 40)
    before = pair.producer.used_bytes
    assert before == 128
    assert not pair.producer.stage(b"", KIND_EVENT)
    assert pair.producer.used_bytes == before
    assert pair.receive() == [b"x" * 40, b"y" * 40]
    assert pair.producer.stage(b"", KIND_EVENT)


def test_lent_records_take_room_until_they_are_committed() -> None:
    pair = RingPair(capacity=128)
    pair.send(b"x" * 40, b"y" * 40)
    batch = pair.lent(records_max=1)
    assert not pair.producer.stage(b"z" * 40, KIND_EVENT)
    assert frames(batch) == [b"x" * 40]
    pair.consumer.commit(batch.cursor_to)
    assert pair.producer.stage(b"z" * 40, KIND_EVENT)


@pytest.mark.parametrize("offset", range(0, 128, 8))
def test_the_longest_record_fits_into_an_empty_ring_wherever_its_cursor_stands(offset: int) -> None:
    pair = RingPair(capacity=128, cursor=1024 + offset)
    payload = b"#" * pair.producer.payload_max
    pair.send(payload)
    assert pair.receive() == [payload]


def test_a_payload_that_never_fits_is_refused_as_a_mistake() -> None:
    pair = RingPair(capacity=128)
    with pytest.raises(LocalError, match="41 bytes never fits, 40 is the most"):
        pair.producer.stage(b"#" * 41, KIND_EVENT)


@pytest.mark.parametrize("kind", [0, 255])
def test_kinds_that_mean_nothing_and_padding_are_not_for_callers(kind: int) -> None:
    with pytest.raises(AssertionError):
        RingPair().producer.stage(b"", kind)


def test_cursors_pass_32_bits_and_go_on() -> None:
    pair = RingPair(capacity=128, cursor=2**32 - 64)
    for i in range(20):
        pair.send(b"%d" % i)
        assert pair.receive() == [b"%d" % i]
    assert pair.consumer.cursor == pair.producer.cursor > 2**32


@pytest.mark.parametrize("capacity", [0, 32, 100, 1000])
def test_a_capacity_is_a_power_of_two(capacity: int) -> None:
    with pytest.raises(AssertionError):
        ring_bytes(capacity)


def test_a_block_of_another_size_is_no_ring() -> None:
    block = Block.create("no ring", 4096)
    with pytest.raises(LocalError, match="is no ring"):
        Producer(block, generation=1, doorbell=Doorbell.create("any"))


# A producer that waits for room


def test_a_producer_that_awaits_room_is_rung_once_less_than_half_is_used() -> None:
    pair = RingPair(capacity=256)
    pair.send(*[b"x" * 40] * 4)
    assert pair.producer.await_room()
    for _ in range(2):
        pair.consumer.commit(pair.lent(records_max=1).cursor_to)
        assert not pair.producer_doorbell.wait(0)
    pair.consumer.commit(pair.lent(records_max=1).cursor_to)
    assert pair.producer_doorbell.wait(0)


def test_it_is_rung_only_once() -> None:
    pair = RingPair(capacity=256)
    pair.send(*[b"x" * 40] * 4)
    pair.producer.await_room()
    pair.receive()
    pair.producer_doorbell.cancel()
    pair.send(b"more")
    pair.receive()
    assert not pair.producer_doorbell.wait(0)


def test_a_producer_that_awaits_the_room_it_has_is_told_at_once() -> None:
    pair = RingPair(capacity=256)
    pair.send(b"x" * 40)
    assert not pair.producer.await_room()
    pair.receive()
    assert not pair.producer_doorbell.wait(0)


def test_a_consumer_killed_between_commit_and_ring_leaves_the_ringing_to_its_successor() -> None:
    pair = RingPair(capacity=256)
    pair.send(*[b"x" * 40] * 4)
    pair.producer.await_room()
    pair.write_word(COMMITTED, pair.producer.cursor)  # all of it, and no ring
    pair.crash_consumer()
    assert pair.producer_doorbell.wait(0)


def test_a_producer_that_starts_awaits_no_room() -> None:
    pair = RingPair(capacity=256)
    pair.send(*[b"x" * 40] * 4)
    pair.producer.await_room()
    pair.crash_producer()
    pair.receive()
    assert not pair.producer_doorbell.wait(0)


# Who owns an end


def test_a_second_end_of_the_same_generation_is_refused_and_disturbs_nothing() -> None:
    pair = RingPair()
    with pytest.raises(LocalError, match="producer end belongs to generation 1, refused 1"):
        pair.new_producer(1)
    with pytest.raises(LocalError, match="consumer end belongs to generation 1, refused 1"):
        pair.new_consumer(1)
    pair.send(b"still ours")
    assert pair.receive() == [b"still ours"]


def test_a_successor_forgets_what_was_staged() -> None:
    pair = RingPair()
    pair.send(b"published")
    assert pair.producer.stage(b"staged", KIND_EVENT)
    pair.crash_producer()
    assert not pair.producer.staged
    pair.send(b"next")
    assert pair.receive() == [b"published", b"next"]


def test_a_successor_meets_what_was_lent_again() -> None:
    pair = RingPair()
    pair.send(b"one", b"two")
    pair.lent()
    pair.crash_consumer()
    assert pair.receive() == [b"one", b"two"]


def test_an_end_that_was_taken_over_can_neither_publish_nor_commit() -> None:
    pair = RingPair()
    pair.send(b"one")
    batch = pair.lent()
    producer, consumer = pair.producer, pair.consumer
    assert producer.stage(b"from the grave", KIND_EVENT)
    pair.crash_producer()
    pair.crash_consumer()
    with pytest.raises(LocalError, match="producer end was taken over by generation 2"):
        producer.publish()
    with pytest.raises(LocalError, match="consumer end was taken over by generation 2"):
        consumer.commit(batch.cursor_to)
    assert pair.receive() == [b"one"]


def test_a_starting_producer_rings_for_one_that_died_between_publish_and_ring() -> None:
    pair = RingPair()
    pair.doorbell.cancel()
    pair.doorbell.announce()
    pair.crash_producer()
    assert pair.doorbell.wait(0)


def test_an_end_keeps_its_block_mapped() -> None:
    pair = RingPair()
    with pytest.raises(BufferError):
        pair.block.close()


# Commit and skip


@pytest.mark.parametrize("wrong", [0, 8, 2 * record_bytes(3), 10_000])
def test_only_the_end_of_the_batch_can_be_committed(wrong: int) -> None:
    pair = RingPair()
    pair.send(b"one", b"two")
    pair.lent(records_max=1)
    with pytest.raises(AssertionError, match="lent up to 32"):
        pair.consumer.commit(wrong)


def test_a_successor_skips_what_its_journal_has_and_meets_the_rest() -> None:
    pair = RingPair()
    pair.send(b"one", b"two", b"six")
    handled = pair.lent(records_max=2).cursor_to
    pair.crash_consumer()
    pair.consumer.skip_to(handled)
    assert pair.consumer.cursor == handled
    assert pair.receive() == [b"six"]


def test_skipping_to_where_it_stands_changes_nothing() -> None:
    pair = RingPair()
    pair.send(b"one")
    pair.consumer.skip_to(pair.consumer.cursor)
    assert pair.receive() == [b"one"]


@pytest.mark.parametrize("cursor", [8, 24, 33])
def test_a_cursor_within_a_record_is_refused(cursor: int) -> None:
    pair = RingPair()
    pair.send(b"one", b"two")
    with pytest.raises(LocalError):
        pair.consumer.skip_to(cursor)
    assert pair.receive() == [b"one", b"two"]


def test_a_cursor_behind_or_ahead_of_the_ring_is_refused() -> None:
    pair = RingPair()
    pair.send(b"one")
    pair.receive()
    pair.send(b"two")
    for cursor in (0, pair.consumer.published + 32):
        with pytest.raises(LocalError, match="cannot skip to"):
            pair.consumer.skip_to(cursor)
    assert pair.receive() == [b"two"]


def test_skipping_rings_a_producer_that_awaits_room() -> None:
    pair = RingPair(capacity=256)
    pair.send(*[b"x" * 40] * 4)
    pair.producer.await_room()
    pair.consumer.skip_to(pair.consumer.published)
    assert pair.producer_doorbell.wait(0)


# Corruption: an error that says where, never a read outside


@pytest.mark.parametrize("length", [1000, 2**31, 2**32 - 1, 2**32 - 24])
def test_a_corrupted_length_is_told(length: int) -> None:
    pair = RingPair()
    pair.send(b"one")
    pair.block.buffer[DATA : DATA + 4] = length.to_bytes(4, "little")
    with pytest.raises(LocalError, match=f"at cursor 0: length {length}"):
        pair.consumer.peek()


@pytest.mark.parametrize("kind", [0, 255])
def test_a_corrupted_kind_is_told(kind: int) -> None:
    pair = RingPair()
    pair.send(b"one")
    pair.block.buffer[DATA + 4] = kind
    with pytest.raises(LocalError, match=f"kind {kind}"):
        pair.consumer.peek()


@pytest.mark.parametrize("length", [8, 24, 40])
def test_padding_that_does_not_end_with_the_data_is_told(length: int) -> None:
    pair = RingPair(capacity=128, cursor=96)
    pair.send(b"x" * 16)  # 40 bytes, behind padding of 32
    pair.block.buffer[DATA + 96] = length
    with pytest.raises(LocalError, match=f"at cursor 96: length {length}, kind 255"):
        pair.consumer.peek()


def test_a_record_that_seems_to_reach_beyond_the_data_is_told() -> None:
    pair = RingPair(capacity=128, cursor=96)
    pair.send(b"one")
    pair.send(b"two")
    pair.block.buffer[DATA + 96] = 16
    with pytest.raises(LocalError, match="at cursor 96: length 16"):
        pair.consumer.peek()


def test_an_end_refuses_to_attach_to_cursors_that_cannot_be() -> None:
    pair = RingPair(capacity=128)
    pair.write_word(PUBLISHED, 136)
    with pytest.raises(LocalError, match="cannot be"):
        pair.new_consumer(2)
    pair.write_word(COMMITTED, 200)
    with pytest.raises(LocalError, match="cannot be"):
        pair.new_producer(2)
    pair.write_word(COMMITTED, 132)
    with pytest.raises(LocalError, match="cannot be"):
        pair.new_consumer(2)


# Between processes

STAGER = """if True:
    import os, pickle, signal, sys
    from runtime.ring import Producer
    block, doorbell = pickle.loads(bytes.fromhex(sys.argv[1]))
    producer = Producer(block, generation=2, doorbell=doorbell)
    for i in range(3):
        producer.stage(b"published %d" % i, 1)
    producer.publish()
    producer.stage(b"staged", 1)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_leaves_what_it_published_and_nothing_that_it_staged() -> None:
    pair = RingPair()
    parts = (pair.block, pair.doorbell)
    command = [sys.executable, "-c", STAGER, pickle.dumps(parts).hex()]
    fds = [*pair.block.fds, *pair.doorbell.fds]
    done = subprocess.run(command, pass_fds=fds, check=False, timeout=30)
    assert done.returncode == -signal.SIGKILL
    pair.producer = pair.new_producer(3)
    pair.send(b"next")
    assert pair.receive() == [b"published 0", b"published 1", b"published 2", b"next"]
