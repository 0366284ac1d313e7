"""LineRates: how many log lines of one name a minute holds, and how many were left out. Pure.

A minute begins with the first line of a name. What is over the bound is counted, and the count is
due when the minute is over. Names are bounded as well: beyond them all share one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

MINUTE_S: Final = 60.0
NAMES_MAX: Final = 1_000
OTHERS: Final = "(others)"


class LeftOut(NamedTuple):
    """Lines that nobody will see."""

    name: str
    lines: int
    over_s: float


@dataclass(slots=True)
class _Minute:
    begun_s: float
    shown: int = 0
    left_out: int = 0


@dataclass(slots=True)
class LineRates:
    """For one process. `per_minute` 0: no bound."""

    per_minute: int
    _minutes: dict[str, _Minute] = field(default_factory=dict)

    def admits(self, name: str, now_s: float) -> bool:
        """Whether a line of this name may be shown now. `due` first: it ends minutes."""
        if not self.per_minute:
            return True
        minute = self._minutes.get(name)
        if minute is None:
            if len(self._minutes) >= NAMES_MAX:
                name = OTHERS
            minute = self._minutes.setdefault(name, _Minute(now_s))
        if minute.shown < self.per_minute:
            minute.shown += 1
            return True
        minute.left_out += 1
        return False

    def due(self, now_s: float) -> list[LeftOut]:
        """Of minutes that are over; each once."""
        over = [name for name, each in self._minutes.items() if now_s >= each.begun_s + MINUTE_S]
        return self._ended(over, now_s)

    def all_left_out(self, now_s: float) -> list[LeftOut]:
        """At the end of the process."""
        return self._ended(list(self._minutes), now_s)

    def due_in_s(self, now_s: float) -> float | None:
        """When a count becomes due; None: nothing was left out."""
        waiting = [each.begun_s for each in self._minutes.values() if each.left_out]
        return max(0.0, min(waiting) + MINUTE_S - now_s) if waiting else None

    def _ended(self, names: list[str], now_s: float) -> list[LeftOut]:
        ended = [(name, self._minutes.pop(name)) for name in names]
        return [
            LeftOut(name, minute.left_out, now_s - minute.begun_s)
            for name, minute in ended
            if minute.left_out
        ]
