"""RateWindow: how many calls an OAuth client may make in fixed windows of a minute (protocol.md
§2.1). Pure: times are arguments. A window begins with the first call behind the end of the last.
"""

from __future__ import annotations

import math
from typing import NamedTuple

WINDOW_S = 60.0
CALLS_MAX = 300


class Taken(NamedTuple):
    """`is_over`: one too many; `reset_s`: until the window ends."""

    is_over: bool
    calls: int
    allowed: int
    reset_s: int

    @property
    def headers(self) -> dict[str, str]:
        headers = {
            "inin-ratelimit-count": str(self.calls),
            "inin-ratelimit-allowed": str(self.allowed),
            "inin-ratelimit-reset": str(self.reset_s),
        }
        return headers | ({"Retry-After": str(self.reset_s)} if self.is_over else {})


class RateWindow:
    def __init__(self, calls_max: int = CALLS_MAX, window_s: float = WINDOW_S) -> None:
        self._calls_max = calls_max
        self._window_s = window_s
        self._began_s = -math.inf
        self._calls = 0
        self.fullest = 0  # the most calls that a window has met, those too many included
        self.refused = 0

    def take(self, now_s: float) -> Taken:
        """One call. A refused one counts as well: who hammers is not let in sooner."""
        if now_s >= self._began_s + self._window_s:
            self._began_s, self._calls = now_s, 0
        self._calls += 1
        self.fullest = max(self.fullest, self._calls)
        is_over = self._calls > self._calls_max
        self.refused += is_over
        reset_s = max(1, math.ceil(self._began_s + self._window_s - now_s))
        return Taken(is_over, self._calls, self._calls_max, reset_s)
