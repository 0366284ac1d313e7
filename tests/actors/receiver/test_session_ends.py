"""The reconnect machine, row by row of the table in protocol.md §1.2: ends and retries."""

from __future__ import annotations

import random

import pytest

from actors.messages.control import (
    END_EXHAUSTED,
    Gap,
    HistoryEnds,
    SessionEnds,
)
from actors.receiver import signals
from actors.receiver.line import ReceiverPolicy
from actors.receiver.session import SessionMachine
from actors.receiver.signals import Close, Connect, GiveUp, Subscribe
from tests.actors.receiver.play import FullJitter, Play, resumed

# Ends and retries


def test_back_off_doubles_up_to_its_cap_with_full_jitter() -> None:
    play = Play(policy=ReceiverPolicy(attempts_max=0))
    delays = []
    for _ in range(7):
        play.tell(signals.Unreachable(play.line, "no route"))
        delays.append(play.retry_delay_s())
        play.retry()
    assert delays == [4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]
    low = SessionMachine(ReceiverPolicy(), random.Random(1))
    low.start(0.0, 0)
    low.handle(signals.Unreachable(1, "no route"), 0.0, 0)
    assert low.due_s is not None
    assert 0.0 <= low.due_s < 4.0


def test_only_a_session_of_60_s_forgives_the_tries_before_it() -> None:
    play = Play()
    for _ in range(3):
        play.begin()
        play.tell(signals.Lost(play.line, 1000))
        play.retry()
    play.tell(signals.Unreachable(play.line, "x"))
    assert play.retry_delay_s() == 30.0
    play.retry()
    play.serve()
    for _ in range(61):
        play.hear()
        play.wait(1.0)
    play.tell(signals.Lost(play.line, 1012))
    assert play.retry_delay_s() == 4.0


@pytest.mark.parametrize(("age_s", "delay_s"), [(59, 4.0), (61, 0.0)])
def test_an_expired_token_is_replaced_at_once_after_a_proven_session(
    age_s: int, delay_s: float
) -> None:
    play = Play()
    play.serve()
    for _ in range(age_s):
        play.hear()
        play.wait(1.0)
    play.tell(signals.Lost(1, 1005))
    if delay_s:
        assert play.retry_delay_s() == delay_s
        play.retry()
    assert play.all(Connect)[-1] == Connect(2, fresh_token=True)


def test_a_401_drops_the_token_tries_once_and_then_backs_off() -> None:
    play = Play()
    play.tell(signals.Refused(1, 401))
    assert play.all(Connect)[-1] == Connect(2, fresh_token=True)
    play.tell(signals.Refused(2, 401))
    assert play.retry_delay_s() == 4.0
    play.retry()
    assert play.all(Connect)[-1] == Connect(3, fresh_token=True)


def test_a_403_names_the_scope_and_waits_as_long_as_it_may() -> None:
    play = Play()
    actions = play.tell(signals.Refused(1, 403))
    assert any(isinstance(each, signals.Tell) and each.level == "error" for each in actions)
    assert play.retry_delay_s() == 30.0


@pytest.mark.parametrize(("after", "delay_s"), [(77.0, 77.0), (None, 4.0)])
def test_a_429_is_waited_for(after: float | None, delay_s: float) -> None:
    play = Play()
    play.tell(signals.Refused(1, 429, after))
    assert play.retry_delay_s() == delay_s


def test_a_token_that_is_refused_in_service_costs_no_try() -> None:
    play = Play(policy=ReceiverPolicy(attempts_max=2))
    for _ in range(5):
        play.tell(signals.TokenMissing(play.line, "401", 300.0, is_refused=True))
        assert play.retry_delay_s() == 300.0
        play.retry()
    assert play.all(GiveUp) == []


def test_a_token_that_comes_at_last_is_used_at_once() -> None:
    play = Play(policy=ReceiverPolicy(attempts_max=2))
    play.tell(signals.TokenMissing(1, "401", 300.0, is_refused=True))
    assert signals.Connect(2, False) in play.tell(signals.TokenRenewed())


def test_a_new_token_does_not_shorten_the_wait_for_a_gateway_that_is_away() -> None:
    play = Play()
    play.tell(signals.Unreachable(1, "no route"))
    assert play.tell(signals.TokenRenewed()) == []


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1012, 4001])
def test_any_other_close_is_backed_off(code: int) -> None:
    play = Play()
    play.serve()
    play.tell(signals.Lost(1, code))
    assert play.retry_delay_s() == 4.0
    assert play.written(SessionEnds)[-1].reason == f"closed with {code}"


def test_a_malformed_subscription_is_a_mistake_only_before_anybody_accepted_it() -> None:
    play = Play()
    for _ in range(3):
        play.open()
        play.tell(signals.Lost(play.line, 1006))
        play.retry()
    assert [give_up.exit_code for give_up in play.all(GiveUp)] == [78]
    known = Play(is_known=True)
    for _ in range(9):
        known.open()
        known.tell(signals.Lost(known.line, 1006))
        known.retry()
    assert known.all(GiveUp) == []


