"""Owns whose present state is still to be asked for, and by which call to ask for most of it next.

Pure. It knows no socket, budget or clock: wishes in, calls out, answers in, who was answered out.

Theory. A call counts the same whether it reads a page of 500 of all users or names 100 ids, and
calls are what is short after a fault. Agents of one channel mostly stand on two or three pages,
because the plan was filled in the order of the pages; and where several channels are stale at once,
one page serves them all. So where each agent was read last is remembered, and the next call is the
page that answers for most agents, if that is more than ids would; of the oldest wish of its client,
so that nobody waits for ever. Pages shift when users join or leave: whoever is not on theirs is
asked for by id, and only that tells that somebody is gone.

An answer may leave out parts that were asked for (protocol.md §4, R3): who is not told of whole is
asked for again after a while, by id and by the call for that very part in turn, and last given up.
All others go first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Literal, NamedTuple, TypeAlias

from actors.genesys.channel_plan import Slot
from actors.genesys.cloud_rest import PRESENCES_AT_ONCE_MAX, USERS_BY_ID_MAX

Part: TypeAlias = Literal["presence", "routingStatus"]
PARTS: Final[tuple[Part, ...]] = ("presence", "routingStatus")
_AT_ONCE: Final[dict[Part, int]] = {"presence": PRESENCES_AT_ONCE_MAX, "routingStatus": 1}

TRIES_MAX: Final = 9  # of one agent: then nobody tells what is missing
AGAIN_FIRST_S: Final = 0.5  # doubled with each try
AGAIN_MOST_S: Final = 30.0


class Call(NamedTuple):
    """One call: a page of all users, or these ids; `part`: for that part of them alone. `number`:
    it answers for wishes before it."""

    number: int
    page: int | None
    ids: tuple[str, ...]
    part: Part | None = None


class AnsweredUsers(NamedTuple):
    """Agents of a slot for whom this session needs to ask no more. `partly`: of whom something was
    told, and the rest is asked for again."""

    slot: Slot
    session: int
    users: tuple[str, ...]
    partly: tuple[str, ...] = ()


class UntoldPart(NamedTuple):
    """What nobody tells of an agent."""

    user: str
    part: Part


@dataclass(slots=True)
class _Lack:
    """What was left out of one agent in what its wish was told so far."""

    parts: set[Part]
    tries: int
    due_s: float

    @property
    def next_part(self) -> Part | None:
        """What to ask for next by itself; None: all of it by id, as each other time."""
        if self.tries % 2:
            return None
        missing = [part for part in PARTS if part in self.parts]
        return missing[(self.tries // 2 - 1) % len(missing)]


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
        self._lacks: dict[str, _Lack] = {}
        self.untold: list[UntoldPart] = []
        """What was given up; whoever shows it takes it out."""

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
        if self._lacks:  # what an earlier session was told says nothing in this one
            gone = (held.since.keys() if held is not None else set()) - wish.since.keys()
            self._forget_lacks(gone | (wish.since.keys() - before.keys()))
        if wish.since:
            self._wishes[slot] = wish
        else:
            self.stop(slot)

    def stop(self, slot: Slot) -> None:
        held = self._wishes.pop(slot, None)
        if held is not None:
            self._forget_lacks(held.since)

    def _forget_lacks(self, users: Iterable[str]) -> None:
        for user in users:
            self._lacks.pop(user, None)

    # What to ask

    def next_call(self, client: int, now_s: float = 0.0) -> Call | None:
        """What this client is to ask now. None: nothing before something is wanted or answered, or
        `due_s`."""
        return self._next_whole(client) or self._next_missing(client, now_s)

    def due_s(self, client: int) -> float:
        """When somebody is to be asked for again."""
        lacks = (lack for _, lack in self._lacking(client))
        return min((lack.due_s for lack in lacks), default=float("inf"))

    def _next_whole(self, client: int) -> Call | None:
        """For those of whom nothing was told yet."""
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

    def _next_missing(self, client: int, now_s: float) -> Call | None:
        """For parts that were left out, the oldest wish first."""
        due = [(user, lack) for user, lack in self._lacking(client) if lack.due_s <= now_s]
        by_id = [user for user, lack in due if lack.next_part is None]
        if by_id:
            return self._ask(None, tuple(by_id[:USERS_BY_ID_MAX]))
        for part in PARTS:
            users = [user for user, lack in due if lack.next_part == part]
            if users:
                return self._ask(None, tuple(users[: _AT_ONCE[part]]), part)
        return None

    def _lacking(self, client: int) -> Iterator[tuple[str, _Lack]]:
        """Those of this client for whom no call is under way."""
        under_way, lacks = self._under_way, self._lacks
        if not lacks:
            return
        for slot, wish in self._wishes.items():
            if slot.client == client:
                for user, since in wish.since.items():
                    lack = lacks.get(user)
                    if lack is not None and under_way.get(user, 0) <= since:
                        yield user, lack

    def _open(self, wish: _Wish) -> Iterator[str]:
        under_way, lacks = self._under_way, self._lacks
        return (
            user
            for user, since in wish.since.items()
            if under_way.get(user, 0) <= since and user not in lacks
        )

    def _is_worth_reading_on(self) -> bool:
        """Whether the pages that we have never read hold more of ours than as many calls by id."""
        unread = self._pages - len(self._pages_read)
        unplaced = len(self._watched) - len(self._page_of)
        return unread > 0 and unplaced > unread * USERS_BY_ID_MAX

    def _ask(self, page: int | None, ids: tuple[str, ...], part: Part | None = None) -> Call:
        self._calls += 1
        if page is not None:
            self._pages_under_way.add(page)
            for wish in self._wishes.values():
                told = [user for user in self._open(wish) if self._page_of.get(user) == page]
                self._under_way.update(dict.fromkeys(told, self._calls))
        self._under_way.update(dict.fromkeys(ids, self._calls))
        return Call(self._calls, page, ids, part)

    # What became of it

    def answered(
        self,
        call: Call,
        found: Collection[str],
        pages: int = 0,
        *,
        lacking: Mapping[str, Collection[Part]] | None = None,
        now_s: float = 0.0,
    ) -> list[AnsweredUsers]:
        """Whom it answers for: on a page, whoever stands there; by id, all who were asked for.
        `lacking`: of those found, which parts were left out; of a call for one part, those who were
        not told of it at all are not found."""
        self._over(call)
        if call.page is not None:
            self._learn(call.page, found, pages)
        told = []
        for slot, wish in list(self._wishes.items()):
            asked = found if call.page is not None else call.ids
            heard = [user for user in asked if wish.since.get(user, call.number) < call.number]
            whole, partly = [], []
            for user in heard:
                missing = self._missing(call, user, found, lacking or {})
                if self._is_over(user, missing, now_s):
                    del wish.since[user]
                    self._lacks.pop(user, None)
                    whole.append(user)
                else:
                    partly.append(user)
            if heard:
                told.append(AnsweredUsers(slot, wish.session, tuple(whole), tuple(partly)))
            if not wish.since:
                del self._wishes[slot]
        return told

    def _missing(
        self,
        call: Call,
        user: str,
        found: Collection[str],
        lacking: Mapping[str, Collection[Part]],
    ) -> set[Part]:
        """What is still not told of them."""
        lack = self._lacks.get(user)
        if call.part is None:
            left_out = set(lacking.get(user, ()))
            return left_out if lack is None else left_out & lack.parts
        before = set(PARTS) if lack is None else lack.parts
        return before - {call.part} if user in found else before

    def _is_over(self, user: str, missing: set[Part], now_s: float) -> bool:
        """Whether nothing is to be asked any more; else when to ask again is noted."""
        if not missing:
            return True
        lack = self._lacks.get(user)
        tries = 1 if lack is None else lack.tries + 1
        if tries >= TRIES_MAX:
            self.untold += [UntoldPart(user, part) for part in PARTS if part in missing]
            return True
        wait_s = min(AGAIN_FIRST_S * 2 ** (tries - 1), AGAIN_MOST_S)
        self._lacks[user] = _Lack(missing, tries, now_s + wait_s)
        return False

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
