"""The life of the presence socket, signal by signal (protocol.md §1.2, §1.3)."""

from __future__ import annotations

import pytest

from actors.sender.line_signals import (
    Abort,
    Answered,
    Bind,
    ChannelBound,
    Close,
    Connect,
    Lost,
    NotBound,
    Opened,
    Ping,
    Refused,
    Sent,
    StopAsked,
    Tell,
    TokenDoubted,
    TokenMissing,
    TokenRenewed,
    Unreachable,
)
from actors.sender.signals import LineDown, LineUp
from tests.actors.sender.line_play import Play


@pytest.fixture
def play() -> Play:
    return Play()


@pytest.fixture
def bound() -> Play:
    """Line 1 carries."""
    play = Play()
    play.bind(1)
    return play


@pytest.fixture
def proven() -> Play:
    """Line 1 has carried for over a minute."""
    play = Play()
    play.bind(1)
    play.wait(61.0, talking=True)
    return play


# From the first try to the binding


def test_the_first_line_connects_at_once(play: Play) -> None:
    assert play.actions == [Connect(1, fresh_token=False)]


def test_nothing_is_sent_before_the_channel_is_bound(play: Play) -> None:
    assert play.tell(Opened(1)) == [Bind(1)]
    assert not play.machine.is_up
    assert play.tell(ChannelBound(1)) == [LineUp(1)]
    assert play.machine.is_up


def test_a_gateway_that_does_not_bind_within_5_s_is_left(play: Play) -> None:
    play.wait(8.0)  # of a handshake: its limit is the socket's own
    play.tell(Opened(1))
    assert play.wait(4.75) == []
    assert play.wait(0.25) == [Close(1, 1002), LineDown(1, "not bound within 5 s")]
    assert play.delay_s == 1.0


def test_a_first_frame_that_binds_nothing_ends_the_line(play: Play) -> None:
    play.tell(Opened(1))
    told = play.tell(NotBound(1, "not JSON"))
    assert told == [Close(1, 1002), LineDown(1, "not bound: not JSON")]


# Trying again


