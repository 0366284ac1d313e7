"""Memory of the processes of a demo over time: a series that stays short, and how much it grew.

Pure: looks are given to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Final

from actors.demo.view import Use

POINTS_MAX: Final = 200
EVERY_S: Final = 0.5
SETTLED_S: Final = 720.0  # windows and caches are full
JUDGED_AFTER_S: Final = 840.0  # a growth over less than two minutes says nothing


class MemorySeries:
    """Resident bytes by process. When it is full, every other point goes, and they come half as
    often."""

    def __init__(self) -> None:
        self.at_s: list[float] = []
        self._uses: list[dict[str, Use]] = []
        self._every_s = EVERY_S

    def note(self, elapsed_s: float, uses: Mapping[str, Use]) -> None:
        if self.at_s and elapsed_s < self.at_s[-1] + self._every_s:
            return
        self.at_s.append(round(elapsed_s, 2))
        self._uses.append(dict(uses))
        if len(self.at_s) > POINTS_MAX:
            self.at_s, self._uses = self.at_s[::2], self._uses[::2]
            self._every_s *= 2

    def names(self) -> list[str]:
        return list(dict.fromkeys(name for uses in self._uses for name in uses))

    def to_json(self) -> dict[str, Any]:
        return {
            "at_s": self.at_s,
            "bytes": {
                name: [uses[name].memory_bytes if name in uses else None for uses in self._uses]
                for name in self.names()
            },
        }

    def growth(self) -> dict[str, float] | None:
        """By process: the share by which the last fifth of the time behind SETTLED_S lies above its
        first, by their medians. Only of those that lived through it; None: the run was too short.
        """
        if not self.at_s or self.at_s[-1] < JUDGED_AFTER_S:
            return None
        settled = [
            (at_s, uses)
            for at_s, uses in zip(self.at_s, self._uses, strict=True)
            if at_s >= SETTLED_S
        ]
        grown = {}
        for name in self.names():
            mine = [(at_s, uses.get(name)) for at_s, uses in settled]
            lives = {use.pid if use is not None else None for _, use in mine}
            if None in lives or len(lives) != 1:
                continue
            bytes_of = [(at_s, use.memory_bytes) for at_s, use in mine if use is not None]
            early, late = fifths(bytes_of, SETTLED_S)
            grown[name] = round(late / early - 1, 4)
        return grown


def fifths(points: Sequence[tuple[float, float]], since_s: float) -> tuple[float, float]:
    """The median of the first fifth of the time from then on, and that of the last. `points`: when,
    in order, none earlier."""
    until_s = points[-1][0]
    fifth_s = (until_s - since_s) / 5
    return (
        median(value for at_s, value in points if at_s <= since_s + fifth_s),
        median(value for at_s, value in points if at_s >= until_s - fifth_s),
    )
