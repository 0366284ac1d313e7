"""Durations: how long something took, as counts in the buckets of a shard's page.

Knows no clock and nothing of what took so long. One writer, the shard; the page outlives it, so
that a successor counts on.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from runtime.counters import Counters
from runtime.ring import KIND_EVENT

BOUNDS_US: Final = (
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
)  # fmt: skip
_BOUNDS_NS: Final = tuple(bound * 1_000 for bound in BOUNDS_US)


def bucket_words(name: str) -> tuple[str, ...]:
    """So many took that long at most, and longer than the bound before; the last: longer than all
    bounds."""
    return (*(f"{name}_le_{bound}_us" for bound in BOUNDS_US), f"{name}_longer")


def duration_words(name: str) -> tuple[str, ...]:
    return (*bucket_words(name), f"{name}_sum_us")


class Durations:
    """Of one name."""

    def __init__(self, counters: Counters, name: str) -> None:
        self._counters = counters
        self._buckets = bucket_words(name)
        self._sum = f"{name}_sum_us"

    def add(self, took_ns: int) -> None:
        """A clock that was set back makes a negative duration: that is none."""
        self._counters.add(self._buckets[bisect_left(_BOUNDS_NS, took_ns)])
        self._counters.add(self._sum, max(0, took_ns) // 1_000)

    def add_events(self, kinds: bytes, received_ns: Sequence[int], now_ns: int) -> None:
        """Those of a batch, since their receipt; a watermark or a session is none of them."""
        if kinds.count(KIND_EVENT) != len(kinds):
            records = zip(kinds, received_ns, strict=True)
            received_ns = [each for kind, each in records if kind == KIND_EVENT]
        if received_ns:
            self.add_since(received_ns, now_ns)

    def add_since(self, begun_ns: Sequence[int], now_ns: int) -> None:
        """Of several at once, which mostly took about as long: what this costs is a batch's, not a
        record's. The order in which they began is nearly always theirs, so sorting is one look."""
        begun = sorted(begun_ns)
        left = len(begun)
        fastest, slowest = now_ns - begun[-1], now_ns - begun[0]
        last = bisect_left(_BOUNDS_NS, slowest)
        for place in range(bisect_left(_BOUNDS_NS, fastest), last):
            slower = bisect_left(begun, now_ns - _BOUNDS_NS[place])
            self._counters.add(self._buckets[place], left - slower)
            left = slower
        self._counters.add(self._buckets[last], left)
        self._counters.add(self._sum, max(0, len(begun) * now_ns - sum(begun)) // 1_000)