def test_five_attempts_are_a_second_apart_then_the_back_off_begins(play: Play) -> None:
    delays = []
    for _ in range(9):
        delays.append(play.fail())
        play.go()
    assert delays == [1.0, 1.0, 1.0, 1.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert play.downs[0] == (1, "no route")
    assert [line for line, _ in play.downs] == list(range(1, 10))


def test_a_line_that_is_lost_soon_counts_as_a_failed_attempt(play: Play) -> None:
    delays = []
    for line in range(1, 7):
        play.bind(line)
        play.wait(50.0, talking=True)
        assert play.tell(Lost(line, 1012)) == [LineDown(line, "closed with 1012")]
        delays.append(play.delay_s)
        play.go()
    assert delays == [1.0, 1.0, 1.0, 1.0, 4.0, 8.0]


def test_a_line_that_lived_a_minute_is_replaced_at_once_and_forgives(proven: Play) -> None:
    told = proven.tell(Lost(1, 1006))
    assert told == [LineDown(1, "closed with 1006"), Connect(2, fresh_token=False)]
    assert proven.fail() == 1.0


def test_a_handshake_401_is_tried_once_more_at_once_with_another_token(play: Play) -> None:
    reason = "handshake refused with 401"
    told = play.tell(Refused(1, 401))
    assert told == [LineDown(1, reason), Connect(2, fresh_token=True)]
    assert play.tell(Refused(2, 401)) == [LineDown(2, reason)]
    assert play.delay_s == 1.0
    play.go()
    assert play.all(Connect)[-1] == Connect(3, fresh_token=True)
    play.bind(3)
    play.tell(Lost(3, 1001))
    play.go()
    assert play.all(Connect)[-1] == Connect(4, fresh_token=False)
    assert play.tell(Refused(4, 401))[1] == Connect(5, fresh_token=True), "doubted anew"


def test_a_handshake_403_names_the_scope_and_waits_longest(play: Play) -> None:
    reason = "handshake refused with 403: the client lacks the scope presence:write"
    assert play.tell(Refused(1, 403)) == [LineDown(1, reason)]
    assert play.delay_s == 30.0
    assert [each.event for each in play.all(Tell) if each.level == "error"] == ["line.down"]


def test_a_handshake_429_waits_as_long_as_it_is_asked_to(play: Play) -> None:
    play.tell(Refused(1, 429, 17.0))
    assert play.delay_s == 17.0
    play.go()
    play.tell(Refused(2, 429))
    assert play.delay_s == 1.0


def test_a_handshake_500_is_backed_off(play: Play) -> None:
    assert play.tell(Refused(1, 500)) == [LineDown(1, "handshake refused with 500")]
    assert play.delay_s == 1.0


def test_without_a_token_it_waits_for_the_token(play: Play) -> None:
    for line in range(1, 8):
        told = play.tell(TokenMissing(line, "no token within 10 s", 300.0))
        assert told == [LineDown(line, "no token within 10 s")]
        assert play.delay_s == 300.0
        play.go()
    assert play.fail() == 1.0, "no attempt was spent"


def test_a_close_without_a_code_is_answered_with_another_token(bound: Play) -> None:
    bound.tell(Lost(1, 1005))
    bound.go()
    assert bound.all(Connect)[-1] == Connect(2, fresh_token=True)
    bound.fail()
    bound.go()
    assert bound.all(Connect)[-1] == Connect(3, fresh_token=False)


def test_our_own_close_over_a_broken_frame_says_so(bound: Play) -> None:
    assert bound.tell(Lost(1, 1002, is_ours=True)) == [
        LineDown(1, "closed with 1002 by the runtime")
    ]


# Silence


def test_a_silent_line_is_pinged_twice_and_dead_after_35_s(bound: Play) -> None:
    assert bound.wait(14.75) == []
    assert bound.wait(0.25) == [Ping(1)]
    assert bound.wait(9.75) == []
    assert bound.wait(0.25) == [Ping(1)]
    assert bound.wait(9.75) == []
    reason = "no frame and no pong for 35 s"
    assert bound.wait(0.25) == [Abort(1), LineDown(1, reason)]
    assert bound.delay_s == 1.0


def test_any_frame_is_a_sign_of_life(bound: Play) -> None:
    bound.wait(34.0)
    bound.frames = {1: 1}
    assert bound.wait(14.75) == []
    assert bound.wait(0.5) == [Ping(1)]


def test_a_suspended_machine_has_heard_nothing_in_its_sleep(bound: Play) -> None:
    bound.wait(10.0)
    bound.now_s += 3600.0
    assert bound.wait(4.0) == [], "a tick counts at most a second"
    assert bound.wait(0.25) == [Ping(1)]


# Make before break


def test_a_renewed_token_brings_a_new_line_before_the_old_one_goes(proven: Play) -> None:
    proven.tell(TokenRenewed())
    assert proven.wait(0.25, talking=True) == [Connect(2, fresh_token=False)]
    assert proven.machine.is_up
    assert proven.bind(2) == [LineUp(2)]
    assert proven.downs == []
    assert proven.wait(0.75, talking=True) == [], "what was on its way to it may still arrive"
    assert proven.wait(0.25, talking=True) == [Close(1, 1000), LineDown(1, "replaced")]
    assert proven.machine.is_up


def test_a_replaced_line_is_closed_when_its_answers_are_in(proven: Play) -> None:
    proven.tell(Sent(1, "a"))
    proven.tell(TokenRenewed())
    proven.wait(0.25)
    proven.bind(2)
    proven.tell(Sent(1, "b"))
    proven.tell(Answered(1, "a"))
    assert proven.wait(3.0) == []
    proven.tell(Answered(2, "b"))
    assert proven.wait(0.25) == [Close(1, 1000), LineDown(1, "replaced")]


def test_a_replaced_line_waits_5_s_for_its_answers_and_no_longer(proven: Play) -> None:
    proven.tell(TokenRenewed())
    proven.wait(0.25)
    proven.bind(2)
    for second in range(4):
        proven.tell(Sent(1, f"c{second}"))
        assert proven.wait(1.0) == []
    assert proven.wait(0.75) == []
    assert proven.wait(0.25) == [Close(1, 1000), LineDown(1, "replaced")]


def test_an_answer_that_is_long_overdue_is_not_waited_for(proven: Play) -> None:
    proven.tell(Sent(1, "never"))
    proven.wait(5.25, talking=True)
    proven.tell(TokenRenewed())
    proven.wait(0.25)
    proven.bind(2)
    assert proven.wait(1.0) == [Close(1, 1000), LineDown(1, "replaced")]


def test_a_replacement_that_fails_leaves_the_old_line_carrying(proven: Play) -> None:
    proven.tell(TokenRenewed())
    proven.wait(0.25)
    proven.tell(Refused(2, 503))
    assert proven.machine.is_up
    assert proven.go() == 3
    proven.bind(3)
    proven.wait(1.0)
    assert proven.downs == [(2, "handshake refused with 503"), (1, "replaced")]


def test_a_carrying_line_that_is_lost_leaves_the_field_to_the_one_on_its_way(proven: Play) -> None:
    proven.tell(TokenRenewed())
    proven.wait(0.25)
    proven.tell(Lost(1, 1005))
    assert proven.machine.due_s is None
    assert proven.bind(2) == [LineUp(2)]
    assert proven.wait(6.0, talking=True) == []


def test_a_replaced_line_that_is_lost_needs_no_successor(proven: Play) -> None:
    proven.tell(TokenRenewed())
    proven.wait(0.25)
    proven.bind(2)
    assert proven.tell(Lost(1, 1005)) == [LineDown(1, "closed with 1005")]
    assert proven.machine.due_s is None
    proven.tell(Lost(2, 1001))
    proven.go()
    assert proven.all(Connect)[-1] == Connect(3, fresh_token=False), "its token was not refused"


def test_a_line_that_was_replaced_keeps_its_5_s_when_its_successor_is_lost(proven: Play) -> None:
    proven.tell(Sent(1, "a"))
    proven.tell(TokenRenewed())
    proven.wait(0.25)
    proven.bind(2)
    proven.tell(Lost(2, 1001))
    proven.go()
    assert proven.bind(3) == [LineUp(3)]
    assert proven.wait(3.5) == []
    assert proven.wait(0.5) == [Close(1, 1000), LineDown(1, "replaced")]


def test_a_token_that_is_renewed_twice_brings_one_line_at_a_time(proven: Play) -> None:
    proven.tell(TokenRenewed())
    assert proven.wait(0.25) == [Connect(2, fresh_token=False)]
    proven.tell(TokenRenewed())
    assert proven.wait(5.0) == []
    proven.bind(2)
    assert proven.wait(9.75, talking=True)[2:] == []
    assert proven.wait(0.25, talking=True) == [Connect(3, fresh_token=False)]


def test_the_wait_that_a_gateway_asks_for_outlives_the_loss_of_the_old_line(proven: Play) -> None:
    proven.tell(TokenRenewed())
    proven.wait(0.25)
    proven.tell(Refused(2, 429, 17.0))
    proven.wait(2.0)
    proven.tell(Lost(1, 1001))
    assert proven.delay_s == 15.0


def test_a_binding_that_is_told_twice_is_one(bound: Play) -> None:
    assert bound.tell(ChannelBound(1)) == []


def test_a_young_line_is_not_replaced_at_once(bound: Play) -> None:
    bound.tell(TokenRenewed())
    assert bound.wait(9.75, talking=True) == []
    assert bound.wait(0.25, talking=True) == [Connect(2, fresh_token=False)]


def test_an_update_that_was_answered_with_401_brings_a_line_with_another_token(
    proven: Play,
) -> None:
    proven.tell(TokenDoubted(1))
    assert proven.wait(0.25) == [Connect(2, fresh_token=True)]
    proven.bind(2)
    proven.tell(TokenDoubted(2))
    assert proven.wait(30.0, talking=True) == [Close(1, 1000), LineDown(1, "replaced")]


# Ends


def test_at_a_stop_every_line_says_goodbye_and_nothing_follows(proven: Play) -> None:
    proven.tell(TokenRenewed())
    proven.wait(0.25)
    told = proven.tell(StopAsked())
    assert told == [
        Close(2, 1000),
        LineDown(2, "stopped"),
        Close(1, 1000),
        LineDown(1, "stopped"),
    ]
    assert proven.machine.due_s is None
    assert proven.wait(60.0) == []
    assert proven.tell(TokenRenewed()) == []


def test_a_stop_while_nothing_is_open_plans_nothing(play: Play) -> None:
    play.fail()
    assert play.tell(StopAsked()) == []
    assert play.wait(60.0) == []


@pytest.mark.parametrize(
    "signal",
    [Opened(1), ChannelBound(1), NotBound(1, "x"), Lost(1, 1000), Refused(1, 401), Sent(1, "c")],
)
def test_a_line_that_has_ended_says_nothing_more(play: Play, signal: Lost) -> None:
    play.tell(Unreachable(1, "no route"))
    due_s = play.machine.due_s
    assert play.tell(signal) == []
    assert play.machine.due_s == due_s


def test_a_replacement_does_not_pay_for_the_tries_before_the_line_it_replaces(play: Play) -> None:
    for _ in range(4):
        play.fail()
        play.go()
    play.bind(5)
    play.wait(61.0, talking=True)
    play.tell(TokenRenewed())
    play.wait(0.25)
    assert play.fail() == 1.0
