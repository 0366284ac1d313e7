"""The reconnect machine: what it asks for, whom it believes, how long it listens."""

from __future__ import annotations

import pytest

from actors.messages.control import (
    Gap,
    HistoryEnds,
    SessionBegins,
    SessionEnds,
)
from actors.receiver import signals
from actors.receiver.line import lowest_mark
from actors.receiver.signals import Close, Connect, Signal, Subscribe, Tick
from tests.actors.receiver.play import Play, resumed

# The first session, and what is asked for


def test_a_starting_receiver_first_ends_whatever_session_was_up() -> None:
    play = Play()
    assert play.actions == [
        signals.Write(SessionEnds(0, "all", "receiver starts", 0)),
        Connect(1, fresh_token=False),
    ]


def test_who_knows_nothing_asks_for_no_replay() -> None:
    play = Play()
    assert play.open() == [Subscribe(1, None, "")]


def test_a_first_session_begins_with_the_newest_sequence_as_its_watermark() -> None:
    play = Play()
    actions = play.begin(newest=10_000_000)
    assert actions[0] == signals.Number(1)
    record = play.written(SessionBegins)[0]
    assert record == SessionBegins(1, "all", 1, "e1", 10_000_000, None, 1_000_000_000)
    assert play.all(signals.Stream) == [signals.Stream(1, 1, "e1", 10_000_000, 10_000_000)]


def test_a_resume_asks_for_everything_behind_the_lowest_mark_less_the_margin() -> None:
    """Also for the one that the mark has overtaken by the whole margin."""
    play = resumed()
    assert play.open() == [Subscribe(1, 3999, "e1")]


@pytest.mark.parametrize(
    ("marks", "after"),
    [(((3, 400), (3, 9000)), 0), (((2, 9000), (3, 9000)), 0), (((3, 9000), (3, 8000)), 6999)],
)
def test_a_mark_of_another_epoch_counts_as_nothing(
    marks: tuple[signals.Mark, ...], after: int
) -> None:
    play = resumed(marks=marks)
    assert play.open() == [Subscribe(1, after, "e1")]
    assert lowest_mark(marks, 3) == (0 if after == 0 and marks[0][0] == 2 else min(marks)[1])


def test_session_numbers_go_on_where_the_last_receiver_stopped() -> None:
    play = resumed()
    play.begin(5100)
    assert play.written(SessionBegins)[0].session == 8
    assert play.all(signals.Stream) == [signals.Stream(1, 3, "e1", 5100, None)]


# Whether the gateway replays


@pytest.mark.parametrize(
    ("first", "gap"),
    [
        (signals.EventSeen(1, 4000, is_history=False), None),
        (signals.EventSeen(1, 5900, is_history=False), None),  # neighbours change places
        (signals.EventSeen(1, 6500, is_history=False), (4000, 6499)),
        (signals.EventSeen(1, 7001, is_history=False), (4000, 7000)),
        (signals.EventSeen(1, 12, is_history=True), (4000, 7000)),
        (signals.HistorySeen(1, 7000), (4000, 7000)),
        (signals.GapSeen(1, 4000, 6000), (4000, 6000)),
    ],
)
def test_a_gateway_that_ignores_sequence_leaves_a_gap(
    first: Signal, gap: tuple[int, int] | None
) -> None:
    play = resumed()
    play.begin(7000)
    actions = play.tell(first)
    told = [(record.first, record.last) for record in play.written(Gap)]
    assert told == ([] if gap is None else [gap])
    assert signals.GoFast(1) in actions


def test_where_nothing_can_be_replayed_nothing_is_missed() -> None:
    play = resumed(marks=((3, 0), (3, 0)), watermark=0)
    play.begin(0)
    play.tell(signals.HistorySeen(1, 0))
    assert play.written(Gap) == []


def test_what_our_mark_has_overtaken_is_missed_also_if_nothing_happened_since() -> None:
    """A gateway that ignores `sequence` does not bring it either."""
    play = resumed()
    play.begin(5000)
    play.tell(signals.HistorySeen(1, 5000))
    assert [(gap.first, gap.last) for gap in play.written(Gap)] == [(4000, 5000)]


def test_a_replay_that_begins_where_it_was_asked_for_leaves_no_gap_however_low_our_mark() -> None:
    """Behind a frame that was left behind, a shard may still have its mark far below."""
    play = resumed(marks=((3, 1100), (3, 5000)), watermark=5000)
    for _ in range(3):
        play.begin(7000)
        play.tell(signals.Lost(play.line, 1009, is_ours=True, highest=5000, unbroken=5000))
        play.retry()
    play.begin(7000)
    assert play.all(Subscribe)[-1].resume_after == 5001
    play.tell(signals.EventSeen(play.line, 5002, is_history=False))
    assert [(gap.first, gap.last) for gap in play.written(Gap)] == [(5001, 5001)]


def test_an_event_without_a_sequence_shows_nothing_yet() -> None:
    play = resumed()
    play.begin(7000)
    assert play.tell(signals.EventSeen(1, 0, is_history=False)) == []
    play.tell(signals.EventSeen(1, 4000, is_history=False))
    assert play.written(Gap) == []


# Gateway epochs


