"""Who only looks at a ring sees what is used, and takes no end of it."""

from __future__ import annotations

import pytest

from runtime.block import Block
from runtime.ring_gauge import RingGauge
from tests.runtime.ring_pair import RingPair, frames, record_bytes


def test_used_is_what_was_published_and_not_committed() -> None:
    pair = RingPair(1024)
    gauge = RingGauge(pair.block)
    assert (gauge.name, gauge.capacity, gauge.used_bytes) == ("ring", 1024, 0)
    pair.send(b"one", b"two")
    assert gauge.used_bytes == 2 * record_bytes(3)
    batch = pair.lent()
    assert gauge.used_bytes == 2 * record_bytes(3)
    pair.consumer.commit(batch.cursor_to)
    assert gauge.used_bytes == 0


def test_the_ends_stay_with_those_who_had_them() -> None:
    pair = RingPair()
    gauge = RingGauge(pair.block)
    pair.send(b"one")
    assert gauge.used_bytes == record_bytes(3)
    assert frames(pair.lent()) == [b"one"]
    pair.send(b"two")
    assert pair.receive() == [b"one", b"two"]


@pytest.mark.parametrize("size", [100, 512, 700])
def test_a_block_that_is_no_ring_has_no_gauge(size: int) -> None:
    with pytest.raises(AssertionError, match="no power of two"):
        RingGauge(Block.create("odd", size))
