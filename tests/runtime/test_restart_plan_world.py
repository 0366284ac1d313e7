"""The restart plan in a small invented world: children that die and hang, a machine that is
suspended, all at Hypothesis' whim. What must hold whatever happens is checked in every turn."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import example, given, settings
from hypothesis import strategies as st

from runtime.child_spec import ChildSpec
from runtime.counters import LOADED, RUNNING, STARTING, Counters
from runtime.errors import EXIT_CLEAN, EXIT_CONFIGURATION, EXIT_FAILURE, EXIT_TEMPORARY
from runtime.exit import Exit
from runtime.restart_plan import (
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
BEAT_TIMEOUT_S = 2.0
DRAIN_S = 5.0
LOAD_S = 0.3
DRAIN_TAKES_S = 0.4
ROUNDING_S = 1e-9  # of sums of floats, here and in the plan


def spec(name: str, needs: tuple[str, ...] = ()) -> ChildSpec:
    return ChildSpec(
        name=name,
        title=name,
        entry="nowhere:run",
        arguments=None,
        counters=PAGE,
        needs=needs,
        intensity=3,
        period_s=10.0,
        beat_timeout_s=BEAT_TIMEOUT_S,
        start_timeout_s=4.0,
        temporary_delay_s=1.5,
    )


SPECS = (
    spec("web"),
    spec("shard-0"),
    spec("shard-1"),
    spec("receiver-0", needs=("shard-0", "shard-1")),
)
NAMES = tuple(spec.name for spec in SPECS)
ROLES = {spec.name: spec.role for spec in SPECS}
SHARES = {"receiver": 0.5, "shard": 0.75, "web": 1.0}  # of the drain, from its start


@dataclass
class Body:
    """A child as the world has it, beside what its supervisor knows."""

    generation: int = 0
    running: bool = False
    started_s: float = 0.0
    beat_s: float = 0.0
    hung: bool = False
    told_s: float | None = None
    killed: bool = False
    exits: list[Exit] = field(default_factory=list)

    def phase(self, now_s: float) -> int:
        return RUNNING if now_s >= self.started_s + LOAD_S else STARTING


class World:
    def __init__(self) -> None:
        self.now_s = self.looked_s = 100.0
        self.renewed_s = float("-inf")
        self.stopping: Stopping | None = None
        self.finish: Finish | None = None
        self.bodies = {name: Body() for name in NAMES}

    # --- what befalls it ------------------------------------------------------------------------

    def die(self, name: str, code: int) -> None:
        body = self.bodies[name]
        if body.running and not body.killed:
            body.running = False
            body.exits.append(Exit(self.now_s, code))

    def hang(self, name: str) -> None:
        self.bodies[name].hung = True

    def suspend(self, seconds: float) -> None:
        """The machine stands still: no beats, no looks."""
        self.now_s += seconds

    def wish(self, *, at_once: bool) -> None:
        if self.stopping is None:
            self.stopping = Stopping(
                reason="wish", exit_code=EXIT_CLEAN, since_s=self.now_s, drain_s=DRAIN_S
            )
        if at_once:
            since_s, code = self.stopping.since_s, self.stopping.exit_code
            self.stopping = Stopping(reason="wish", exit_code=code, since_s=since_s, at_once=True)

    # --- one turn -------------------------------------------------------------------------------

    def turn(self) -> None:
        for body in self.bodies.values():
            if body.running and body.killed:
                body.running = False
                body.exits.append(Exit(self.now_s, -9))
            elif body.running and not body.hung:
                body.beat_s = self.now_s
                if body.told_s is not None and self.now_s >= body.told_s + DRAIN_TAKES_S:
                    body.running = False
                    body.exits.append(Exit(self.now_s, EXIT_CLEAN))
        situation = Situation(
            children={name: self.facts(name) for name in NAMES},
            now_s=self.now_s,
            looked_s=self.looked_s,
            renewed_s=self.renewed_s,
            stopping=self.stopping,
        )
        actions = restart_plan(SPECS, situation)
        assert actions == restart_plan(SPECS, situation), "the plan keeps no state"
        self.check(actions)
        self.looked_s = self.now_s
        for action in actions:
            self.carry_out(action)

    def facts(self, name: str) -> ChildFacts:
        body = self.bodies[name]
        return ChildFacts(
            generation=body.generation,
            running=body.running,
            sign_of_life_s=max(body.started_s, body.beat_s),
            phase=body.phase(self.now_s),
            told=body.told_s is not None,
            killed=body.killed,
            exits=tuple(body.exits),
        )

    def carry_out(self, action: Action) -> None:
        match action:
            case Start(name, generation):
                exits = self.bodies[name].exits
                self.bodies[name] = Body(
                    generation, True, self.now_s, beat_s=self.now_s, exits=exits
                )
            case Terminate(name):
                self.bodies[name].told_s = self.now_s
            case Kill(name):
                self.bodies[name].killed = True
            case Renew():
                self.renewed_s = self.now_s
            case StopAll(reason, exit_code):
                self.stopping = Stopping(
                    reason=reason, exit_code=exit_code, since_s=self.now_s, drain_s=DRAIN_S
                )
            case Finish():
                self.finish = action
            case Wait(seconds):
                self.now_s += max(seconds, 0.001)

    # --- what must hold -------------------------------------------------------------------------

    def check(self, actions: tuple[Action, ...]) -> None:
        assert isinstance(actions[-1], Wait)
        assert 0 <= actions[-1].seconds <= BEAT_TIMEOUT_S / 4
        named = [action.child for action in actions if isinstance(action, Start | Terminate | Kill)]
        assert len(named) == len(set(named)), "one step a child and turn"
        for action in actions:
            self.check_one(action)

    def check_one(self, action: Action) -> None:
        match action:
            case Start(name, generation):
                body = self.bodies[name]
                assert not body.running, "two lives at once"
                assert generation == body.generation + 1
                assert self.stopping is None or self.stopping.exit_code == EXIT_CLEAN
                assert body.told_s is None, "told to stop, and started again"
                if generation == 1:
                    assert all(self.has_loaded(needed) for needed in self.needs(name))
                else:
                    self.check_restart(body)
            case Terminate(name):
                assert self.stopping is not None
                later = NAMES[NAMES.index(name) + 1 :]
                upstream = [other for other in later if ROLES[other] != ROLES[name]]
                assert not any(self.bodies[other].running for other in upstream)
                assert self.bodies[name].told_s is None, "told twice"
            case Kill(name):
                body = self.bodies[name]
                assert body.running
                assert not body.killed
                silent_s = self.now_s - max(body.beat_s, self.renewed_s)
                overdue = self.stopping is not None and (
                    self.stopping.at_once
                    or self.now_s - max(self.stopping.since_s, self.renewed_s)
                    >= DRAIN_S * (SHARES[ROLES[name]] if body.told_s else 1) - ROUNDING_S
                )
                assert overdue or silent_s >= BEAT_TIMEOUT_S - ROUNDING_S, (
                    "killed although it beats"
                )
            case Finish():
                assert self.stopping is not None
                assert not any(body.running for body in self.bodies.values())
            case _:
                pass

    def check_restart(self, body: Body) -> None:
        last = body.exits[-1]
        assert last.code != EXIT_CONFIGURATION
        if last.code == EXIT_TEMPORARY:
            assert self.now_s - last.at_s >= 1.5 - ROUNDING_S
        else:
            recent = [e for e in body.exits if self.now_s - e.at_s <= 10.0]
            assert sum(e.code != EXIT_TEMPORARY for e in recent) <= 3

    def needs(self, name: str) -> tuple[str, ...]:
        return next(spec.needs for spec in SPECS if spec.name == name)

    def has_loaded(self, name: str) -> bool:
        body = self.bodies[name]
        return body.running and body.phase(self.now_s) >= LOADED


names = st.sampled_from(NAMES)
codes = st.sampled_from([0, 1, -9, -11, EXIT_TEMPORARY, EXIT_CONFIGURATION])
harmless_codes = st.sampled_from([0, 1, -9, EXIT_TEMPORARY])
misfortunes = st.one_of(
    st.tuples(st.just("die"), names, codes),
    st.tuples(st.just("hang"), names),
    st.tuples(st.just("suspend"), st.floats(0.1, 100.0)),
    st.tuples(st.just("wish"), st.booleans()),
    st.just(("peace",)),
    st.just(("peace",)),
)


def befall(world: World, misfortune: tuple[object, ...]) -> None:
    match misfortune:
        case ("die", str(name), int(code)):
            world.die(name, code)
        case ("hang", str(name)):
            world.hang(name)
        case ("suspend", float(seconds)):
            world.suspend(seconds)
        case ("wish", bool(at_once)):
            world.wish(at_once=at_once)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(misfortunes, st.integers(1, 12)), max_size=25))
@example(
    [
        (("hang", "web"), 1),
        (("suspend", 12.540671974050184), 2),
        (("hang", "web"), 5),
        (("peace",), 12),
        (("hang", "receiver-0"), 3),
    ]
)
def test_whatever_happens_the_plan_keeps_its_rules_and_comes_to_an_end(
    story: list[tuple[tuple[object, ...], int]],
) -> None:
    world = World()
    for misfortune, turns in story:
        befall(world, misfortune)
        for _ in range(turns):
            if world.finish is None:
                world.turn()
    world.wish(at_once=False)
    last_s = world.now_s + DRAIN_S + 1.0
    while world.finish is None:
        assert world.now_s < last_s, "the drain has no end"
        world.turn()
    if world.finish.exit_code == EXIT_CLEAN:
        for body in world.bodies.values():
            assert body.told_s is None or body.exits[-1].code == EXIT_CLEAN


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(names, harmless_codes, st.floats(11.0, 30.0)), max_size=6))
def test_rare_deaths_never_end_the_service(deaths: list[tuple[str, int, float]]) -> None:
    world = World()
    for name, code, pause_s in deaths:
        until_s = world.now_s + pause_s
        while world.now_s < until_s:
            world.turn()
        assert all(body.running for body in world.bodies.values())
        world.die(name, code)
    assert world.stopping is None


@settings(max_examples=100, deadline=None)
@given(names, st.floats(0.0, 3.0))
def test_a_hung_child_is_always_found_and_replaced(name: str, at_s: float) -> None:
    world = World()
    while world.now_s < 105.0 + at_s:
        world.turn()
    world.hang(name)
    found_s = world.now_s + BEAT_TIMEOUT_S + 1.0
    while world.now_s < found_s:
        world.turn()
    assert {n: body.generation for n, body in world.bodies.items()} == {
        n: 2 if n == name else 1 for n in NAMES
    }


def test_a_suspended_machine_kills_nobody() -> None:
    world = World()
    for _ in range(50):
        world.turn()
        world.suspend(3_600.0)
    for _ in range(50):
        world.turn()
    assert [body.generation for body in world.bodies.values()] == [1, 1, 1, 1]
    assert world.stopping is None


def test_one_that_hangs_while_it_is_told_costs_those_downstream_nothing() -> None:
    world = World()
    for _ in range(20):
        world.turn()
    world.hang("receiver-0")
    world.wish(at_once=False)
    while world.finish is None:
        world.turn()
    ends = {name: body.exits[-1].code for name, body in world.bodies.items()}
    assert ends == {"receiver-0": -9, "shard-0": 0, "shard-1": 0, "web": 0}
    assert world.finish == Finish("wish, but not drained: receiver-0 was killed by SIGKILL", 1)


def test_a_broken_child_ends_the_service_with_a_failure() -> None:
    world = World()
    while world.finish is None:
        world.turn()
        world.die("shard-1", 1)
    assert world.finish.exit_code == EXIT_FAILURE
    assert "shard-1 ended 4 times" in world.finish.reason
