"""Owns the wait for a place in the rate budget: who asks first goes first. It knows no request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from actors.genesys.rate_budget import (
    SLACK_S,
    WAIT_LEAST_S,
    WINDOW_S,
    Budget,
    borrowed_most,
    lent_most,
    planner_share,
)
from runtime.clock import Clock
from runtime.counters import Counters

STEP_MOST_S: Final = 1.0  # a suspended machine must not oversleep by as long as it slept


BUDGET_WORDS: Final = ("budget_used", "budget_used_ns")
"""Of the page of whoever has a share: what a predecessor used of it, and when that was."""
WAITING_WORD: Final = "budget_waiting"
"""Of the sender's page: requests that wait for their place, whom the planner lets go first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """Another process that has a share of the same client, by what its page shows."""

    counters: Counters
    words: tuple[str, str] = BUDGET_WORDS
    waiting: str = ""  # the word of it, if there is one

    def used(self, now_ns: int) -> int:
        """At most so much of its share: the page is written at each request and each answer. Of
        one that is killed the words stay."""
        is_over = now_ns - self.counters.get(self.words[1]) > (WINDOW_S + SLACK_S) * 1e9
        return 0 if is_over else self.counters.get(self.words[0])

    def wanted(self, now_ns: int) -> int:
        """Likewise, with what waits."""
        return self.used(now_ns) + (self.counters.get(self.waiting) if self.waiting else 0)


def lent(
    share: int,
    total: int,
    clock: Clock,
    planner: Neighbour | None,
    other: Neighbour | None,
    *,
    is_sender: bool = False,
) -> Callable[[], int] | None:
    """For a receiver, or the sender: how much of its share the planner leaves it at the moment.
    `other`: of the two the one that does not ask. None: nobody borrows from it."""
    if planner is None:
        return None
    planner_own = planner_share(total, has_sender=is_sender or other is not None)

    def most() -> int:
        now_ns = clock.now_ns()
        used = 0 if other is None else other.used(now_ns)
        return lent_most(total, share, planner_own, planner.used(now_ns), used)

    return most


def borrowed(
    share: int,
    total: int,
    clock: Clock,
    others: Sequence[Neighbour],
    is_borrowing: Callable[[], bool],
) -> Callable[[], int] | None:
    """For the planner: how much it may use at the moment. None: it has nobody to borrow from."""
    if not others:
        return None

    def most() -> int:
        if not is_borrowing():
            return share
        now_ns = clock.now_ns()
        return borrowed_most(total, share, sum(each.wanted(now_ns) for each in others))

    return most


def kept_pacer(
    counters: Counters,
    share: int,
    total: int,
    clock: Clock,
    words: tuple[str, str] = BUDGET_WORDS,
    *,
    most: Callable[[], int] | None = None,
    waiting: str = "",
) -> Pacer:
    """Of a share of so much in all, less what a predecessor used of it within the last window."""
    used, used_ns = counters.get(words[0]), counters.get(words[1])
    is_recent = used > 0 and clock.now_ns() - used_ns < WINDOW_S * 1e9
    now_s = clock.now_s()
    budget = Budget(share, total=total, used=used if is_recent else 0, used_at_s=now_s, most=most)

    def remember(used: int) -> None:
        """The time first: who reads between the two takes it for more than it is."""
        counters.set(words[1], clock.now_ns())
        counters.set(words[0], used)

    def remember_waiting(count: int) -> None:
        counters.set(waiting, count)

    if waiting:
        remember_waiting(0)  # those of a predecessor wait no more
    return Pacer(budget, clock, on_used=remember, on_waiting=remember_waiting if waiting else None)


class Pacer:
    """For one event loop. `on_used` hears of each request before it is sent and behind its answer,
    with how much of the share is used then: what a successor must know, and whoever has another
    share of the same client. `on_waiting` hears how many wait, whenever that changes."""

    def __init__(
        self,
        budget: Budget,
        clock: Clock,
        *,
        on_used: Callable[[int], None] | None = None,
        on_waiting: Callable[[int], None] | None = None,
    ) -> None:
        self.budget = budget
        self.waiting = 0
        self._clock = clock
        self._on_used = on_used
        self._on_waiting = on_waiting
        self._queue = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Budget]:
        """The block is the request and its answer; it may tell the budget what the answer said."""
        await self._wait()
        try:
            self.show()
            yield self.budget
        finally:
            self.budget.ended(self._clock.now_s())
            self.show()

    def show(self) -> None:
        """What is used now."""
        if self._on_used is not None:
            self._on_used(self.budget.used(self._clock.now_s()))

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
        self._count_waiting(1)
        try:
            async with self._queue:
                while (wait_s := self.budget.grant(self._clock.now_s())) > 0.0:
                    await asyncio.sleep(min(wait_s, STEP_MOST_S))
        finally:
            self._count_waiting(-1)

    def _count_waiting(self, change: int) -> None:
        self.waiting += change
        if self._on_waiting is not None:
            self._on_waiting(self.waiting)
