"""Deadlines: which keys are due, one time per key at most, the earliest first. Pure.

Knows no clock and no meaning of a key. A heap, so that thousands of waiting commands cost nothing
until one of them is due; what was moved or dropped stays in it until it comes up, or until half of
it is such.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

NEVER_S: Final = float("inf")
_HEAP_SLACK: Final = 64  # below that it is never swept


class Deadlines(Generic[Key]):
    """Times of keys. Among equal times the one that was set first is due first."""

    def __init__(self) -> None:
        self._set: dict[Key, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._set)

    @property
    def due_s(self) -> float:
        """When the next one is due; NEVER_S if there is none."""
        self._skip_moved()
        return self._heap[0][0] if self._heap else NEVER_S

    def set(self, key: Key, at_s: float) -> None:
        """The key is due then, and at no other time."""
        self._count += 1
        self._set[key] = (at_s, self._count)
        heapq.heappush(self._heap, (at_s, self._count, key))
        if len(self._heap) > 2 * len(self._set) + _HEAP_SLACK:
            self._heap = [(*placed, each) for each, placed in self._set.items()]
            heapq.heapify(self._heap)

    def drop(self, key: Key) -> None:
        self._set.pop(key, None)

    def take(self, now_s: float) -> Key | None:
        """The next key that is due, which then has no time any more."""
        if self.due_s > now_s:
            return None
        key = heapq.heappop(self._heap)[2]
        del self._set[key]
        return key

    def _skip_moved(self) -> None:
        heap = self._heap
        while heap and self._set.get(heap[0][2]) != heap[0][:2]:
            heapq.heappop(heap)
