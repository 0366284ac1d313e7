"""Pending commands: what the gateway applies later is confirmed by what the stream shows then."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from actors.sender import signals
from actors.sender.commands import Code, CommandStep
from tests.actors.sender.around import Around
from tests.actors.sender.test_cloud_commands import cloud, on_queue, restart

SINCE_US = 1_767_225_617_000_000
FUTURE = f"future>{SINCE_US}: the agent is in an interaction; Meal is set when it ends"
DATELESS = f"presence>{SINCE_US}: the response shows Meal, but not since when"


def pending(around: Around, detail: str = FUTURE) -> str:
    command_id = around.order("ann", "Meal")
    around.signal(signals.Pending(command_id, detail))
    assert around.command(command_id).step is CommandStep.PENDING
    return command_id


def at(offset_us: int) -> str:
    return f"presence@{SINCE_US + offset_us}"


def test_it_is_confirmed_when_the_stream_shows_it_and_only_then_is_it_told_that_it_took() -> None:
    around = cloud()
    command_id = pending(around)
    assert (around.machine.pending, around.machine.in_flight) == (1, 0)
    around.pass_s(1_700.0)
    assert around.command(command_id).step is CommandStep.PENDING
    assert [each.webhook for each in around.records if each.webhook] == []
    around.show(at(1_500_000_000))
    assert around.steps(command_id)[-3:] == ["pending", "acknowledged", "confirmed"]
    assert len([each for each in around.records if each.webhook]) == 1
    assert around.machine.pending == 0
    assert around.machine.to_confirmation.count == 0, "half an hour is nobody's latency"


def test_neither_an_older_nor_another_presence_nor_somebody_elses_confirms_it() -> None:
    around = cloud()
    on_queue(around, "bob")
    command_id = pending(around)
    around.show(at(-1))
    around.show(at(5), definition="d-break")
    around.show(at(5), definition="")
    around.show(at(5), "bob")
    around.show(command_id)
    assert around.command(command_id).step is CommandStep.PENDING
    around.show(at(0), definition="D-MEAL")
    assert around.command(command_id).step is CommandStep.CONFIRMED


def test_what_never_comes_is_unconfirmed_after_its_time() -> None:
    around = cloud(pending_s=600)
    command_id = pending(around)
    around.pass_s(599.0)
    assert around.command(command_id).step is CommandStep.PENDING
    around.pass_s(2.0)
    command = around.command(command_id)
    assert (command.step, command.acknowledged_us) == (CommandStep.UNCONFIRMED, None)
    assert "within 600 s" in command.detail


def test_what_is_shown_without_a_time_is_waited_for_as_if_it_were_acknowledged() -> None:
    around = cloud()
    command_id = pending(around, DATELESS)
    around.pass_s(11.0)
    assert around.command(command_id).step is CommandStep.UNCONFIRMED
    command_id = pending(around, DATELESS)
    around.show(at(0))
    assert around.command(command_id).step is CommandStep.CONFIRMED


def test_it_outlives_its_sender() -> None:
    around = cloud(pending_s=600)
    command_id = pending(around)
    restart(around, down_s=300.0)
    assert around.machine.pending == 1
    around.pass_s(290.0)
    assert around.command(command_id).step is CommandStep.PENDING
    around.show(at(7))
    assert around.command(command_id).step is CommandStep.CONFIRMED


def test_a_second_answer_changes_nothing() -> None:
    around = cloud()
    command_id = pending(around)
    around.signal(signals.Pending(command_id, FUTURE))
    around.answer_with(command_id, at(0))
    around.decline(command_id, 403)
    assert around.machine.counts["duplicate"] == 3
    around.signal(signals.Pending("nobody's", FUTURE))
    assert around.machine.counts["stray"] == 1


def test_a_source_that_is_not_primary_is_certain_also_after_a_doubt() -> None:
    around = cloud()
    command_id = around.order("ann", "Meal")
    around.signal(signals.Unanswered(command_id, "presence of a user: 502"))
    around.pass_s(7.0)
    around.decline(command_id, 200, code=Code.NOT_PRIMARY.value, message="another one is primary")
    command = around.command(command_id)
    assert (command.step, command.code) == (CommandStep.REFUSED, Code.NOT_PRIMARY)
    assert command.detail == "another one is primary"


@pytest.mark.parametrize("slip_s", [-3_600, 3_600])
def test_a_clock_that_was_set_does_not_move_since_when_it_may_be_applied(slip_s: int) -> None:
    around = cloud()
    command_id = around.order("ann", "Meal")
    around.signal(signals.Unanswered(command_id, "presence of a user: 502"))
    around.wall_slip_us = slip_s * 1_000_000
    before_us = around.now_us
    around.pass_s(7.0)
    last = around.sent[-1]
    assert isinstance(last, signals.Patch)
    assert last.doubted_since_us is not None
    assert abs(last.doubted_since_us - before_us) < 1_000_000


@pytest.mark.parametrize("apart_us", [-1_000_000, -999, 0, 1, 999_000, 1_000_000])
def test_the_time_of_an_answer_and_that_of_its_event_may_differ_by_a_second(apart_us: int) -> None:
    around = cloud()
    command_id = around.order("ann", "Meal")
    around.answer_with(command_id, at(0))
    for other in (-1_000_001, 1_000_001):
        around.show(at(other))
    around.show(at(apart_us), definition="d-break")
    assert around.command(command_id).step is CommandStep.ACKNOWLEDGED
    around.show(at(apart_us))
    assert around.command(command_id).step is CommandStep.CONFIRMED


def test_ids_in_capitals_are_the_same_agent() -> None:
    user = "8b67e4d1-9758-4285-8c45-b49fedff3f99"
    around = cloud()
    on_queue(around, user)
    command_id = around.order(user.upper(), "Meal")
    assert around.command(command_id).user_id == user
    assert around.command(command_id).step is CommandStep.SENT


HAPPENINGS = st.one_of(
    st.tuples(st.just("pending"), st.sampled_from([FUTURE, DATELESS, "odd"])),
    st.tuples(st.just("answer"), st.sampled_from([at(0), at(9_000_000), ""])),
    st.tuples(st.just("decline"), st.sampled_from([200, 400, 403, 409, 429, 500])),
    st.tuples(st.just("unanswered"), st.just("")),
    st.tuples(
        st.just("show"),
        st.tuples(
            st.sampled_from([-5_000_000, -1, 0, 1, 9_000_000]),
            st.sampled_from(["d-meal", "d-break", ""]),
            st.sampled_from(["ann", "bob"]),
        ),
    ),
    st.tuples(st.just("pass"), st.sampled_from([0.5, 6.0, 40.0])),
    st.tuples(st.just("restart"), st.just("")),
)


@profile(max_examples=150, deadline=None)
@given(st.lists(HAPPENINGS, max_size=12))
def test_whatever_happens_it_has_one_end_and_is_confirmed_only_by_what_shows_it(
    happenings: list[tuple[str, object]],
) -> None:
    around = cloud(pending_s=100)
    on_queue(around, "bob")
    command_id = around.order("ann", "Meal")
    fits = False
    for what, value in happenings:
        match what, value:
            case "pending", str(detail):
                around.signal(signals.Pending(command_id, detail))
            case "answer", str(name):
                around.answer_with(command_id, name)
            case "decline", int(status):
                code = Code.NOT_PRIMARY.value if status == 200 else ""
                around.decline(command_id, status, code=code)
            case "unanswered", _:
                around.signal(signals.Unanswered(command_id, "502"))
            case "show", (int(offset_us), str(definition), str(user)):
                is_since = offset_us >= -1  # -1: within the second of an answer with that time
                fits = fits or (is_since and (definition, user) == ("d-meal", "ann"))
                around.show(at(offset_us), user, definition=definition)
            case "pass", float(seconds):
                around.pass_s(seconds)
            case "restart", _:
                restart(around)
    around.pass_s(300.0)
    command = around.command(command_id)
    assert command.step.is_end
    assert sum(CommandStep(each).is_end for each in around.steps(command_id)) == 1
    if command.step is CommandStep.CONFIRMED:
        assert fits, "an event showed the wanted presence of that agent since then"
