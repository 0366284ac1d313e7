"""An agent's queues as one text: written and read by one pair of functions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages.queues import (
    QUEUES_PER_AGENT_MAX,
    belonging,
    memberships_text,
    queues_of,
    queues_text,
)

IDS = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20), max_size=8)


@given(IDS)
def test_what_is_written_is_read_whatever_the_ids_are(queues: list[str]) -> None:
    assert queues_of(queues_text(queues)) == tuple(queues)


@given(st.text())
def test_any_text_of_an_older_file_is_some_queue(text: str) -> None:
    assert queues_of(text)


@pytest.mark.parametrize("text", ["[", "[]", "[1]", '["a"', "[Sales]", '{"a":1}'])
def test_what_only_looks_like_a_list_is_the_name_of_one(text: str) -> None:
    assert queues_of(text) == (text,)


def test_who_is_in_the_same_queues_has_the_same_text_in_whatever_order_they_were_read() -> None:
    assert memberships_text(["b", "a", "b"]) == memberships_text(["a", "b"]) == ('["a","b"]', 0)


def test_more_queues_than_are_kept_are_counted() -> None:
    text, cut = memberships_text([f"q{n:04}" for n in range(QUEUES_PER_AGENT_MAX + 3)])
    assert (len(queues_of(text)), cut) == (QUEUES_PER_AGENT_MAX, 3)


def test_memberships_decide_once_they_were_read_and_activity_until_then() -> None:
    assert belonging(None, ("q1", "q2"), is_read=False) == '["q1","q2"]'
    assert belonging("q3", ("q1",), is_read=True) == "q3"
    assert belonging(None, ("q1",), is_read=True) is None
