"""Profiles: what an answer tells of who an agent is, and what that changes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.genesys.agent_profile import (
    PROFILE_FIELDS,
    SKILLS_MAX,
    TEXT_CHARS_MAX,
    USUAL_FIELDS,
    ProfileField,
    gone,
    manager_of,
    parts_of,
    profile_in,
    shown,
    told_of,
    unknown,
    with_news,
)

BOSS = "8B67E4D1-9758-4285-8C45-B49FEDFF3F99"
ANN: dict[str, Any] = {
    "id": "a",
    "name": "Ann",
    "username": "ann@example.test",
    "email": "ann@mail.test",
    "division": {"id": "d1", "name": "Home", "selfUri": "/…"},
    "manager": {"id": BOSS, "selfUri": "/…"},
    "title": "  Team \n Lead ",
    "skills": [{"id": "s1", "name": "Level 2", "proficiency": 3, "state": "active"}],
}
TOLD = {
    "user_name": "ann@example.test",
    "email": "ann@mail.test",
    "division": {"id": "d1", "name": "Home"},
    "manager": {"id": BOSS.lower(), "name": None},
    "title": "Team Lead",
    "skills": [{"name": "Level 2", "proficiency": 3.0}],
}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)


def test_all_that_is_told_of_a_user_is_taken_in_one_spelling() -> None:
    assert told_of(ANN, PROFILE_FIELDS) == TOLD


@pytest.mark.parametrize("field", PROFILE_FIELDS)
def test_a_field_that_is_left_out_is_not_read(field: ProfileField) -> None:
    assert told_of(ANN, {field}) == {field: TOLD[field]}
    assert field not in told_of(ANN, set(PROFILE_FIELDS) - {field})
    assert told_of(ANN, ()) == {}


def test_skills_are_asked_for_only_where_they_are_kept() -> None:
    assert parts_of(USUAL_FIELDS) == ()
    assert parts_of(PROFILE_FIELDS) == ("skills",)


def test_a_member_of_a_queue_has_its_user_within() -> None:
    member = {"id": "a", "name": "Ann", "user": {**ANN, "id": "a"}, "joined": True}
    assert told_of(member, PROFILE_FIELDS) == TOLD


def test_who_is_listed_by_id_and_name_alone_tells_nothing() -> None:
    assert told_of({"id": "a", "name": "Ann"}, PROFILE_FIELDS) == {}
    assert told_of({"id": "a", "division": {"id": "d1"}}, PROFILE_FIELDS) == {
        "division": {"id": "d1", "name": None}
    }


def test_a_whole_user_without_a_title_has_none_and_skills_are_not_told() -> None:
    told = told_of({"id": "a", "username": "ann"}, PROFILE_FIELDS)
    assert told == {
        "user_name": "ann", "email": None, "division": None, "manager": None, "title": None
    }  # fmt: skip
    assert gone(TOLD, told) == ["email", "division", "manager", "title"]
    assert with_news(TOLD, told) == {"user_name": "ann", "skills": TOLD["skills"]}
    assert with_news(TOLD, told, {"email"})["email"] == "ann@mail.test"
    assert "title" not in with_news({}, told, {"title"})


def test_what_is_long_is_cut() -> None:
    many = [{"name": f"s{number}", "proficiency": 1.0} for number in range(SKILLS_MAX + 1)]
    told = told_of({**ANN, "title": "x" * 5_000, "skills": many}, PROFILE_FIELDS)
    assert len(told["title"]) == TEXT_CHARS_MAX
    assert len(told["skills"]) == SKILLS_MAX


@given(
    st.dictionaries(
        st.sampled_from(
            ["username", "email", "division", "manager", "title", "skills", "user", "name"]
        ),
        json_values
        | st.fixed_dictionaries({"id": json_values, "name": json_values})
        | st.lists(st.fixed_dictionaries({"name": json_values, "proficiency": json_values})),
    )
)
def test_whatever_stands_in_an_answer_what_is_told_can_be_kept_and_shown(
    entity: dict[str, Any],
) -> None:
    told = told_of({**entity, "id": "a"}, PROFILE_FIELDS)
    assert told.keys() <= set(PROFILE_FIELDS)
    kept = profile_in(orjson.dumps(with_news({}, told)).decode())
    assert kept == with_news({}, told)
    assert shown(kept, "Boss").keys() == set(PROFILE_FIELDS)


def test_a_manager_is_named_as_the_roster_has_it_or_as_it_was_told() -> None:
    profile = {"manager": {"id": "b", "name": "Bo"}}
    assert manager_of(profile) == "b"
    assert shown(profile, "Berta")["manager"] == {"id": "b", "name": "Berta"}
    assert shown(profile, None)["manager"] == {"id": "b", "name": "Bo"}


@pytest.mark.parametrize("text", [None, "", "{", "[]", "null", '"x"', '{"manager": 7}'])
def test_what_a_file_holds_instead_of_a_profile_tells_nothing(text: str | None) -> None:
    assert manager_of(profile_in(text)) is None
    assert shown(profile_in(text), None).keys() == set(PROFILE_FIELDS)


def test_of_an_unknown_agent_every_field_is_null() -> None:
    assert unknown("a") == {"id": "a", "name": None} | dict.fromkeys(PROFILE_FIELDS)
