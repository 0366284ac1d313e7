"""The ring against two deques, while either end dies and is succeeded at any moment."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from runtime.errors import LocalError
from runtime.ring import Batch
from tests.runtime.ring_pair import RingPair, frames, record_bytes

KIND, FLAGS, EPOCH = st.integers(1, 254), st.integers(0, 255), st.integers(0, 65535)
INT64 = st.integers(-(2**63), 2**63 - 1)


class Record(NamedTuple):
    payload: bytes
    kind: int
    flags: int
    epoch: int
    sequence: int
    received_ns: int


class RingModel(RuleBasedStateMachine):
    """`staged` and `published` hold what a correct ring holds, `batches` what is lent right now."""

    pair: RingPair

    def __init__(self) -> None:
        super().__init__()
        self.staged: deque[Record] = deque()
        self.published: deque[Record] = deque()
        self.batches: list[tuple[Batch, int]] = []
        self.cursor = 0
        """Of the producer, staged records included."""
        self.committed = 0
        self.ends: deque[int] = deque()
        """Where the records in `published`, then those in `staged`, end."""

    @initialize(
        capacity=st.sampled_from([64, 128, 256, 1024]),
        start=st.sampled_from([0, 2**32 - 64, 2**63 - 64]),
        offset=st.integers(0, 127),
    )
    def create(self, capacity: int, start: int, offset: int) -> None:
        self.cursor = self.committed = start + 8 * offset
        self.pair = RingPair(capacity, cursor=self.cursor)

    # The producer

    @rule(data=st.data(), fields=st.tuples(KIND, FLAGS, EPOCH, INT64, INT64))
    def stage(self, data: st.DataObject, fields: tuple[int, int, int, int, int]) -> None:
        producer = self.pair.producer
        length = data.draw(st.integers(0, producer.payload_max) | st.just(producer.payload_max))
        record = Record(data.draw(st.binary(min_size=length, max_size=length)), *fields)
        end = self.end_of(length)
        has_room = end - self.committed <= self.pair.capacity
        assert has_room == producer.stage(
            record.payload,
            record.kind,
            flags=record.flags,
            epoch=record.epoch,
            sequence=record.sequence,
            received_ns=record.received_ns,
        )
        if has_room:
            self.staged.append(record)
            self.ends.append(end)
            self.cursor = end

    def end_of(self, length: int) -> int:
        """Where a record would end that is staged now: behind padding, if the tail is too short."""
        tail = self.pair.capacity - self.cursor % self.pair.capacity
        padding = tail if record_bytes(length) > tail else 0
        return self.cursor + padding + record_bytes(length)

    @rule()
    def publish(self) -> None:
        self.pair.producer.publish()
        self.published += self.staged
        self.staged.clear()

    @rule()
    def crash_producer(self) -> None:
        self.pair.crash_producer()
        for _ in self.staged:
            self.ends.pop()
        self.staged.clear()
        self.cursor = self.ends[-1] if self.ends else self.committed

    # The consumer

    @rule(records_max=st.integers(1, 8), bytes_max=st.integers(1, 200) | st.just(1 << 20))
    def peek(self, records_max: int, bytes_max: int) -> None:
        batch = self.pair.consumer.peek(records_max, bytes_max)
        expected = self.first_of_published(records_max, bytes_max)
        assert (batch.count if batch else 0) == len(expected)
        if batch is None:
            return
        assert batch.cursor_to == self.ends[batch.count - 1]
        assert list(batch.kinds) == [record.kind for record in expected]
        assert list(batch.flags) == [record.flags for record in expected]
        assert batch.epochs == [record.epoch for record in expected]
        assert batch.sequences == [record.sequence for record in expected]
        assert batch.received_ns == [record.received_ns for record in expected]
        self.batches.append((batch, batch.count))

    def first_of_published(self, records_max: int, bytes_max: int) -> list[Record]:
        records: list[Record] = []
        for record in self.published:
            bytes_max -= len(record.payload)
            if len(records) == records_max or (records and bytes_max < 0):
                break
            records.append(record)
        return records

    @precondition(lambda self: self.batches)
    @rule()
    def commit(self) -> None:
        batch, count = self.batches[-1]
        self.pair.consumer.commit(batch.cursor_to)
        self.forget(count)

    @precondition(lambda self: self.published)
    @rule(data=st.data())
    def crash_consumer_and_skip(self, data: st.DataObject) -> None:
        """The journal has what the ring never heard to be committed."""
        self.crash_consumer()
        count = data.draw(st.integers(1, len(self.published)))
        self.pair.consumer.skip_to(self.ends[count - 1])
        self.forget(count)

    def forget(self, count: int) -> None:
        for _ in range(count):
            self.published.popleft()
            self.committed = self.ends.popleft()
        self.check_lapsed()

    def check_lapsed(self) -> None:
        for batch, _ in self.batches:
            with pytest.raises(AssertionError, match="was committed"):
                batch.frame(0)
        self.batches.clear()

    @rule()
    def crash_consumer(self) -> None:
        self.pair.crash_consumer()
        self.batches.clear()

    # Either

    @rule()
    def a_second_end_is_refused(self) -> None:
        with pytest.raises(LocalError):
            self.pair.new_producer(self.pair.producer.generation)
        with pytest.raises(LocalError):
            self.pair.new_consumer(self.pair.consumer.generation)

    @rule()
    def await_room(self) -> None:
        assert self.pair.producer.await_room() == (2 * self.used >= self.pair.capacity)

    @property
    def used(self) -> int:
        return self.cursor - self.committed

    @invariant()
    def lent_records_stay_what_they_are(self) -> None:
        for batch, count in self.batches:
            payloads = [record.payload for record in list(self.published)[:count]]
            assert frames(batch) == payloads
            assert batch.joined(0, count, b"|") == b"[" + b"|".join(payloads) + b"]"

    @invariant()
    def both_ends_know_where_they_stand(self) -> None:
        producer, consumer = self.pair.producer, self.pair.consumer
        assert producer.staged == bool(self.staged)
        assert producer.used_bytes == self.used
        assert producer.cursor == consumer.published
        assert consumer.cursor == self.committed
        assert consumer.used_bytes == producer.used_bytes - (self.cursor - producer.cursor)


TestRingModel = RingModel.TestCase
TestRingModel.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
