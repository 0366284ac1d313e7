"""The whole pipeline as Hypothesis plays it: any fault and any death at any moment.

The parts are those of `tests/simulation`; here their order is searched, and a failure is shrunk to
the fewest steps.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.shard.merge import OUTCOMES
from tests.simulation.faults import ANYWHERE, FAULTS, OFTEN_PASSED, POINTS, STOP_POINTS
from tests.simulation.oracle import findings
from tests.simulation.scale import small_scale
from tests.simulation.schedule import schedule
from tests.simulation.world import World


class PipelineModel(RuleBasedStateMachine):
    """Gateway, receiver session, rings, shards and journals."""

    def __init__(self) -> None:
        super().__init__()
        self._scale = small_scale()
        self._scale.__enter__()
        self.world: World | None = None

    @initialize(seed=st.integers(0, 1 << 32))
    def a_world_begins(self, seed: int) -> None:
        """The seed decides what the gateway is like, and what nobody draws here."""
        self.world = World(schedule(seed))
        self._rules = self.world.death.rules()
        self._rules.__enter__()

    def teardown(self) -> None:
        try:
            if self.world is not None:
                try:
                    self.world.death.point = None
                    self.world.settle()
                finally:
                    self._rules.__exit__(None, None, None)
                assert not findings(self.world)
        finally:
            self._scale.__exit__(None, None, None)

    @property
    def lively(self) -> World:
        assert self.world is not None
        return self.world

    @rule(count=st.integers(1, 20))
    def agents_change(self, count: int) -> None:
        for _ in range(count):
            self.lively.clock.advance(0.001)
            self.lively.gateway.happens(self.lively.clock.wall_us())

    @rule(reads=st.integers(1, 20))
    def the_receiver_reads(self, reads: int) -> None:
        for _ in range(reads):
            self.lively.read()

    @rule(index=st.integers(0, 2), batches=st.integers(1, 10))
    def a_shard_takes_batches(self, index: int, batches: int) -> None:
        for _ in range(batches):
            self.lively.shard_step(index % len(self.lively.shards))

    @rule(seconds=st.sampled_from([0.01, 0.25, 1.0]), times=st.integers(1, 20))
    def time_passes(self, seconds: float, times: int) -> None:
        for _ in range(times):
            self.lively.time_passes(seconds)

    @rule(steps=st.integers(1, 60))
    def whatever_happens(self, steps: int) -> None:
        for _ in range(steps):
            self.lively.step()

    @rule(fault=st.sampled_from(FAULTS))
    def a_fault_happens(self, fault: str) -> None:
        self.lively.mischief.happens(fault)

    @rule(whom=st.sampled_from(ANYWHERE))
    def somebody_is_killed(self, whom: str) -> None:
        self.lively.kill(whom)

    @precondition(lambda self: self.world is not None and self.world.death.point is None)
    @rule(point=st.sampled_from(POINTS), passages=st.integers(1, 5))
    def somebody_is_doomed(self, point: str, passages: int) -> None:
        self.lively.death.arm(point, passages if point in OFTEN_PASSED else 1)
        if point in STOP_POINTS:
            self.lively.kill("runtime stopped")
        elif point == "after-load":
            self.lively.kill("shard killed")

    @invariant()
    def the_sum_is_exact_in_every_journal(self) -> None:
        for disk in self.world.disks if self.world is not None else ():
            counts = disk.progress.counts
            total = sum(counts.get(name, 0) for name in OUTCOMES if name != "received")
            assert counts.get("received", 0) == total

    @invariant()
    def no_mark_lies_in_the_future(self) -> None:
        if self.world is None:
            return
        watch, organisation = self.world.watch, self.world.gateway.organisation
        for epoch, mark in self.world.marks():
            if watch.epochs.get(epoch) == organisation.epoch:
                assert mark <= organisation.newest


TestPipelineModel = PipelineModel.TestCase
TestPipelineModel.settings = settings(
    max_examples=300,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
