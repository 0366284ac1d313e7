"""Owns how calls for the roster are made: by which OAuth client, how often again, which page later.

It knows nobody who is watched. A call that fails is repeated for a while; a page that fails is put
off, so that it costs those on it alone. Every OAuth client may be asked: what the budget of the
first one lacks, others have, because no sender uses them (`rate_budget.planner_alone`).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from actors.genesys.cloud_answers import ListingPage
from actors.genesys.cloud_errors import (
    CloudError,
    FailedError,
    NoAnswerError,
    OddAnswerError,
)
from actors.genesys.cloud_rest import CloudRest
from actors.genesys.paging import NUMBER, PageWalk, Query, is_cursor
from actors.genesys.retry_after import wait_s

ROOM_STEP_S: Final = 0.1
PUT_OFF_AFTER: Final = 3
"""Tries of one page; others are read meanwhile, unless they fail as well."""
LISTINGS_AT_ONCE: Final = 8
PAGES_AHEAD: Final = 6
"""Of a listing that says how many pages it has: asked for before their turn, whoever is asked."""

PAGES_OWN: Final = (FailedError, OddAnswerError, NoAnswerError)
"""What one page may meet and the next one not: no matter of token, role or limit."""

Answer = TypeVar("Answer")
Item = TypeVar("Item")
Call = Callable[[CloudRest], Awaitable[Answer]]
PageCall = Callable[[CloudRest, int, Query], Awaitable[ListingPage]]


class PageCallAt(NamedTuple):
    """One page of a listing."""

    page: PageCall
    number: int
    query: Query

    def ask(self, rest: CloudRest) -> Awaitable[ListingPage]:
        return self.page(rest, self.number, self.query)


class Tell(Protocol):
    """Hears of each call that failed and is made again."""

    def __call__(self, error: CloudError, *, tries: int, wait_s: float) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How a call that fails for a while is repeated before the read is given up."""

    tries_max: int = 8
    backoff_first_s: float = 2.0
    backoff_most_s: float = 30.0


class RosterCalls:
    """For one event loop. `others`: of OAuth clients beside the first one. `is_modest`: waits until
    a call leaves some room to those of others. What it raises is a CloudError when patience is
    spent."""

    def __init__(
        self,
        rest: CloudRest,
        others: Sequence[CloudRest] = (),
        *,
        rng: random.Random,
        retry: RetryPolicy | None = None,
        tell: Tell | None = None,
        is_modest: bool = False,
    ) -> None:
        self.pages_unread = 0
        self._is_modest = is_modest
        self._first = rest
        self._others = tuple(others)
        self._sharing: tuple[CloudRest, ...] = ()  # of the others, who see whom the first one sees
        self._rng = rng
        self._retry = retry or RetryPolicy()
        self._tell = tell

    def begin(self) -> None:
        """A read of the whole roster."""
        self.pages_unread = 0
        self._sharing = ()

    async def share(self, seen: int | None = None) -> None:
        """From now on other clients are asked as well, if they see as many users as the first one:
        a client with fewer divisions would leave people out of a page without a word. `seen`: how
        many that one sees, if it has just said so."""
        if not self._others or self._sharing:
            return
        if seen is None:
            seen = (await self.patiently(lambda rest: rest.user_page(1))).total
        found = await asyncio.gather(*(_total(rest) for rest in self._others))
        self._sharing = tuple(
            rest
            for rest, total in zip(self._others, found, strict=True)
            if seen is not None
            and total is not None
            and abs(total - seen) <= coming_and_going(seen)
        )

    async def pages(self, page: PageCall, *, is_whole: bool = False) -> AsyncIterator[ListingPage]:
        """Of one listing. A page that fails is asked for again behind the others, and at last left
        out, which `pages_unread` counts; `is_whole`: rather none than some."""
        walk, pages, late, has_read = PageWalk(), 1, list[PageCallAt](), False
        ahead = _PagesAhead(lambda at: self.patiently(at.ask, PUT_OFF_AFTER))
        try:
            while True:
                at = PageCallAt(page, walk.number, walk.query)
                is_troubled = bool(late) and late[-1].number == at.number - 1
                is_patient = is_whole or is_troubled or is_cursor(at.query)
                try:
                    found = await self._turn(at, ahead, is_patient=is_patient)
                except PAGES_OWN:
                    if is_patient:
                        raise
                    late.append(at)
                    if walk.skipped(pages):
                        continue
                    break
                pages, has_read = found.pages, has_read or bool(found.entities)
                yield found
                ids = (each["id"] for each in found.entities)
                if not walk.read(found.pages, found.query, ids):
                    break
                if found.total is not None:
                    ahead.ask(PageCallAt(page, walk.number, walk.query), found.pages)
        finally:
            await ahead.close()
        for at in late:
            try:
                found = await self.patiently(at.ask)
            except PAGES_OWN:
                if not has_read:
                    raise
                self.pages_unread += 1
            else:
                has_read = True
                yield found

    async def _turn(self, at: PageCallAt, ahead: _PagesAhead, *, is_patient: bool) -> ListingPage:
        """One page, whose turn it is."""
        asked = ahead.taken(at)
        if asked is not None:
            try:
                return await asked
            except PAGES_OWN:
                if not is_patient:
                    raise
        return await self.patiently(at.ask, None if is_patient else PUT_OFF_AFTER)

    async def patiently(self, call: Call[Answer], put_off_after: int | None = None) -> Answer:
        """By whichever client has most room; what another one may not do, the first one does.
        `put_off_after`: so many tries are enough if it is the page itself that fails."""
        tries = 0
        while True:
            rest = await self._rest_with_room()
            try:
                return await call(rest)
            except CloudError as error:
                if rest is not self._first and not isinstance(error, PAGES_OWN):
                    self._sharing = tuple(each for each in self._sharing if each is not rest)
                    continue
                tries += 1
                most = self._retry.tries_max
                if put_off_after is not None and isinstance(error, PAGES_OWN):
                    most = min(put_off_after, most)
                if not error.is_passing or tries >= most:
                    raise
                pause_s = self._wait_s(error, tries)
                if self._tell is not None:
                    self._tell(error, tries=tries, wait_s=pause_s)
                await asyncio.sleep(pause_s)

    async def _rest_with_room(self) -> CloudRest:
        """Where there is most of it."""
        while self._is_modest:
            rest = max((self._first, *self._sharing), key=_room_of_modest)
            if rest.room_of_modest > 0:
                return rest
            await asyncio.sleep(ROOM_STEP_S)
        return max((self._first, *self._sharing), key=_room) if self._sharing else self._first

    def _wait_s(self, error: CloudError, tries: int) -> float:
        retry = self._retry
        return wait_s(
            tries,
            self._rng,
            error.retry_after_s,
            first_s=retry.backoff_first_s,
            most_s=retry.backoff_most_s,
        )


