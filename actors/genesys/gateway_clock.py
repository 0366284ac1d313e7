"""GatewayClock: how far the gateway's clock is ahead of ours, by the `Date` of its answers. Pure.

A `Date` is cut to its second and was written some time between question and answer, so each answer
gives a range; all of them together give a narrow one. An answer that contradicts the others tells
that one of the two clocks was set, and counts alone from then on.
"""

from __future__ import annotations

from actors.genesys.retry_after import http_date_us

SECOND_US = 1_000_000


class GatewayClock:
    """For one gateway."""

    def __init__(self) -> None:
        self._range: tuple[int, int] | None = None

    @property
    def ahead_us(self) -> int | None:
        """Of our clock; None: no answer has told the time yet."""
        return None if self._range is None else sum(self._range) // 2

    def told(self, date: str | None, asked_us: int, answered_us: int) -> None:
        """The `Date` of an answer, and our clock around it. What is no date says nothing."""
        written_us = http_date_us(date)
        if written_us is None or answered_us < asked_us:  # ours was set back meanwhile
            return
        low, high = written_us - answered_us, written_us + SECOND_US - asked_us
        if self._range is not None:
            known_low, known_high = self._range
            if low <= known_high and known_low <= high:
                low, high = max(low, known_low), min(high, known_high)
        self._range = low, high
