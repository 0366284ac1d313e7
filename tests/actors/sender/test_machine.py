"""A command's way when all goes well, and what becomes of an order that comes twice."""

from __future__ import annotations

import orjson
import pytest

from actors.messages.commands import Accepted, Rejected
from actors.sender import signals
from actors.sender.commands import Code
from tests.actors.sender.around import Around

ALL_WELL = ["accepted", "validated", "admitted", "sent", "acknowledged", "confirmed"]


def test_a_command_is_sent_acknowledged_and_confirmed() -> None:
    around = Around()
    command_id = around.order("ann", "busy", reason="lunch | soon\n")
    (send,) = around.sent
    assert isinstance(send, signals.Send)
    update, _, correlation = send.frame.rpartition(b"|corr:")
    assert orjson.loads(update) == {
        "type": "presence",
        "userId": "ann",
        "stateName": "busy",
        "reasonId": "lunch | soon\n",
    }
    assert (send.line, correlation.decode()) == (1, command_id)
    around.pass_s(0.25)
    around.acknowledge(command_id)
    around.pass_s(0.5)
    around.show(command_id)
    assert around.steps(command_id) == ALL_WELL
    command = around.command(command_id)
    assert command.held == "available"
    assert command.tries == 1
    assert command.acknowledged_us is not None
    assert command.confirmed_us is not None
    assert command.acknowledged_us - (command.first_sent_us or 0) == 250_000
    assert command.ended_us == command.confirmed_us == around.now_us
    assert around.told(command_id).step == "confirmed"
    assert (around.machine.in_flight, around.machine.unsettled) == (0, 0)
    assert around.machine.due_s is None
    assert 250.0 <= around.machine.to_acknowledgement.quantile_ms(0.5) <= 300.0
    assert around.machine.to_confirmation.average_ms == pytest.approx(750.0)


def test_wfm_is_told_in_the_transaction_of_the_acknowledgement() -> None:
    around = Around()
    command_id = around.order("ann", "busy")
    around.acknowledge(command_id)
    (body,) = [each.webhook for each in around.records if each.webhook is not None]
    assert orjson.loads(body) == {
        "event": "presence_change",
        "userId": "ann",
        "state": "busy",
        "timestamp": "2026-01-01T00:16:41.000Z",
    }


def test_taken_is_said_before_anything_else_and_every_step_is_told() -> None:
    around = Around()
    command_id = around.order()
    around.acknowledge(command_id)
    around.show(command_id)
    assert around.said[0] == Accepted(1, command_id, False)
    assert [getattr(each, "step", "") for each in around.said[1:]] == ALL_WELL


# Repeated orders


def test_the_same_key_and_wish_is_the_same_command() -> None:
    around = Around()
    first = around.order(key="k")
    around.said.clear()
    again = around.order(key="k")
    assert around.said[0] == Accepted(2, first, True)
    assert around.told(first).step == "sent"
    assert again not in around.store
    assert len(around.sent) == 1


def test_the_same_order_told_twice_is_no_repetition_for_its_caller() -> None:
    around = Around()
    first = around.order()
    around.order(command_id=first)
    assert [each for each in around.said if isinstance(each, Accepted)] == [
        Accepted(1, first, False),
        Accepted(2, first, False),
    ]
    assert len(around.sent) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"user_id": "bob"},
        {"to_state": "offline"},
        {"reason": "tea"},
        {"expected": "available"},
        {"forced": True},
    ],
)
def test_another_wish_under_a_bound_key_is_not_taken(other: dict[str, object]) -> None:
    around = Around()
    first = around.order(key="k")
    around.order(key="k", **other)  # type: ignore[arg-type]  # a table of fields
    refused = around.said[-1]
    assert isinstance(refused, Rejected)
    assert refused.code == "key-bound"
    assert first in refused.detail
    assert len(around.store) == 1


def test_a_key_stays_bound_after_the_end_and_after_a_restart() -> None:
    around = Around()
    first = around.order(key="k", to_state="asleep")
    around.start()
    around.order(key="k", to_state="asleep")
    assert isinstance(around.said[-2], Accepted)
    assert around.told(first) == around.said[-1]
    assert around.told(first).step == "refused"
    assert len(around.store) == 1


def test_what_ended_in_a_batch_that_is_not_committed_yet_is_known() -> None:
    """The actor asks the store, which cannot know it."""
    around = Around()
    first = around.order(key="k", to_state="asleep")
    around.order(key="k", to_state="asleep", bound=None)
    assert Accepted(2, first, True) in around.said


def test_a_refusal_that_is_said_again_says_as_well_when_to_come_back() -> None:
    around = Around(updates_per_s=1)
    around.order("ann")
    refused = around.order("bob")
    around.pass_s(0.2)
    assert around.told(refused).retry_after_ms == 901
    around.order("bob", command_id=refused, key=refused)  # our answer was lost
    assert around.told(refused).code == "rate"
    assert around.told(refused).retry_after_ms == 1_000


def test_a_key_released_in_a_batch_that_is_not_committed_yet_may_try_again() -> None:
    around = Around(line=None, give_up_after_s=3)
    first = around.order(key="k")
    bound = around.store[first]
    around.pass_s(3)
    assert around.command(first).code == Code.UNAVAILABLE
    second = around.order(key="k", bound=bound)
    assert Accepted(2, second, False) in around.said
