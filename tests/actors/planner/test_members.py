"""Who belongs to which queue, out of the listings of all queues."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.messages.queues import queues_text
from actors.planner.members import QueueMembers, joined, joined_of

USERS, QUEUES = "abcde", ("q1", "q2", "q3")


def test_who_has_left_a_queue_does_not_belong_to_it_and_what_is_not_told_is_no_leaving() -> None:
    entities: list[dict[str, object]] = [
        {"id": "a", "joined": True},
        {"id": "b", "joined": False},
        {"id": "c"},
        {"id": "d", "joined": None},
    ]
    assert list(joined_of(entities)) == ["a", "c", "d"]


@given(st.dictionaries(st.sampled_from(QUEUES), st.sets(st.sampled_from(USERS))))
def test_each_user_has_each_queue_that_lists_them(there: dict[str, set[str]]) -> None:
    members = {queue: QueueMembers(tuple(users), is_exact=True) for queue, users in there.items()}
    found = joined(members, dict.fromkeys(USERS, "gone"), frozenset())
    assert found.missed == frozenset()
    wanted = {user: sorted(q for q in there if user in there[q]) for user in USERS}
    assert found.memberships == {user: queues for user, queues in wanted.items() if queues}


def test_of_a_listing_of_several_pages_gone_is_who_is_missing_twice() -> None:
    members = {"q1": QueueMembers(("a",), is_exact=False), "q2": QueueMembers((), is_exact=True)}
    held = {"a": queues_text(["q1"]), "b": queues_text(["q1", "q2"]), "c": None}
    first = joined(members, held, frozenset())
    assert first.memberships == {"a": ["q1"], "b": ["q1"]}
    again = joined(members, {"b": queues_text(["q1"])}, first.missed)
    assert again.memberships == {"a": ["q1"]}
