"""RingGauge: how full a ring is, for whoever only looks; it claims no end and writes nothing."""

from __future__ import annotations

from runtime.block import Block
from runtime.ring import COMMITTED, DATA, PUBLISHED, ring_bytes
from runtime.words import Words

WORD_BYTES = 8


class RingGauge:
    """May be read in any thread of any process that has the block."""

    __slots__ = ("_words", "capacity", "name")

    def __init__(self, block: Block) -> None:
        self.name = block.name
        """As it was laid out: `receiver-0 to shard-1`."""
        self.capacity = block.size - DATA
        assert block.size == ring_bytes(self.capacity), f"{block!r} is not a ring"
        self._words = Words(block.mapping)

    @property
    def used_bytes(self) -> int:
        """Published and not committed; seems more than it is if both move between the two loads,
        but never more than there is room for."""
        committed = self._words.load(COMMITTED // WORD_BYTES)
        used = self._words.load(PUBLISHED // WORD_BYTES) - committed
        return min(used, self.capacity)
