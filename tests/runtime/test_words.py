"""Words: signed, bounded, shared."""

from __future__ import annotations

import pytest

from runtime.block import Block
from runtime.words import Words


def test_a_word_holds_any_signed_64_bit_number() -> None:
    words = Words(Block.create("words", 64).buffer)
    for number in (0, 1, -1, 2**63 - 1, -(2**63)):
        words.store(7, number)
        assert words.load(7) == number


def test_adding_wraps_at_64_bits() -> None:
    words = Words(Block.create("words", 64).buffer)
    words.store(0, 2**63 - 1)
    words.add(0, 1)
    assert words.load(0) == -(2**63)


def test_two_views_of_a_block_see_the_same_words() -> None:
    block = Block.create("words", 64)
    writer, reader = Words(block.buffer), Words(block.buffer)
    writer.store(3, 42)
    assert reader.load(3) == 42
    assert block.buffer[24:32] == (42).to_bytes(8, "little")


@pytest.mark.parametrize("slot", [-1, 8])
def test_a_word_outside_of_the_block_is_refused(slot: int) -> None:
    words = Words(Block.create("words", 64).buffer)
    assert len(words) == 8
    with pytest.raises(IndexError):
        words.load(slot)
    with pytest.raises(IndexError):
        words.store(slot, 0)
    with pytest.raises(IndexError):
        words.add(slot, 1)


def test_a_number_of_more_than_64_bits_is_refused() -> None:
    words = Words(Block.create("words", 64).buffer)
    with pytest.raises(OverflowError):
        words.store(0, 2**63)
