"""Owns when it is read who belongs to which queue, and what of it is kept.

It knows no plan and no channel. The members of all queues are read as soon as it is known whom to
watch, and again at an interval; of a few who join in between, the queues are asked for by their
ids. Nobody's queues are known before all queues were read, because any may be one of theirs.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any, Final

from actors.genesys.cloud_answers import ListingPage
from actors.genesys.cloud_errors import CloudError, ForbiddenError, NotFoundError
from actors.genesys.cloud_rest import CloudRest
from actors.genesys.paging import Query
from actors.genesys.retry_after import wait_s
from actors.planner.members import QueueMembers, joined, joined_of
from actors.planner.roster_calls import PAGES_OWN, RosterCalls, each_of
from actors.planner.store import RosterStore
from actors.storage.disk_wait import DiskWait
from runtime.clock import Clock
from runtime.counters import Counters

STEP_S: Final = 0.25
WAY_MOST_S: Final = 10.0
BY_ID_MAX: Final = 100
"""Of whom the queues are asked for one by one; of more, all queues are read."""
REFUSED_AGAIN_S: Final = 600.0
"""After a whole read: for those whose queues nobody tells by their ids."""
RETRY_FIRST_S: Final = 5.0
RETRY_MOST_S: Final = 300.0
HASTE_ENDS_AFTER: Final = 3
"""Reads in a row that failed: then nothing is borrowed for the next one."""
SHARED_FROM_QUEUES: Final = 5

Names = Callable[[], Awaitable[Mapping[str, str]]]
Keep = Callable[[Mapping[str, Iterable[str]]], None]
"""Makes durable the queues of these users, and tells who needs to know."""


class MembershipKeeper:
    """For one event loop. `calls`: for nothing else. `names`: reads those of all queues. `keep` is
    given the members of all queues, `keep_some` the queues of some agents. `is_way_clear`: whether
    nobody waits for a first state; a first read lets those calls go before it for a while."""

    def __init__(
        self,
        calls: RosterCalls,
        store: RosterStore,
        disk: DiskWait,
        *,
        names: Names,
        keep: Keep,
        keep_some: Keep,
        is_way_clear: Callable[[], bool],
        every_s: float,
        counters: Counters,
        clock: Clock,
        rng: random.Random,
        log: Any,
    ) -> None:
        self._calls = calls
        self._store = store
        self._disk = disk
        self._names = names
        self._keep_all = keep
        self._keep_some = keep_some
        self._is_way_clear = is_way_clear
        self._every_s = every_s
        self._counters = counters
        self._clock = clock
        self._rng = rng
        self._log = log
        self._watched: Collection[str] | None = None
        self._unknown: set[str] = set()
        self._refused: set[str] = set()  # of these: whose queues nobody tells by their ids
        self._queues: tuple[str, ...] | None = None
        self._has_asked_names = asyncio.Event()
        self._found: dict[str, QueueMembers] = {}  # by the read that is under way
        self._unread: dict[str, CloudError] = {}  # likewise
        self._forbidden: set[str] = set()
        self._missed: frozenset[tuple[str, str]] = frozenset()
        self._failures = 0
        self._problem = ""
        self._forbidden_told = 0

    @property
    def is_urgent(self) -> bool:
        """Whether to borrow for it: nobody is watched yet, or the queues of many are not known."""
        if self._failures >= HASTE_ENDS_AFTER:
            return False
        if self._watched is None:
            return not self._store.memberships_us
        return bool(self._unknown) and not self._is_by_id

    # -- what is known --------------------------------------------------------------------------

    def watch(self, users: Collection[str]) -> None:
        """From now on everybody whose queues are to be known."""
        self._watched = users
        self._count_unknown()

    def _count_unknown(self) -> None:
        held, watched = self._store.memberships, self._watched or ()
        self._unknown = {user for user in watched if user not in held}
        self._refused &= self._unknown
        self._counters.set("agents_queues_unknown", len(self._unknown))

    def read_already(self, members: Mapping[str, QueueMembers]) -> None:
        """Of some queues, by whoever had another reason to read them."""
        self._found.update(members)

    async def name_queues(self) -> None:
        """All that there are: who reads needs names, and the next read the ids."""
        try:
            names = await self._names()
        except CloudError as error:
            if str(error) != self._problem:
                self._log.warning("queues.names_unavailable", cause=str(error))
            self._problem = str(error)
            self._failures += 1
            return
        finally:
            self._has_asked_names.set()
        self._problem = ""
        self._queues = tuple(names)
        self._disk.until_done(lambda: self._store.name_queues(names))

    # -- when to read ---------------------------------------------------------------------------

    async def keep(self) -> None:
        """For ever."""
        await self._has_asked_names.wait()
        await self._give_way()
        while True:
            if self._queues is None:
                await self._sleep(self._retry_s())
                await self.name_queues()
                continue
            if not self._is_due:
                await asyncio.sleep(STEP_S)
                continue
            try:
                await (self._ask_each() if self._is_by_id else self._read_all(self._queues))
            except CloudError as error:
                self._failures += 1
                self._counters.add("queue_read_failures")
                retry_s = self._retry_s(error)
                self._log.warning(
                    "queues.members_unavailable",
                    cause=str(error),
                    queues=len(self._unread),
                    wait_s=round(retry_s, 1),
                )
                await self._sleep(retry_s)
            else:
                self._failures = 0

    async def _give_way(self) -> None:
        until_s = self._clock.now_s() + WAY_MOST_S
        while not self._is_way_clear() and self._clock.now_s() < until_s:
            await asyncio.sleep(STEP_S)

    @property
    def _open(self) -> int:
        """Of how many it may be asked. Whoever is refused is unknown: budgets look often, so that
        nobody is looked at for it."""
        return len(self._unknown) - len(self._refused)

    @property
    def _is_due(self) -> bool:
        return self._open > 0 or self._is_whole_due

    @property
    def _is_by_id(self) -> bool:
        few = 0 < self._open <= BY_ID_MAX
        return few and self._store.memberships_us > 0 and not self._is_whole_due

    @property
    def _is_whole_due(self) -> bool:
        """By the wall clock: it goes on while nobody runs. One that was set back starts anew."""
        if self._watched is None:
            return False
        age_s = (self._clock.wall_us() - self._store.memberships_us) / 1e6
        every_s = min(self._every_s, REFUSED_AGAIN_S) if self._refused else self._every_s
        return not 0 <= age_s < every_s

    def _retry_s(self, error: CloudError | None = None) -> float:
        if isinstance(error, ForbiddenError):
            return RETRY_MOST_S
        asked_s = None if error is None else error.retry_after_s
        failures = max(self._failures, 1)
        return wait_s(failures, self._rng, asked_s, first_s=RETRY_FIRST_S, most_s=RETRY_MOST_S)

    async def _sleep(self, seconds: float) -> None:
        """In steps: a suspended machine must not oversleep by as long as it slept."""
        due_s = self._clock.now_s() + seconds
        while (left_s := due_s - self._clock.now_s()) > 0:
            await asyncio.sleep(min(left_s, 1.0))

    # -- what is read ---------------------------------------------------------------------------

    async def _read_all(self, queues: tuple[str, ...]) -> None:
        """What an attempt before has read of them is not read again."""
        began_s = self._clock.now_s()
        self._calls.begin()
        if len(queues) >= SHARED_FROM_QUEUES:
            await self._calls.share()
        self._unread, self._forbidden = {}, set()
        await each_of((each for each in queues if each not in self._found), self._read_queue)
        if self._unread:
            raise next(iter(self._unread.values()))
        self._tell_forbidden()
        members = {queue: self._found[queue] for queue in queues if queue in self._found}
        found = joined(members, self._store.memberships, self._missed)
        self._keep_all(found.memberships)
        self._found, self._missed = {}, found.missed
        self._count_unknown()
        self._counters.add("queue_reads")
        self._counters.set("queue_read_seconds", round(self._clock.now_s() - began_s))

    async def _read_queue(self, queue: str) -> None:
        """A queue that cannot be read costs the others nothing, but is to be read again; one that
        is gone has nobody."""

        async def page_of(rest: CloudRest, number: int, query: Query) -> ListingPage:
            return await rest.member_page("queues", queue, number, query)

        users, number = dict[str, None](), 0
        try:
            async for page in self._calls.pages(page_of, is_whole=True):
                users |= dict.fromkeys(joined_of(page.entities))
                number = page.number
        except NotFoundError:
            users, number = {}, 1
        except ForbiddenError:
            if not self._found:
                raise
            self._forbidden.add(queue)
            return
        except PAGES_OWN as error:
            self._unread[queue] = error
            return
        self._found[queue] = QueueMembers(tuple(users), is_exact=number <= 1)

    def _tell_forbidden(self) -> None:
        if len(self._forbidden) != self._forbidden_told:
            self._log.warning("queues.members_forbidden", queues=len(self._forbidden))
        self._forbidden_told = len(self._forbidden)

    async def _ask_each(self) -> None:
        for user in sorted(self._unknown - self._refused):

            async def page_of(
                rest: CloudRest, number: int, query: Query, user: str = user
            ) -> ListingPage:
                return await rest.queue_page_of(user, number, query)

            queues = dict[str, None]()
            try:
                async for page in self._calls.pages(page_of, is_whole=True):
                    queues |= dict.fromkeys(joined_of(page.entities))
            except (ForbiddenError, NotFoundError, *PAGES_OWN) as error:
                self._log.debug("queues.not_told", user=user, cause=str(error))
                self._refused.add(user)
            else:
                self._keep_some({user: queues})
                self._count_unknown()
