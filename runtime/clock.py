"""Clock: where time comes from. Knows nothing of who asks.

Whoever decides gets time as an argument. Monotonic time judges durations and deadlines, wall time
only labels what people read: the host's wall clock may jump, so nothing is ordered by it.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Time as an argument."""

    def now_s(self) -> float:
        """Monotonic seconds; the zero is arbitrary but shared by all processes of the machine."""
        ...

    def now_ns(self) -> int:
        """The same clock as `now_s`, in integer nanoseconds."""
        ...

    def wall_us(self) -> int:
        """UTC, microseconds since 1970."""
        ...


class SystemClock:
    """The machine's clocks. CLOCK_MONOTONIC, so that beats written by one process can be judged
    by another; it stands still while the machine is suspended."""

    __slots__ = ()

    def now_s(self) -> float:
        return time.monotonic()

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def wall_us(self) -> int:
        return time.time_ns() // 1_000


class ManualClock:
    """Stands still until it is told to advance. Both clocks move together.

    Kept in integer nanoseconds: a thousand advances of a millisecond make exactly one second.
    """

    __slots__ = ("_monotonic_ns", "_wall_offset_ns")

    # 2026-01-01T00:00:00Z, so that a wall time is never mistaken for a monotonic one.
    WALL_START_US = 1_767_225_600_000_000

    def __init__(self, start_s: float = 0.0, *, wall_start_us: int = WALL_START_US) -> None:
        self._monotonic_ns = round(start_s * 1e9)
        self._wall_offset_ns = wall_start_us * 1_000 - self._monotonic_ns

    def now_s(self) -> float:
        return self._monotonic_ns / 1e9

    def now_ns(self) -> int:
        return self._monotonic_ns

    def wall_us(self) -> int:
        return (self._monotonic_ns + self._wall_offset_ns) // 1_000

    def set_wall(self, wall_us: int) -> None:
        """Somebody sets the clock of the host, either way; monotonic time knows nothing of it."""
        self._wall_offset_ns = wall_us * 1_000 - self._monotonic_ns

    def advance(self, seconds: float) -> None:
        assert seconds >= 0, f"cannot advance by a negative time: {seconds} s"
        self._monotonic_ns += round(seconds * 1e9)