@pytest.mark.parametrize(("newest", "name"), [(9000, "e2"), (3999, "e1"), (3, "")])
def test_a_gateway_that_numbers_anew_is_asked_from_0(newest: int, name: str) -> None:
    play = resumed()
    play.begin(newest, name)
    assert Close(1, 1000) in play.actions
    assert play.written(SessionBegins) == []
    assert play.line == 2, "at once"
    play.begin(newest, name)
    assert play.all(Subscribe)[-1] == Subscribe(2, 0, name)
    begins, gap = play.written(SessionBegins)[0], play.written(Gap)[0]
    assert (begins.session, begins.epoch, begins.epoch_name) == (8, 4, name)
    assert gap == Gap(8, "all", 3, 4000, 2**62 - 1, "the gateway numbers anew", gap.at_us)
    assert play.all(signals.Stream) == [signals.Stream(2, 4, name, newest, 0)]


@pytest.mark.parametrize(("newest", "name"), [(4000, "e1"), (4000, ""), (99_000, "e1")])
def test_a_little_less_than_our_mark_is_the_same_numbering(newest: int, name: str) -> None:
    play = resumed()
    play.begin(newest, name)
    assert play.written(SessionBegins)[0].epoch == 3


def test_marks_that_a_forged_gap_has_moved_are_no_place_to_resume_at() -> None:
    play = resumed(marks=((3, 900_000), (3, 900_000)), watermark=5_000)
    play.begin(newest=5_100)
    assert [close.code for close in play.all(Close)] == [1000]
    play.retry()
    play.begin(newest=5_100)
    assert play.all(Subscribe)[-1].resume_after == 0
    assert [gap.epoch for gap in play.written(Gap)] == [3]


def test_what_a_history_claims_beyond_the_acknowledgement_is_not_taken_as_routed() -> None:
    play = Play()
    play.begin(newest=100)
    play.tell(signals.HistorySeen(play.line, 900_000))
    assert [stop.sequence for stop in play.all(signals.StopHistory)] == [100]


def test_a_gateway_that_numbers_anew_each_time_is_not_hammered() -> None:
    play = resumed()
    play.begin(9000, "e2")
    play.begin(9000, "e3")
    assert play.line == 2
    assert play.retry_delay_s() == 4.0
    play.retry()
    play.begin(9000, "e3")
    gaps = [(gap.epoch, gap.first) for gap in play.written(Gap)]
    assert gaps == [(3, 4000), (4, 1)]
    assert play.written(SessionBegins)[0].epoch == 5


# Acknowledgement, history, signs of life: in time that we read


def test_no_acknowledgement_within_5_s_ends_the_line() -> None:
    play = Play()
    play.open()
    play.hear()  # a frame is not an acknowledgement
    assert Close(1, 1002) not in play.wait(4.75)
    assert Close(1, 1002) in play.wait(0.25)
    assert play.retry_delay_s() == 4.0


def test_a_first_frame_that_is_no_acknowledgement_ends_the_line() -> None:
    play = Play()
    play.open()
    assert Close(1, 1002) in play.tell(signals.NotAcknowledged(1))
    assert play.machine.due_s is not None


def test_a_history_ends_after_5_s_of_reading_without_a_history_event() -> None:
    play = Play()
    play.begin()
    for _ in range(10):
        play.wait(4.0)
        play.hear(1, 1)
    play.is_reading = False
    play.wait(60.0)
    play.is_reading = True
    play.wait(4.5)
    assert play.written(HistoryEnds) == []
    play.wait(0.5)
    assert [record.complete for record in play.written(HistoryEnds)] == [True]


def test_live_events_do_not_keep_a_history_running() -> None:
    play = Play()
    play.begin()
    for _ in range(20):
        play.hear(5)
        play.wait(0.25)
    assert len(play.written(HistoryEnds)) == 1


def test_a_history_ends_once() -> None:
    play = Play()
    play.begin()
    play.tell(signals.HistorySeen(1, 100))
    assert play.tell(signals.HistorySeen(1, 100)) == []
    play.wait(10.0)
    assert len(play.written(HistoryEnds)) == 1


def test_a_session_that_dies_ends_no_history() -> None:
    play = Play()
    play.begin()
    play.tell(signals.Lost(1, 1006))
    assert play.written(HistoryEnds) == []
    assert play.written(SessionEnds)[-1].session == 1


def test_a_silent_line_is_pinged_twice_and_dead_after_35_s() -> None:
    play = Play()
    play.serve()
    assert play.wait(14.75) == []
    assert play.wait(0.25) == [signals.Ping(1)]
    assert play.wait(10.0) == [signals.Ping(1)]
    assert signals.Abort(1) not in play.wait(9.75)
    assert signals.Abort(1) in play.wait(0.25)
    assert play.written(SessionEnds)[-1].reason == "no frame and no pong for 35 s"


def test_a_pong_is_a_sign_of_life() -> None:
    play = Play()
    play.serve()
    for _ in range(10):
        assert play.wait(15.0) == [signals.Ping(1)]
        play.hear()
        play.wait(0.25)


def test_watchdogs_stand_still_while_we_do_not_read() -> None:
    play = Play()
    play.serve()
    play.is_reading = False
    assert play.wait(600.0) == []


def test_a_machine_that_was_suspended_has_heard_nothing_in_its_sleep() -> None:
    play = Play()
    play.serve()
    play.wait(1.0)
    play.now_s += 3600.0
    assert play.tell(Tick({}, is_reading=True)) == []