def test_ten_tries_in_a_row_end_in_exhaustion_said_once() -> None:
    play = resumed()
    play.begin(5000)
    play.tell(signals.Lost(1, 1006))
    for _ in range(9):
        assert play.all(GiveUp) == []
        play.retry()
        play.tell(signals.Unreachable(play.line, "no route"))
    assert [give_up.exit_code for give_up in play.all(GiveUp)] == [75]
    ends = play.written(SessionEnds)
    assert [record.session for record in ends if record.reason == END_EXHAUSTED] == [8]
    assert play.wait(100.0) == []


def test_our_stop_closes_with_1000_and_ends_the_session() -> None:
    play = Play()
    play.serve()
    play.tell(signals.StopAsked())
    assert play.actions[-3] == Close(1, 1000)
    assert play.written(SessionEnds)[-1].reason == "stopped"
    assert play.wait(100.0) == []


# Poison


def test_three_sessions_ended_at_one_place_by_our_error_are_resumed_behind_it() -> None:
    play = resumed()
    for _ in range(3):
        play.begin(7000)
        play.tell(signals.Lost(play.line, 1009, is_ours=True, highest=5500, unbroken=5500))
        play.retry()
    play.begin(7000)
    assert [each.resume_after for each in play.all(Subscribe)] == [3999, 3999, 3999, 5501]
    assert [(gap.first, gap.last) for gap in play.written(Gap)] == [(5501, 5501)]
    for _ in range(3):  # neighbours had changed places: then all of them
        play.tell(signals.Lost(play.line, 1009, is_ours=True, highest=5501, unbroken=5501))
        play.retry()
        play.begin(7000)
    assert play.all(Subscribe)[-1].resume_after == 6502


def test_what_a_place_has_overtaken_is_left_behind_with_the_frame_and_in_its_gap() -> None:
    """It stands behind the frame that nobody can receive, and the resume behind both."""
    play = resumed()
    for _ in range(3):
        play.begin(7000)
        play.tell(signals.Lost(play.line, 1009, is_ours=True, highest=5500, unbroken=5496))
        play.retry()
    play.begin(7000)
    assert [(gap.first, gap.last) for gap in play.written(Gap)] == [(5497, 5501)]
    assert play.all(Subscribe)[-1].resume_after == 5501


def test_a_gap_says_nothing_of_what_neighbours_cannot_have_changed_places_with() -> None:
    play = resumed(marks=((3, 1100), (3, 1100)), watermark=1100)
    for _ in range(3):
        play.begin(7000)
        play.tell(signals.Lost(play.line, 1009, is_ours=True, highest=5500, unbroken=0))
        play.retry()
    play.begin(7000)
    assert [(gap.first, gap.last) for gap in play.written(Gap)] == [(4500, 5501)]


def test_a_frame_is_left_behind_also_where_its_neighbours_come_in_another_order_each_time() -> None:
    play = resumed()
    for place in (5500, 5503, 5500, 5502, 5501, 5500):
        play.begin(7000)
        play.tell(signals.Lost(play.line, 1009, is_ours=True, highest=place, unbroken=5490))
        play.retry()
    play.begin(7000)
    assert [(gap.first, gap.last) for gap in play.written(Gap)] == [(5491, 6501)]
    assert play.all(Subscribe)[-1].resume_after == 6501


@pytest.mark.parametrize(
    "ends",
    [
        [(True, 5500), (True, 5500)],
        [(True, 5500), (True, 5501), (True, 5500)],
        [(True, 5500), (True, 5500), (False, 5500), (True, 5500)],
        [(True, 7000), (True, 7000), (True, 7000)],  # in the history: no resume avoids it
    ],
)
def test_fewer_other_or_unavoidable_places_are_not_skipped(ends: list[tuple[bool, int]]) -> None:
    play = resumed()
    for is_ours, highest in ends:
        play.begin(7000)
        play.tell(signals.Lost(play.line, 1002, is_ours, highest))
        play.retry()
    play.open()
    assert play.all(Subscribe)[-1].resume_after == 3999


# Since when nothing is confirmed


def ended_at_s(play: Play) -> float:
    return play.written(SessionEnds)[-1].at_us / 1e6


def test_a_dead_line_is_not_confirmed_since_its_last_frame_and_quiet_until_then() -> None:
    play = Play()
    play.serve()
    play.wait(2.0)
    play.hear()
    play.wait(0.25)
    heard_s = play.now_s
    play.wait(20.0)
    assert play.machine.quiet_s == 20.0
    play.wait(15.0)
    assert not play.machine.is_up
    assert ended_at_s(play) == heard_s
    assert play.machine.heard_us == heard_s * 1e6
    assert play.machine.quiet_s == 0.0


