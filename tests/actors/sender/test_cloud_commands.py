"""Commands in the cloud dialect: the same machine, but a change is named only by its answer."""

from __future__ import annotations

from typing import Any

from actors.messages.queries import AskAgent
from actors.sender import signals
from actors.sender.cloud_dialect import CHANGED_SINCE, CloudDialect
from actors.sender.commands import Code, CommandStep
from tests.actors.sender.around import Around
from tests.actors.sender.test_cloud_dialect import DEFINITIONS

SHOWN_AS = "presence@1767225617067000"
BY_HAND = "presence@1767225619067000"


def cloud(*, knows: bool = True, line: int | None = 1, **settings: Any) -> Around:
    around = Around(line=None, dialect=CloudDialect, **settings)
    on_queue(around, "ann")
    if knows:
        around.signal(signals.StatesKnown(DEFINITIONS))
        if line is not None:
            around.signal(signals.LineUp(line))
    return around


def on_queue(around: Around, *user_ids: str) -> None:
    for user_id in user_ids:
        around.agent(user_id, presence="available", queue="q", definition="d-queue", routing="IDLE")


def restart(around: Around, down_s: float = 0.5) -> None:
    around.now_s += down_s
    around.start()
    around.signal(signals.StatesKnown(DEFINITIONS))
    around.signal(signals.LineUp(around.machine.unsettled + 100))


def test_from_the_order_to_the_modified_date_on_the_stream() -> None:
    around = cloud()
    command_id = around.order("ann", "Mahlzeit", reason="lunch")
    (patch,) = around.sent
    assert patch == signals.Patch(1, command_id, "ann", "Mahlzeit", "lunch", None)
    assert around.checked == [], "a change says by itself whether there is such a user"
    around.pass_s(2.0)
    assert around.watches(command_id) == 0, "nothing of it is shown by its id"
    around.answer_with(command_id, SHOWN_AS)
    assert around.watches(SHOWN_AS) == 1
    around.pass_s(2.0)
    assert around.watches(SHOWN_AS) == 3, "about once a second"
    around.show(SHOWN_AS)
    assert around.steps(command_id) == [
        "accepted", "validated", "admitted", "sent", "acknowledged", "confirmed",
    ]  # fmt: skip
    command = around.command(command_id)
    assert (command.held, command.queue) == ("On Queue", "q")
    around.pass_s(20.0)
    assert around.watches(SHOWN_AS) == 3


def test_an_equal_presence_that_is_set_by_hand_confirms_nothing() -> None:
    around = cloud()
    command_id = around.order("ann", "Meal")
    around.agent("ann", "Not Available", presence="break", definition="d-meal")
    for shown in (BY_HAND, command_id, SHOWN_AS):
        around.show(shown)
        assert around.command(command_id).step is CommandStep.SENT, (
            "before its answer it has no name"
        )
    around.answer_with(command_id, SHOWN_AS)
    around.show(BY_HAND)
    around.show(SHOWN_AS, "bob")
    assert around.command(command_id).step is CommandStep.ACKNOWLEDGED
    around.pass_s(10.0)
    assert around.command(command_id).step is CommandStep.UNCONFIRMED


def test_an_answer_that_is_lost_is_not_made_up_for_by_an_equal_presence() -> None:
    around = cloud(tries_max=2)
    command_id = around.order("ann", "Meal")
    around.signal(signals.Unanswered(command_id, "presence of a user: 502"))
    around.agent("ann", "Not Available", presence="break", definition="d-meal")
    around.show(BY_HAND)
    assert around.command(command_id).step is CommandStep.UNANSWERED
    around.pass_s(7.0)
    around.decline(command_id, CHANGED_SINCE, message="by this command or by hand")
    around.pass_s(30.0)
    command = around.command(command_id)
    assert (command.step, command.acknowledged_us) == (CommandStep.UNKNOWN, None)
    assert "by this command or by hand" in command.detail


def test_what_had_not_taken_is_made_again_and_confirmed_by_its_own_answer() -> None:
    around = cloud()
    command_id = around.order("ann", "Meal")
    around.signal(signals.Unanswered(command_id, "presence of a user: 502"))
    around.pass_s(7.0)
    assert around.tries(command_id) == 2
    around.answer_with(command_id, SHOWN_AS)
    around.show(SHOWN_AS)
    assert around.command(command_id).step is CommandStep.CONFIRMED


def test_two_that_are_answered_with_one_change_are_both_confirmed_by_it() -> None:
    around = cloud()
    first = around.order("ann", "Meal")
    second = around.order("ann", "Mahlzeit")
    for command_id in (first, second):
        around.answer_with(command_id, SHOWN_AS)
    around.show(SHOWN_AS)
    assert [around.command(each).step for each in (first, second)] == [CommandStep.CONFIRMED] * 2
    around.show(SHOWN_AS)
    assert around.machine.counts["stray"] == 1


def test_an_answer_without_a_modified_date_is_acknowledged_and_never_confirmed() -> None:
    around = cloud()
    command_id = around.order("ann", "Meal")
    around.answer_with(command_id, "")
    around.show("")
    assert around.command(command_id).step is CommandStep.ACKNOWLEDGED
    around.pass_s(10.0)
    assert around.command(command_id).step is CommandStep.UNCONFIRMED


