"""Two texts of people mean the same name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages.spelling import folded


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Cafe\u0301", "Caf\u00e9"),
        ("\u0130zinli", "izinli"),
        ("Au\u00dfer Haus", "AUSSER HAUS"),
        ("En\u00a0pause", "en pause"),
        (" Team \t Lead\n", "team lead"),
        ("\uff21\uff22", "ab"),
    ],
)
def test_a_name_is_one_however_it_is_written(one: str, other: str) -> None:
    assert folded(one) == folded(other)


def test_other_accents_and_other_letters_are_other_names() -> None:
    assert len({folded(each) for each in ("Pausé", "Pause", "Pausè", "Pa use")}) == 4


@given(st.text())
def test_what_is_folded_stays_as_it_is(text: str) -> None:
    assert folded(folded(text)) == folded(text)
