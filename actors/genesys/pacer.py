"""Owns the wait for a place in the rate budget: who asks first goes first. It knows no request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from actors.genesys.rate_budget import WAIT_LEAST_S, Budget
from runtime.clock import Clock

STEP_MOST_S: Final = 1.0  # a suspended machine must not oversleep by as long as it slept


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
