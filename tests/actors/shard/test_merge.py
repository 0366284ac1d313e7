"""What the merge applies, drops and keeps as late; scenarios that broke earlier designs."""

from __future__ import annotations

import pytest

from actors.genesys.times import microseconds
from actors.messages.control import SEQUENCE_STEP_MAX, STATES, UNKNOWN
from actors.shard.dedup import HASH_AGE_S, HASHES_MAX, WINDOW_WIDTH, HashWindow, SequenceWindow
from tests.actors.shard.lending import QUEUE, A, B, event, rejected
from tests.actors.shard.rig import Rig

T0, T1, T2 = (f"2026-11-21T22:00:0{second}.000Z" for second in range(3))


def test_each_change_is_one_row_chained_to_the_agents_last(rig: Rig) -> None:
    rig.begin()
    rig.feed(
        event(1001, A, "Available", T0),
        event(1002, B, "Available", T0),
        event(1003, A, "Talking", T1, queueId=QUEUE),
    )
    first, second, third = rig.rows()
    assert (first.previous, second.previous, third.previous) == (0, 0, first.id)
    assert (third.from_state, third.to_state, third.queue) == ("Available", "Talking", QUEUE)
    assert {row.cause for row in rig.rows()} == {"live"}
    assert rig.counts == {"received": 3, "applied": 3}


def test_a_sequence_is_applied_once_whatever_its_neighbours(rig: Rig) -> None:
    rig.begin()
    one, two = event(1001, A, "Talking", T0), event(1002, A, "Available", T1)
    rig.feed(one, two, one, two)
    rig.feed(one, two)
    assert rig.counts == {"received": 6, "applied": 2, "duplicates": 4}


def test_neighbours_that_changed_places_keep_the_newer_state(rig: Rig) -> None:
    rig.begin()
    rig.feed(event(1003, A, "Available", T2), event(1001, A, "Talking", T1))
    assert rig.state(A) == "Available"
    assert rig.causes() == ["live", "late"]


def test_a_replayed_late_row_changes_nothing_after_a_restart(rig: Rig) -> None:
    rig.begin()
    rig.feed(event(1003, A, "Available", T2), event(1001, A, "Talking", T1))
    rig.restart()
    assert rig.state(A) == "Available"
    assert rig.agent(A).row == 2  # but its history can be walked through the late row


def test_the_third_change_within_a_second_is_no_duplicate_of_the_first(rig: Rig) -> None:
    rig.begin()
    states = ("Available", "Talking", "Available")
    rig.feed(*(event(1001 + i, A, state, T0) for i, state in enumerate(states)))
    assert [row.to_state for row in rig.rows()] == list(states)
    assert rig.state(A) == "Available"


@pytest.mark.parametrize("earlier", ["2026-11-21T21:50:00.000Z", "2001-01-01T00:00:00Z"])
def test_under_a_higher_sequence_an_older_time_is_applied_and_shown_as_told(
    rig: Rig, earlier: str
) -> None:
    rig.begin()
    rig.feed(event(1001, A, "Available", T2), event(1002, A, "Talking", earlier))
    assert rig.state(A) == "Talking"
    assert rig.agent(A).at_us == rig.rows()[-1].at_us == microseconds(earlier)
    assert rig.causes() == ["live", "live"]


@pytest.mark.parametrize("stamp", ["9999-12-31T23:59:59.000Z", "2036-11-21T22:00:00.000Z"])
def test_a_time_in_a_far_future_makes_no_later_event_late(rig: Rig, stamp: str) -> None:
    rig.begin()
    rig.feed(event(1001, A, "Talking", stamp), event(1002, A, "Available", T1))
    assert rig.state(A) == "Available"
    rig.feed(event(1003, A, "Reserved", "2026-11-21T21:50:00.000Z"))
    assert rig.causes() == ["live", "live", "live"]


def test_a_held_time_that_is_minutes_ahead_makes_no_duplicate_of_what_was_seen(rig: Rig) -> None:
    rig.begin()
    ahead = "2026-11-21T22:05:00.000Z"
    rig.feed(event(1001, A, "Available", T0), event(1002, A, "Talking", ahead))
    rig.feed(event(1003, A, "Available", T0))  # the clock was set right
    assert rig.state(A) == "Available"
    assert rig.counts == {"received": 3, "applied": 3}


def test_a_redelivery_under_another_sequence_is_a_duplicate(rig: Rig) -> None:
    rig.begin()
    rig.feed(event(1001, A, "Available", T0), event(1002, A, "Talking", T1))
    rig.feed(event(1003, A, "Available", T0))
    assert rig.state(A) == "Talking"
    assert rig.counts["duplicates"] == 1


def test_what_says_what_is_held_is_a_duplicate(rig: Rig) -> None:
    rig.begin()
    rig.feed(event(1001, A, "Talking", T0), event(1002, A, "Talking", T0))
    assert rig.counts == {"received": 2, "applied": 1, "duplicates": 1}


