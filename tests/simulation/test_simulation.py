"""The whole pipeline under 2,000 schedules; `python -m tests.simulation` runs more."""

from __future__ import annotations

import re

import pytest

from tests.simulation.faults import CRASHES, FAULTS, POINTS
from tests.simulation.run import Summary, run, run_many
from tests.simulation.scale import small_scale
from tests.simulation.schedule import EVENTS_MIN, FAULTS_MIN, schedule
from tests.tidiness import ROOT

BROKEN_ONCE = (
    *(2597, 7843, 13340, 27330, 28791, 31780, 34472, 38213, 39711, 46532, 48874, 49238, 58235),
    *(64324, 68405, 68583, 74369, 77840, 83661, 83725, 89447, 90718, 93172, 93221, 94330, 96967),
    *(97593, 80308),
)
"""Seeds in which something was wrong once: with the product or with what judged it."""
SEEDS = 2_000
CHUNK = 1_000


@pytest.mark.parametrize("start", range(0, SEEDS, CHUNK))
def test_every_promise_is_kept_under_every_schedule(start: int) -> None:
    summary = Summary()
    for outcome in run_many(range(start, start + CHUNK)):
        summary.add(outcome)
    assert not summary.broken, "\n".join(summary.broken[:10])
    assert summary.seeds == CHUNK
    assert set(summary.faults) == set(FAULTS), "every fault happens"
    assert set(summary.crashes) == set(CRASHES), "everybody dies at every step"


def test_no_seed_is_broken_again() -> None:
    for outcome in run_many(BROKEN_ONCE):
        assert not outcome.findings, str(outcome)


def test_a_schedule_has_enough_of_everything() -> None:
    for seed in range(300):
        plan = schedule(seed)
        faults = [planned for planned in plan.plan if planned.what in FAULTS]
        assert plan.events >= EVENTS_MIN == 200
        assert len(faults) >= FAULTS_MIN == 5
        assert len(plan.plan) > len(faults)
        assert plan == schedule(seed)


def test_what_a_schedule_plans_happens() -> None:
    for outcome in run_many(range(20)):
        assert outcome.events >= EVENTS_MIN
        assert outcome.faults.total() >= FAULTS_MIN
        assert outcome.crashes.total() >= 1


def test_a_seed_replays_everything_that_happened_in_it() -> None:
    def play(seed: int) -> list[tuple[str, str]]:
        told: list[tuple[str, str]] = []
        with small_scale():
            run(seed, log=lambda event, fields: told.append((event, str(fields))))
        return told

    assert len(play(7)) > 10
    assert play(7) == play(7)
    assert play(7) != play(8)


def test_every_named_step_of_the_product_is_simulated() -> None:
    named = re.compile(r'crash_point\("([\w-]+)"\)|"(after-[\w-]+-staged)"')
    rooms = ("actors/receiver/*", "actors/shard/*", "actors/storage/data_file.py", "runtime/*")
    # Receivers of channels are killed at theirs in tests/actors/receiver/test_cloud_child.py.
    alien = ("cloud_", "channel", "snapshot")
    everything = [path for room in rooms for path in ROOT.glob(room)]
    sources = [path for path in everything if not path.name.startswith(alien)]
    texts = [path.read_text() for path in sources if path.suffix in {".py", ".pyx"}]
    found = {first or second for text in texts for first, second in named.findall(text)}
    assert found == set(POINTS)
