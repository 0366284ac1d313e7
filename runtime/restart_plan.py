"""Restart plan: what a supervisor does next, as values. Sees no process, clock, signal or page.
Pure.

    specs, situation  ──▶  restart_plan  ──▶  actions

The plan is *level-triggered*: it keeps no state and looks at all that is known anew each turn, so
an action that was lost, late or overtaken by events is simply asked for again or not at all. What
must be remembered (who was told to stop, when the machine last overslept) is remembered by whoever
carries the actions out, and comes back with the next situation.

In service, a child is judged by three rules:

- **Alive** is what beats. A term runs from the latest sign of life (start or beat) and is
  `start_timeout_s` long while the child is STARTING, `beat_timeout_s` afterwards. When it runs out
  the child is killed; its successor starts only when it was reaped, so two lives never overlap.
- **One for one**: what ended is started again, at once. Exit 75 (temporary) waits for its delay and
  does not count; exit 78 (configuration) ends everything, because only a person can cure it; more
  than `intensity` ends within `period_s` end everything, because restarting does not cure it
  either.
- **A late judge is no judge.** If we have not looked for half a term (suspended machine, SIGSTOP, a
  debugger), the beats are as old as our own absence, so everyone gets a new term.

When stopping, upstream is told first, role by role: the last of one role is reaped before the next
role is told, so that what is still on its way finds its reader alive. For the same reason a reader
that dies before it was told is started again, unless it is the failure that we stop for. Deadline:
`drain_s` for the whole drain, then whatever still runs is killed. One role that hangs must not cost
the others their drain: the first has half of that time, the next half of the rest, the last all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from runtime.child_spec import ChildSpec
from runtime.counters import LOADED, STARTING
from runtime.errors import EXIT_CLEAN, EXIT_CONFIGURATION, EXIT_FAILURE, EXIT_TEMPORARY
from runtime.exit import Exit

LOOK_S = 0.5  # longest wait between two looks at the pages; exits wake us by themselves
NEEDS_LOOK_S = 0.02  # the same while a child waits for others to load, which wakes nobody
DRAIN_S = 20.0


# --- what is known ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildFacts:
    """One child: its latest life, and how the ones before ended."""

    generation: int = 0  # of the latest start; 0: never started
    running: bool = False  # started and not yet reaped
    sign_of_life_s: float = 0.0  # its start or its latest beat
    phase: int = STARTING
    told: bool = False  # asked to drain and end
    killed: bool = False  # SIGKILL was sent; like `told`, said of the latest life
    exits: tuple[Exit, ...] = ()  # those of the last period, and always the latest


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """The wish to end, and what the whole will exit with if all drain."""

    reason: str
    exit_code: int
    since_s: float
    drain_s: float = DRAIN_S
    at_once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Everything that is known at `now_s`."""

    children: Mapping[str, ChildFacts]
    now_s: float
    looked_s: float  # when we looked last
    renewed_s: float = float("-inf")  # no term began before
    stopping: Stopping | None = None


# --- what to do ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    child: str
    generation: int


@dataclass(frozen=True, slots=True)
class Terminate:
    """SIGTERM: drain what came before you, then end."""

    child: str


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL; it is reaped when the kernel is done with it."""

    child: str
    reason: str
    hung: bool = False


@dataclass(frozen=True, slots=True)
class Renew:
    """Nobody's term began before now."""

    overslept_s: float


