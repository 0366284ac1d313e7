"""A sender that was killed: what it left without an end is taken up, and nothing is done twice."""

from __future__ import annotations

import pytest

from actors.messages.queries import AskAgent
from actors.sender import signals
from actors.sender.commands import Code, CommandStep
from tests.actors.sender.around import Around


def restart(around: Around, down_s: float = 0.5) -> None:
    """Killed; down for so long; and its line is soon up again."""
    around.now_s += down_s
    around.start()
    around.signal(signals.LineUp(around.machine.unsettled + 100))


def test_what_was_accepted_only_is_validated_again_and_sent() -> None:
    around = Around()
    around.silent = {0, 1}
    command_id = around.order("ann")
    restart(around)
    around.pass_s(10.0)
    assert around.command(command_id).step is CommandStep.ACCEPTED, "a shard may start more slowly"
    around.silent = set()
    around.pass_s(1.0)
    assert around.steps(command_id) == ["accepted", "validated", "admitted", "sent"]


def test_what_waited_for_permits_is_validated_again_because_much_may_have_changed() -> None:
    around = Around(line=None)
    command_id = around.order("ann", "busy")
    assert around.command(command_id).step is CommandStep.ADMITTED
    around.agent("ann", "Talking")
    restart(around)
    command = around.command(command_id)
    assert (command.step, command.code) == (CommandStep.REFUSED, Code.TRANSITION)


def test_what_is_resumed_waits_for_permits_for_as_long_as_it_has() -> None:
    around = Around(line=None)
    command_ids = [around.order(f"agent {number}") for number in range(5)]
    around.pass_s(1.0)
    command_ids += [around.order(f"agent {number}") for number in range(5, 10)]
    restart(around)
    around.pass_s(0.9)
    assert len(around.sent) == 0, "the bucket of the rate is empty"
    around.pass_s(0.2)
    assert len(around.sent) == 5
    around.pass_s(1.0)
    assert [each.correlation for each in around.sent] == command_ids


def test_what_never_got_its_permits_is_refused_when_its_time_is_over() -> None:
    around = Around(updates_per_s=0.1, give_up_after_s=8)
    around.pass_s(10.0)
    around.order("ann")
    command_id = around.order("bob", key="k")
    restart(around, down_s=0.0)
    around.pass_s(7.9)
    assert around.command(command_id).step is CommandStep.VALIDATED
    around.pass_s(0.2)
    command = around.command(command_id)
    assert (command.step, command.code, command.key) == (CommandStep.REFUSED, Code.RATE, None)
    assert command.detail == "not sent within 8 s: limit of 0.1 updates per second reached"
    assert around.told(command_id).retry_after_ms == pytest.approx(2_001, abs=1)


def test_an_order_of_long_ago_is_not_carried_out_any_more() -> None:
    around = Around(line=None)
    command_id = around.order("ann", key="k")
    restart(around, down_s=31.0)
    command = around.command(command_id)
    assert (command.step, command.code, command.key) == (
        CommandStep.REFUSED,
        Code.UNAVAILABLE,
        None,
    )
    assert (
        command.detail == "the sender was down; the command was accepted 31 s ago and has expired"
    )
    assert around.sent == []


def test_what_was_sent_is_in_doubt_counts_as_in_flight_and_is_watched_at_once() -> None:
    around = Around()
    command_id = around.order("ann")
    restart(around)
    command = around.command(command_id)
    assert (command.step, command.detail) == (CommandStep.UNANSWERED, "the sender was restarted")
    assert around.machine.in_flight == 1
    assert around.watches(command_id) == 2
    around.show(command_id)
    assert around.command(command_id).step is CommandStep.CONFIRMED
    assert around.machine.in_flight == 0
    assert around.tries(command_id) == 1


def test_what_the_stream_does_not_show_within_5_s_of_its_send_is_sent_again_with_the_same_id() -> (
    None
):
    around = Around()
    command_id = around.order("ann")
    around.pass_s(1.0)
    restart(around)
    around.pass_s(3.4)
    assert around.tries(command_id) == 1
    assert around.machine.in_flight == 1
    around.pass_s(0.2)
    assert around.tries(command_id) == 2
    assert {each.correlation for each in around.sent} == {command_id}