def test_what_may_have_taken_is_tried_again_with_since_when() -> None:
    around = cloud()
    command_id = around.order("ann", "Meal")
    first_us = around.command(command_id).first_sent_us
    around.signal(signals.Unanswered(command_id, "presence of a user: 502"))
    around.signal(signals.Unanswered(command_id, "told twice"))
    around.pass_s(7.0)
    first, second = around.sent
    assert isinstance(first, signals.Patch)
    assert isinstance(second, signals.Patch)
    assert (first.doubted_since_us, second.doubted_since_us) == (None, first_us)


def test_what_was_certainly_not_applied_is_tried_again_without_a_look() -> None:
    around = cloud()
    command_id = around.order("ann", "Meal")
    around.decline(command_id, 429, retry_after_ms=3_000)
    around.pass_s(2.9)
    assert around.tries(command_id) == 1
    around.pass_s(0.2)
    assert [each.doubted_since_us for each in around.sent if isinstance(each, signals.Patch)] == [
        None,
        None,
    ]


def test_what_somebody_changed_since_is_unknown_and_not_changed_back() -> None:
    around = cloud(tries_max=2)
    command_id = around.order("ann", "Meal")
    around.signal(signals.Unanswered(command_id, "presence of a user: 502"))
    around.pass_s(7.0)
    around.decline(command_id, CHANGED_SINCE, message="the agent's presence was changed to BREAK")
    assert around.command(command_id).step is CommandStep.UNANSWERED
    around.pass_s(30.0)
    command = around.command(command_id)
    assert command.step is CommandStep.UNKNOWN
    assert "the agent's presence was changed to BREAK" in command.detail
    assert command.ended_us is not None
    assert command.first_sent_us is not None
    assert command.ended_us - command.first_sent_us >= 30_000_000


def test_refusals_of_the_platform_end_it() -> None:
    for status, code in ((400, Code.BAD_REQUEST), (403, Code.SCOPE), (404, Code.NO_SUCH_USER)):
        around = cloud()
        command_id = around.order("ann", "Meal")
        around.decline(command_id, status)
        command = around.command(command_id)
        assert (command.step, command.code) == (CommandStep.REFUSED, code)


def test_nobody_is_judged_before_it_is_known_which_presences_there_are() -> None:
    around = cloud(knows=False)
    first = around.order("ann", "Meal", key="k")
    assert [each for each in around.asked if isinstance(each.question, AskAgent)] == []
    around.pass_s(2.1)
    code, detail = around.refused(first)
    assert (code, detail) == (
        Code.UNAVAILABLE,
        "the presence definitions could not be read in time",
    )
    assert around.command(first).key is None, "the same key may try again"
    second, third = around.order("ann", "Meal"), around.order("ann", "Old Lunch")
    around.pass_s(1.0)
    around.signal(signals.StatesKnown(DEFINITIONS))
    assert around.command(second).step is CommandStep.ADMITTED
    assert around.refused(third)[0] == Code.NO_SUCH_STATE


def test_what_was_acknowledged_is_confirmed_across_a_restart() -> None:
    around = cloud()
    command_id = around.order("ann", "Meal")
    around.answer_with(command_id, SHOWN_AS)
    restart(around)
    assert around.watches(SHOWN_AS) == 2
    around.show(SHOWN_AS)
    assert around.command(command_id).step is CommandStep.CONFIRMED


def test_what_was_sent_is_in_doubt_behind_a_restart() -> None:
    around = cloud()
    command_id = around.order("ann", "Meal")
    first_us = around.command(command_id).first_sent_us
    restart(around)
    around.pass_s(6.0)
    last = around.sent[-1]
    assert isinstance(last, signals.Patch)
    assert (last.correlation, last.doubted_since_us) == (command_id, first_us)
    around.answer_with(command_id, SHOWN_AS)
    around.show(SHOWN_AS)
    assert around.command(command_id).step is CommandStep.CONFIRMED


def test_five_a_second_are_admitted_for_ever_because_one_call_makes_several() -> None:
    around = cloud()
    users = [f"agent {number}" for number in range(200)]
    on_queue(around, *users)
    for user_id in users:
        command_id = around.order(user_id, "Meal")
        around.answer_with(command_id, f"{SHOWN_AS} in a bulk of 5")
        around.show(SHOWN_AS, user_id)
        assert around.command(command_id).step is CommandStep.CONFIRMED
        around.pass_s(0.21)
    assert len(around.sent) == 200


def test_a_budget_that_is_spent_elsewhere_is_a_rate_that_says_when_to_come_back() -> None:
    around = cloud()
    on_queue(around, "bob")
    first = around.order("ann", "Meal")
    around.signal(signals.NotSent(first, around.now_s + 20.0))
    assert (around.command(first).step, around.command(first).tries) == (CommandStep.ADMITTED, 0)
    second = around.order("bob", "Meal", key="k")
    around.pass_s(0.2)
    code, _ = around.refused(second)
    told = around.told(second)
    assert code == Code.RATE
    assert told.retry_after_ms is not None
    assert 19_000 < told.retry_after_ms <= 20_000
    around.pass_s(19.7)
    assert around.tries(first) == 1
    around.pass_s(0.2)
    assert around.tries(first) == 2, "what was admitted waits for it"


def test_whoever_leaves_the_queue_counts_for_its_capacity() -> None:
    limits = {"default": {"minimum_available": 1}}
    around = cloud(capacity=limits)
    on_queue(around, "bob")
    around.counts("q", available=2)
    assert around.command(around.order("ann", "Meal")).step is CommandStep.SENT
    code, _ = around.refused(around.order("bob", "Meal"))
    assert code == Code.CAPACITY
    restart(around)
    assert around.machine.departures == 1, "also across a restart"
