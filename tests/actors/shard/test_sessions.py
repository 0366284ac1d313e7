"""Sessions, histories, Unknown and stale: what a shard makes of control records."""

from __future__ import annotations

from actors.messages.control import (
    END_EXHAUSTED,
    SCOPE_ALL,
    SEQUENCE_END,
    UNKNOWN,
    Gap,
    SessionEnds,
    Shed,
    Watermark,
    session_flags,
)
from tests.actors.shard.lending import A, B, C, control, event
from tests.actors.shard.rig import Rig

T0, T1, T2 = (f"2026-11-21T22:00:0{second}.000Z" for second in range(3))


def end_session(rig: Rig, session: int) -> None:
    rig.feed(control(SessionEnds(session, SCOPE_ALL, "closed", 7_000_000)))


def test_who_a_complete_history_does_not_name_becomes_unknown(rig: Rig) -> None:
    rig.begin()
    rig.feed(
        event(900, A, "Available", T0, history=True), event(901, B, "Talking", T0, history=True)
    )
    rig.end_history()
    rig.begin(session=2, newest=1_000)
    rig.feed(event(900, A, "Available", T0, history=True))
    rig.end_history(session=2)
    assert rig.state(A) == "Available"
    assert rig.state(B) == UNKNOWN
    lost = rig.rows()[-1]
    assert (lost.cause, lost.from_state, lost.sequence) == ("lost", "Talking", 901)


def test_who_changed_after_the_history_was_asked_for_is_not_unknown(rig: Rig) -> None:
    rig.begin(newest=1_000)
    rig.feed(event(1_001, C, "Talking", T0))
    rig.end_history()
    assert rig.state(C) == "Talking"


def test_a_new_agent_that_only_the_old_socket_has_shown_is_not_unknown(rig: Rig) -> None:
    rig.begin(session=1)
    rig.end_history(session=1)
    rig.begin(session=2, newest=1_000, resumed_after=0)
    rig.feed(event(1_001, C, "Talking", T0)._replace(flags=session_flags(1)))
    end_session(rig, 1)
    rig.end_history(session=2)
    assert rig.state(C) == "Talking"
    assert rig.shard.sessions.stale_since_us is None


def test_an_incomplete_history_makes_nobody_unknown(rig: Rig) -> None:
    rig.begin()
    rig.feed(event(900, A, "Available", T0, history=True))
    rig.begin(session=2)
    rig.end_history(session=2, complete=False)
    assert rig.state(A) == "Available"
    assert rig.shard.sessions.stale_since_us is not None


def test_a_history_that_repeats_known_data_ends_unknown(rig: Rig) -> None:
    rig.begin()
    rig.feed(event(900, A, "Available", T0, history=True))
    rig.begin(session=2)
    rig.end_history(session=2)
    assert rig.state(A) == UNKNOWN
    rig.begin(session=3)
    rig.feed(event(900, A, "Available", T0, history=True))
    assert rig.state(A) == "Available"
    assert rig.causes() == ["history", "lost", "history"]


def test_a_live_event_ends_unknown_unless_it_is_behind(rig: Rig) -> None:
    rig.begin()
    rig.feed(event(1_005, A, "Available", T1))
    rig.begin(session=2, newest=1_010)
    rig.end_history(session=2)
    rig.feed(event(1_004, A, "Talking", T0))
    assert rig.state(A) == UNKNOWN
    rig.feed(event(1_011, A, "Talking", T2))
    assert rig.state(A) == "Talking"
    assert rig.causes() == ["live", "lost", "late", "live"]


def test_only_the_newest_session_is_obeyed(rig: Rig) -> None:
    rig.begin(session=1)
    rig.feed(event(900, A, "Available", T0, history=True))
    rig.end_history(session=1)
    rig.begin(session=2)
    rig.feed(event(900, A, "Available", T0, history=True))
    rig.end_history(session=1)  # of a session that is history itself
    assert rig.shard.sessions.scopes[SCOPE_ALL].history_runs
    rig.end_history(session=2)
    end_session(rig, 1)  # the old socket's end comes after the new one's begin
    assert rig.shard.sessions.stale_since_us is None


def test_the_history_of_an_old_socket_names_nobody_for_the_newer_session(rig: Rig) -> None:
    rig.begin(session=1)
    rig.feed(
        event(900, A, "Available", T0, history=True), event(901, B, "Talking", T0, history=True)
    )
    rig.end_history(session=1)
    rig.begin(session=2)
    old, new = session_flags(1), session_flags(2)
    rig.feed(
        event(900, A, "Available", T0, history=True)._replace(flags=new),
        event(901, B, "Talking", T0, history=True)._replace(flags=old),
        event(990, C, "Talking", T0, history=True)._replace(flags=old),
    )
    rig.end_history(session=2)
    assert rig.state(A) == "Available"
    assert rig.state(B) == UNKNOWN
    assert rig.state(C) == UNKNOWN
    assert rig.counts["unchanged"] == 2


def test_what_was_shed_is_counted_by_a_shard_and_survives_a_restart(rig: Rig) -> None:
    rig.begin()
    rig.feed(event(1_001, A), control(Shed(7)), control(Shed(2)))
    rig.restart()
    assert rig.counts == {"received": 10, "applied": 1, "shed": 9}


def test_a_view_is_stale_from_the_end_of_a_session_to_the_end_of_a_history(rig: Rig) -> None:
    assert rig.shard.sessions.stale_since_us is None or rig.shard.sessions.stale_since_us == 0
    rig.begin()
    assert rig.shard.sessions.stale_since_us == 0  # never confirmed
    rig.end_history()
    assert rig.shard.sessions.stale_since_us is None
    end_session(rig, 1)
    assert rig.shard.sessions.stale_since_us == 7_000_000
    rig.begin(session=2)
    assert rig.shard.sessions.stale_since_us == 7_000_000
    rig.end_history(session=2)
    assert rig.shard.sessions.stale_since_us is None


