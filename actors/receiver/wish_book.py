"""Owns whose present state is still wanted: by slot, by page, and by the calls that are under way.
Pure.

It decides no call. Everything is counted as it changes: where all agents are stale at once, each of
some hundreds of calls would else be decided by looking at a hundred thousand of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from actors.genesys.channel_plan import Slot


@dataclass(slots=True)
class Wish:
    """Of one slot. `since`: by agent, the last call before the wish. `open`: of these agents those
    for whom no call is under way, in no order that matters; `pages`: where those were read last,
    and how many on each. `set_aside`: those who wait for a part of them."""

    session: int
    since: dict[str, int] = field(default_factory=dict)
    open: dict[str, None] = field(default_factory=dict)
    pages: Counter[int] = field(default_factory=Counter)
    set_aside: dict[str, None] = field(default_factory=dict)


class WishBook:
    """`open_on`: how many wishes are open on each page."""

    def __init__(self) -> None:
        self.wishes: dict[Slot, Wish] = {}  # the oldest first
        self.open_on: Counter[int] = Counter()
        self._slots_of: dict[str, tuple[Slot, ...]] = {}
        self._under_way: dict[str, int] = {}  # by agent: the newest call that will tell
        self._asked: dict[int, tuple[str, ...]] = {}  # by call: for whom
        self._page_of: dict[str, int] = {}  # where an agent was read last
        self._users_on: dict[int, dict[str, None]] = {}  # the inverse
        self._set_aside: set[str] = set()

    # -- wishes ---------------------------------------------------------------------------------

    def want(self, slot: Slot, session: int, since: Mapping[str, int]) -> None:
        """Instead of what was wanted there. A slot that has a wish keeps its turn."""
        wish = self.wishes.get(slot)
        if wish is None:
            wish = self.wishes[slot] = Wish(session)
        wish.session = session
        for user in [user for user in wish.since if user not in since]:
            self.fulfil(slot, wish, user)
        for user, call in since.items():
            if user not in wish.since:
                self._slots_of[user] = (*self._slots_of.get(user, ()), slot)
            wish.since[user] = call
            self._refresh(user)

    def drop(self, slot: Slot) -> Iterable[str]:
        """Nothing is wanted there any more; returns whom it was about."""
        wish = self.wishes.get(slot)
        if wish is None:
            return ()
        users = list(wish.since)
        for user in users:
            self.fulfil(slot, wish, user)
        del self.wishes[slot]
        return users

    def fulfil(self, slot: Slot, wish: Wish, user: str) -> None:
        """Nothing more is wanted of this one."""
        if user in wish.open:
            self._close(wish, user)
        wish.set_aside.pop(user, None)
        del wish.since[user]
        left = tuple(each for each in self._slots_of[user] if each != slot)
        if left:
            self._slots_of[user] = left
        else:
            del self._slots_of[user]

    def slots_of(self, user: str) -> tuple[Slot, ...]:
        return self._slots_of.get(user, ())

    def set_aside(self, user: str) -> None:
        """Only a part of this one is missing: not to be asked for with the others."""
        self._set_aside.add(user)
        self._refresh(user)

    def take_back(self, user: str) -> None:
        """The opposite."""
        self._set_aside.discard(user)
        self._refresh(user)

    # -- pages ----------------------------------------------------------------------------------

    @property
    def placed(self) -> int:
        """Of how many the page is known."""
        return len(self._page_of)

    def page_of(self, user: str) -> int | None:
        return self._page_of.get(user)

    def learn(self, page: int, users: Iterable[str]) -> None:
        """Who stands on that page now."""
        for user in list(self._users_on.get(page, ())):
            self._place(user, None)
        for user in users:
            self._place(user, page)

    def keep_places(self, users: frozenset[str]) -> None:
        """Pages are remembered of nobody else."""
        for user in [user for user in self._page_of if user not in users]:
            self._place(user, None)

    def _place(self, user: str, page: int | None) -> None:
        before = self._page_of.pop(user, None)
        if before is not None:
            del self._users_on[before][user]
        for slot in self._slots_of.get(user, ()):
            wish = self.wishes[slot]
            if user in wish.open:
                self._count(wish, before, -1)
                self._count(wish, page, 1)
        if page is not None:
            self._page_of[user] = page
            self._users_on.setdefault(page, {})[user] = None

    # -- calls ----------------------------------------------------------------------------------

    def open_users_on(self, page: int) -> list[str]:
        return [
            user
            for user in self._users_on.get(page, ())
            if any(user in self.wishes[slot].open for slot in self._slots_of.get(user, ()))
        ]

    def asked(self, call: int, users: Iterable[str]) -> None:
        """A call that will tell of them."""
        self._asked[call] = tuple(users)
        for user in self._asked[call]:
            self._under_way[user] = call
            self._refresh(user)

    def over(self, call: int) -> None:
        for user in self._asked.pop(call, ()):
            if self._under_way.get(user) == call:
                del self._under_way[user]
                self._refresh(user)

    def waiting_aside(self, wish: Wish) -> Iterator[str]:
        """Of those who wait for a part: for whom no call is under way."""
        return (user for user in wish.set_aside if self._under_way.get(user, 0) <= wish.since[user])

    # -- counting -------------------------------------------------------------------------------

    def _refresh(self, user: str) -> None:
        is_aside, call = user in self._set_aside, self._under_way.get(user, 0)
        for slot in self._slots_of.get(user, ()):
            wish = self.wishes[slot]
            if is_aside:
                wish.set_aside[user] = None
            else:
                wish.set_aside.pop(user, None)
            if (not is_aside and call <= wish.since[user]) != (user in wish.open):
                if user in wish.open:
                    self._close(wish, user)
                else:
                    wish.open[user] = None
                    self._count(wish, self._page_of.get(user), 1)

    def _close(self, wish: Wish, user: str) -> None:
        del wish.open[user]
        self._count(wish, self._page_of.get(user), -1)

    def _count(self, wish: Wish, page: int | None, change: int) -> None:
        if page is not None:
            for counter in (wish.pages, self.open_on):
                counter[page] += change
                if not counter[page]:
                    del counter[page]
