"""Connections: whoever holds many takes no place that others need."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from actors.web.connections import (
    NAME_SHARE,
    RESERVED_MAX,
    STRANGERS_SHARE,
    Connections,
)

MAX = 2_000


class Visitor(NamedTuple):
    """One connection; the number makes each another one."""

    address: str
    number: int
    is_local: bool = False


def filled(connections: Connections, address: str, count: int) -> list[Visitor]:
    visitors = [Visitor(address, number) for number in range(count)]
    for each in visitors:
        connections.enter(each)
    return visitors


def test_one_address_has_a_share_and_its_oldest_idle_one_goes_first() -> None:
    connections = Connections(MAX)
    share = MAX // STRANGERS_SHARE
    first = filled(connections, "a", share)[0]
    assert connections.enter(Visitor("a", share)) == (True, first)
    assert len(connections) == share
    assert connections.enter(Visitor("b", 0)) == (True, None)


def test_who_is_being_served_does_not_give_way_and_who_does_not_read_does() -> None:
    connections = Connections(MAX)
    visitors = filled(connections, "a", MAX // STRANGERS_SHARE)
    for each in visitors:
        connections.asks(each)
    assert connections.enter(Visitor("a", -1)) == (False, None)
    connections.rests(visitors[7])
    assert connections.enter(Visitor("a", -1)) == (True, visitors[7])


def test_some_places_are_for_this_machine_alone() -> None:
    connections = Connections(MAX)
    for number in range(MAX * 2):
        visitor = Visitor(f"10.0.{number}", number)
        if connections.enter(visitor)[0]:
            connections.asks(visitor)
    assert len(connections) == MAX - RESERVED_MAX
    for number in range(RESERVED_MAX):
        assert connections.enter(Visitor("127.0.0.1", number, is_local=True)) == (True, None)


def test_who_has_shown_a_token_gives_way_to_nobody_but_one_token_is_not_everybody() -> None:
    connections = Connections(100)
    for number in range(100):
        visitor = Visitor("127.0.0.1", number, is_local=True)
        assert connections.enter(visitor) == (True, None)
        connections.has_shown_token(visitor, "token:wall")
        connections.asks(visitor)
        connections.rests(visitor)
    has_room, gone = connections.enter(Visitor("127.0.0.1", 100, is_local=True))
    assert has_room
    assert isinstance(gone, Visitor)
    assert gone.number == 100 // NAME_SHARE


steps = st.lists(
    st.tuples(
        st.sampled_from(["enter", "asks", "rests", "token", "leave"]),
        st.integers(0, 40),
    ),
    max_size=200,
)


@given(steps, st.integers(1, 12))
def test_there_are_never_more_than_there_is_room_for_and_nothing_is_remembered_of_who_left(
    script: list[tuple[str, int]], most: int
) -> None:
    connections, inside = Connections(most), set[Visitor]()
    for what, number in script:
        visitor = Visitor(f"a{number % 4}", number, is_local=number % 4 == 0)
        if what == "enter" and visitor not in inside:
            has_room, gone = connections.enter(visitor)
            assert gone is None or (isinstance(gone, Visitor) and gone in inside)
            inside -= {gone} if isinstance(gone, Visitor) else set()
            inside |= {visitor} if has_room else set()
        elif what == "leave":
            connections.leave(visitor)
            inside.discard(visitor)
        elif visitor in inside and what == "token":
            connections.has_shown_token(visitor, f"t{number % 3}")
        elif visitor in inside:
            (connections.asks if what == "asks" else connections.rests)(visitor)
        assert len(connections) == len(inside) <= most
        of = Counter(each.address for each in inside if not each.is_local)
        assert all(count <= most for count in of.values())
    for each in inside:
        connections.leave(each)
    assert len(connections) == 0
    assert not connections._idle
    assert not connections._idle_of
    assert not connections._of_address
    assert not connections._of_name
