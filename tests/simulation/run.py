"""Run: one seed, played and judged; and many of them. A seed decides everything, so that it replays
everything.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tests.simulation.oracle import Finding, findings
from tests.simulation.receiver import Log
from tests.simulation.scale import small_scale
from tests.simulation.schedule import schedule
from tests.simulation.world import NeverSettlesError, World, silent

COLLECT_EVERY = 20  # worlds are full of cycles, and hold descriptors

DETAIL_CHARS = 300


class Outcome(NamedTuple):
    """What came of one seed. `crashes` and `faults` that really happened."""

    seed: int
    findings: list[Finding]
    faults: Counter[str]
    crashes: Counter[str]
    events: int

    def __str__(self) -> str:
        lines = [f"{each.promise}: {each.detail[:DETAIL_CHARS]}" for each in self.findings[:5]]
        lines += ["…"] * (len(self.findings) > 5)
        replay = f"python -m tests.simulation --start {self.seed} --seeds 1 --trace"
        return "\n  ".join([f"seed {self.seed} is broken; replay: {replay}", *lines])


def run(seed: int, *, log: Log = silent) -> Outcome:
    """To be called within `small_scale()`."""
    world = World(schedule(seed), log=log)
    try:
        with world.death.rules():
            world.play()
        found = findings(world)
    except NeverSettlesError as error:
        found = [Finding("everything comes to rest", str(error))]
    except Exception as error:
        if log is not silent:
            raise
        found = [Finding("nothing breaks", f"{type(error).__name__}: {error}")]
    events = len(world.gateway.organisation.events)
    return Outcome(seed, found, world.gateway.done, world.crashes, events)


def run_many(seeds: Iterable[int]) -> Iterator[Outcome]:
    """One after the other, at small scale."""
    was_enabled = gc.isenabled()
    gc.disable()
    gc.collect()
    gc.freeze()
    try:
        with small_scale():
            for count, seed in enumerate(seeds):
                yield run(seed)
                if count % COLLECT_EVERY == 0:
                    gc.collect()
    finally:
        gc.unfreeze()
        gc.collect()
        if was_enabled:
            gc.enable()


class Summary:
    """What many seeds came to."""

    def __init__(self) -> None:
        self.seeds = self.events = 0
        self.faults: Counter[str] = Counter()
        self.crashes: Counter[str] = Counter()
        self.broken: list[str] = []

    def add(self, outcome: Outcome) -> None:
        self.seeds += 1
        self.events += outcome.events
        self.faults += outcome.faults
        self.crashes += outcome.crashes
        if outcome.findings:
            self.broken.append(str(outcome))
