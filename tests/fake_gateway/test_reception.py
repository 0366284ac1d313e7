"""The reception: who is applied, who is refused, and what becomes of an acknowledgement."""

from __future__ import annotations

import uuid
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.fake_gateway.wsp.faults import ACK_FAULTS, WspFault
from tools.fake_gateway.wsp.reception import DONE, AckOutcome, Reception, UpdateDecision
from tools.fake_gateway.wsp.updates import Update

USERS = {"a": 0, "b": 1}


def update(number: int = 1, user: str = "a") -> Update:
    return Update(str(uuid.UUID(int=number)), user, 1, "")


def test_an_update_is_applied_once_and_acknowledged_again() -> None:
    reception = Reception(USERS)
    assert reception.decide(update(), 0.0) == UpdateDecision(DONE, True)
    assert reception.decide(update(), 0.0) == UpdateDecision(DONE, False)
    assert reception.decide(update(2), 0.0) == UpdateDecision(DONE, True)


def test_who_is_not_there_is_404_and_the_id_stays_free() -> None:
    reception = Reception(USERS)
    answer, is_new = reception.decide(update(user="nobody"), 0.0)
    assert answer is not None
    assert (answer.status, answer.code, is_new) == (404, "not.found", False)
    assert reception.decide(update(), 0.0).is_new


@given(st.lists(st.floats(0, 0.5), max_size=60), st.integers(1, 10))
def test_no_second_has_more_updates_than_the_limit(distances: list[float], limit: int) -> None:
    reception = Reception(USERS, updates_per_s=limit)
    now_s, taken = 100.0, list[float]()
    for number, distance_s in enumerate(distances):
        now_s += distance_s
        answer, is_new = reception.decide(update(number), now_s)
        assert answer is not None
        if is_new:
            taken.append(now_s)
        else:
            assert (answer.status, answer.code) == (429, "too.many.requests")
            assert answer.retry_after_ms is not None
            assert 1 <= answer.retry_after_ms <= 1001
            again_s = now_s + answer.retry_after_ms / 1000
            assert sum(at_s > again_s - 1.0 for at_s in taken) < limit  # waiting so long is enough
    for at_s in taken:
        assert sum(at_s - 1.0 < other <= at_s for other in taken) <= limit


def test_what_was_applied_is_never_told_to_have_failed() -> None:
    reception = Reception(USERS, updates_per_s=1)
    assert reception.decide(update(), 0.0).is_new
    reception.order(WspFault(kind="ack-negative", status=500))
    assert reception.decide(update(), 0.1) == UpdateDecision(DONE, False)
    assert reception.is_ordered("ack-negative")  # it waits for one that it may meet


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_a_negative_acknowledgement_is_ordered_with_its_status_and_nothing_is_applied(
    status: int,
) -> None:
    reception = Reception(USERS)
    reception.order(WspFault(kind="ack-negative", status=status, seconds=0.25, count=2))
    for _ in range(2):
        answer, is_new = reception.decide(update(), 0.0)
        assert answer is not None
        assert (answer.status, answer.retry_after_ms, is_new) == (status, 250, False)
    assert reception.decide(update(), 0.0).is_new


def test_a_lost_update_is_neither_applied_nor_answered() -> None:
    reception = Reception(USERS)
    reception.order(WspFault(kind="update-lost"))
    assert reception.decide(update(), 0.0) == UpdateDecision(None, False)
    assert reception.decide(update(), 0.0) == UpdateDecision(DONE, True)


def test_acknowledgements_meet_their_fates_in_turn() -> None:
    reception = Reception(USERS)
    reception.order(WspFault(kind="ack-late", seconds=3.0))
    reception.order(WspFault(kind="ack-missing", count=2))
    assert [reception.fate().how for _ in range(4)] == ["late", "missing", "missing", "good"]


@pytest.mark.parametrize("kind", ACK_FAULTS)
def test_a_fault_is_ordered_until_it_meets_somebody(kind: str) -> None:
    reception = Reception(USERS)
    assert not any(reception.is_ordered(each) for each in ACK_FAULTS)
    reception.order(WspFault(kind=kind))
    assert [each for each in ACK_FAULTS if reception.is_ordered(each)] == [kind]
    reception.decide(update(), 0.0)
    reception.fate()
    assert not any(reception.is_ordered(each) for each in ACK_FAULTS)


def test_a_share_of_acknowledgements_is_lost_by_the_seed() -> None:
    reception, again = (Reception(USERS, ack_loss=0.1, seed=7) for _ in range(2))
    fates = [reception.fate() for _ in range(2000)]
    assert fates == [again.fate() for _ in range(2000)]
    assert Counter(fates).keys() == {AckOutcome(), AckOutcome("missing")}
    assert 150 < fates.count(AckOutcome("missing")) < 250


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="share of lost"):
        Reception(USERS, ack_loss=1.5)
    with pytest.raises(ValueError, match="updates per second"):
        Reception(USERS, updates_per_s=-1)
