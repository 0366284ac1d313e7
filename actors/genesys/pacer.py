"""Owns the wait for a place in the rate budget: who asks first goes first. It knows no request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from actors.genesys.rate_budget import WAIT_LEAST_S, WINDOW_S, Budget
from runtime.clock import Clock
from runtime.counters import Counters

STEP_MOST_S: Final = 1.0  # a suspended machine must not oversleep by as long as it slept


BUDGET_WORDS: Final = ("budget_used", "budget_used_ns")
"""Of the page of whoever has a share: what a predecessor used of it, and when that was."""


def kept_pacer(
    counters: Counters,
    share: int,
    total: int,
    clock: Clock,
    words: tuple[str, str] = BUDGET_WORDS,
) -> Pacer:
    """Of a share of so much in all, less what a predecessor used of it within the last window."""
    used, used_ns = counters.get(words[0]), counters.get(words[1])
    is_recent = used > 0 and clock.now_ns() - used_ns < WINDOW_S * 1e9
    now_s = clock.now_s()
    budget = Budget(share, total=total, used=used if is_recent else 0, used_at_s=now_s)

    def remember(used: int) -> None:
        counters.set(words[0], used)
        counters.set(words[1], clock.now_ns())

    return Pacer(budget, clock, on_used=remember)


class Pacer:
    """For one event loop. `on_used` hears of each request before it is sent, with how much of the
    share is used then: what a successor must know."""

    def __init__(
        self, budget: Budget, clock: Clock, *, on_used: Callable[[int], None] | None = None
    ) -> None:
        self.budget = budget
        self.waiting = 0
        self._clock = clock
        self._on_used = on_used
        self._queue = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Budget]:
        """The block is the request and its answer; it may tell the budget what the answer said."""
        await self._wait()
        try:
            if self._on_used is not None:
                self._on_used(self.budget.used(self._clock.now_s()))
            yield self.budget
        finally:
            self.budget.ended(self._clock.now_s())

    async def room(self, spare: float) -> None:
        """Until a request would be sent at once, and that much of the share is left besides; takes
        nothing. For what should be decided late, and give way to all else."""
        keep = int(self.budget.share * spare)
        while True:
            wait_s = self.budget.wait_s(self._clock.now_s(), keep)
            if wait_s == 0.0 and not self.waiting:
                return
            await asyncio.sleep(min(max(wait_s, WAIT_LEAST_S), STEP_MOST_S))

    async def _wait(self) -> None:
        self.waiting += 1
        try:
            async with self._queue:
                while (wait_s := self.budget.grant(self._clock.now_s())) > 0.0:
                    await asyncio.sleep(min(wait_s, STEP_MOST_S))
        finally:
            self.waiting -= 1
