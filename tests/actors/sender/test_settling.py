"""Every error of the tutorial's list: its message and its end. And what no error may lead to."""

from __future__ import annotations

import pytest

from actors.sender import signals
from actors.sender.commands import Code, CommandStep
from tests.actors.sender.around import Around


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (400, Code.BAD_REQUEST, "the gateway rejected the update as malformed: not.ok no"),
        (401, Code.UNAUTHORISED, "the gateway rejected the access token: not.ok no"),
        (403, Code.SCOPE, "the access token lacks the scope presence:write: not.ok no"),
        (404, Code.NO_SUCH_USER, "the gateway does not know this user: not.ok no"),
        (500, Code.GATEWAY_ERROR, "the gateway responded with 500: not.ok no"),
        (503, Code.GATEWAY_ERROR, "the gateway responded with 503: not.ok no"),
    ],
)
def test_a_negative_answer_is_the_end(status: int, code: Code, message: str) -> None:
    around = Around()
    command_id = around.order(key="k")
    around.decline(command_id, status, code="not.ok", message="no")
    command = around.command(command_id)
    assert (command.step, command.code, command.detail) == (CommandStep.REFUSED, code, message)
    assert command.key == "k"
    assert around.machine.in_flight == 0
    assert around.machine.due_s is None
    assert around.machine.counts[f"refused_{code.name.lower()}"] == 1


def test_429_is_sent_again_after_what_the_gateway_asked_for() -> None:
    around = Around()
    command_id = around.order()
    around.decline(command_id, 429, retry_after_ms=4_000)
    assert around.command(command_id).step is CommandStep.ADMITTED
    assert around.machine.in_flight == 0
    around.pass_s(3.9)
    assert around.tries(command_id) == 1
    around.pass_s(0.2)
    assert around.tries(command_id) == 2
    around.acknowledge(command_id)
    assert around.command(command_id).step is CommandStep.ACKNOWLEDGED


def test_429_five_times_is_refused() -> None:
    around = Around()
    command_id = around.order()
    for tries in range(1, 6):
        assert around.tries(command_id) == tries
        around.decline(command_id, 429)
        around.pass_s(5.6)
    command = around.command(command_id)
    assert (command.step, command.code) == (CommandStep.REFUSED, Code.GATEWAY_RATE)
    assert (command.key, around.told(command_id).retry_after_ms) == (None, 5_000)
    assert command.detail == "the gateway limits the rate of updates"
    assert (command.tries, around.tries(command_id)) == (5, 5)


def test_429_that_asks_for_too_long_a_wait_is_refused_after_30_s() -> None:
    around = Around()
    command_id = around.order()
    around.decline(command_id, 429, retry_after_ms=600_000)
    around.pass_s(29.9)
    assert around.command(command_id).step is CommandStep.ADMITTED
    around.pass_s(0.2)
    command = around.command(command_id)
    assert (command.step, command.code) == (CommandStep.REFUSED, Code.GATEWAY_RATE)
    assert (
        command.detail
        == "not accepted within 30 s, 1 attempts; the gateway limits the rate of updates"
    )


def test_a_lost_line_is_settled_by_the_stream() -> None:
    around = Around()
    command_id = around.order()
    around.signal(signals.LineDown(1, "closed with 1006"))
    command = around.command(command_id)
    assert command.step is CommandStep.UNANSWERED
    assert command.detail == "the connection was lost: closed with 1006"
    assert around.machine.in_flight == 0
    around.show(command_id)
    assert around.steps(command_id)[3:] == ["sent", "unanswered", "acknowledged", "confirmed"]


def test_a_lost_line_is_settled_by_another_try_over_the_next_one() -> None:
    around = Around()
    command_id = around.order()
    around.signal(signals.LineDown(1, "closed with 1006"))
    around.signal(signals.LineUp(2))
    around.pass_s(5.9)  # 5 s for the stream, and at least 1.1 s of back-off
    assert around.tries(command_id) == 1
    around.pass_s(0.7)
    assert [each.line for each in around.sent] == [1, 2]
    around.acknowledge(command_id)
    around.show(command_id)
    assert around.command(command_id).step is CommandStep.CONFIRMED
    assert around.command(command_id).tries == 2


def test_only_what_went_over_the_lost_line_is_unanswered() -> None:
    around = Around()
    old = around.order()
    around.signal(signals.LineUp(2))
    new = around.order("bob")
    around.signal(signals.LineDown(1, "replaced"))
    assert around.command(old).step is CommandStep.UNANSWERED
    assert around.command(new).step is CommandStep.SENT
    assert [each.line for each in around.sent] == [1, 2]


