"""Verification of what was told otherwise than it happened: a ledger and rows by hand. What may be
kept of it passes, and what a runtime must not make of it is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fake_gateway.cloud.scene import HOUR_US, MEAL, Scene
from tools.fake_gateway.cloud.definitions import (
    AVAILABLE,
    IDLE,
    INTERACTING,
    OFF_QUEUE,
    OFFLINE,
    ON_QUEUE,
)
from tools.fake_gateway.cloud.expectation import CloudExpectation


def test_what_varies_is_told_with_its_counts(scene: Scene) -> None:
    scene.varied("large-entity", agent=1)
    scene.ledger.refused("rest", 429, 0)
    scene.ledger.refused("rest", 503, 0)
    assert scene.found() == set(), scene.result["examples"]
    assert scene.result["variations"] == {"tie": 0, "deaf": 0, "large-entity": 1}
    assert (scene.result["injected_429"], scene.result["over_budget"]) == (1, 0)


# Ties


def tied(scene: Scene) -> tuple[int, int]:
    """Two changes in one millisecond, of which the last one sent makes the agent offline."""
    at_ms = scene.happens(1, OFFLINE, OFF_QUEUE)
    before = (ON_QUEUE, INTERACTING)
    scene.varied("tie", agent=1, at_ms=at_ms, presence=before[0], routing=before[1])
    return before


@pytest.mark.parametrize("is_first_kept", [True, False])
def test_of_a_tie_the_last_one_sent_holds(scene: Scene, is_first_kept: bool) -> None:
    before = tied(scene)
    if is_first_kept:
        scene.keep(1, told=before)
    scene.keep(1)
    assert scene.found() == set(), scene.result["examples"]


def test_a_tie_whose_last_one_is_ignored_is_found(scene: Scene) -> None:
    scene.keep(1, told=tied(scene))
    assert "state_mismatches" in scene.found()


def test_a_tie_whose_first_one_comes_back_is_found(scene: Scene) -> None:
    before = tied(scene)
    scene.keep(1)
    scene.keep(1, told=before)
    assert scene.found() >= {"duplicate_effects"}


def test_a_tie_is_kept_twice_at_most(scene: Scene) -> None:
    before = tied(scene)
    scene.keep(1, told=before)
    scene.keep(1)
    scene.keep(1)
    assert scene.found() == {"duplicate_effects"}


def copied(patch: pytest.MonkeyPatch) -> None:
    """Every event's frame is sent twice, as under faults; what varies is the second one."""
    begin = CloudExpectation.__init__

    def patched(self: CloudExpectation, ledger: Path) -> None:
        begin(self, ledger)
        self.copied.update(range(self.head))

    patch.setattr(CloudExpectation, "__init__", patched)


