"""Vitals: whether the children that feed the read model live, by their pages. Knows no ring.

Whatever their last words were: a receiver that is gone tells nobody that its session is over. What
it has heard last its page says still.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from actors.web.read_model import ChildHealth
from runtime.clock import Clock
from runtime.counters import RUNNING, WAITING, Counters

BEAT_AGE_MAX_S: Final = 1.5
"""A child beats twice a second; people are to see within 2 s that one does not."""
QUIET_S: Final = 20
"""Silence that is told. A ping after 15 s of it is answered at once; after 35 s the line is dead.
"""
_FEEDING: Final = ("receiver-", "shard-")


class ChildHealthReader:
    """Of every receiver and every shard."""

    def __init__(self, pages: Iterable[Counters], clock: Clock) -> None:
        self._pages = tuple(page for page in pages if page.name.startswith(_FEEDING))
        self._clock = clock
        self._since_us: int | None = None
        """Since when something is wrong."""

    def look(self) -> ChildHealth:
        now_ns, now_us = self._clock.now_ns(), self._clock.wall_us()
        troubled = [(page, why) for page in self._pages if (why := _trouble(page, now_ns))]
        if not troubled:
            self._since_us = None
        elif self._since_us is None:
            self._since_us = min(_heard_us(page, now_ns, now_us) for page, _ in troubled)
        reasons = tuple(f"{page.name} {why}" for page, why in troubled)
        return ChildHealth(self._since_us, reasons, tuple(self._silences()))

    def _silences(self) -> Iterator[str]:
        for page in self._pages:
            quiet_s = _word(page, "quiet_s")
            if quiet_s >= QUIET_S and page.get("phase") == RUNNING:
                channels, quiet = _word(page, "channels_connected"), _word(page, "channels_quiet")
                on = f" on {quiet} of {channels} channels" if quiet < channels else ""
                yield f"{page.name}: nothing heard for {quiet_s} s{on}"


def _trouble(page: Counters, now_ns: int) -> str:
    """What is wrong with a child; empty: nothing."""
    phase, beat_ns = page.get("phase"), page.get("beat_ns")
    if phase == WAITING:  # it beats only now and then
        return f"is waiting for its {'disk' if page.name.startswith('shard-') else 'gateway'}"
    if beat_ns == 0:
        return "has not started yet"
    if now_ns - beat_ns > BEAT_AGE_MAX_S * 1e9:
        return "does not respond"
    return "" if phase == RUNNING else "is starting or stopping"


def _heard_us(page: Counters, now_ns: int, now_us: int) -> int:
    """When we heard of the gateway last through this child: what its page says of the last frame,
    or else its last sign of life. Not when it was noticed."""
    heard_us, beat_ns = _word(page, "heard_us"), page.get("beat_ns")
    if not heard_us:
        heard_us = now_us - (now_ns - beat_ns) // 1_000 if beat_ns else now_us
    return min(heard_us, now_us)


def _word(page: Counters, word: str) -> int:
    return page.get(word) if word in page.words else 0