def test_silence_is_a_timeout_then_another_try_then_unknown_after_30_s() -> None:
    """So does a malformed acknowledgement end: the line counts the frame, we hear nothing."""
    around = Around()
    command_id = around.order()
    around.pass_s(4.9)
    assert around.command(command_id).step is CommandStep.SENT
    around.pass_s(0.2)
    command = around.command(command_id)
    assert (command.step, command.detail) == (
        CommandStep.UNANSWERED,
        "no acknowledgement within 5 s",
    )
    around.pass_s(24.8)
    assert around.command(command_id).step is CommandStep.UNANSWERED
    around.pass_s(0.2)
    command = around.command(command_id)
    assert command.step is CommandStep.UNKNOWN
    assert command.detail == (
        "neither acknowledged nor confirmed within 30 s, 3 attempts; no acknowledgement within 5 s"
    )
    assert (command.ended_us or 0) - (command.first_sent_us or 0) >= 30_000_000
    assert around.steps(command_id)[3:] == ["sent", "unanswered"] * 3 + ["unknown"]
    assert around.machine.due_s is None


@pytest.mark.parametrize(("slip_us", "is_spent"), [(-2_000, True), (-3_600_000_000, False)])
def test_the_30_s_are_spent_by_the_kept_times_too_unless_the_clock_was_set(
    slip_us: int, is_spent: bool
) -> None:
    around = Around()
    command_id = around.order()
    around.wall_slip_us = slip_us
    around.pass_s(30.1)
    command = around.command(command_id)
    assert command.step is CommandStep.UNKNOWN
    spent = (command.ended_us or 0) - (command.first_sent_us or 0)
    assert (spent >= 30_000_000) == is_spent


def test_spent_tries_wait_for_the_stream_until_30_s_are_over() -> None:
    around = Around(tries_max=1)
    command_id = around.order()
    around.pass_s(29)
    assert around.command(command_id).step is CommandStep.UNANSWERED
    assert around.tries(command_id) == 1
    assert around.watches(command_id) == 30
    around.show(command_id)
    assert around.command(command_id).step is CommandStep.CONFIRMED


def test_an_answer_that_comes_too_late_acknowledges_what_has_no_end() -> None:
    around = Around()
    command_id = around.order()
    around.pass_s(6)
    around.acknowledge(command_id)
    assert around.command(command_id).step is CommandStep.ACKNOWLEDGED
    assert around.machine.counts["late"] == 1
    around.pass_s(9)
    assert around.tries(command_id) == 1


def test_a_late_refusal_of_the_only_try_is_the_end() -> None:
    around = Around()
    command_id = around.order()
    around.pass_s(6)
    around.decline(command_id, 404)
    assert around.command(command_id).step is CommandStep.REFUSED


def test_a_refusal_says_nothing_of_an_earlier_try_that_was_never_answered() -> None:
    """The first try may have been applied, whatever becomes of the second one."""
    around = Around()
    command_id = around.order()
    around.pass_s(12)
    assert around.tries(command_id) == 2
    around.decline(command_id, 500)
    assert around.command(command_id).step is CommandStep.UNANSWERED
    around.show(command_id)
    assert around.command(command_id).step is CommandStep.CONFIRMED


def test_what_is_shown_while_it_waits_for_another_permit_is_not_sent_again() -> None:
    around = Around()
    command_id = around.order("ann")
    around.pass_s(11.0)
    for number in range(5):
        around.order(f"agent {number}")
    around.pass_s(0.6)
    assert around.machine.waiting == 1
    around.show(command_id)
    assert around.machine.waiting == 0
    around.pass_s(3.0)
    assert around.tries(command_id) == 1


def test_what_is_shown_while_it_waits_for_another_line_is_not_sent_again() -> None:
    around = Around()
    command_id = around.order("ann")
    around.pass_s(5.0)
    around.signal(signals.LineDown(1, "gone"))
    around.pass_s(7.0)
    assert around.machine.waiting == 1
    around.show(command_id)
    assert around.machine.waiting == 0
    around.signal(signals.LineUp(2))
    around.pass_s(3.0)
    assert around.tries(command_id) == 1


def test_a_late_refusal_says_nothing_if_there_were_several_tries() -> None:
    """Nobody can tell which of them it answers."""
    around = Around()
    command_id = around.order()
    around.pass_s(17.0)
    assert around.tries(command_id) == 2
    around.decline(command_id, 404)
    assert around.command(command_id).step is CommandStep.UNANSWERED
    assert around.machine.counts["late"] == 1


def test_a_try_that_never_left_takes_no_doubt_from_the_one_before() -> None:
    around = Around()
    command_id = around.order()
    around.pass_s(12.0)
    assert around.tries(command_id) == 2
    around.signal(signals.NotSent(command_id))
    command = around.command(command_id)
    assert (command.step, command.tries) == (CommandStep.UNANSWERED, 1)
    around.pass_s(17.9)
    assert not around.command(command_id).step.is_end
    around.pass_s(0.2)
    assert around.command(command_id).step is CommandStep.UNKNOWN


