"""What was handled before: a window over sequences and a window over payload hashes. Pure.

Knows no agent, no journal and no clock. Both are bounded whatever a gateway sends.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

WINDOW_WIDTH = 65_536
"""Sequences that are remembered exactly. A power of two."""
HASHES_MAX = 65_536
"""Hashes of one generation; two generations are kept."""
HASH_AGE_S = 300.0
"""A hash is remembered for at least this long, unless the bound above is met first."""

_MASK = WINDOW_WIDTH - 1


class SequenceWindow:
    """Which of the newest 65,536 sequences were handled.

    Slot `n & 65535` holds the newest sequence of its residue, so sliding costs nothing: a bitmap
    would have to clear the bits between the old edge and the new one. Exact: a slot is only taken
    over by a sequence at least a whole width above, and then the old one is behind the window.
    """

    __slots__ = ("slots",)

    def __init__(self) -> None:
        self.slots = array("q", bytes(8 * WINDOW_WIDTH))

    def add(self, sequence: int) -> None:
        self.slots[sequence & _MASK] = sequence

    def __contains__(self, sequence: int) -> bool:
        return self.slots[sequence & _MASK] == sequence

    def extend(self, sequences: Iterable[int]) -> None:
        """Adds older knowledge (a restart): a newer sequence keeps its slot."""
        slots = self.slots
        for sequence in sequences:
            slot = sequence & _MASK
            slots[slot] = max(slots[slot], sequence)


class HashWindow:
    """Which payload hashes were seen within about the last five minutes.

    Two generations: the older one is let go when the younger is full or old enough, so that the
    window costs one set insertion an event and no bookkeeping of single hashes.
    """

    __slots__ = ("_born_s", "older", "younger")

    def __init__(self, now_s: float = 0.0) -> None:
        self.younger: set[int] = set()
        self.older: set[int] = set()
        self._born_s = now_s

    def turn(self, now_s: float) -> None:
        """Starts a new generation when it is due. Once a batch is enough."""
        if len(self.younger) >= HASHES_MAX or now_s - self._born_s >= HASH_AGE_S:
            self.older, self.younger = self.younger, set()
            self._born_s = now_s

    def restore(self, digests: Iterable[int], now_s: float) -> None:
        """Adds what an earlier life saw, as if it were seen now."""
        self.younger.update(digests)
        self._born_s = now_s

    def __contains__(self, digest: int) -> bool:
        return digest in self.younger or digest in self.older
