"""What is asked next, and what it costs. That everybody is answered for: the model's test."""

from __future__ import annotations

import random

from actors.genesys.channel_plan import EMPTY, Limits, Slot, plan
from actors.receiver.snapshot_scheduler import AnsweredUsers, Call, SnapshotScheduler

PER_PAGE = 500


def users_of(count: int) -> list[str]:
    return [f"u{number:05}" for number in range(count)]


class Organisation:
    """Its pages; `calls`: what was asked of it."""

    def __init__(self, users: list[str]) -> None:
        self.users = users
        self.calls: list[Call] = []

    def answer(self, scheduler: SnapshotScheduler, call: Call) -> list[AnsweredUsers]:
        self.calls.append(call)
        pages = -(-len(self.users) // PER_PAGE)
        if call.page is None:
            return scheduler.answered(call, [user for user in call.ids if user in self.users])
        found = self.users[(call.page - 1) * PER_PAGE : call.page * PER_PAGE]
        return scheduler.answered(call, found, pages)

    def serve(self, scheduler: SnapshotScheduler, clients: int = 1) -> int:
        """Until nothing is wanted any more; how many calls that took."""
        before = len(self.calls)
        while scheduler.waiting:
            for client in range(clients):
                if (call := scheduler.next_call(client)) is not None:
                    self.answer(scheduler, call)
        return len(self.calls) - before


def desk_with(places: dict[Slot, frozenset[str]]) -> SnapshotScheduler:
    scheduler = SnapshotScheduler()
    scheduler.watch(frozenset(user for users in places.values() for user in users))
    return scheduler


def want_all(
    scheduler: SnapshotScheduler, places: dict[Slot, frozenset[str]], session: int
) -> None:
    for slot, users in places.items():
        scheduler.want(slot, session, sorted(users))


def test_all_channels_at_once_cost_one_pass_over_all_users() -> None:
    users = users_of(20_000)
    places = dict(plan(EMPTY, users, 2).slots)
    organisation, scheduler = Organisation(users), desk_with(places)
    want_all(scheduler, places, 1)
    assert organisation.serve(scheduler, clients=2) == 40
    want_all(scheduler, places, 2)
    assert organisation.serve(scheduler, clients=2) == 40


def test_one_channel_costs_the_pages_that_its_agents_stand_on() -> None:
    users = users_of(20_000)
    places = dict(plan(EMPTY, users, 2).slots)
    organisation, scheduler = Organisation(users), desk_with(places)
    want_all(scheduler, places, 1)
    organisation.serve(scheduler, clients=2)
    costs = []
    for slot, members in places.items():
        scheduler.want(slot, 2, sorted(members))
        costs.append(organisation.serve(scheduler, clients=2))
    assert max(costs) == 3


def test_agents_who_are_scattered_over_all_pages_are_asked_for_by_id_until_pages_pay() -> None:
    users = users_of(20_000)
    mixed = random.Random(5).sample(users, len(users))
    places = dict(plan(EMPTY, mixed, 1, 1, Limits(channels_per_client_max=22)).slots)
    organisation, scheduler = Organisation(users), desk_with(places)
    want_all(scheduler, places, 1)
    assert organisation.serve(scheduler) == 40
    slots = list(places)
    scheduler.want(slots[0], 2, sorted(places[slots[0]]))
    assert organisation.serve(scheduler) == 10
    want_all(scheduler, places, 3)
    assert organisation.serve(scheduler) == 40


def test_a_few_agents_of_a_large_organisation_are_not_looked_for_on_its_pages() -> None:
    users = users_of(20_000)
    slot = Slot(0, 0)
    places = {slot: frozenset(users[::40])}
    organisation, scheduler = Organisation(users), desk_with(places)
    scheduler.want(slot, 1, sorted(places[slot]))
    assert organisation.serve(scheduler) <= 6
    assert sum(call.page is not None for call in organisation.calls) <= 1


def test_whoever_is_not_on_their_page_any_more_is_asked_for_by_id() -> None:
    users = users_of(1_000)
    slot = Slot(0, 0)
    organisation, scheduler = Organisation(users), desk_with({slot: frozenset(users)})
    scheduler.want(slot, 1, users)
    organisation.serve(scheduler)
    organisation.users = ["a newcomer", *users[1:600], *users[601:]]
    scheduler.want(slot, 2, users)
    organisation.serve(scheduler)
    assert organisation.calls[-1].ids == (users[0], users[600])


def test_the_oldest_wish_of_a_client_is_served_first() -> None:
    users = users_of(200)
    scheduler = desk_with({Slot(0, 0): frozenset(users)})
    scheduler.want(Slot(0, 0), 1, users[:60])
    scheduler.want(Slot(0, 1), 2, users[60:120])
    scheduler.want(Slot(0, 0), 3, users[:60])  # anew: it stands behind the other
    page = scheduler.next_call(0)
    assert page is not None
    assert page.page == 1  # nobody knows yet where they stand
    scheduler.answered(page, (), 1)
    call = scheduler.next_call(0)
    assert call is not None
    assert call.ids == (*users[60:120], *users[:40])


def test_an_answer_says_nothing_of_whom_nobody_wanted_when_it_was_asked_for() -> None:
    slot = Slot(0, 0)
    scheduler = desk_with({slot: frozenset("ab")})
    scheduler.want(slot, 1, "a")
    call = scheduler.next_call(0)
    assert call is not None
    scheduler.want(slot, 1, "ab")
    assert scheduler.answered(call, "a") == [AnsweredUsers(slot, 1, ("a",))]
    call = scheduler.next_call(0)
    assert call is not None
    assert call.ids == ("b",)
    scheduler.want(slot, 2, "b")
    assert scheduler.answered(call, "b") == []
    assert scheduler.waiting == 1


def test_nobody_is_asked_for_twice_at_once() -> None:
    users = users_of(150)
    slot = Slot(0, 0)
    scheduler = desk_with({slot: frozenset(users)})
    scheduler.want(slot, 1, users)
    page = scheduler.next_call(0)
    assert page is not None
    assert scheduler.next_call(0) is None, "the page may tell of everybody"
    scheduler.answered(page, (), 1)
    calls = [scheduler.next_call(0), scheduler.next_call(0)]
    assert [each.ids for each in calls if each] == [tuple(users[:100]), tuple(users[100:])]
    assert scheduler.next_call(0) is None
    assert calls[1] is not None
    scheduler.failed(calls[1])
    again = scheduler.next_call(0)
    assert again is not None
    assert again.ids == tuple(users[100:])


def test_a_page_that_everybody_has_left_is_not_asked_for_again() -> None:
    mine, others = Slot(0, 0), Slot(1, 0)
    organisation = Organisation(users_of(300))
    scheduler = desk_with({mine: frozenset(organisation.users)})
    scheduler.want(mine, 1, organisation.users)
    organisation.serve(scheduler)
    left = organisation.users[:2]
    organisation.users = []
    scheduler.want(mine, 2, left)
    scheduler.want(others, 3, ["u00007"])
    page = scheduler.next_call(0)
    assert page is not None
    assert page.page == 1
    organisation.answer(scheduler, page)
    call = scheduler.next_call(0)
    assert call is not None
    assert call.ids == tuple(left)
