"""A presence of the cloud is told by what it shows and when, whatever was before the question."""

from __future__ import annotations

import pytest

from actors.genesys.presences import PRESENCE_OF_STATE
from actors.messages.queries import WATCH_LEASE_S, TransitionSeen, Watch, is_shown_by
from actors.shard.agent_table import AgentTable, Correlated
from actors.shard.replies import Replies

MEAL = Watch("ann", "future>100", "d-meal", 100)


def seen(at_us: int, definition: str = "d-meal", user_id: str = "ann") -> Correlated:
    presence = f"presence@{at_us}"
    return Correlated(user_id, presence, "Not Available", "break", at_us, definition)


def ask(replies: Replies, watch: Watch, now_s: float = 0.0) -> list[TransitionSeen]:
    answers = list(replies.answer([watch], AgentTable(), None, now_s))
    return [each for each in answers if isinstance(each, TransitionSeen)]


def test_what_comes_is_told_once_and_again_if_it_is_asked_for_again() -> None:
    replies = Replies(PRESENCE_OF_STATE)
    assert ask(replies, MEAL) == []
    assert replies.note([seen(99), seen(150, "d-busy"), seen(150, user_id="bob")]) == []
    assert ask(replies, MEAL, 1.0) == []
    [told] = replies.note([seen(151, "D-Meal"), seen(160, "d-busy")])
    assert (told.correlation, told.definition, replies.watches) == ("presence@151", "D-Meal", 0)
    assert replies.note([seen(170)]) == [], "nobody waits for it any more"
    assert ask(replies, MEAL, 2.0) == [told], "the answer was lost"


def test_a_watch_of_another_range_under_the_same_name_is_another_one() -> None:
    replies = Replies(PRESENCE_OF_STATE)
    replies.note([seen(50)])
    assert ask(replies, MEAL) == []
    assert len(ask(replies, MEAL._replace(since_us=50))) == 1
    assert ask(replies, MEAL._replace(since_us=10, until_us=49)) == []
    replies.forget_unrenewed(WATCH_LEASE_S + 1.0)
    assert replies.watches == 0


def test_two_commands_of_one_agent_are_answered_by_one_change() -> None:
    replies = Replies(PRESENCE_OF_STATE)
    later = MEAL._replace(correlation="presence@120", since_us=119, until_us=121)
    assert ask(replies, MEAL) + ask(replies, later) == []
    assert len(replies.note([seen(130)])) == 1
    assert replies.watches == 1, "the other one waits for another time"


@pytest.mark.parametrize(
    ("correlation", "definition", "is_it"),
    [
        ("presence@100", "d-meal", True),
        ("presence@99", "d-meal", False),
        ("presence@-100", "d-meal", False),
        ("presence@", "d-meal", False),
        ("100", "d-meal", True),
        ("presence@soon", "d-meal", False),
        ("presence@100", "", False),
        ("presence@100", "d-mea", False),
        ("future>100", "d-meal", False),
    ],
)
def test_both_definition_and_time_must_fit(correlation: str, definition: str, is_it: bool) -> None:
    shown = TransitionSeen(correlation, "ann", "Not Available", None, 0, definition)
    assert is_shown_by(MEAL, shown) is is_it
