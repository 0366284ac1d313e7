"""Acknowledged, and not confirmed in time: that means something only if the stream is up."""

from __future__ import annotations

import pytest

from actors.sender.commands import CommandStep
from tests.actors.sender.around import SHARDS, WALL_US, Around


def stale(around: Around, user_id: str = "ann") -> None:
    around.agent(user_id, stale_since_us=WALL_US)


def test_while_the_stream_is_down_it_is_waited_for_and_what_it_then_shows_confirms() -> None:
    around = Around()
    command_id = around.order("ann")
    around.acknowledge(command_id)
    stale(around)
    around.pass_s(60.0)
    assert around.command(command_id).step is CommandStep.ACKNOWLEDGED
    around.agent("ann")  # it is back; what was replayed is shown before the question is answered
    around.show(command_id)
    around.pass_s(2.0)
    assert around.command(command_id).step is CommandStep.CONFIRMED
    assert around.machine.due_s is None


def test_a_stream_that_is_back_and_shows_nothing_says_so() -> None:
    around = Around()
    command_id = around.order("ann")
    around.acknowledge(command_id)
    stale(around)
    around.pass_s(30.0)
    around.agent("ann")
    around.pass_s(1.0)
    command = around.command(command_id)
    assert command.step is CommandStep.UNCONFIRMED
    assert command.detail == "no matching transition in the event stream within 10 s"


@pytest.mark.parametrize("is_dead", [False, True])
def test_a_stream_that_stays_down_is_waited_for_60_s_longer(is_dead: bool) -> None:
    around = Around()
    command_id = around.order("ann")
    around.acknowledge(command_id)
    stale(around)
    if is_dead:
        around.silent |= set(range(SHARDS))
    around.pass_s(69.9)
    assert around.command(command_id).step is CommandStep.ACKNOWLEDGED
    around.pass_s(0.2)
    command = around.command(command_id)
    assert command.step is CommandStep.UNCONFIRMED
    assert command.detail.startswith("no matching transition in the event stream within 70 s; ")
    why = "the shard did not respond" if is_dead else "not confirmed since 2026-01-01T00:00:00.000Z"
    assert why in command.detail


def test_a_stream_that_was_down_before_its_time_was_over_costs_nothing() -> None:
    around = Around()
    command_id = around.order("ann")
    around.acknowledge(command_id)
    stale(around)
    around.pass_s(5.0)
    around.agent("ann")
    around.pass_s(5.0)
    assert around.command(command_id).step is CommandStep.UNCONFIRMED


def test_a_restart_makes_the_wait_for_the_stream_no_longer() -> None:
    around = Around()
    command_id = around.order("ann")
    around.acknowledge(command_id)
    stale(around)
    for _ in range(20):
        around.pass_s(4.0)
        around.start()
    around.pass_s(2.0)
    assert around.command(command_id).step is CommandStep.UNCONFIRMED
