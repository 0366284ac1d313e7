"""EventTimes: the time of each event. Knows neither agents nor the wall clock.

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


class EventTimes:
    """Times grow with n; two events `distance_min` apart are at least a millisecond apart."""

    def __init__(self, distance_min: int) -> None:
        self.step_ns_min = -(-NS_PER_MS // distance_min)
        self.stretches: list[Stretch] = []
        self._firsts: list[int] = []
        self._clear_ns = 0  # the first millisecond behind the last insertion

    def begin(self, first: int, now_ns: int, step_ns: int) -> Stretch:
        """From event `first` on: from now, or from where the last stretch had got to, if later.

        Times that would come too close for one agent to change twice in a millisecond are spread:
        few agents at full speed live faster than the wall clock.
        """
        step_ns = max(step_ns, self.step_ns_min)
        if self.stretches:
            assert first >= self.stretches[-1].first, (first, self.stretches[-1])
            now_ns = max(now_ns, self._at_ns(first), self._clear_ns)
        stretch = Stretch(first, now_ns, step_ns)
        self.add(stretch)
        return stretch

    def insert(
        self, number: int, now_ns: int, *, held_ms: int, next_in: int | None
    ) -> tuple[Stretch, Stretch]:
        """Time for one event more between `number` - 1 and the event that would have been `number`:
        now, if that lies between them. What follows goes on as it would have, and is put off only
        as far as it must be.

        Its agent changed at `held_ms`, and does so again `next_in` events behind it: in another
        millisecond each. For that, no later stretch begins in the insertion's own millisecond.
        """
        step_ns = self.stretches[-1].step_ns if self.stretches else NS_PER_MS
        then_ns = self._at_ns(number) if self.stretches else now_ns
        before_ns = self._at_ns(number - 1) if number else now_ns
        at_ns = max(now_ns, before_ns, (held_ms + 1) * NS_PER_MS)
        self._clear_ns = (at_ns // NS_PER_MS + 1) * NS_PER_MS
        after_ns = max(then_ns, at_ns)
        if next_in is not None:
            after_ns = max(after_ns, self._clear_ns - next_in * step_ns)
        stretches = Stretch(number, at_ns, step_ns), Stretch(number + 1, after_ns, step_ns)
        for stretch in stretches:
            self.add(stretch)
        return stretches

    def add(self, stretch: Stretch) -> None:
        """One that begins at the same event as the last replaces it."""
        if self._firsts and self._firsts[-1] == stretch.first:
            self.stretches.pop()
            self._firsts.pop()
        self.stretches.append(stretch)
        self._firsts.append(stretch.first)

    def at_ms(self, number: int) -> int:
        return self._at_ns(number) // NS_PER_MS

    def _at_ns(self, number: int) -> int:
        stretch = self.stretches[bisect_right(self._firsts, number) - 1]
        return stretch.start_ns + (number - stretch.first) * stretch.step_ns
