"""Instruments: what pages, rings and the kernel say of every process. Knows no HTTP.

Looks only: it claims no end of a ring, and writes no word.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from actors.web.arguments import WebArguments
from actors.web.rates import CounterSample, Rates, pace
from runtime.clock import Clock
from runtime.counters import PHASES, Counters
from runtime.process_use import resident_bytes
from runtime.ring_gauge import RingGauge

WINDOW_S: Final = 10.0
"""Rates are those of at most so long."""
LONGEST_S: Final = 60.0
"""… or of so long, for whoever asks more rarely. An average over hours is not how things are: who
asks after longer is told no rates, as after a start, and knows them at their next look."""
APART_S: Final = 0.5
LOOKS_MAX: Final = round(WINDOW_S / APART_S) + 1


class Instruments:
    """For one thread of the web child."""

    def __init__(self, arguments: WebArguments, clock: Clock) -> None:
        page = arguments.supervisor
        # One that is embedded shows no life of its own.
        self._supervisor = page if page is not None and page.get("generation") else None
        above = () if self._supervisor is None else (self._supervisor,)
        self._pages: tuple[Counters, ...] = (*above, *arguments.pages)
        self._gauges = tuple(map(RingGauge, arguments.rings))
        self._clock = clock
        self._looks: deque[CounterSample] = deque(maxlen=LOOKS_MAX)
        self.name = arguments.name
        self.dialect = arguments.dialect
        self.look()

    @property
    def since_us(self) -> int | None:
        """Since when this runtime lives; None: nobody has said so."""
        return None if self._supervisor is None else self._supervisor.get("started_us")

    def look(self) -> tuple[CounterSample, Rates | None]:
        """What the pages say now, and the pace of the last moments; None: this is the first look,
        or the last one was just now."""
        at_s = self._clock.now_s()
        now = CounterSample(at_s, {page.name: page.snapshot() for page in self._pages})
        while self._looks and self._looks[0].at_s < at_s - WINDOW_S and len(self._looks) > 1:
            self._looks.popleft()
        if self._looks and self._looks[0].at_s < at_s - LONGEST_S:
            self._looks.clear()
        before = self._looks[0] if self._looks else None
        if before is None or at_s - self._looks[-1].at_s >= APART_S:
            self._looks.append(now)
        if before is None or at_s - before.at_s < APART_S:
            return now, None
        return now, pace(before, now)

    def processes(self, look: CounterSample, paced: Rates | None) -> list[dict[str, Any]]:
        """One for each page, the supervisor's first."""
        shares: Mapping[str, float] = paced.cpu_percent if paced is not None else {}
        return [_process(name, words, look, shares) for name, words in look.counters.items()]

    def rings(self) -> list[dict[str, Any]]:
        return [_ring(gauge) for gauge in self._gauges]


def _process(
    name: str, words: Mapping[str, int], look: CounterSample, shares: Mapping[str, float]
) -> dict[str, Any]:
    has_begun = words["generation"] > 0
    return {
        "name": name,
        "pid": words["pid"] or None,
        "phase": PHASES[words["phase"]] if has_begun else "not started",
        "generation": words["generation"],
        "beat_age_s": max(0.0, round(look.at_s - words["beat_ns"] / 1e9, 3)) if has_begun else None,
        "cpu_s": round(words["cpu_ns"] / 1e9, 3),
        "cpu_percent": round(shares[name], 1) if name in shares else None,
        "rss_bytes": rss_bytes(words["pid"]),
    }


def rss_bytes(pid: int) -> int | None:
    """None: there is no such process."""
    try:
        return resident_bytes(pid)
    except OSError:
        return None


def _ring(gauge: RingGauge) -> dict[str, Any]:
    producer, _, consumer = gauge.name.partition(" to ")
    return {
        "from": producer,
        "to": consumer,
        "used_bytes": gauge.used_bytes,
        "capacity_bytes": gauge.capacity,
    }