def test_a_try_late_in_the_30_s_still_has_its_5_s_for_an_answer() -> None:
    around = Around(line=None)
    around.signal(signals.LineUp(1))
    first = around.order()
    around.signal(signals.NotSent(first))
    around.pass_s(29.5)
    around.signal(signals.LineUp(2))
    around.pass_s(4.0)
    assert around.command(first).step is CommandStep.SENT
    around.acknowledge(first)
    assert around.command(first).step is CommandStep.ACKNOWLEDGED


def test_answers_to_nothing_and_second_answers_change_nothing() -> None:
    around = Around()
    command_id = around.order()
    around.acknowledge(command_id)
    rows = len(around.records)
    around.acknowledge(command_id)
    around.decline(command_id, 500)
    around.acknowledge("nobody's")
    assert around.machine.counts["duplicate"] == 2
    around.show(command_id)
    around.acknowledge(command_id)
    around.decline(command_id, 500)
    around.show(command_id)
    assert around.machine.counts["stray"] == 4
    assert len(around.records) == rows + 1


def test_acknowledged_and_never_shown_is_unconfirmed_after_10_s() -> None:
    around = Around()
    command_id = around.order()
    around.acknowledge(command_id)
    around.pass_s(9.9)
    assert around.command(command_id).step is CommandStep.ACKNOWLEDGED
    around.pass_s(0.2)
    command = around.command(command_id)
    assert command.step is CommandStep.UNCONFIRMED
    assert command.detail == "no matching transition in the event stream within 10 s"
    assert around.watches(command_id) == 11  # the last one is asked when its time is over


def test_trap_25_the_wanted_state_entered_by_hand_confirms_nothing() -> None:
    """The acknowledgement is lost, the update too; the agent happens to become busy. Every shard
    shows it, without our id: neither acknowledged nor confirmed."""
    around = Around()
    command_id = around.order("ann", "busy")
    around.agent("ann", "Talking")
    around.show("another id")
    around.pass_s(40)
    assert around.command(command_id).step is CommandStep.UNKNOWN
    assert around.machine.counts["acknowledged"] == 0
    assert around.machine.counts["confirmed"] == 0


def test_an_id_that_another_agent_bears_confirms_nothing() -> None:
    around = Around()
    command_id = around.order("ann")
    around.show(command_id, "bob")
    assert around.command(command_id).step is CommandStep.SENT


def test_what_never_left_is_sent_over_the_next_line_at_once() -> None:
    around = Around()
    command_id = around.order()
    around.signal(signals.NotSent(command_id))
    command = around.command(command_id)
    assert (command.step, command.tries, command.first_sent_us) == (CommandStep.ADMITTED, 0, None)
    assert command.detail == "the connection was lost before it was sent"
    around.pass_s(2)
    assert len(around.sent) == 1
    around.signal(signals.LineDown(1, "gone"))
    around.signal(signals.LineUp(2))
    command = around.command(command_id)
    assert (command.step, command.tries) == (CommandStep.SENT, 1)
    assert command.first_sent_us == around.now_us


def test_it_is_known_to_have_never_left_also_if_its_line_was_lost_before() -> None:
    around = Around()
    command_id = around.order()
    around.signal(signals.LineDown(1, "gone"))
    around.signal(signals.NotSent(command_id))
    around.pass_s(29.9)
    assert around.command(command_id).step is CommandStep.ADMITTED
    around.pass_s(0.2)
    command = around.command(command_id)
    assert (command.step, command.code) == (CommandStep.REFUSED, Code.UNAVAILABLE)
    assert command.detail == "no connection to the gateway within 30 s: gone"


def test_without_a_line_an_admitted_command_waits_for_one_and_is_refused_after_30_s() -> None:
    around = Around(line=None)
    around.signal(signals.LineDown(0, "the handshake was refused with 401"))
    waiting, refused = around.order(key="k"), around.order("bob")
    assert around.command(waiting).step is CommandStep.ADMITTED
    assert (around.machine.waiting, around.machine.in_flight) == (2, 0)
    around.pass_s(29.9)
    assert around.command(refused).step is CommandStep.ADMITTED
    around.pass_s(0.2)
    command = around.command(waiting)
    assert (command.step, command.code, command.key) == (
        CommandStep.REFUSED,
        Code.UNAVAILABLE,
        None,
    )
    assert command.detail == (
        "no connection to the gateway within 30 s: the handshake was refused with 401"
    )
    assert around.told(waiting).retry_after_ms is not None


def test_whoever_waited_for_a_line_is_sent_in_order_and_within_the_rate() -> None:
    around = Around(line=None)
    for batch in range(3):
        for number in range(5):
            around.order(f"agent {batch} {number}")
        around.pass_s(1.0)
    around.signal(signals.LineUp(1))
    assert len(around.sent) <= 5
    for each in around.sent:
        around.acknowledge(each.correlation)
    around.pass_s(1.0)
    for each in around.sent:
        around.acknowledge(each.correlation)
    around.pass_s(2.0)
    assert [each.correlation for each in around.sent] == list(around.store)
    for index, at_s in enumerate(around.sent_at_s[5:]):
        assert at_s >= around.sent_at_s[index] + 1.0
