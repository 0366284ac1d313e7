"""CSV cells: no spreadsheet takes the text of others for a formula, and nothing of it is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.cli.csv_cells import GUARD, guarded


@pytest.mark.parametrize(
    "text",
    [
        "=HYPERLINK(1)", "+1", "-1", "@SUM(1)", "|calc", "%0A=1", "\t=1", "\r=1", "\n", " =1",
        "\xa0=1", "\u200b=1", "\u202e=1", "\ufeff=1", "\x00=1", "\uff1d1", "\uff0b1",
        "\uff201", "\ufe631", "\u2028=1", "'=1", "'", "\ud800=1", "\u0301=1",
    ],
)  # fmt: skip
def test_what_a_spreadsheet_would_run_or_hide_is_text(text: str) -> None:
    assert guarded(text) == GUARD + text


@pytest.mark.parametrize("value", ["", "Talking", "2026-11-21T10:00:00.000Z", "a=b", -5, 0, None])
def test_everything_else_stays_as_it_is(value: object) -> None:
    assert guarded(value) == value


@given(st.text(alphabet=st.characters()))
def test_whoever_takes_one_apostrophe_away_has_the_text(text: str) -> None:
    written = guarded(text)
    assert isinstance(written, str)
    assert written.removeprefix(GUARD) == text
