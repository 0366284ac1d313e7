"""Gates: which handshakes and token calls are refused, and how. Pure: times are arguments."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from tools.fake_gateway.faults import Fault


class Refusal(NamedTuple):
    status: int  # 0 = never answer
    retry_after_s: int | None = None


class Gate:
    """Ordered refusals first, then the limit on how often a client may come."""

    def __init__(self, name: str = "", *, passes_max: int = 0, window_s: float = 60.0) -> None:
        """At most `passes_max` (0 = any) in `window_s`, then refusals until the window is over.
        `name`: as the ledger calls it."""
        self.name = name
        self.refused = 0
        self._ordered: deque[Refusal] = deque()
        self._passes_max = passes_max
        self._window_s = window_s
        self._passes: deque[float] = deque()

    def order(self, fault: Fault) -> None:
        self._ordered.extend([Refusal(fault.status, fault.retry_after_s)] * fault.count)

    @property
    def is_ordered(self) -> bool:
        """Whether refusals wait for somebody to come."""
        return bool(self._ordered)

    def refusal(self, now_s: float) -> Refusal | None:
        """None: this one may pass."""
        refusal = self._ordered.popleft() if self._ordered else self._limit(now_s)
        if refusal is not None:
            self.refused += 1
        return refusal

    def _limit(self, now_s: float) -> Refusal | None:
        if not self._passes_max:
            return None
        while self._passes and self._passes[0] <= now_s - self._window_s:
            self._passes.popleft()
        if len(self._passes) >= self._passes_max:
            return Refusal(429, max(1, round(self._passes[0] + self._window_s - now_s)))
        self._passes.append(now_s)
        return None
