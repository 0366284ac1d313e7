"""What an answer to a change means: nothing but the wanted presence with its time is *applied*."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.genesys.definitions import Definition
from actors.genesys.times import iso_ms
from actors.sender.presence_answer import (
    SHOWN_LATER,
    SHOWN_SINCE,
    Applied,
    Meaning,
    NotPrimary,
    Pending,
    Unclear,
    is_in,
    meaning_of,
    modified_us,
)

MEAL = Definition("d-meal", "MEAL", "Meal", ("Meal",), True)
ASKED_US = 1_795_298_400_000_000
IN_MEAL, ON_QUEUE = {"id": "d-meal", "systemPresence": "Meal"}, {"id": "d-queue"}
AT = {"modifiedDate": iso_ms(ASKED_US + 200_000)}


def meaning(answer: object, ahead_us: int | None = 0) -> Meaning:
    return meaning_of(answer, "u1", MEAL, ASKED_US, ahead_us)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"id": "U1", "source": "PURECLOUD", "primary": True, "message": None},
        {"futurePresenceDefinition": ON_QUEUE},
        {"futurePresenceDefinition": None, "primary": None},
        {"presenceDefinition": {"id": "D-MEAL"}},
    ],
)
def test_the_wanted_presence_with_its_time_is_applied(more: dict[str, Any]) -> None:
    answer = {"presenceDefinition": IN_MEAL, **AT, **more}
    assert meaning(answer) == Applied(f"presence@{ASKED_US + 200_000}")


def test_what_is_to_come_is_pending_since_it_was_requested() -> None:
    answer = {"presenceDefinition": ON_QUEUE, "futurePresenceDefinition": IN_MEAL, **AT}
    found = meaning(answer, 10_000_000)
    assert isinstance(found, Pending)
    assert found.is_future
    assert found.shown_as.startswith(f"{SHOWN_LATER}{ASKED_US + 8_000_000}: the agent is in")
    unknown_clock = meaning(answer, None)
    assert isinstance(unknown_clock, Pending)
    assert unknown_clock.shown_as.startswith(f"{SHOWN_LATER}{ASKED_US + 200_000}:")


@pytest.mark.parametrize(
    "date",
    [None, "", 7, [], "today", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999-05:00x"],
)
def test_the_wanted_presence_without_a_time_is_not_applied_but_waited_for(date: object) -> None:
    for answer in (
        {"presenceDefinition": IN_MEAL, "modifiedDate": date},
        {"presenceDefinition": IN_MEAL},
    ):
        found = meaning(answer)
        assert isinstance(found, Pending)
        assert not found.is_future
        assert found.shown_as.startswith(f"{SHOWN_SINCE}{ASKED_US - 2_000_000}:")


def test_a_presence_of_before_the_request_is_not_that_change() -> None:
    before = {"presenceDefinition": IN_MEAL, "modifiedDate": iso_ms(ASKED_US - 60_000_000)}
    found = meaning(before)
    assert isinstance(found, Pending)
    assert "before it was requested" in found.shown_as
    assert isinstance(meaning(before, None), Applied), "nobody knows whose clock is wrong"
    assert isinstance(meaning(before, -60_000_000), Applied), "by the gateway's clock it is new"


@pytest.mark.parametrize("primary", [False, "false", "False"])
@pytest.mark.parametrize("presence", [IN_MEAL, ON_QUEUE, None])
def test_a_source_that_is_not_primary_is_said(primary: object, presence: object) -> None:
    answer = {"id": "u1", "primary": primary, "presenceDefinition": presence, **AT}
    found = meaning(answer | {"futurePresenceDefinition": IN_MEAL})
    assert isinstance(found, NotPrimary)
    assert "another presence source is the primary one" in found.reason


@pytest.mark.parametrize(
    "answer",
    [
        None, [], [{"presenceDefinition": IN_MEAL, **AT}], "Meal", 7, True, {},
        {"presenceDefinition": None, **AT},
        {"presenceDefinition": "d-meal", **AT},
        {"presenceDefinition": [IN_MEAL], **AT},
        {"presenceDefinition": {"systemPresence": "Meal"}, **AT},
        {"presenceDefinition": {"id": None}, **AT},
        {"presenceDefinition": {"id": ["d-meal"]}, **AT},
        {"presenceDefinition": ON_QUEUE, **AT},
        {"presenceDefinition": ON_QUEUE, "futurePresenceDefinition": {"id": "d-break"}, **AT},
        {"presenceDefinition": ON_QUEUE, "futurePresenceDefinition": "d-meal", **AT},
        {"id": "u2", "presenceDefinition": IN_MEAL, **AT},
        {"id": 7, "presenceDefinition": IN_MEAL, **AT},
        {"id": "u2", "presenceDefinition": ON_QUEUE, "futurePresenceDefinition": IN_MEAL},
        {"error": "no", "status": 500},
    ],
)  # fmt: skip
def test_any_other_answer_says_nothing(answer: object) -> None:
    assert isinstance(meaning(answer), Unclear)


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=5),
    st.sampled_from(["u1", "u2", "d-meal", "2026-11-21T22:00:00Z", "0001-01-01T00:00:00+14:00"]),
    st.sampled_from([IN_MEAL, ON_QUEUE, {}, [], [IN_MEAL]]),
)
FIELDS = st.sampled_from(
    ["id", "primary", "presenceDefinition", "futurePresenceDefinition", "modifiedDate", "source"]
)


@given(st.one_of(ODD, st.dictionaries(FIELDS, ODD)), st.one_of(st.none(), st.integers()))
def test_whatever_comes_is_judged_and_applied_only_if_it_shows_the_wanted_presence(
    answer: object, ahead_us: int | None
) -> None:
    found = meaning(answer, ahead_us)
    if isinstance(found, Applied):
        assert isinstance(answer, dict)
        assert is_in(answer, MEAL)
        assert found.shown_as == f"presence@{modified_us(answer)}"
