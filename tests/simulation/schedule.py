"""A schedule: everything that a seed decides before the first step. Knows not how it is played."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import NamedTuple

from tests.simulation.faults import CRASHES, FAULTS
from tests.simulation.gateway import Habits
from tests.simulation.organisation import Epoch
from tests.simulation.scale import MARGIN

EVENTS_MIN = 200
FAULTS_MIN = 5


class Planned(NamedTuple):
    """A fault or a crash, due when so many events have happened."""

    after: int
    what: str
    passages: int  # of a crash point before it kills


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    seed: int
    shards: int
    agents: int
    events: int
    ring_capacity: int
    habits: Habits
    epoch: Epoch
    is_coarse: bool  # timestamps of whole seconds
    batch_most: int
    read_most: int
    plan: tuple[Planned, ...]

    @property
    def calm_habits(self) -> Habits:
        """When everything is to come to rest."""
        return Habits(retention=1 << 30, reorder=0, duplicates=0.0)


def schedule(seed: int) -> Schedule:
    rng = random.Random(f"schedule {seed}")
    events = rng.randint(EVENTS_MIN, EVENTS_MIN + 60)
    agents = rng.randint(3, 12)
    reorder = rng.choice((0, 0, 1, 4, MARGIN))
    plan = [
        Planned(rng.randrange(events), rng.choice(FAULTS), 0)
        for _ in range(rng.randint(FAULTS_MIN, FAULTS_MIN + 5))
    ]
    plan += [
        Planned(rng.randrange(events), rng.choice(CRASHES), rng.choice((1, 1, 2, 5, 20)))
        for _ in range(rng.randint(1, 4))
    ]
    return Schedule(
        seed=seed,
        shards=rng.randint(1, 3),
        agents=agents,
        events=events,
        ring_capacity=rng.choice((4096, 8192, 65536)),
        habits=Habits(
            retention=rng.choice((0, 20, 60, 10_000, 10_000)),
            reorder=reorder,
            duplicates=rng.choice((0.0, 0.05, 0.3)),
        ),
        epoch=Epoch(rng.choice(("", "epoch-1")), rng.choice((agents + 1, 3_000, 10_000_000))),
        is_coarse=reorder == 0 and rng.random() < 0.2,
        batch_most=rng.choice((1, 8, 64, 512)),
        read_most=rng.choice((1, 8, 64)),
        plan=tuple(sorted(plan)),
    )