def test_behind_the_window_only_what_is_ahead_of_the_agent_is_new(rig: Rig) -> None:
    rig.begin(newest=1)
    rig.feed(event(10, A, "Talking", T0), event(10 + WINDOW_WIDTH, B, "Talking", T0))
    rig.feed(event(9, A, "Available", T0), event(11, A, "Available", T1))
    assert [row.sequence for row in rig.rows()] == [10, 10 + WINDOW_WIDTH, 11]
    assert rig.counts["duplicates"] == 1


@pytest.mark.parametrize("sequence", [True, 5.0, -5, 0, 1 << 62, 1 << 63, "7", None])
def test_a_sequence_out_of_range_moves_nothing(rig: Rig, sequence: object) -> None:
    rig.begin()
    mark = rig.shard.merge.mark
    rig.feed(event(sequence, A))
    assert rig.counts == {"received": 1, "quarantined": 1}
    assert rig.shard.merge.mark == mark
    rig.feed(event(1001, A))
    assert rig.counts["applied"] == 1


def test_a_sequence_far_above_the_highest_known_is_set_aside(rig: Rig) -> None:
    rig.begin(newest=1_000)
    rig.feed(event(1_001 + SEQUENCE_STEP_MAX, A))
    assert rig.counts == {"received": 1, "quarantined": 1}
    rig.feed(event(1_000 + SEQUENCE_STEP_MAX, A))
    assert rig.counts["applied"] == 1


def test_a_numbering_that_has_just_begun_knows_no_huge_sequence_either(rig: Rig) -> None:
    rig.begin(newest=0, resumed_after=0)
    rig.feed(event(1 << 60, A), event(1, B))
    assert rig.counts == {"received": 2, "applied": 1, "quarantined": 1}
    assert rig.shard.merge.mark == 1


def test_a_quarantined_frame_does_not_use_up_the_sequence_that_it_bears(rig: Rig) -> None:
    rig.begin()
    rig.feed(event(1001, A, "Talking", "no time"), event(1001, A, "Talking", T0))
    assert rig.counts == {"received": 2, "applied": 1, "quarantined": 1}


def test_every_record_has_exactly_one_outcome(rig: Rig) -> None:
    rig.begin()
    rig.feed(
        event(1001, A, "Talking", T1),
        event(1001, A, "Talking", T1),
        event(1002, A, "Available", T2),
        event(1000, A, "Reserved", T0),
        event(1003, A, history=True),
        event(12, B, history=True),
        event(12, B, history=True),
        event("x", B),
        rejected("no owner", b"{}"),
    )
    counts = rig.counts
    assert counts.pop("received") == sum(counts.values()) == 9
    assert counts == {
        "applied": 4,
        "duplicates": 1,
        "late": 1,
        "unchanged": 1,
        "quarantined": 2,
    }


def test_a_first_history_names_quiet_agents_far_behind_the_window(rig: Rig) -> None:
    rig.begin(newest=10_000_000)
    rig.feed(
        event(9_999_990, B, "Talking", T1, history=True),
        event(12, A, "Available", T0, history=True),
    )
    assert rig.state(A) == "Available"
    assert rig.causes() == ["history", "history"]


def test_history_is_judged_by_no_window_and_moves_no_mark(rig: Rig) -> None:
    rig.begin(newest=1_000)
    rig.feed(event(990, A, "Talking", T1, history=True))
    rig.feed(event(990, B, "Talking", T1, history=True))
    assert rig.causes() == ["history", "history"]
    assert rig.shard.merge.mark == 1_000


def test_a_history_that_knows_less_than_we_hold_only_names_the_agent(rig: Rig) -> None:
    rig.begin()
    rig.feed(event(1005, A, "Talking", T1), event(900, A, "Available", T0, history=True))
    assert rig.state(A) == "Talking"
    assert rig.counts == {"received": 2, "applied": 1, "unchanged": 1}


def test_what_a_history_told_first_is_no_news_when_a_replay_tells_it_too(rig: Rig) -> None:
    rig.begin(newest=1_000)
    told = ("Talking", "2026-11-21T22:00:00.000Z")
    rig.feed(event(990, A, *told, history=True))
    rig.end_history()
    rig.feed(event(1_001, A, "Available", "2026-11-21T22:00:30.000Z"))
    rig.feed(event(990, A, *told))  # the margin of a resume reaches behind the first session
    assert rig.causes() == ["history", "live"]
    rig.restart()
    rig.feed(event(990, A, *told))
    assert rig.causes() == ["history", "live"]
    assert rig.counts["duplicates"] == 2


def test_a_history_with_sequences_of_the_old_numbering_makes_no_live_event_late(rig: Rig) -> None:
    rig.begin(newest=10_000)
    rig.feed(event(9_000, A, "Talking", T0, history=True))
    rig.begin(session=2, newest=3, epoch=2, resumed_after=0)
    rig.feed(event(9_000, A, "Talking", T0, epoch=2, history=True))
    rig.feed(event(4, A, "Available", T1, epoch=2))
    assert rig.state(A) == "Available"
    assert rig.causes() == ["history", "gap", "history", "live"]


