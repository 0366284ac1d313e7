"""Vitals: whether the children that feed the read model live, by their pages. Knows no ring.

Whatever their last words were: a receiver that is gone tells nobody that its session is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from actors.web.read_model import ChildHealth
from runtime.clock import Clock
from runtime.counters import RUNNING, WAITING, Counters

BEAT_AGE_MAX_S: Final = 1.5
"""A child beats twice a second; people are to see within 2 s that one does not."""
_FEEDING: Final = ("receiver-", "shard-")


class ChildHealthReader:
    """Of every receiver and every shard."""

    def __init__(self, pages: Iterable[Counters], clock: Clock) -> None:
        self._pages = tuple(page for page in pages if page.name.startswith(_FEEDING))
        self._clock = clock
        self._since_us: int | None = None
        """Since when something is wrong."""

    def look(self) -> ChildHealth:
        reasons = tuple(self._reasons(self._clock.now_ns()))
        if not reasons:
            self._since_us = None
        elif self._since_us is None:
            self._since_us = self._clock.wall_us()
        return ChildHealth(self._since_us, reasons)

    def _reasons(self, now_ns: int) -> Iterator[str]:
        for page in self._pages:
            phase, beat_ns = page.get("phase"), page.get("beat_ns")
            if phase == WAITING:  # it beats only now and then
                what = "its disk" if page.name.startswith("shard-") else "its gateway"
                yield f"{page.name} is waiting for {what}"
            elif beat_ns == 0:
                yield f"{page.name} has not started yet"
            elif now_ns - beat_ns > BEAT_AGE_MAX_S * 1e9:
                yield f"{page.name} does not respond"
            elif phase != RUNNING:
                yield f"{page.name} is starting or stopping"
