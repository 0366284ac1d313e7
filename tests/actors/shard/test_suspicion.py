"""Whom a death accuses, by values: the rule, and every order in which lives may end."""

from __future__ import annotations

import signal
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.shard.suspicion import (
    NO_SUSPICION,
    BatchInHand,
    BatchStep,
    Suspicion,
    Verdict,
    suspicion_after,
)
from runtime.exit import Exit

BATCH = BatchInHand(0, 1_000, 9_000, 40, BatchStep.JUDGING)
ALONE = BatchInHand(0, 3_000, 3_200, 1, BatchStep.JUDGING)
SUSPECT = Suspicion(0, 1_000, 9_000, Verdict.SUSPECT)
CONDEMNED = Suspicion(0, 3_000, 3_200, Verdict.CONDEMNED)

RAISED = Exit(1.0, 1)
ABORTED = Exit(1.0, -signal.SIGABRT)
KILLED = Exit(1.0, -signal.SIGKILL)
HUNG = Exit(1.0, -signal.SIGKILL, hung=True)
OWN = [RAISED, ABORTED, Exit(1.0, -signal.SIGSEGV), HUNG]
NOT_OWN = [None, KILLED, Exit(1.0, -signal.SIGTERM), Exit(1.0, 0), Exit(1.0, 75), Exit(1.0, 78)]


@pytest.mark.parametrize("end", OWN, ids=str)
def test_a_first_death_of_its_own_makes_the_batch_suspect(end: Exit) -> None:
    assert suspicion_after(NO_SUSPICION, BATCH, end) == SUSPECT


@pytest.mark.parametrize("end", OWN, ids=str)
def test_a_record_that_was_alone_in_hand_at_the_second_death_is_condemned(end: Exit) -> None:
    assert suspicion_after(SUSPECT, ALONE, end) == CONDEMNED


@pytest.mark.parametrize("end", NOT_OWN, ids=str)
@pytest.mark.parametrize("before", [NO_SUSPICION, SUSPECT, CONDEMNED])
@pytest.mark.parametrize("hand", [BATCH, ALONE])
def test_an_end_from_outside_changes_nothing(
    end: Exit | None, before: Suspicion, hand: BatchInHand
) -> None:
    assert suspicion_after(before, hand, end) == before


def test_a_record_that_came_alone_is_not_condemned_for_its_first_death() -> None:
    assert suspicion_after(NO_SUSPICION, ALONE, RAISED).verdict == Verdict.SUSPECT


def test_a_death_elsewhere_accuses_the_batch_there() -> None:
    beyond = BatchInHand(0, 9_000, 9_200, 1, BatchStep.JUDGING)
    other_ring = ALONE._replace(ring=1)
    for hand in (beyond, other_ring):
        expected = Suspicion(hand.ring, hand.cursor_from, hand.cursor_to, Verdict.SUSPECT)
        assert suspicion_after(SUSPECT, hand, RAISED) == expected


def test_a_death_with_nothing_in_hand_accuses_nobody() -> None:
    idle = BATCH._replace(step=BatchStep.NOTHING)
    assert suspicion_after(NO_SUSPICION, idle, RAISED) == NO_SUSPICION


def test_who_hangs_in_the_disk_accuses_nobody_but_an_exception_there_does() -> None:
    writing = ALONE._replace(step=BatchStep.COMMITTING)
    assert suspicion_after(SUSPECT, writing, HUNG) == SUSPECT
    assert suspicion_after(SUSPECT, writing, RAISED) == CONDEMNED


def test_a_neighbour_of_a_condemned_record_has_died_of_nothing_yet() -> None:
    neighbour = BatchInHand(0, 3_200, 3_400, 1, BatchStep.JUDGING)
    after = suspicion_after(CONDEMNED, neighbour, RAISED)
    assert after == Suspicion(0, 3_200, 3_400, Verdict.SUSPECT)


def test_what_is_meant_is_covered_and_what_lies_behind_it_is_over() -> None:
    assert SUSPECT.covers(0, 1_000)
    assert SUSPECT.covers(0, 8_992)
    assert not SUSPECT.covers(0, 9_000)
    assert not SUSPECT.covers(1, 3_000)
    assert not NO_SUSPICION.covers(0, 0)
    assert SUSPECT.is_over(0, 9_000)
    assert not SUSPECT.is_over(0, 8_992)
    assert not SUSPECT.is_over(1, 9_000)


@given(
    deadly=st.sets(st.integers(0, 19), max_size=5),
    size=st.integers(1, 7),
    killed_at=st.lists(st.integers(0, 60), max_size=6),
    ends=st.lists(st.sampled_from(OWN), min_size=1),
)
def test_whoever_kills_is_quarantined_after_two_deaths_and_nobody_else(
    deadly: set[int], size: int, killed_at: list[int], ends: list[Exit]
) -> None:
    """Lives of a shard over twenty records, with kills from outside thrown in between."""
    suspicion, hand, end = NO_SUSPICION, BatchInHand(0, 0, 0, 0, BatchStep.NOTHING), None
    cursor, step, deaths = 0, 0, dict.fromkeys(range(20), 0)
    quarantined: list[int] = []
    own_ends = cycle(ends)
    while cursor < 20:
        suspicion = suspicion_after(suspicion, hand, end)
        end = None
        while cursor < 20 and end is None:
            upto = min(cursor + (1 if suspicion.verdict else size), 20)
            hand = BatchInHand(0, cursor, upto, upto - cursor, BatchStep.JUDGING)
            held = deadly.intersection(range(cursor, upto))
            step += 1
            if step in killed_at:
                end = KILLED
            elif suspicion.verdict == Verdict.CONDEMNED and suspicion.covers(0, cursor):
                quarantined.append(cursor)
                cursor = upto
            elif held:
                deaths.update({record: deaths[record] + 1 for record in held})
                end = next(own_ends)
            else:
                cursor = upto
            if suspicion.is_over(0, cursor):
                suspicion = NO_SUSPICION
    assert quarantined == sorted(deadly)
    assert all(deaths[record] >= 2 for record in deadly)
