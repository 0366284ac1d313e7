"""What is asked about a command, and every reason for which it is refused before it is sent."""

from __future__ import annotations

from typing import Any

import pytest

from actors.genesys.presences import PRESENCES
from actors.messages.control import UNKNOWN
from actors.messages.partition import shard_of
from actors.messages.queries import AgentRecord, AskAgent, QueueRecord
from actors.sender.commands import Code, CommandStep
from actors.sender.signals import UserChecked
from actors.settings.sender import DEFAULT_TRANSITIONS
from tests.actors.sender.around import SHARDS, WALL_US, Around

SINCE_US = WALL_US + 1_234_567
SINCE = "2026-01-01T00:00:01.234Z"


# The command itself


def test_a_state_that_is_none_is_refused_and_nobody_is_asked() -> None:
    around = Around()
    command_id = around.order(to_state="asleep")
    assert around.refused(command_id) == (
        Code.NO_SUCH_STATE,
        "unknown state 'asleep'; expected one of available, busy, break, offline",
    )
    assert around.asked == []


def test_a_reason_has_at_most_500_characters_whatever_they_are() -> None:
    around = Around()
    command_id = around.order(reason="|\n" * 251)
    code, detail = around.refused(command_id)
    assert (code, detail) == (
        Code.REASON_TOO_LONG,
        "the reason is too long: 502 characters, at most 500",
    )
    assert around.command(around.order(reason="|\n" * 250)).step is CommandStep.SENT


# The agent


@pytest.mark.parametrize(
    ("state", "fields", "code", "detail"),
    [
        (None, {"at_us": 0}, Code.NEVER_SEEN, "the agent has never appeared in the event stream"),
        (
            "Available",
            {"stale_since_us": SINCE_US},
            Code.STALE,
            f"the agent's state is not confirmed since {SINCE}",
        ),
        (
            "Available",
            {"stale_since_us": 0},
            Code.STALE,
            "the agent's state is not confirmed: no session since the start",
        ),
        (
            UNKNOWN,
            {"at_us": SINCE_US},
            Code.UNKNOWN_AGENT_STATE,
            f"the agent is Unknown since {SINCE}: the last history did not include it",
        ),
        (
            "Dancing",
            {"at_us": SINCE_US},
            Code.UNKNOWN_AGENT_STATE,
            f"the agent is in state 'Dancing' since {SINCE}, which maps to no presence",
        ),
    ],
)
def test_what_is_not_known_of_an_agent_is_named_with_since_when_and_force_overrides_it(
    state: str | None, fields: dict[str, Any], code: Code, detail: str
) -> None:
    around = Around()
    around.agent("ann", state, **fields)
    assert around.refused(around.order("ann")) == (code, detail)
    forced = around.order("ann", forced=True)
    assert around.command(forced).step is CommandStep.SENT
    (validated,) = [each for each in around.records if each.detail.startswith("forced: ")]
    assert (validated.step, validated.detail) == (CommandStep.VALIDATED, f"forced: {detail}")
    assert around.machine.counts["forced"] == 1


@pytest.mark.parametrize("held", PRESENCES)
@pytest.mark.parametrize("to_state", PRESENCES)
def test_the_transition_matrix(held: str, to_state: str) -> None:
    around = Around()
    around.agent("ann", "Not Available", presence=held)
    command_id = around.order("ann", to_state)
    if to_state in DEFAULT_TRANSITIONS[held]:  # type: ignore[index]  # a str of PRESENCES
        assert around.command(command_id).step is CommandStep.SENT
        return
    code, detail = around.refused(command_id)
    assert code == Code.TRANSITION
    assert detail.startswith(
        f"transition from {held} to {to_state} is not allowed; allowed from {held}: "
    )
    forced = around.order("ann", to_state, forced=True)
    assert around.command(forced).step is CommandStep.SENT
    assert any(each.detail == f"forced: {detail}" for each in around.records)


def test_the_matrix_is_a_setting() -> None:
    around = Around(transitions=dict.fromkeys(PRESENCES, ()))
    code, detail = around.refused(around.order("ann", "busy"))
    assert (code, detail) == (
        Code.TRANSITION,
        "transition from available to busy is not allowed; allowed from available: none",
    )


def test_a_state_stands_for_a_presence_by_the_setting_unless_its_event_bore_one() -> None:
    around = Around(presence_of_state={"Not Available": "offline"})
    around.agent("ann", "Not Available")
    around.agent("bob", "Not Available", presence="busy")
    assert around.command(around.order("ann", "break")).held == "offline"
    assert around.command(around.order("bob", "break")).held == "busy"


def test_a_pin_that_does_not_hold_is_refused_with_both_named_even_by_force() -> None:
    around = Around()
    around.agent("ann", "Talking")
    for forced in (False, True):
        command_id = around.order("ann", "offline", expected="available", forced=forced)
        assert around.refused(command_id) == (
            Code.NOT_AS_EXPECTED,
            "expected available, but the agent's presence is busy",
        )
    assert around.command(around.order("ann", "offline", expected="busy")).step is CommandStep.SENT


