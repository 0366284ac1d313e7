"""Where a sink begins in a journal that is new to it, decided by value."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

from actors.sinks.journals import JournalFile
from actors.sinks.positions import InitialPositions, SinkPosition, beginning


def journal(
    identity: str, first: int, last: int, *, generation: int = 1, is_archived: bool = False
) -> JournalFile:
    return JournalFile(Path(identity), identity, generation, is_archived, first, last)


def fresh() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"new-{next(numbers)}"


def test_a_new_sink_begins_with_what_the_journals_hold_or_with_what_comes_next() -> None:
    files = [
        journal("old", 1, 10, is_archived=True),
        journal("a", 11, 30, generation=2),
        journal("b", 15, 30, generation=2),
    ]
    begun = beginning(files, {}, {"all": "oldest", "next": "newest"}, fresh())
    assert begun == InitialPositions(
        {
            "all": {"old": SinkPosition(0), "a": SinkPosition(10), "b": SinkPosition(14)},
            "next": {
                "old": SinkPosition(10, is_done=True),
                "a": SinkPosition(30),
                "b": SinkPosition(30),
            },
        },
        {},
    )


def test_a_journal_without_an_identity_is_given_one_and_read_from_its_beginning() -> None:
    known = {"known": {"gone": SinkPosition(70)}}
    begun = beginning([journal("", 1, 1)], known, {"known": "newest"}, fresh())
    assert begun == InitialPositions({"known": {"new-1": SinkPosition(0)}}, {0: "new-1"})


def test_nothing_is_new_at_the_second_start() -> None:
    known = {"a": {"x": SinkPosition(5)}}
    assert beginning([journal("x", 1, 9)], known, {"a": "newest"}, fresh()) == InitialPositions(
        {}, {}
    )


def test_a_sink_that_is_not_configured_at_present_is_given_its_places_all_the_same() -> None:
    files = [journal("x", 1, 9, is_archived=True), journal("y", 10, 12, generation=2)]
    begun = beginning(files, {"resting": {"x": SinkPosition(4)}}, {}, fresh())
    assert begun.places == {"resting": {"y": SinkPosition(9)}}


def test_an_older_copy_of_a_journal_counts_as_another_one() -> None:
    """One sink had been given rows that the copy does not have: it will be told. The other had not
    come so far, and just goes on."""
    known = {"ahead": {"x": SinkPosition(50)}, "behind": {"x": SinkPosition(20)}}
    begun = beginning([journal("x", 1, 40)], known, {}, fresh())
    assert begun == InitialPositions(
        {
            "ahead": {"new-1": SinkPosition(40)},
            "behind": {"new-1": SinkPosition(20), "x": SinkPosition(20, is_done=True)},
        },
        {0: "new-1"},
    )
