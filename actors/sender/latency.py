"""Latency: how long something took, as counts in buckets whose bounds grow by a fifth each. Pure.

Knows no clock and nothing of what is measured. Fixed buckets, so that a sender that runs for months
needs no more memory, and two readings can be subtracted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

_FIRST_MS: Final = 1.0
_GROWTH: Final = 2.0**0.25  # a quantile is at most so much above the truth
_LAST_MS: Final = 120_000.0  # what took longer counts as this


def _bounds() -> tuple[float, ...]:
    bounds = [_FIRST_MS]
    while bounds[-1] < _LAST_MS:
        bounds.append(bounds[-1] * _GROWTH)
    return tuple(bounds)


BOUNDS_MS: Final = _bounds()


class Latency:
    """Durations in milliseconds."""

    def __init__(self, buckets: Iterable[int] = (), sum_ms: float = 0.0) -> None:
        self.buckets = list(buckets) or [0] * len(BOUNDS_MS)
        """How many took that long at most, and longer than the bound before."""
        assert len(self.buckets) == len(BOUNDS_MS), self.buckets
        self.count = sum(self.buckets)
        self.sum_ms = sum_ms

    def __add__(self, other: Latency) -> Latency:
        both = zip(self.buckets, other.buckets, strict=True)
        return Latency(map(sum, both), self.sum_ms + other.sum_ms)

    def add(self, took_ms: float) -> None:
        """A wall clock that was set back makes a negative duration: that is none."""
        took_ms = max(0.0, took_ms)
        self.count += 1
        self.sum_ms += took_ms
        self.buckets[min(bisect_left(BOUNDS_MS, took_ms), len(BOUNDS_MS) - 1)] += 1

    @property
    def average_ms(self) -> float:
        return self.sum_ms / self.count if self.count else 0.0

    def quantile_ms(self, share: float) -> float:
        """A bound under which at least this share stayed; 0 if nothing was measured."""
        assert 0.0 < share <= 1.0, share
        wanted, seen = share * self.count, 0
        for bound, count in zip(BOUNDS_MS, self.buckets, strict=True):
            seen += count
            if count and seen >= wanted:
                return bound
        return 0.0