class _PagesAhead:
    """Of one listing: pages that were asked for before their turn. Which query leads to a page is
    only known when the one before is read: where that comes to name another one than was guessed,
    the page is asked for again, and from then on each in its turn."""

    def __init__(self, ask: Callable[[PageCallAt], Coroutine[Any, Any, ListingPage]]) -> None:
        self._ask = ask
        self._tasks: dict[int, tuple[PageCallAt, asyncio.Task[ListingPage]]] = {}
        self._dropped: list[asyncio.Task[ListingPage]] = []
        self._is_guessed_wrong = False

    def ask(self, turn: PageCallAt, pages: int) -> None:
        """Of so many pages those behind `turn`, and it as well."""
        if self._is_guessed_wrong or is_cursor(turn.query):
            return
        for number in range(turn.number, min(pages, turn.number + PAGES_AHEAD - 1) + 1):
            if number not in self._tasks:
                query = tuple(
                    (key, str(number) if key == NUMBER else value) for key, value in turn.query
                )
                at = PageCallAt(turn.page, number, query)
                self._tasks[number] = at, asyncio.create_task(self._ask(at))

    def taken(self, turn: PageCallAt) -> asyncio.Task[ListingPage] | None:
        """None: it was not asked for."""
        found = self._tasks.pop(turn.number, None)
        if found is None:
            return None
        at, task = found
        if at.query == turn.query:
            return task
        self._is_guessed_wrong = True
        self._dropped += [task, *(each for _, each in self._tasks.values())]
        self._tasks.clear()
        return None

    async def close(self) -> None:
        tasks = [*self._dropped, *(task for _, task in self._tasks.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def each_of(items: Iterable[Item], work: Callable[[Item], Coroutine[Any, Any, None]]) -> None:
    """Some at once. The first failure ends all."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    tasks = [asyncio.create_task(worker()) for _ in range(LISTINGS_AT_ONCE)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def coming_and_going(users: int) -> int:
    """By so many two answers that count all users may differ: some come or go within a minute."""
    return 1 + users // 100


def _room(rest: CloudRest) -> int:
    return rest.room


def _room_of_modest(rest: CloudRest) -> int:
    return rest.room_of_modest


async def _total(rest: CloudRest) -> int | None:
    try:
        return (await rest.user_page(1)).total
    except CloudError:
        return None
