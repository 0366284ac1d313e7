"""Numbering: one sequence more per event, and small ones for what was there before."""

from __future__ import annotations

import pytest

from tools.fake_gateway.wsp.numbering import Epoch, Numbering


def numbering() -> Numbering:
    numbering = Numbering(agents=100)
    numbering.begin(Epoch("one", 0, 10_000_001))
    return numbering


def test_sequences_grow_by_one_per_event() -> None:
    assert [numbering().sequence(number) for number in (0, 1, 99)] == [
        10_000_001, 10_000_002, 10_000_100,
    ]  # fmt: skip


def test_the_newest_sequence_is_that_of_the_last_event() -> None:
    assert numbering().newest_sequence(head=0) == 10_000_000
    assert numbering().newest_sequence(head=5) == 10_000_005


def test_a_new_epoch_numbers_anew_and_the_old_numbers_stay() -> None:
    both = numbering()
    both.begin(Epoch("two", 50, 101))
    assert (both.sequence(49), both.sequence(50)) == (10_000_050, 101)
    assert both.newest_sequence(head=50) == 100
    assert both.epoch_of(49).name == "one"
    assert both.current.name == "two"


def test_initial_states_have_sequences_of_their_own_below_the_first() -> None:
    one = numbering()
    positions = [one.position(one.current, agent, -1) for agent in range(100)]
    assert len(set(positions)) == 100
    assert positions[0] < 12  # quiet, and very old: the first row of the known traps
    assert max(positions) < 10_000_001


def test_what_changed_before_an_epoch_began_is_reported_below_its_first() -> None:
    both = numbering()
    both.begin(Epoch("two", 50, 101))
    assert both.position(both.current, agent=7, last=49) == 8
    assert both.position(both.current, agent=7, last=53) == 104


def test_an_epoch_without_room_for_initial_states_is_refused() -> None:
    with pytest.raises(ValueError, match="above 100"):
        Numbering(agents=100).begin(Epoch("one", 0, 100))
