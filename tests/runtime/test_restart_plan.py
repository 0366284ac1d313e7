"""Every decision of a supervisor, as values compared with ==. Time is a number here."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from runtime.child_spec import ChildSpec
from runtime.counters import LOADED, RUNNING, STARTING, WAITING, Counters
from runtime.errors import EXIT_CLEAN, EXIT_CONFIGURATION, EXIT_FAILURE, EXIT_TEMPORARY
from runtime.exit import Exit
from runtime.restart_plan import (
    AT_ONCE,
    LOOK_S,
    NEEDS_LOOK_S,
    Action,
    ChildFacts,
    Finish,
    Kill,
    Renew,
    Situation,
    Start,
    StopAll,
    Stopping,
    Terminate,
    Wait,
    restart_plan,
)

PAGE = Counters.create("page", ())
NOW_S = 1_000.0
LOOK = Wait(LOOK_S)


def spec(name: str, **fields: Any) -> ChildSpec:
    return ChildSpec(
        name=name, title=name, entry="nowhere:run", arguments=None, counters=PAGE, **fields
    )


def alive(phase: int = RUNNING, **fields: Any) -> ChildFacts:
    values: dict[str, Any] = {
        "generation": 1,
        "running": True,
        "sign_of_life_s": NOW_S,
        "phase": phase,
    }
    return ChildFacts(**(values | fields))


def ended(code: int, *, at_s: float = NOW_S, generation: int = 1, **fields: Any) -> ChildFacts:
    return ChildFacts(generation=generation, exits=(Exit(at_s, code),), **fields)


def plan(
    specs: list[ChildSpec], facts: list[ChildFacts], *, now_s: float = NOW_S, **fields: Any
) -> tuple[Action, ...]:
    children = {spec.name: fact for spec, fact in zip(specs, facts, strict=True)}
    looked_s = fields.pop("looked_s", now_s - LOOK_S)
    return restart_plan(
        specs, Situation(children=children, now_s=now_s, looked_s=looked_s, **fields)
    )


SHARDS = [spec("shard-0"), spec("shard-1")]
RECEIVER = spec("receiver-0", needs=("shard-0", "shard-1"))
TREE = [*SHARDS, RECEIVER]


# --- first starts -------------------------------------------------------------------------------


def test_what_needs_nobody_starts_at_once_in_the_order_of_the_specs() -> None:
    facts = [ChildFacts()] * 3
    assert plan(TREE, facts) == (Start("shard-0", 1), Start("shard-1", 1), Wait(NEEDS_LOOK_S))


@pytest.mark.parametrize("phases", [*itertools.product((STARTING, LOADED, RUNNING), repeat=2)])
def test_a_child_starts_once_all_that_it_needs_have_loaded(phases: tuple[int, int]) -> None:
    facts = [alive(phases[0]), alive(phases[1]), ChildFacts()]
    if STARTING in phases:
        assert plan(TREE, facts) == (Wait(NEEDS_LOOK_S),)
    else:
        assert plan(TREE, facts) == (Start("receiver-0", 1), LOOK)


def test_a_needed_child_that_loaded_and_died_is_awaited_again() -> None:
    facts = [alive(), ended(1, phase=RUNNING), ChildFacts()]
    assert plan(TREE, facts) == (Start("shard-1", 2), Wait(NEEDS_LOOK_S))


def test_a_restart_does_not_wait_for_what_the_child_needs() -> None:
    facts = [alive(STARTING), alive(), ended(-9)]
    assert plan(TREE, facts) == (Start("receiver-0", 2), LOOK)


# --- in service ---------------------------------------------------------------------------------


def test_a_quiet_service_is_only_looked_at() -> None:
    assert plan(TREE, [alive(), alive(), alive()]) == (LOOK,)


@pytest.mark.parametrize("code", [EXIT_CLEAN, EXIT_FAILURE, -9, -11, 42])
def test_what_ends_uninvited_is_started_again_in_its_next_generation(code: int) -> None:
    facts = [alive(), ended(code, generation=7), alive()]
    assert plan(TREE, facts) == (Start("shard-1", 8), LOOK)


def test_one_death_restarts_nobody_else() -> None:
    facts = [ended(-9), alive(), ended(-9)]
    assert plan(TREE, facts) == (Start("shard-0", 2), Start("receiver-0", 2), LOOK)


def test_configuration_is_never_restarted_and_ends_everything_with_its_code() -> None:
    facts = [ended(1), ended(EXIT_CONFIGURATION), alive()]
    reason = "shard-1 exited with 78 (configuration)"
    assert plan(TREE, facts) == (StopAll(reason, EXIT_CONFIGURATION), AT_ONCE)


@pytest.mark.parametrize(
    ("since_s", "actions"),
    [
        (0.0, (LOOK,)),
        (59.75, (Wait(0.25),)),
        (60.0, (Start("web", 2), LOOK)),
        (75.0, (Start("web", 2), LOOK)),
    ],
)
def test_a_temporary_failure_is_restarted_after_its_delay(
    since_s: float, actions: tuple[Action, ...]
) -> None:
    web = spec("web", temporary_delay_s=60.0)
    assert plan([web], [ended(EXIT_TEMPORARY, at_s=NOW_S - since_s)]) == actions


def test_temporary_failures_do_not_count_towards_the_intensity() -> None:
    web = spec("web", intensity=1, temporary_delay_s=0.0)
    exits = (*(Exit(NOW_S, EXIT_TEMPORARY) for _ in range(9)), Exit(NOW_S, 1))
    facts = ChildFacts(generation=10, exits=exits)
    assert plan([web], [facts]) == (Start("web", 11), LOOK)


@pytest.mark.parametrize("intensity", [0, 1, 3, 20])
def test_exactly_the_intensity_is_forgiven(intensity: int) -> None:
    web = spec("web", intensity=intensity, period_s=60.0)
    for ends in range(1, intensity + 2):
        # Evenly spread over the period, the oldest just within it.
        exits = tuple(Exit(NOW_S - 60.0 * k / ends, -9) for k in reversed(range(ends)))
        facts = ChildFacts(generation=ends, exits=exits)
        if ends <= intensity:
            assert plan([web], [facts]) == (Start("web", ends + 1), LOOK)
        else:
            reason = f"web ended {ends} times within 60 s; the last time it was killed by SIGKILL"
            assert plan([web], [facts]) == (StopAll(reason, EXIT_FAILURE), AT_ONCE)


def test_ends_before_the_period_are_forgotten() -> None:
    web = spec("web", intensity=1, period_s=60.0)
    exits = (Exit(NOW_S - 61.0, 1), Exit(NOW_S - 60.5, 1), Exit(NOW_S, 1))
    assert plan([web], [ChildFacts(generation=3, exits=exits)]) == (Start("web", 4), LOOK)


# --- beats --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "silent_s", "verdict"),
    [
        (STARTING, 59.0, LOOK),
        (STARTING, 60.0, Kill("web", "no heartbeat for 60.0 s", hung=True)),
        (LOADED, 14.75, Wait(0.25)),
        (LOADED, 15.0, Kill("web", "no heartbeat for 15.0 s", hung=True)),
        (RUNNING, 16.0, Kill("web", "no heartbeat for 16.0 s", hung=True)),
        (WAITING, 14.0, LOOK),
        (WAITING, 15.0, Kill("web", "no heartbeat for 15.0 s", hung=True)),
    ],
)
def test_a_child_that_does_not_beat_within_its_term_is_killed(
    phase: int, silent_s: float, verdict: Action
) -> None:
    web = spec("web", beat_timeout_s=15.0, start_timeout_s=60.0)
    actions = plan([web], [alive(phase, sign_of_life_s=NOW_S - silent_s)])
    assert actions == ((verdict, LOOK) if isinstance(verdict, Kill) else (verdict,))


def test_a_killed_child_has_no_successor_before_it_was_reaped() -> None:
    facts = alive(sign_of_life_s=NOW_S - 100, killed=True)
    assert plan([spec("web")], [facts]) == (LOOK,)
    assert plan([spec("web")], [ended(-9, killed=True)]) == (Start("web", 2), LOOK)


def test_a_supervisor_that_overslept_gives_everyone_a_new_term_before_it_judges() -> None:
    stale = [alive(sign_of_life_s=NOW_S - 3_600)] * 3
    assert plan(TREE, stale, looked_s=NOW_S - 3_600) == (Renew(3_600), AT_ONCE)
    assert plan(TREE, stale, renewed_s=NOW_S) == (LOOK,)
    assert plan(TREE, stale, renewed_s=NOW_S - 14.75) == (Wait(0.25),)


def test_a_new_term_saves_nobody_who_stays_silent_in_it() -> None:
    facts = [alive(sign_of_life_s=NOW_S - 3_600), alive(), alive()]
    killed = plan(TREE, facts, renewed_s=NOW_S - 15.0)
    assert killed == (Kill("shard-0", "no heartbeat for 3600.0 s", hung=True), LOOK)


def test_oversleeping_is_half_of_the_shortest_term() -> None:
    specs = [spec("shard-0", beat_timeout_s=15.0), spec("web", beat_timeout_s=4.0)]
    assert plan(specs, [alive(), alive()], looked_s=NOW_S - 2.0) == (LOOK,)
    assert plan(specs, [alive(), alive()], looked_s=NOW_S - 2.25)[0] == Renew(2.25)


def test_our_own_waiting_is_never_oversleeping() -> None:
    web = spec("web", beat_timeout_s=0.2)
    assert plan([web], [alive()], looked_s=NOW_S) == (Wait(0.05),)


# --- stopping -----------------------------------------------------------------------------------


def stopping(**fields: Any) -> Stopping:
    values: dict[str, Any] = {"reason": "SIGTERM", "exit_code": EXIT_CLEAN, "since_s": NOW_S}
    return Stopping(**(values | fields))


TOLD = alive(told=True)
DRAINED = ended(0, told=True)
HALF_IS_UP = "not drained within 10 s while others wait to drain"


@pytest.mark.parametrize(
    ("facts", "actions"),
    [
        ([alive(), alive(), alive()], (Terminate("receiver-0"), LOOK)),
        ([alive(), alive(), TOLD], (LOOK,)),
        ([alive(), alive(), DRAINED], (Terminate("shard-1"), Terminate("shard-0"), LOOK)),
        ([TOLD, TOLD, DRAINED], (LOOK,)),
        ([DRAINED, TOLD, DRAINED], (LOOK,)),
        ([DRAINED, DRAINED, DRAINED], (Finish("SIGTERM", 0), LOOK)),
    ],
)
def test_upstream_is_told_first_and_reaped_before_the_next_role_is_told(
    facts: list[ChildFacts], actions: tuple[Action, ...]
) -> None:
    assert plan(TREE, facts, stopping=stopping()) == actions


def test_what_was_never_started_is_not_started_to_be_stopped() -> None:
    facts = [alive(STARTING), ChildFacts(), ChildFacts()]
    assert plan(TREE, facts, stopping=stopping()) == (Terminate("shard-0"), LOOK)
    assert plan(TREE, [ChildFacts()] * 3, stopping=stopping()) == (Finish("SIGTERM", 0), LOOK)


def test_a_reader_that_dies_untold_is_started_again_since_upstream_still_writes_to_it() -> None:
    actions = plan(TREE, [alive(), ended(-9), TOLD], stopping=stopping())
    assert actions == (Start("shard-1", 2), LOOK)
    actions = plan(TREE, [DRAINED, ended(-9), DRAINED], stopping=stopping())
    assert actions == (Start("shard-1", 2), LOOK)
    actions = plan(TREE, [DRAINED, alive(generation=2), DRAINED], stopping=stopping())
    assert actions == (Terminate("shard-1"), LOOK)


def test_a_hung_reader_is_killed_while_upstream_still_writes_to_it() -> None:
    hung = alive(sign_of_life_s=NOW_S - 15)
    actions = plan(TREE, [alive(), hung, TOLD], stopping=stopping())
    assert actions == (Kill("shard-1", "no heartbeat for 15.0 s", hung=True), LOOK)
    reaped = ended(-9, killed=True)
    actions = plan(TREE, [alive(), reaped, TOLD], stopping=stopping())
    assert actions == (Start("shard-1", 2), LOOK)


@pytest.mark.parametrize("code", [EXIT_CONFIGURATION, EXIT_TEMPORARY])
def test_a_drain_waits_for_no_child_that_a_restart_would_not_bring_back_now(code: int) -> None:
    facts = [alive(), ended(code), DRAINED]
    assert plan(TREE, facts, stopping=stopping()) == (Terminate("shard-0"), LOOK)


def test_nothing_is_restarted_when_we_stop_because_of_a_failure() -> None:
    failure = stopping(reason="shard-1 ended 21 times", exit_code=EXIT_FAILURE)
    facts = [ended(-9), ended(1), TOLD]
    assert plan(TREE, facts, stopping=failure) == (LOOK,)
    facts = [ended(-9), ended(1), DRAINED]
    finish = Finish("shard-1 ended 21 times", EXIT_FAILURE)
    assert plan(TREE, facts, stopping=failure) == (finish, LOOK)


@pytest.mark.parametrize(
    ("since_s", "facts", "actions"),
    [
        (9.75, [alive(), alive(), TOLD], (Wait(0.25),)),
        (10.0, [alive(), alive(), TOLD], (Kill("receiver-0", HALF_IS_UP), LOOK)),
        (10.0, [alive(), alive(), alive(told=True, killed=True)], (LOOK,)),
        (
            10.1,
            [alive(), alive(), ended(-9, told=True)],
            (Terminate("shard-1"), Terminate("shard-0"), LOOK),
        ),
        (19.5, [TOLD, TOLD, ended(-9, told=True)], (LOOK,)),
        (
            15.0,
            [DRAINED, DRAINED, ended(-9, told=True)],
            (Finish("SIGTERM, but not drained: receiver-0 was killed by SIGKILL", 1), LOOK),
        ),
    ],
)
def test_upstream_that_hangs_is_killed_at_half_time_so_that_downstream_still_drains(
    since_s: float, facts: list[ChildFacts], actions: tuple[Action, ...]
) -> None:
    assert plan(TREE, facts, stopping=stopping(since_s=NOW_S - since_s)) == actions


def test_each_further_role_has_half_of_the_rest_and_the_last_one_all() -> None:
    facts = [alive(), TOLD, DRAINED]
    tree = [spec("web"), spec("shard-0"), spec("receiver-0")]
    assert plan(tree, facts, stopping=stopping(since_s=NOW_S - 14.75)) == (Wait(0.25),)
    killed = plan(tree, facts, stopping=stopping(since_s=NOW_S - 15.0))[0]
    assert killed == Kill("shard-0", "not drained within 15 s while others wait to drain")
    facts = [TOLD, DRAINED, DRAINED]
    assert plan(tree, facts, stopping=stopping(since_s=NOW_S - 19.0)) == (LOOK,)


def test_at_the_deadline_all_that_still_runs_is_killed() -> None:
    facts = [alive(), alive(killed=True), TOLD]
    late = stopping(since_s=NOW_S - 20.0)
    why = "not drained within 20 s"
    kills = (Kill("receiver-0", why), Kill("shard-0", why))
    assert plan(TREE, facts, stopping=late) == (*kills, LOOK)
    nearly = stopping(since_s=NOW_S - 19.75)
    assert plan(TREE, [TOLD, TOLD, DRAINED], stopping=nearly) == (Wait(0.25),)


def test_a_machine_suspended_in_a_drain_gets_its_whole_drain() -> None:
    late = stopping(since_s=NOW_S - 3_600)
    facts = [alive(), TOLD, DRAINED]
    assert plan(TREE, facts, stopping=late, looked_s=NOW_S - 3_599)[0] == Renew(3_599)
    assert Kill not in map(type, plan(TREE, facts, stopping=late, renewed_s=NOW_S - 19.0))
    assert plan(TREE, facts, stopping=late, renewed_s=NOW_S - 20.0)[0] == Kill(
        "shard-1", "not drained within 20 s"
    )


def test_a_second_wish_to_stop_kills_at_once_and_finishes_when_all_are_reaped() -> None:
    now = stopping(at_once=True)
    why = "immediate stop requested"
    kills = (Kill("receiver-0", why), Kill("shard-1", why), Kill("shard-0", why))
    assert plan(TREE, [alive(), alive(), TOLD], stopping=now) == (*kills, LOOK)
    assert plan(TREE, [alive(killed=True), ended(-9), ended(-9)], stopping=now) == (LOOK,)
    actions = plan(TREE, [ended(-9), ended(-9), ended(-9)], stopping=now)
    assert isinstance(actions[0], Finish)
    assert actions[0].exit_code == EXIT_FAILURE


def test_a_clean_exit_code_is_a_promise_that_all_have_drained() -> None:
    facts = [ended(0, told=True), ended(-9, told=True), ended(0, told=True)]
    reason = "SIGTERM, but not drained: shard-1 was killed by SIGKILL"
    assert plan(TREE, facts, stopping=stopping()) == (Finish(reason, EXIT_FAILURE), LOOK)


def test_an_end_before_the_wish_to_stop_does_not_spoil_the_exit_code() -> None:
    facts = [DRAINED, DRAINED, ended(EXIT_TEMPORARY, at_s=NOW_S - 1)]
    assert plan(TREE, facts, stopping=stopping()) == (Finish("SIGTERM", 0), LOOK)
