"""Last words: why a child has ended for good stands on its page; nothing else is taken for it."""

from __future__ import annotations

from runtime.counters import Counters
from runtime.last_words import cause_left, leave_cause


def test_a_cause_is_left_in_one_line() -> None:
    page = Counters.create("sender")
    leave_cause(page, "the token request\nwas refused")
    assert cause_left(page) == "the token request was refused"


def test_what_else_stands_in_the_note_is_none() -> None:
    page = Counters.create("receiver")
    assert cause_left(page) == ""
    page.note = "epoch-7"
    assert cause_left(page) == ""


def test_one_that_is_too_long_is_cut_and_odd_text_is_no_trouble() -> None:
    page = Counters.create("planner")
    leave_cause(page, "ü" * 2_000)
    assert set(cause_left(page)) == {"ü"}
    leave_cause(page, "half \ud83d")
    assert cause_left(page) == "half ?"