def test_a_refusal_after_a_restart_says_nothing_of_what_the_predecessor_sent() -> None:
    around = Around()
    command_id = around.order("ann")
    restart(around, down_s=10.0)
    around.pass_s(1.1)
    assert around.tries(command_id) == 2
    around.decline(command_id, 404)
    assert around.command(command_id).step is CommandStep.UNANSWERED


def test_a_restart_every_2_s_ends_every_command_all_the_same() -> None:
    """Time that a predecessor waited counts, so that kills cannot hold up the end for ever."""
    around = Around()
    command_id = around.order("ann")
    began_s = around.now_s
    while not around.command(command_id).step.is_end:
        around.pass_s(1.5)
        restart(around)
        assert around.now_s < began_s + 60.0
    command = around.command(command_id)
    assert command.step is CommandStep.UNKNOWN
    assert (command.ended_us or 0) - (command.first_sent_us or 0) >= 30_000_000
    assert around.tries(command_id) > 1


def test_unknown_is_never_said_before_a_shard_had_time_to_show_it() -> None:
    around = Around()
    command_id = around.order("ann")
    restart(around, down_s=3_600.0)
    assert around.command(command_id).step is CommandStep.UNANSWERED
    around.pass_s(0.9)
    around.show(command_id)
    assert around.command(command_id).step is CommandStep.CONFIRMED


def test_what_was_acknowledged_is_confirmed_by_the_stream_or_not() -> None:
    around = Around()
    seen, unseen = around.order("ann"), around.order("bob")
    around.acknowledge(seen)
    around.acknowledge(unseen)
    around.pass_s(4.0)
    restart(around)
    around.show(seen)
    assert around.command(seen).step is CommandStep.CONFIRMED
    around.pass_s(5.4)
    assert around.command(unseen).step is CommandStep.ACKNOWLEDGED
    around.pass_s(0.2)
    assert around.command(unseen).step is CommandStep.UNCONFIRMED
    assert [each.webhook for each in around.records].count(None) == len(around.records) - 2


def test_what_the_gateway_found_too_many_is_certainly_not_applied_and_starts_over() -> None:
    around = Around()
    command_id = around.order("ann")
    around.decline(command_id, 429, retry_after_ms=20_000)
    asked = sum(isinstance(each.question, AskAgent) for each in around.asked)
    restart(around)
    assert sum(isinstance(each.question, AskAgent) for each in around.asked) == asked + 1
    around.pass_s(1.1)
    assert around.command(command_id).tries == 2
    assert around.command(command_id).step is CommandStep.SENT


def test_departures_are_counted_again() -> None:
    around = Around(capacity={"default": {"minimum_available": 1}})
    for user_id in ("ann", "bob"):
        around.agent(user_id, queue="support")
    around.counts("support", available=2)
    around.order("ann")
    restart(around)
    assert around.machine.departures == 1
    assert around.refused(around.order("bob"))[0] == Code.CAPACITY


def test_nothing_is_new_after_a_start_without_commands() -> None:
    around = Around()
    records = len(around.records)
    around.start()
    assert (len(around.records), around.machine.due_s) == (records, None)


@pytest.mark.parametrize("set_back_s", [10.0, 100_000.0])
def test_a_wall_clock_that_was_set_back_only_makes_it_wait_longer(set_back_s: float) -> None:
    around = Around()
    command_id = around.order("ann")
    command = around.command(command_id)
    later_us = round(set_back_s * 1e6)
    around.store[command_id] = type(command)(
        **{name: getattr(command, name) for name in command.__slots__}
        | {
            "accepted_us": command.accepted_us + later_us,
            "first_sent_us": (command.first_sent_us or 0) + later_us,
            "last_sent_us": (command.last_sent_us or 0) + later_us,
        }
    )
    restart(around)
    around.pass_s(29.0)
    assert around.command(command_id).step in {CommandStep.SENT, CommandStep.UNANSWERED}
    around.pass_s(10.0)
    assert around.command(command_id).step is CommandStep.UNKNOWN
