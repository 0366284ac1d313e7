"""The channel plan: nobody twice, no limit passed, nobody moved without need or cut silently."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.genesys.channel_plan import (
    EMPTY,
    ChannelChange,
    ChannelPlan,
    Limits,
    Slot,
    changes,
    plan,
    slot_of,
)

SMALL = Limits(topics_per_channel_max=5, channels_per_client_max=3)

agents = st.lists(st.integers(0, 60).map("u{}".format), max_size=50)
topics = st.sampled_from([1, 2])
steps = st.lists(st.tuples(agents, st.integers(0, 4), topics), min_size=1, max_size=6)


def held(
    limits: Limits, users: list[str], clients: int, per_agent: int, after: ChannelPlan
) -> None:
    """What must hold of every plan, whatever was before."""
    places = [user for members in after.slots.values() for user in members]
    assert len(places) == len(set(places))
    assert set(places) | after.unmonitored == set(users)
    assert not set(places) & after.unmonitored
    room = limits.topics_per_channel_max // per_agent
    for slot, members in after.slots.items():
        assert 0 < len(members) <= room
        assert 0 <= slot.client < clients
        assert 0 <= slot.slot < limits.channels_per_client_max
    capacity = clients * limits.channels_per_client_max * room
    assert len(after.unmonitored) == max(0, len(set(users)) - capacity)
    assert after.clients_needed == -(-len(set(users)) // (limits.channels_per_client_max * room))
    assert bool(after.unmonitored) == (after.clients_needed > clients)


@settings(deadline=None)
@given(steps)
def test_nobody_is_twice_in_it_no_limit_is_passed_and_who_has_no_room_is_said(
    course: list[tuple[list[str], int, int]],
) -> None:
    now = EMPTY
    for users, clients, per_agent in course:
        now = plan(now, users, clients, per_agent, SMALL)
        held(SMALL, users, clients, per_agent, now)


@settings(deadline=None)
@given(agents, agents, st.integers(1, 4), topics)
def test_joins_and_leaves_move_nobody(
    first: list[str], second: list[str], clients: int, per_agent: int
) -> None:
    before = plan(EMPTY, first, clients, per_agent, SMALL)
    after = plan(before, second, clients, per_agent, SMALL)
    places = after.places()
    for user, slot in before.places().items():
        assert places.get(user, slot) == slot
        assert (user in places) == (user in second)


@settings(deadline=None)
@given(agents, st.integers(1, 4), st.integers(1, 4), topics)
def test_a_client_more_moves_nobody_and_a_client_less_only_its_own(
    users: list[str], clients: int, then: int, per_agent: int
) -> None:
    before = plan(EMPTY, users, clients, per_agent, SMALL)
    places = plan(before, users, then, per_agent, SMALL).places()
    for user, slot in before.places().items():
        if slot.client < then:
            assert places[user] == slot


@settings(deadline=None)
@given(agents, st.integers(0, 4), topics, st.randoms())
def test_the_same_roster_in_another_order_changes_nothing(
    users: list[str], clients: int, per_agent: int, rng: object
) -> None:
    before = plan(EMPTY, users, clients, per_agent, SMALL)
    again = list(users)
    rng.shuffle(again)  # type: ignore[attr-defined]  # of a random.Random
    after = plan(before, again, clients, per_agent, SMALL)
    assert after.slots == before.slots
    assert changes(before, after) == {}


@settings(deadline=None)
@given(agents, agents, st.integers(1, 4))
def test_the_changes_lead_from_one_plan_to_the_next(
    first: list[str], second: list[str], clients: int
) -> None:
    before = plan(EMPTY, first, clients, 1, SMALL)
    after = plan(before, second, clients, 1, SMALL)
    led = {slot: set(users) for slot, users in before.slots.items()}
    for slot, change in changes(before, after).items():
        members = led.setdefault(slot, set())
        assert change.joined or change.left
        assert change.left <= members
        assert not change.joined & members
        members -= change.left
        members |= change.joined
    assert {slot: users for slot, users in led.items() if users} == after.slots


def test_20_000_agents_are_22_channels_of_two_clients_11_each() -> None:
    whole = plan(EMPTY, [f"u{n}" for n in range(20_000)], clients=2)
    assert (len(whole.slots), whole.clients_needed, whole.unmonitored) == (22, 2, frozenset())
    assert {slot.client for slot in whole.slots} == {0, 1}
    assert sum(slot.client for slot in whole.slots) == 11


def test_100_000_agents_are_106_channels_of_6_clients() -> None:
    whole = plan(EMPTY, [f"u{n}" for n in range(100_000)], clients=6)
    assert (len(whole.slots), whole.clients_needed, whole.unmonitored) == (106, 6, frozenset())


def test_too_few_clients_leave_the_last_unmonitored_and_say_how_many_are_needed() -> None:
    users = [f"u{n:02}" for n in range(40)]
    short = plan(EMPTY, users, clients=1, limits=SMALL)
    assert short.unmonitored == frozenset(users[15:])
    assert short.clients_needed == 3
    assert plan(short, users, clients=3, limits=SMALL).unmonitored == frozenset()


def test_a_leaver_makes_room_for_somebody_unmonitored() -> None:
    users = [f"u{n:02}" for n in range(16)]
    short = plan(EMPTY, users, clients=1, limits=SMALL)
    after = plan(short, users[1:], clients=1, limits=SMALL)
    assert changes(short, after) == {
        Slot(0, 0): ChannelChange(frozenset({"u15"}), frozenset({"u00"})),
    }


def test_a_channel_that_nobody_is_left_on_is_gone_and_its_slot_is_used_again() -> None:
    users = [f"u{n:02}" for n in range(11)]
    before = plan(EMPTY, users, clients=1, limits=SMALL)
    after = plan(before, [*users[:5], *users[10:]], clients=1, limits=SMALL)
    assert set(after.slots) == {Slot(0, 0), Slot(0, 2)}
    full = [*users[:5], *users[10:], "v1", "v2", "v3", "v4", "v5"]
    assert set(plan(after, full, clients=1, limits=SMALL).slots) == {
        Slot(0, 0),
        Slot(0, 1),
        Slot(0, 2),
    }


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(0, 17))
def test_a_scope_names_its_slot(client: int, number: int) -> None:
    slot = Slot(client, number)
    assert slot_of(slot.scope) == slot


@pytest.mark.parametrize("scope", ["all", "", "c/", "c1/", "c1", "1/2", "c-1/2", "c1/2/3", "cc1/2"])
def test_another_text_is_no_scope(scope: str) -> None:
    with pytest.raises(ValueError, match="not the scope"):
        slot_of(scope)
