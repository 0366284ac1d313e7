"""Presence definitions: which one a person means."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.genesys.definitions import Definition, Definitions, NoSuchDefinition


def entity(id_: str, presence: str, kind: str = "System", **labels: str) -> dict[str, Any]:
    return {"id": id_, "type": kind, "systemPresence": presence, "languageLabels": labels}


ALL = Definitions(
    [
        entity("d-avail", "Available", en_US="Available", de="Verfügbar"),
        entity("d-queue", "OnQueue", en_US="On Queue", de="In Warteschlange"),
        entity("d-meal", "Meal", en_US="Meal", de="Mahlzeit"),
        entity("d-break", "Break", en_US="Break", de="Pause"),
        entity("d-coffee", "Break", "User", en_US="Coffee", de="Kaffee"),
        entity("d-mine", "Meal", "User", en_US="Meal", de="Pause"),
        entity("d-h1", "Meeting", "User", de="Runde"),
        entity("d-h2", "Meeting", "User", de="runde"),
        entity("d-old", "Meal", "User", en_US="Old Lunch") | {"deactivated": True},
    ]
)


@pytest.mark.parametrize(
    ("text", "id_"),
    [
        ("d-coffee", "d-coffee"),
        ("D-COFFEE", "d-coffee"),
        ("On Queue", "d-queue"),
        ("on_queue", "d-queue"),
        ("OnQueue", "d-queue"),
        ("in warteschlange", "d-queue"),
        ("VERFÜGBAR", "d-avail"),
        (" Meal ", "d-meal"),
        ("Pause", "d-break"),
        ("kaffee", "d-coffee"),
    ],
)
def test_a_definition_is_meant_by_id_by_the_systems_name_or_by_a_label(text: str, id_: str) -> None:
    meant = ALL.meant(text)
    assert isinstance(meant, Definition)
    assert meant.id == id_


def test_what_names_none_or_several_is_said_with_what_there_is() -> None:
    unknown = ALL.meant("Lunch")
    assert isinstance(unknown, NoSuchDefinition)
    assert unknown.reason == (
        "unknown presence definition 'Lunch'; expected one of Available, Break, Coffee, Meal,"
        " On Queue, Runde, runde"
    )
    for old in ("Old Lunch", "d-old"):
        assert ALL.meant(old) == NoSuchDefinition(f"the presence definition {old!r} is deactivated")
    assert ALL.meant("RUNDE") == NoSuchDefinition(
        "'RUNDE' matches 2 presence definitions; specify an id: d-h1, d-h2"
    )
    assert ALL.meant("") == ALL.meant("  ")
    assert isinstance(ALL.meant(""), NoSuchDefinition)


def test_the_label_for_people_is_the_english_one_or_any_or_the_systems_name() -> None:
    assert [each.label for each in ALL.by_id.values()] == [
        "Available", "On Queue", "Meal", "Break", "Coffee", "Meal", "Runde", "runde",
    ]  # fmt: skip
    (bare,) = Definitions([entity("d", "Busy")]).by_id.values()
    assert bare == Definition("d", "BUSY", "BUSY", (), True)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
keys = ("id", "type", "systemPresence", "languageLabels", "deactivated")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(keys, json)), max_size=5), st.text())
def test_nothing_that_a_gateway_lists_raises(entities: list[dict[str, Any]], text: str) -> None:
    definitions = Definitions(entities)
    meant = definitions.meant(text)
    assert isinstance(meant, NoSuchDefinition) or meant in definitions.by_id.values()


def test_of_more_labels_than_are_kept_the_usual_languages_are_among_those_that_are() -> None:
    labels = {f"x{number}": f"L{number}" for number in range(10_000)} | {"en_US": "Lunch"}
    meant = Definitions([entity("d-meal", "Meal", **labels)]).meant("Lunch")
    assert isinstance(meant, Definition)
    assert meant.label == "Lunch"
