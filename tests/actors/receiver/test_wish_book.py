"""What is counted as it changes is what a look at everybody would count."""

from __future__ import annotations

import time
from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.genesys.channel_plan import EMPTY, Slot, plan
from actors.receiver.snapshot_scheduler import SnapshotScheduler
from actors.receiver.wish_book import WishBook

USERS = tuple("abcdefgh")
SLOTS = (Slot(0, 0), Slot(0, 1), Slot(1, 0))
users = st.sets(st.sampled_from(USERS))
slots = st.sampled_from(SLOTS)
pages = st.integers(1, 3)


class Books(RuleBasedStateMachine):
    """Beside the book the plain facts that it counts."""

    def __init__(self) -> None:
        super().__init__()
        self.book = WishBook()
        self.calls = 0
        self.since: dict[Slot, dict[str, int]] = {}
        self.under_way: dict[str, int] = {}
        self.open_calls: list[int] = []
        self.page_of: dict[str, int] = {}
        self.aside: set[str] = set()

    def is_open(self, slot: Slot, user: str) -> bool:
        is_asked = self.under_way.get(user, 0) > self.since[slot][user]
        return not is_asked and user not in self.aside

    @rule(slot=slots, wanted=users)
    def want(self, slot: Slot, wanted: set[str]) -> None:
        before = self.since.get(slot, {})
        since = {user: before.get(user, self.calls) for user in sorted(wanted)}
        self.since[slot] = since
        self.book.want(slot, 1, since)

    @rule(slot=slots)
    def drop(self, slot: Slot) -> None:
        assert set(self.book.drop(slot)) == set(self.since.pop(slot, {}))

    @rule(slot=slots, user=st.sampled_from(USERS))
    def fulfil(self, slot: Slot, user: str) -> None:
        if user in self.since.get(slot, {}):
            self.book.fulfil(slot, self.book.wishes[slot], user)
            del self.since[slot][user]

    @rule(asked=users)
    def ask(self, asked: set[str]) -> None:
        self.calls += 1
        self.open_calls.append(self.calls)
        self.under_way.update(dict.fromkeys(asked, self.calls))
        self.book.asked(self.calls, sorted(asked))

    @rule(number=st.integers(0, 5))
    def over(self, number: int) -> None:
        if self.open_calls:
            call = self.open_calls.pop(number % len(self.open_calls))
            self.book.over(call)
            self.under_way = {user: at for user, at in self.under_way.items() if at != call}

    @rule(page=pages, found=users)
    def learn(self, page: int, found: set[str]) -> None:
        self.book.learn(page, sorted(found))
        kept = {user: at for user, at in self.page_of.items() if at != page}
        self.page_of = kept | dict.fromkeys(found, page)

    @rule(kept=users)
    def keep_places(self, kept: set[str]) -> None:
        self.book.keep_places(frozenset(kept))
        self.page_of = {user: page for user, page in self.page_of.items() if user in kept}

    @rule(user=st.sampled_from(USERS), is_aside=st.booleans())
    def set_aside(self, user: str, is_aside: bool) -> None:
        if is_aside:
            self.book.set_aside(user)
            self.aside.add(user)
        else:
            self.book.take_back(user)
            self.aside.discard(user)

    @invariant()
    def counts_as_a_look_at_everybody_does(self) -> None:
        open_on: Counter[int] = Counter()
        assert self.book.wishes.keys() == self.since.keys()
        for slot, since in self.since.items():
            wish, on = self.book.wishes[slot], Counter[int]()
            assert wish.since == since
            assert set(wish.open) == {user for user in since if self.is_open(slot, user)}
            on.update(self.page_of[user] for user in wish.open if user in self.page_of)
            assert wish.pages == on
            open_on += on
            waiting = {user for user in since if user in self.aside}
            waiting = {user for user in waiting if self.under_way.get(user, 0) <= since[user]}
            assert set(self.book.waiting_aside(wish)) == waiting
        assert self.book.open_on == open_on
        assert self.book.placed == len(self.page_of)
        for page in (1, 2, 3):
            standing = {user for user, at in self.page_of.items() if at == page}
            wanted = {u for u in standing for s in self.since if u in self.since[s]}
            wanted = {
                user
                for user in wanted
                if any(self.is_open(s, user) for s in self.since if user in self.since[s])
            }
            assert set(self.book.open_users_on(page)) == wanted


TestBooks = Books.TestCase
TestBooks.settings = settings(deadline=None, max_examples=60, stateful_step_count=30)


def test_a_resync_of_a_hundred_thousand_is_decided_in_seconds() -> None:
    """It took half a minute of the receiver's one thread, in which it read no socket."""
    everybody = [f"u{number:06}" for number in range(100_000)]
    planned, scheduler, calls = plan(EMPTY, everybody, 6), SnapshotScheduler(), 0
    scheduler.watch(frozenset(everybody))
    began_s = time.process_time()
    for slot, agents in planned.slots.items():
        scheduler.want(slot, 1, agents)
    while scheduler.waiting:
        for client in range(6):
            call = scheduler.next_call(client)
            if call is not None:
                assert call.page is not None
                calls += 1
                found = everybody[(call.page - 1) * 500 : call.page * 500]
                scheduler.answered(call, found, 200)
    assert calls == 200
    assert time.process_time() - began_s < 8.0