def test_a_starting_receiver_ends_whatever_session_was_up(rig: Rig) -> None:
    rig.begin(session=4)
    rig.end_history(session=4)
    end_session(rig, 0)
    assert rig.shard.sessions.stale_since_us == 7_000_000
    assert not rig.shard.sessions.scopes[SCOPE_ALL].is_up


def test_when_every_try_is_spent_nobody_is_known_any_more(rig: Rig) -> None:
    rig.begin(session=4)
    rig.feed(event(900, A, "Available", T0, history=True), event(1_001, B, "Talking", T1))
    rig.end_history(session=4)
    rig.feed(control(SessionEnds(4, SCOPE_ALL, END_EXHAUSTED, 7_000_000)))
    assert (rig.state(A), rig.state(B)) == (UNKNOWN, UNKNOWN)
    rig.feed(control(SessionEnds(4, SCOPE_ALL, END_EXHAUSTED, 8_000_000)))
    assert rig.causes().count("lost") == 2  # once


def test_a_shard_restarted_within_a_history_ignores_its_end_and_wants_another(rig: Rig) -> None:
    rig.begin()
    rig.feed(
        event(900, A, "Available", T0, history=True), event(901, B, "Talking", T0, history=True)
    )
    rig.restart()
    assert rig.shard.sessions.wants_history
    rig.end_history()
    assert rig.state(A) == "Available"
    assert rig.state(B) == "Talking"
    assert rig.shard.sessions.wants_history
    rig.begin(session=2)
    assert not rig.shard.sessions.wants_history
    rig.feed(event(900, A, "Available", T0, history=True))
    rig.end_history(session=2)
    assert rig.state(B) == UNKNOWN


def test_a_restart_after_a_history_ended_wants_none(rig: Rig) -> None:
    rig.begin()
    rig.feed(event(900, A, "Available", T0, history=True))
    rig.end_history()
    rig.restart()
    assert not rig.shard.sessions.wants_history
    assert rig.state(A) == "Available"


def test_a_gap_is_a_row_in_its_place_and_moves_the_mark(rig: Rig) -> None:
    rig.begin(newest=1_000, resumed_after=500)
    rig.feed(
        event(1_201, A, "Talking", T0),
        control(Gap(1, SCOPE_ALL, 1, 501, 1_200, "not retained", 8_000_000)),
        event(1_202, A, "Available", T1),
    )
    assert rig.causes() == ["live", "gap", "live"]
    assert rig.rows()[1].agent == 0
    assert rig.shard.merge.mark == 1_202


def test_the_mark_is_what_was_met_not_what_the_gateway_promised(rig: Rig) -> None:
    rig.begin(newest=1_000)
    assert rig.shard.merge.mark == 1_000  # no replay was asked for: the history answers for it
    rig.begin(session=2, newest=5_000, resumed_after=1_000)
    assert rig.shard.merge.mark == 1_000
    rig.feed(control(Watermark(1, 3_000)))
    assert rig.shard.merge.mark == 3_000
    rig.feed(control(Watermark(9, 9_000)))  # of another numbering
    assert rig.shard.merge.mark == 3_000


def told_gaps(rig: Rig) -> list[tuple[int, int, int]]:
    gaps = rig.journal._connection.execute("SELECT epoch, first_sequence, last_sequence FROM gaps")
    return [(epoch, first, last) for epoch, first, last in gaps]


def test_the_end_of_a_numbering_that_was_lost_with_the_rings_is_a_gap(rig: Rig) -> None:
    """Another shard had met the new numbering when all were killed: nobody tells it once more."""
    rig.begin(newest=5_000)
    rig.feed(event(6_000, A, "Talking", T0))
    rig.restart()
    rig.begin(session=2, newest=7, epoch=2, resumed_after=0)
    assert told_gaps(rig) == [(1, 5_000, SEQUENCE_END - 1)]
    assert rig.shard.standing.gaps == 1


def test_a_numbering_whose_end_was_told_has_one_gap(rig: Rig) -> None:
    rig.begin(newest=5_000)
    told = Gap(2, SCOPE_ALL, 1, 4_500, SEQUENCE_END - 1, "the gateway numbers anew", 8_000_000)
    rig.feed(control(told))
    rig.begin(session=2, newest=7, epoch=2, resumed_after=0)
    assert told_gaps(rig) == [(1, 4_500, SEQUENCE_END - 1)]


def test_a_shard_that_was_left_behind_by_whole_numberings_says_so_of_each(rig: Rig) -> None:
    rig.begin(newest=200)
    rig.begin(session=2, newest=7, epoch=4, resumed_after=0)
    end = SEQUENCE_END - 1
    assert told_gaps(rig) == [(1, 1, end), (2, 1, end), (3, 1, end)]
    assert (rig.shard.merge.epoch, rig.shard.merge.mark) == (4, 0)


def test_a_shard_that_never_heard_of_the_first_numbering_has_missed_all_of_it(rig: Rig) -> None:
    rig.begin(newest=7, epoch=2, resumed_after=0)
    assert told_gaps(rig) == [(1, 1, SEQUENCE_END - 1)]


def test_unknown_and_lost_rows_advance_no_position(rig: Rig) -> None:
    rig.begin()
    rig.feed(event(1_005, A, "Available", T1))
    rig.begin(session=2, newest=2_000)
    rig.end_history(session=2)
    assert (rig.agent(A).epoch, rig.agent(A).sequence) == (1, 1_005)
    rig.restart()
    assert (rig.agent(A).state, rig.agent(A).sequence) == (UNKNOWN, 1_005)