def test_a_history_frame_and_a_pong_are_frames_that_were_heard() -> None:
    play = Play()
    play.begin()
    for frames, history_frames in ((1, 1), (1, 0)):
        play.wait(3.0)
        play.hear(frames, history_frames)
        play.wait(0.25)
        assert play.machine.heard_us == play.now_s * 1e6
        assert play.machine.quiet_s == 0.0


@pytest.mark.parametrize("code", [1000, 1005, 1012])
def test_a_close_frame_is_the_last_one_that_was_heard(code: int) -> None:
    play = Play()
    play.serve()
    play.wait(8.0)
    play.tell(signals.Lost(play.line, code))
    assert ended_at_s(play) == play.now_s


def test_a_line_that_breaks_off_says_nothing_in_doing_so() -> None:
    play = Play()
    play.serve()
    began_s = play.now_s
    play.wait(8.0)
    play.tell(signals.Lost(play.line, 1006))
    assert ended_at_s(play) == began_s


def test_a_clock_that_was_set_back_puts_no_end_into_the_future() -> None:
    play = Play()
    play.serve()
    play.now_s -= 500.0
    play.tell(signals.Lost(play.line, 1006))
    assert ended_at_s(play) == play.now_s


@pytest.mark.parametrize(("heard_us", "ends_us"), [(0, 9_000), (4_000, 4_000), (10_000, 9_000)])
def test_what_a_killed_receiver_heard_last_is_known_by_its_page(
    heard_us: int, ends_us: int
) -> None:
    machine = SessionMachine(ReceiverPolicy(), FullJitter(), session=3, heard_us=heard_us)
    first = machine.start(1.0, 9_000)[0]
    assert first == signals.Write(SessionEnds(0, "all", "receiver starts", ends_us))


# Replacing a session that is up


def replacing() -> Play:
    play = Play()
    play.serve()
    play.wait(9.75)
    play.hear()
    play.wait(0.25)
    play.tell(signals.TokenRenewed())
    play.wait(0.25)
    assert play.line == 2
    return play


def test_the_new_session_is_up_before_the_old_line_is_closed() -> None:
    play = replacing()
    play.marks = ((1, 100), (1, 100))
    play.watermark = 100
    play.begin()
    assert Close(1, 1000) not in play.actions
    play.tell(signals.HistorySeen(2, 100))
    done = [action for action in play.actions[-6:] if not isinstance(action, signals.Tell)]
    assert done == [
        signals.Write(HistoryEnds(2, "all", True, round(play.now_s * 1e6))),
        signals.StopHistory(2, 100),
        Close(1, 1000),
        signals.Write(SessionEnds(1, "all", "replaced", 1_010_000_000)),  # heard last
    ]
    assert [record.session for record in play.written(SessionEnds)] == [0, 1]
    assert play.machine.is_up


def test_a_replacement_that_fails_leaves_the_old_session_and_is_tried_again() -> None:
    play = replacing()
    for _ in range(12):
        play.tell(signals.Unreachable(play.line, "no route"))
        assert play.machine.is_up
        assert play.machine.due_s is not None
        play.hear()
        play.retry()
    assert play.all(GiveUp) == []
    assert [record.session for record in play.written(SessionEnds)] == [0]


def test_the_old_line_may_die_while_the_new_one_opens() -> None:
    play = replacing()
    play.tell(signals.Lost(1, 1005))
    assert play.written(SessionEnds)[-1].session == 1
    assert play.machine.due_s is None, "the new line is the next try"
    play.begin()
    assert play.machine.is_up


def test_a_wanted_history_is_repeated_but_not_more_often_than_every_10_s() -> None:
    play = Play()
    play.serve()
    for _ in range(20):
        play.tell(signals.HistoryWanted())
        play.wait(0.25)
    assert play.line == 1
    for _ in range(20):
        play.tell(signals.HistoryWanted())
        play.wait(0.25)
    assert play.line == 2


def test_no_line_is_opened_while_a_history_runs_for_those_who_want_one() -> None:
    play = Play()
    play.begin()
    for _ in range(40):
        play.hear(1, 1)
        play.tell(signals.HistoryWanted())
        play.wait(0.5)
    assert play.line == 1


# Pressure


def test_an_overflow_drops_the_spill_and_reconnects_once_there_is_room() -> None:
    play = resumed()
    play.serve(9000)
    marks: tuple[signals.Mark, ...] = ((3, 6000), (3, 6100))
    actions = play.tell(signals.Overflowed(marks))
    assert actions[0] == signals.DropSpill(6000)
    assert actions[1] == Close(1, 1001)
    play.is_reading = False
    play.wait(60.0)
    assert play.line == 1
    play.is_reading = True
    play.wait(0.25)
    assert play.line == 2
    play.marks = marks
    assert play.open() == [Subscribe(2, 4999, "e1")]
