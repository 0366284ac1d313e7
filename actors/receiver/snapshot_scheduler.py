"""Owns whose present state is still to be asked for, and by which call to ask for most of it next.

Pure. It knows no socket, budget or clock: wishes in, calls out, answers in, who was answered out.

Theory. A call counts the same whether it reads a page of 500 of all users or names 100 ids, and
calls are what is short after a fault. Agents of one channel mostly stand on two or three pages,
because the plan was filled in the order of the pages; and where several channels are stale at once,
one page serves them all. So where each agent was read last is remembered, and the next call is the
page that answers for most agents, if that is more than ids would; of the oldest wish of its client,
so that nobody waits for ever. Pages shift when users join or leave: whoever is not on theirs is
asked for by id, and only that tells that somebody is gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from actors.genesys.channel_plan import Slot
from actors.genesys.cloud_rest import USERS_BY_ID_MAX


class Call(NamedTuple):
    """One call: a page of all users, or these ids. `number`: it answers for wishes before it."""

    number: int
    page: int | None
    ids: tuple[str, ...]


class AnsweredUsers(NamedTuple):
    """Agents of a slot for whom this session needs to ask no more."""

    slot: Slot
    session: int
    users: tuple[str, ...]


@dataclass(slots=True)
class _Wish:
    session: int
    since: dict[str, int] = field(default_factory=dict)  # by agent: the last call before the wish


class SnapshotScheduler:
    """For all clients of a receiver: what one of them reads serves the others as well."""

    def __init__(self) -> None:
        self._wishes: dict[Slot, _Wish] = {}  # the oldest first
        self._calls = 0
        self._under_way: dict[str, int] = {}  # by agent: the newest call that will tell
        self._pages_under_way: set[int] = set()
        self._page_of: dict[str, int] = {}  # where an agent was read last
        self._pages = 1  # as the gateway said last
        self._pages_read: set[int] = set()
        self._watched: frozenset[str] = frozenset()

    @property
    def waiting(self) -> int:
        """Snapshots that are not whole."""
        return len(self._wishes)

    # What is wanted

    def watch(self, users: frozenset[str]) -> None:
        """Everybody whom the plan gives to this receiver: pages are remembered of nobody else."""
        self._watched = users
        self._page_of = {user: page for user, page in self._page_of.items() if user in users}

    def want(self, slot: Slot, session: int, users: Iterable[str]) -> None:
        """These and no others of the slot. A call that was made before does not tell a new session,
        nor of whom it did not want then."""
        held = self._wishes.get(slot)
        before = held.since if held is not None and held.session == session else {}
        if held is not None and held.session != session:
            del self._wishes[slot]  # it stands behind those that have waited for longer
        wish = _Wish(session, {user: before.get(user, self._calls) for user in users})
        if wish.since:
            self._wishes[slot] = wish
        else:
            self.stop(slot)

    def stop(self, slot: Slot) -> None:
        self._wishes.pop(slot, None)

    # What to ask

    def next_call(self, client: int) -> Call | None:
        """What this client is to ask now. None: nothing before something is wanted or answered."""
        own = [wish for slot, wish in self._wishes.items() if slot.client == client]
        oldest = next((wish for wish in own if any(self._open(wish))), None)
        if oldest is None:
            return None
        open_on = Counter(
            page
            for wish in self._wishes.values()
            for user in self._open(wish)
            if (page := self._page_of.get(user)) is not None
        )
        users = (user for wish in own for user in self._open(wish))
        ids = tuple(islice(users, USERS_BY_ID_MAX))
        pages = {self._page_of[user] for user in self._open(oldest) if user in self._page_of}
        best = max(pages, key=lambda page: (open_on[page], -page), default=None)
        if best is not None and open_on[best] > len(ids):
            return self._ask(best, ())
        is_anybody_lost = any(user not in self._page_of for user in ids)
        if is_anybody_lost and self._is_worth_reading_on():
            unread = set(range(1, self._pages + 1)) - self._pages_read - self._pages_under_way
            return self._ask(min(unread), ()) if unread else None
        return self._ask(None, ids)

    def _open(self, wish: _Wish) -> Iterator[str]:
        under_way = self._under_way
        return (user for user, since in wish.since.items() if under_way.get(user, 0) <= since)

    def _is_worth_reading_on(self) -> bool:
        """Whether the pages that we have never read hold more of ours than as many calls by id."""
        unread = self._pages - len(self._pages_read)
        unplaced = len(self._watched) - len(self._page_of)
        return unread > 0 and unplaced > unread * USERS_BY_ID_MAX

    def _ask(self, page: int | None, ids: tuple[str, ...]) -> Call:
        self._calls += 1
        if page is not None:
            self._pages_under_way.add(page)
            for wish in self._wishes.values():
                told = [user for user in self._open(wish) if self._page_of.get(user) == page]
                self._under_way.update(dict.fromkeys(told, self._calls))
        self._under_way.update(dict.fromkeys(ids, self._calls))
        return Call(self._calls, page, ids)

    # What became of it

    def answered(self, call: Call, found: Collection[str], pages: int = 0) -> list[AnsweredUsers]:
        """Whom it answers for: on a page, whoever stands there; by id, all who were asked for."""
        self._over(call)
        if call.page is not None:
            self._learn(call.page, found, pages)
        told = []
        for slot, wish in list(self._wishes.items()):
            asked = found if call.page is not None else call.ids
            users = tuple(user for user in asked if wish.since.get(user, call.number) < call.number)
            for user in users:
                del wish.since[user]
            if users:
                told.append(AnsweredUsers(slot, wish.session, users))
            if not wish.since:
                del self._wishes[slot]
        return told

    def failed(self, call: Call) -> None:
        """It is to be asked again."""
        self._over(call)

    def _over(self, call: Call) -> None:
        self._pages_under_way.discard(call.page or 0)
        self._under_way = {
            user: number for user, number in self._under_way.items() if number != call.number
        }

    def _learn(self, page: int, found: Collection[str], pages: int) -> None:
        moved = [user for user, held in self._page_of.items() if held == page]
        for user in moved:
            del self._page_of[user]
        self._page_of.update((user, page) for user in found if user in self._watched)
        self._pages = max(pages, 1)
        self._pages_read.add(page)
        self._pages_read &= set(range(1, self._pages + 1))