@pytest.mark.parametrize("is_event_kept", [True, False])
def test_of_a_tie_in_a_second_frame_the_event_holds_again(
    is_event_kept: bool, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied(monkeypatch)
    before = tied(scene)
    scene.keep(1)
    scene.keep(1, told=before)
    if is_event_kept:
        scene.keep(1)
    assert ("state_mismatches" in scene.found()) is not is_event_kept, scene.result["examples"]


@pytest.mark.parametrize(("rows", "found"), [(1, set()), (2, {"phantom"})])
def test_a_second_frame_may_bear_another_time_once(
    rows: int, found: set[str], scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied(monkeypatch)
    at_ms = scene.happens(2, ON_QUEUE, INTERACTING)
    scene.varied("odd-time", agent=2, at_ms=at_ms, form="ahead")
    scene.keep(2)
    for row in range(1, rows + 1):
        scene.keep(2, at_us=at_ms * 1000 + row * HOUR_US)
    scene.happens(2, AVAILABLE, OFF_QUEUE)
    scene.keep(2)
    assert scene.found() == found, scene.result["examples"]


# Times


def test_an_event_without_its_time_is_kept_at_any(scene: Scene) -> None:
    at_ms = scene.happens(2, ON_QUEUE, INTERACTING)
    scene.varied("odd-time", agent=2, at_ms=at_ms, form="missing")
    scene.keep(2, at_us=at_ms * 1000 + 77)
    scene.happens(2, AVAILABLE, OFF_QUEUE)
    scene.keep(2)
    assert scene.found() == set(), scene.result["examples"]


def test_an_event_that_was_ignored_for_its_time_is_lost(scene: Scene) -> None:
    at_ms = scene.happens(2, ON_QUEUE, INTERACTING)
    scene.varied("odd-time", agent=2, at_ms=at_ms, form="missing")
    scene.happens(2, AVAILABLE, OFF_QUEUE)
    scene.keep(2)
    assert scene.found() == {"lost"}


def test_whoever_calls_late_what_follows_a_time_ahead_is_found(scene: Scene) -> None:
    at_ms = scene.happens(2, ON_QUEUE, INTERACTING)
    scene.varied("odd-time", agent=2, at_ms=at_ms, form="ahead")
    scene.keep(2, at_us=at_ms * 1000 + HOUR_US)
    scene.happens(2, AVAILABLE, OFF_QUEUE)
    scene.keep(2, cause="late")
    assert "state_mismatches" in scene.found()


def test_a_row_at_another_time_needs_a_reason(scene: Scene) -> None:
    scene.happens(2, ON_QUEUE, INTERACTING)
    scene.keep(2, at_us=scene.now_ms * 1000 + 77)
    assert "phantom" in scene.found()


# Parts


def test_an_answer_that_tells_a_part_may_leave_a_mixture_until_the_rest_is_told(
    scene: Scene,
) -> None:
    """Idle as of now, on queue as of before."""
    scene.happens(3, ON_QUEUE, INTERACTING)
    scene.keep(3)
    scene.varied("presence-left-out", agent=3)
    scene.varied("deaf", channel=1, agents=[3], head=scene.organisation.activity.head)
    scene.happens(3, MEAL, IDLE)
    scene.keep(3, cause="history", told=(ON_QUEUE, IDLE))
    scene.keep(3, cause="history")
    assert scene.found() == set(), scene.result["examples"]


def test_a_mixture_that_stays_is_found(scene: Scene) -> None:
    scene.happens(3, ON_QUEUE, INTERACTING)
    scene.keep(3)
    scene.varied("presence-left-out", agent=3)
    scene.varied("deaf", channel=1, agents=[3], head=scene.organisation.activity.head)
    scene.happens(3, MEAL, IDLE)
    scene.keep(3, cause="history", told=(ON_QUEUE, IDLE))
    assert scene.found() == {"state_mismatches"}


def test_a_part_that_nobody_told_is_found_where_nothing_was_left_out(scene: Scene) -> None:
    scene.happens(3, ON_QUEUE, INTERACTING)
    scene.keep(3)
    scene.varied("deaf", channel=1, agents=[3], head=scene.organisation.activity.head)
    scene.happens(3, MEAL, IDLE)
    scene.keep(3, cause="history", told=(ON_QUEUE, IDLE))
    scene.keep(3, cause="history")
    assert "state_mismatches" in scene.found()


def test_an_event_of_which_one_part_cannot_be_read_leaves_that_part_as_it_was_held(
    scene: Scene,
) -> None:
    scene.happens(3, ON_QUEUE, INTERACTING)
    scene.keep(3)
    scene.varied("deaf", channel=1, agents=[3], head=scene.organisation.activity.head)
    scene.happens(3, ON_QUEUE, IDLE)
    scene.topics()
    at_ms = scene.happens(3, MEAL, IDLE)
    scene.varied("odd-part", agent=3, at_ms=at_ms, part="routingStatus")
    scene.keep(3, told=(MEAL, INTERACTING))
    scene.happens(3, OFFLINE, OFF_QUEUE)
    scene.keep(3)
    assert scene.found() == set(), scene.result["examples"]


def test_an_event_of_which_one_part_cannot_be_read_is_not_lost(scene: Scene) -> None:
    at_ms = scene.happens(3, MEAL, IDLE)
    scene.varied("odd-part", agent=3, at_ms=at_ms, part="routingStatus")
    scene.happens(3, OFFLINE, OFF_QUEUE)
    scene.keep(3)
    assert scene.found() == {"lost"}


def test_a_roster_may_prove_one_part_alone(scene: Scene) -> None:
    scene.happens(3, OFFLINE, OFF_QUEUE)
    scene.keep(3)
    scene.varied("deaf", channel=1, agents=[3], head=scene.organisation.activity.head)
    scene.happens(3, ON_QUEUE, IDLE)
    scene.keep(3, cause="roster", told=(ON_QUEUE, OFF_QUEUE))
    scene.happens(3, ON_QUEUE, INTERACTING)
    scene.keep(3, cause="roster")
    assert scene.found() == set(), scene.result["examples"]


def test_an_answer_may_repeat_what_is_held_beside_something_that_no_call_dates(
    scene: Scene,
) -> None:
    scene.happens(3, ON_QUEUE, INTERACTING)
    scene.keep(3)
    scene.keep(3, cause="history", at_us=scene.now_ms * 1000 - 7)
    assert scene.found() == set(), scene.result["examples"]


# Topics lost without a word


def test_events_of_lost_topics_need_no_rows_but_the_state_must_come_right(scene: Scene) -> None:
    scene.varied("deaf", channel=1, agents=[0, 2], head=0)
    scene.happens(0, ON_QUEUE, INTERACTING)
    scene.happens(0, OFFLINE, OFF_QUEUE)
    scene.keep(0, cause="history")
    assert scene.found() == set(), scene.result["examples"]
    assert scene.result["deaf"] == 1


def test_whoever_is_never_told_of_lost_topics_is_wrong_at_the_end(scene: Scene) -> None:
    scene.varied("deaf", channel=1, agents=[0], head=0)
    scene.happens(0, ON_QUEUE, INTERACTING)
    assert scene.found() == {"state_mismatches"}


def test_topics_that_are_subscribed_anew_are_heard_again(scene: Scene) -> None:
    scene.varied("deaf", channel=1, agents=[0], head=0)
    scene.topics()
    scene.happens(0, ON_QUEUE, INTERACTING)
    scene.happens(0, OFFLINE, OFF_QUEUE)
    scene.keep(0)
    assert scene.found() == {"lost"}


# People
