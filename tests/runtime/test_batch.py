"""Batches: copies out of the ring, for as long as the records are lent."""

from __future__ import annotations

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.batch import Batch
from tests.runtime.ring_pair import RingPair, frames


@given(
    payloads=st.lists(st.binary(max_size=60), min_size=1, max_size=12),
    separator=st.binary(max_size=9),
    cut=st.tuples(st.integers(0, 12), st.integers(0, 12)),
)
def test_joined_is_what_python_would_join(
    payloads: list[bytes], separator: bytes, cut: tuple[int, int]
) -> None:
    pair = RingPair(capacity=2048)
    pair.send(*payloads)
    first, last = sorted(min(end, len(payloads)) for end in cut)
    joined = pair.lent().joined(first, last, separator)
    assert joined == b"[" + separator.join(payloads[first:last]) + b"]"


def test_records_outside_of_the_batch_are_refused() -> None:
    pair = RingPair()
    pair.send(b"one", b"two")
    batch = pair.lent()
    for i in (-1, 2):
        with pytest.raises(IndexError):
            batch.frame(i)
    for first, last in ((-1, 1), (0, 3), (2, 1)):
        with pytest.raises(IndexError):
            batch.joined(first, last, b",")


def test_a_committed_batch_gives_no_payload_away_but_keeps_its_numbers() -> None:
    pair = RingPair()
    pair.send(b"one")
    batch = pair.lent()
    pair.consumer.commit(batch.cursor_to)
    with pytest.raises(AssertionError, match="was committed"):
        batch.frame(0)
    with pytest.raises(AssertionError, match="was committed"):
        batch.joined(0, 1, b",")
    assert batch.sequences == [0]


def test_a_batch_keeps_the_memory_of_its_records() -> None:
    pair = RingPair()
    pair.send(b"one", b"two")
    batch = pair.lent()
    del pair
    gc.collect()
    assert frames(batch) == [b"one", b"two"]


def test_a_batch_has_a_length_and_comes_from_a_peek_only() -> None:
    pair = RingPair()
    pair.send(b"one", b"two")
    assert len(pair.lent()) == 2
    with pytest.raises(TypeError, match=r"lent by Consumer\.peek"):
        Batch()