@dataclass(frozen=True, slots=True)
class StopAll:
    reason: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class Finish:
    """No child is left and none is owed."""

    reason: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again after so many seconds, or as soon as something happens. Always the last action."""

    seconds: float


Action = Start | Terminate | Kill | Renew | StopAll | Finish | Wait
AT_ONCE = Wait(0.0)


# --- the decision -------------------------------------------------------------------------------


def restart_plan(specs: Sequence[ChildSpec], situation: Situation) -> tuple[Action, ...]:
    """The actions of this turn, in the order in which they are to be carried out."""
    term_s = min(spec.beat_timeout_s for spec in specs)
    absent_s = situation.now_s - situation.looked_s
    if absent_s > term_s / 2:
        return Renew(absent_s), AT_ONCE
    if situation.stopping is None:
        steps: list[Action] = [_serve(spec, situation) for spec in specs]
        for step in steps:
            if isinstance(step, StopAll):
                return step, AT_ONCE
    else:
        steps = list(_drain(specs, situation, situation.stopping))
    actions = tuple(step for step in steps if not isinstance(step, Wait))
    waits_s = [step.seconds for step in steps if isinstance(step, Wait)]
    # A quarter of a term, so that our own waiting is never taken for oversleeping.
    return *actions, Wait(min(LOOK_S, term_s / 4, *waits_s))


def _serve(spec: ChildSpec, situation: Situation) -> Start | Kill | StopAll | Wait:
    """The one step that this child needs in service."""
    facts = situation.children[spec.name]
    if facts.running:
        return Wait(LOOK_S) if facts.killed else _judge_beats(spec, facts, situation)
    if facts.generation == 0:
        needed = (situation.children[name] for name in spec.needs)
        ready = all(other.running and other.phase >= LOADED for other in needed)
        return Start(spec.name, 1) if ready else Wait(NEEDS_LOOK_S)
    return _judge_exits(spec, facts, situation.now_s)


def _judge_beats(spec: ChildSpec, facts: ChildFacts, situation: Situation) -> Kill | Wait:
    term_s = spec.start_timeout_s if facts.phase == STARTING else spec.beat_timeout_s
    left_s = max(facts.sign_of_life_s, situation.renewed_s) + term_s - situation.now_s
    if left_s > 0:
        return Wait(left_s)
    silent_s = situation.now_s - facts.sign_of_life_s
    return Kill(spec.name, f"no heartbeat for {silent_s:.1f} s", hung=True)


def _judge_exits(spec: ChildSpec, facts: ChildFacts, now_s: float) -> Start | StopAll | Wait:
    last = facts.exits[-1]
    if last.code == EXIT_CONFIGURATION:
        return StopAll(f"{spec.name} {last}", EXIT_CONFIGURATION)
    if last.code == EXIT_TEMPORARY:
        left_s = last.at_s + spec.temporary_delay_s - now_s
        return Start(spec.name, facts.generation + 1) if left_s <= 0 else Wait(left_s)
    ends = sum(
        exit_.code != EXIT_TEMPORARY and now_s - exit_.at_s <= spec.period_s
        for exit_ in facts.exits
    )
    if ends > spec.intensity:
        return StopAll(
            f"{spec.name} ended {ends} times within {spec.period_s:g} s; the last time it {last}",
            EXIT_FAILURE,
        )
    return Start(spec.name, facts.generation + 1)


def _drain(
    specs: Sequence[ChildSpec], situation: Situation, stopping: Stopping
) -> Iterator[Action]:
    upstream_first = [
        spec for spec in reversed(specs) if not _is_settled(spec, situation, stopping)
    ]
    running = [spec for spec in upstream_first if situation.children[spec.name].running]
    left_s = max(stopping.since_s, situation.renewed_s) + stopping.drain_s - situation.now_s
    if stopping.at_once or left_s <= 0:
        why = (
            "immediate stop requested"
            if stopping.at_once
            else f"not drained within {stopping.drain_s:g} s"
        )
        for spec in running:
            if not situation.children[spec.name].killed:
                yield Kill(spec.name, why)
        if not running:
            yield _finish(specs, situation, stopping)
        return
    for spec in upstream_first:
        facts = situation.children[spec.name]
        if facts.running and (facts.told or facts.killed):
            share_s = _share_s(specs, spec.role, stopping.drain_s)
            role_left_s = left_s - (stopping.drain_s - share_s)
            if role_left_s > 0 or facts.killed:
                yield Wait(role_left_s if role_left_s > 0 else left_s)
            else:
                yield Kill(
                    spec.name, f"not drained within {share_s:g} s while others wait to drain"
                )
        elif facts.running and spec.role == upstream_first[0].role:
            yield Terminate(spec.name)
        else:
            yield _serve(spec, situation)
    if not upstream_first:
        yield _finish(specs, situation, stopping)


def _share_s(specs: Sequence[ChildSpec], role: str, drain_s: float) -> float:
    """From the start of the drain to the end of what this role may take of it."""
    upstream_first = list(dict.fromkeys(spec.role for spec in reversed(specs)))
    if role == upstream_first[-1]:
        return drain_s
    return drain_s * (1 - 0.5 ** (upstream_first.index(role) + 1))


def _is_settled(spec: ChildSpec, situation: Situation, stopping: Stopping) -> bool:
    """Does not run, and nobody upstream may still count on it."""
    facts = situation.children[spec.name]
    if facts.running:
        return False
    if facts.told or facts.generation == 0 or stopping.exit_code != EXIT_CLEAN:
        return True
    return not isinstance(_serve(spec, situation), Start)


def _finish(specs: Sequence[ChildSpec], situation: Situation, stopping: Stopping) -> Finish:
    """A clean exit code is a promise: every child ended by itself, after what came before it."""
    broken = [
        f"{spec.name} {exit_}"
        for spec in specs
        for exit_ in situation.children[spec.name].exits[-1:]
        if exit_.at_s >= stopping.since_s and exit_.code != EXIT_CLEAN
    ]
    if stopping.exit_code != EXIT_CLEAN or not broken:
        return Finish(stopping.reason, stopping.exit_code)
    return Finish(f"{stopping.reason}, but not drained: {', '.join(broken)}", EXIT_FAILURE)
