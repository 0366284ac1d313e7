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

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, Literal, NamedTuple, TypeAlias

from actors.genesys.channel_plan import Slot
from actors.genesys.cloud_rest import PRESENCES_AT_ONCE_MAX, USERS_BY_ID_MAX
from actors.receiver.wish_book import WishBook

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


class SnapshotScheduler:
    """For all clients of a receiver: what one of them reads serves the others as well."""

    def __init__(self) -> None:
        self._book = WishBook()
        self._calls = 0
        self._pages_under_way: set[int] = set()
        self._pages = 1  # as the gateway said last
        self._pages_read: set[int] = set()
        self._watched: frozenset[str] = frozenset()
        self._lacks: dict[str, _Lack] = {}
        self.untold: list[UntoldPart] = []
        """What was given up; whoever shows it takes it out."""

    @property
    def waiting(self) -> int:
        """Snapshots that are not whole."""
        return len(self._book.wishes)

    # What is wanted

    def watch(self, users: frozenset[str]) -> None:
        """Everybody whom the plan gives to this receiver: pages are remembered of nobody else."""
        self._watched = users
        self._book.keep_places(users)

    def want(self, slot: Slot, session: int, users: Iterable[str]) -> None:
        """These and no others of the slot. A call that was made before does not tell a new session,
        nor of whom it did not want then."""
        held = self._book.wishes.get(slot)
        before = dict(held.since) if held is not None and held.session == session else {}
        asked = set(held.since) if held is not None else set()
        since = {user: before.get(user, self._calls) for user in users}
        if held is not None and held.session != session:
            self._book.drop(slot)  # it stands behind those that have waited for longer
        if self._lacks:  # what an earlier session was told says nothing in this one
            self._forget_lacks((asked - since.keys()) | (since.keys() - before.keys()))
        if since:
            self._book.want(slot, session, since)
        else:
            self.stop(slot)

    def stop(self, slot: Slot) -> None:
        self._forget_lacks(self._book.drop(slot))

    def _forget_lacks(self, users: Iterable[str]) -> None:
        for user in users:
            self._forget_lack(user)

    def _forget_lack(self, user: str) -> None:
        if self._lacks.pop(user, None) is not None:
            self._book.take_back(user)

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
        book = self._book
        own = [wish for slot, wish in book.wishes.items() if slot.client == client]
        oldest = next((wish for wish in own if wish.open), None)
        if oldest is None:
            return None
        ids = tuple(islice((user for wish in own for user in wish.open), USERS_BY_ID_MAX))
        best = max(oldest.pages, key=lambda page: (book.open_on[page], -page), default=None)
        if best is not None and book.open_on[best] > len(ids):
            return self._ask(best, ())
        is_anybody_lost = any(book.page_of(user) is None for user in ids)
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
        if not self._lacks:
            return
        for slot, wish in self._book.wishes.items():
            if slot.client == client:
                for user in self._book.waiting_aside(wish):
                    yield user, self._lacks[user]

    def _is_worth_reading_on(self) -> bool:
        """Whether the pages that we have never read hold more of ours than as many calls by id."""
        unread = self._pages - len(self._pages_read)
        unplaced = len(self._watched) - self._book.placed
        return unread > 0 and unplaced > unread * USERS_BY_ID_MAX

    def _ask(self, page: int | None, ids: tuple[str, ...], part: Part | None = None) -> Call:
        self._calls += 1
        if page is not None:
            self._pages_under_way.add(page)
            self._book.asked(self._calls, self._book.open_users_on(page))
        else:
            self._book.asked(self._calls, ids)
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
        heard_of: dict[Slot, list[str]] = {}
        for user in found if call.page is not None else call.ids:
            for slot in self._book.slots_of(user):
                if self._book.wishes[slot].since[user] < call.number:
                    heard_of.setdefault(slot, []).append(user)
        for slot, heard in heard_of.items():
            wish, whole, partly = self._book.wishes[slot], list[str](), list[str]()
            for user in heard:
                missing = self._missing(call, user, found, lacking or {})
                if self._is_over(user, missing, now_s):
                    self._book.fulfil(slot, wish, user)
                    self._forget_lack(user)
                    whole.append(user)
                else:
                    partly.append(user)
            told.append(AnsweredUsers(slot, wish.session, tuple(whole), tuple(partly)))
            if not wish.since:
                self._book.drop(slot)
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
        self._book.set_aside(user)
        return False

    def failed(self, call: Call) -> None:
        """It is to be asked again."""
        self._over(call)

    def _over(self, call: Call) -> None:
        self._pages_under_way.discard(call.page or 0)
        self._book.over(call.number)

    def _learn(self, page: int, found: Collection[str], pages: int) -> None:
        self._book.learn(page, [user for user in found if user in self._watched])
        self._pages = max(pages, 1)
        self._pages_read.add(page)
        self._pages_read &= set(range(1, self._pages + 1))