def test_nothing_is_as_expected_of_an_agent_that_is_not_known() -> None:
    around = Around()
    around.agent("ann", None)
    code, detail = around.refused(around.order("ann", expected="available", forced=True))
    assert code == Code.NOT_AS_EXPECTED
    assert detail == "expected available, but the agent's presence is unknown"


def test_a_shard_that_does_not_answer_is_asked_again_and_refused_after_2_s_even_by_force() -> None:
    around = Around()
    shard = shard_of("ann", SHARDS)
    around.silent = {shard}
    command_id = around.order("ann", forced=True, key="k")
    around.pass_s(1.9)
    assert around.command(command_id).step is CommandStep.ACCEPTED
    assert len(around.asked) == 2
    assert len({each.question for each in around.asked}) == 1
    around.pass_s(0.2)
    assert around.refused(command_id) == (
        Code.UNAVAILABLE,
        f"shard {shard} did not respond in time",
    )
    assert around.command(command_id).key is None
    assert around.told(command_id).retry_after_ms == 2_000
    assert around.machine.due_s is None


def test_an_answer_in_time_after_a_lost_question_is_good() -> None:
    around = Around()
    around.silent = {0, 1}
    command_id = around.order("ann")
    around.pass_s(0.5)
    around.silent = set()
    around.pass_s(0.6)
    assert around.command(command_id).step is CommandStep.SENT


def test_answers_that_nobody_asked_for_change_nothing() -> None:
    """Of a predecessor's question, of the wrong agent, twice."""
    around = Around()
    around.silent = {0, 1}
    command_id = around.order("ann")
    (asked,) = around.asked
    assert isinstance(asked.question, AskAgent)
    told = AgentRecord(asked.question.question, "ann", "Talking", None, None, 1, None)
    around.answer(asked.shard, told._replace(question=told.question + 1))
    around.answer(asked.shard, told._replace(user_id="bob"))
    around.answer(0, QueueRecord(told.question, "support", 1, 1, 1, 1, None))
    assert around.command(command_id).step is CommandStep.ACCEPTED
    around.answer(asked.shard, told._replace(state="Available"))
    assert around.command(command_id).step is CommandStep.SENT
    around.answer(asked.shard, told)
    assert around.command(command_id).step is CommandStep.SENT


def test_numbers_of_questions_are_far_from_a_predecessors() -> None:
    around = Around()
    around.order("ann")
    around.start()
    around.order("ann")
    first, second = (
        each.question.question for each in around.asked if isinstance(each.question, AskAgent)
    )
    assert abs(first - second) > 1_000


# The user


@pytest.mark.parametrize(
    ("verdict", "said", "code", "detail"),
    [
        ("missing", "404", Code.NO_SUCH_USER, "no user has this id"),
        ("forbidden", "no user:read", Code.SCOPE, "no user:read"),
        ("failed", "timeout", Code.UNAVAILABLE, "the user could not be checked: timeout"),
    ],
)
def test_a_user_who_does_not_exist_is_refused_even_by_force(
    verdict: Any, said: str, code: Code, detail: str
) -> None:
    around = Around()
    around.users["ann"] = UserChecked("ann", verdict, said)
    command_id = around.order("ann", forced=True)
    assert around.refused(command_id) == (code, detail)
    assert len(around.checked) == (2 if verdict == "failed" else 1)
    assert (around.command(command_id).key is None) == (code is Code.UNAVAILABLE)


def test_a_check_that_failed_once_is_repeated() -> None:
    around = Around()
    around.is_user_check_silent = True
    command_id = around.order("ann")
    around.signal(UserChecked("ann", "failed", "timeout"))
    assert around.checked == ["ann", "ann"]
    around.signal(UserChecked("ann", "exists", ""))
    assert around.command(command_id).step is CommandStep.SENT


def test_one_check_serves_all_who_wait_for_it() -> None:
    around = Around()
    around.is_user_check_silent = True
    first, second = around.order("ann"), around.order("ann")
    assert around.checked == ["ann"]
    around.signal(UserChecked("ann", "exists", ""))
    assert [around.command(each).step for each in (first, second)] == [CommandStep.SENT] * 2


def test_a_check_that_never_comes_back_is_refused_and_the_next_command_asks_anew() -> None:
    around = Around()
    around.is_user_check_silent = True
    command_id = around.order("ann")
    around.pass_s(12.1)
    assert around.refused(command_id) == (
        Code.UNAVAILABLE,
        "the user could not be checked in time",
    )
    around.signal(UserChecked("ann", "exists", ""))
    around.is_user_check_silent = False
    assert around.command(around.order("ann")).step is CommandStep.SENT


def test_users_are_not_checked_if_the_setting_says_so() -> None:
    around = Around(user_check=False)
    assert around.command(around.order("ann")).step is CommandStep.SENT
    assert around.checked == []
