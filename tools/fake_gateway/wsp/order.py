"""DeliveryOrder: in which order events are put on a socket, and which of them twice.

Pure, and a function of the position in the stream alone, so that the ledger needs to note no more
than the first and last position of a write. A position and the number of its event differ only
within a block of `window` + 1 events: there the first event may come last, or change places with
the second.
"""

from __future__ import annotations

from array import array

from tools.fake_gateway.script import mix64

REORDER_WINDOW_MAX = 1000
DUPLICATE_LAG = 16  # a duplicate follows this many positions after its first sending


class DeliveryOrder:
    """With no window and no duplicates, position and number are the same (`is_plain`)."""

    def __init__(self, seed: int, window: int = 0, duplicates: float = 0.0) -> None:
        if not 0 <= window <= REORDER_WINDOW_MAX:
            raise ValueError(f"the reorder window must be 0 to {REORDER_WINDOW_MAX}, not {window}")
        if not 0.0 <= duplicates <= 1.0:
            raise ValueError(f"the share of duplicates must be 0 to 1, not {duplicates}")
        self.is_plain = window == 0 and duplicates == 0.0
        self._seed = seed
        self._block = window + 1
        self._threshold = int(duplicates * (1 << 64))

    def sendable(self, head: int) -> int:
        """The end of the positions whose events are all below `head`."""
        begin = head - head % self._block
        inside = head - begin
        if inside == 0:
            return head
        kind = self._kind(begin)
        if kind == 0:
            return head - 1
        return begin if kind == 1 and inside == 1 else head

    def whole(self, head: int) -> int:
        """`head`, rounded up so that everything below it is sendable."""
        return -(-head // self._block) * self._block

    def begin_of(self, number: int) -> int:
        """A position from which on every event from `number` on comes (with a few before it)."""
        return number - number % self._block

    def number_at(self, position: int) -> int:
        begin = position - position % self._block
        kind, inside = self._kind(begin), position - begin
        if kind == 0:
            return begin if inside == self._block - 1 else position + 1
        if kind == 1 and inside < 2:
            return begin + 1 - inside
        return position

    def is_duplicated(self, position: int) -> bool:
        return position >= 0 and mix64(~self._seed ^ position) < self._threshold

    def numbers(self, first: int, end: int, floor: int = 0) -> array[int]:
        """The events of positions first <= p < end in the order of sending, duplicates included;
        but none twice from below `floor`, where another gateway epoch was."""
        if self.is_plain:
            return array("q", range(first, end))
        numbers = array("q")
        for position in range(first, end):
            numbers.append(self.number_at(position))
            again = position - DUPLICATE_LAG
            if self._threshold and again >= floor and self.is_duplicated(again):
                numbers.append(self.number_at(again))
        return numbers

    def _kind(self, begin: int) -> int:
        """Of a block: 0 = its first event comes last, 1 = the first two change places."""
        return 2 if self._block == 1 else mix64(self._seed ^ begin) & 3
