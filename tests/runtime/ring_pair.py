"""RingPair: both ends of one ring in one process, and how either end dies and is succeeded."""

from __future__ import annotations

from runtime.block import Block
from runtime.doorbell import Doorbell
from runtime.ring import KIND_EVENT, Batch, Consumer, Producer, ring_bytes

HEADER_BYTES = 24
"""Of a record."""

# The layout that other processes rely on, said once more so that a change of it is noticed.
PUBLISHED, COMMITTED, DATA = 128, 256, 512


def record_bytes(length: int) -> int:
    return (HEADER_BYTES + length + 7) // 8 * 8


class RingPair:
    def __init__(self, capacity: int = 1024, *, cursor: int = 0) -> None:
        self.block = Block.create("ring", ring_bytes(capacity))
        self.capacity = capacity
        self.doorbell = Doorbell.create("consumer")
        self.producer_doorbell = Doorbell.create("producer")
        self.write_word(PUBLISHED, cursor)
        self.write_word(COMMITTED, cursor)
        self.producer = self.new_producer(1)
        self.consumer = self.new_consumer(1)

    def new_producer(self, generation: int) -> Producer:
        return Producer(self.block, generation=generation, doorbell=self.doorbell)

    def new_consumer(self, generation: int) -> Consumer:
        doorbell = self.producer_doorbell
        return Consumer(self.block, generation=generation, producer_doorbell=doorbell)

    def crash_producer(self) -> None:
        self.producer = self.new_producer(self.producer.generation + 1)

    def crash_consumer(self) -> None:
        self.consumer = self.new_consumer(self.consumer.generation + 1)

    def write_word(self, offset: int, value: int) -> None:
        self.block.buffer[offset : offset + 8] = value.to_bytes(8, "little")

    def send(self, *payloads: bytes) -> None:
        for payload in payloads:
            assert self.producer.stage(payload, KIND_EVENT)
        self.producer.publish()

    def lent(self, records_max: int = 512) -> Batch:
        batch = self.consumer.peek(records_max)
        assert batch is not None
        return batch

    def receive(self) -> list[bytes]:
        """Everything there is, committed."""
        payloads = []
        while (batch := self.consumer.peek()) is not None:
            payloads += frames(batch)
            self.consumer.commit(batch.cursor_to)
        return payloads


def frames(batch: Batch) -> list[bytes]:
    return [batch.frame(i) for i in range(batch.count)]
