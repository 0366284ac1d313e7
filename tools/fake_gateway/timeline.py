"""Timeline: the time of each event. Knows neither agents nor the wall clock.

A list of stretches: from event `first` on, event n has the time start_ns + (n - first) * step_ns.
A steady load is one stretch; a load at full speed begins a new one every few milliseconds, so that
its times stay real. The ledger keeps the stretches: all that it takes to compute any time again.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

NS_PER_MS = 1_000_000


class Stretch(NamedTuple):
    first: int
    start_ns: int
    step_ns: int


class Timeline:
    """Times grow with n; two events `distance_min` apart are at least a millisecond apart."""

    def __init__(self, distance_min: int) -> None:
        self.step_ns_min = -(-NS_PER_MS // distance_min)
        self.stretches: list[Stretch] = []
        self._firsts: list[int] = []

    def begin(self, first: int, now_ns: int, step_ns: int) -> Stretch:
        """From event `first` on: from now, or from where the last stretch had got to, if later.

        Times that would come too close for one agent to change twice in a millisecond are spread:
        few agents at full speed live faster than the wall clock.
        """
        step_ns = max(step_ns, self.step_ns_min)
        if self.stretches:
            last = self.stretches[-1]
            assert first >= last.first, (first, last)
            now_ns = max(now_ns, last.start_ns + (first - last.first) * last.step_ns)
            if first == last.first:
                self.stretches.pop()
                self._firsts.pop()
        stretch = Stretch(first, now_ns, step_ns)
        self.add(stretch)
        return stretch

    def add(self, stretch: Stretch) -> None:
        self.stretches.append(stretch)
        self._firsts.append(stretch.first)

    def at_ms(self, number: int) -> int:
        stretch = self.stretches[bisect_right(self._firsts, number) - 1]
        return (stretch.start_ns + (number - stretch.first) * stretch.step_ns) // NS_PER_MS