def test_a_new_numbering_begins_at_one_and_is_not_late(rig: Rig) -> None:
    rig.begin(newest=10_000)
    rig.feed(event(10_001, A, "Talking", T0))
    rig.begin(session=2, newest=0, epoch=2, resumed_after=0)
    rig.feed(event(1, A, "Available", T1, epoch=2))
    assert rig.state(A) == "Available"
    assert rig.causes() == ["live", "gap", "live"]


def test_what_an_old_socket_brings_after_a_new_numbering_began_does_not_rewind(rig: Rig) -> None:
    rig.begin(newest=10_000)
    rig.feed(event(10_001, A, "Talking", T0))
    rig.begin(session=2, newest=0, epoch=2, resumed_after=0)
    rig.feed(event(1, A, "Available", T2, epoch=2), event(10_002, A, "Reserved", T1, epoch=1))
    assert rig.state(A) == "Available"
    assert rig.causes() == ["live", "gap", "live"]
    assert rig.shard.merge.mark == 1


def test_an_unknown_state_name_is_kept(rig: Rig) -> None:
    rig.begin()
    rig.feed(event(1001, A, "Levitating", T0))
    assert rig.state(A) == "Levitating"


def test_made_up_states_are_kept_up_to_a_bound_and_set_aside_beyond(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.shard.decode.UNKNOWN_STATES_MAX", 3)
    rig.begin()
    rig.feed(*(event(1001 + i, f"user-{i}", f"state {i}", T0) for i in range(5)))
    rig.feed(event(1010, A, "Talking", T1), event(1011, B, "state 1", T1))
    assert rig.counts == {"received": 7, "applied": 5, "quarantined": 2}


def test_a_frame_that_is_set_aside_uses_up_no_name(rig: Rig) -> None:
    rig.begin()
    far = 1_001 + SEQUENCE_STEP_MAX
    rig.feed(*(event(far, A, f"state {i}", T0, queueId=f"queue {i}") for i in range(9)))
    rig.feed(*(event(7, A, f"state {i}", "no time", queueId=f"queue {i}") for i in range(9)))
    names = rig.shard.merge.names
    assert (len(names.states), len(names.queues)) == (len(STATES), 0)


def test_made_up_agents_are_set_aside_beyond_a_bound(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.shard.agent_table.AGENTS_MAX", 3)
    rig.begin()
    rig.feed(event(1001, A), *(event(1002 + i, f"user-{i}") for i in range(5)))
    rig.feed(event(900, "user-9", history=True), event(1010, A, "Talking", T2))
    assert rig.counts == {"received": 8, "applied": 4, "quarantined": 4}
    assert rig.state(A) == "Talking"


def test_unknown_on_the_wire_does_not_trigger_our_own_rule(rig: Rig) -> None:
    rig.begin()
    rig.feed(event(1001, A, UNKNOWN, T0))
    assert rig.counts == {"received": 1, "quarantined": 1}


def test_an_agent_of_another_shard_is_set_aside(rig: Rig) -> None:
    rig.shard.agent_table.owns = lambda user_id: user_id == A
    rig.begin()
    rig.feed(event(1001, A), event(1002, B))
    assert rig.counts == {"received": 2, "applied": 1, "quarantined": 1}


def test_presence_and_correlation_are_kept_with_the_change(rig: Rig) -> None:
    rig.begin()
    rig.feed(event(1001, A, "Available", T0))
    rig.feed(event(1002, A, "Not Available", T1, presence="break", correlationId="c-1"))
    assert (rig.rows()[1].presence, rig.rows()[1].correlation) == ("break", "c-1")
    assert rig.agent(A).presence == "break"


def test_the_usual_way_and_the_exact_way_agree(rig: Rig) -> None:
    rig.begin()
    rig.feed(event(1001, A, "Available", T0, presence="available"))  # exact
    rig.feed(event(1002, A, "Talking", T1))  # usual
    row = rig.rows()[1]
    assert (row.sequence, row.to_state, row.presence) == (1002, "Talking", None)
    assert rig.agent(A).presence is None


def test_a_window_forgets_only_what_is_a_whole_width_behind() -> None:
    window = SequenceWindow()
    window.add(5)
    window.add(4 + WINDOW_WIDTH)
    assert 5 in window
    window.add(5 + WINDOW_WIDTH)
    assert 5 not in window
    assert 5 + WINDOW_WIDTH in window


def test_hashes_are_forgotten_by_age_and_by_count() -> None:
    window = HashWindow(now_s=0.0)
    window.younger.add(7)
    window.turn(HASH_AGE_S)
    assert 7 in window
    window.turn(2 * HASH_AGE_S)
    assert 7 not in window
    window.younger.update(range(HASHES_MAX))
    window.turn(2 * HASH_AGE_S)
    assert not window.younger
    assert 7 in window
