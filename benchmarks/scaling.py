"""Scaling: what an event costs by role over shards and agents, and which load needs which cores.

The model is the plainest that the figures allow. An event costs less the more of them come at once,
so what a role uses is measured at three loads, and read off the lines between them; beyond the last
an event costs what it costs there. More agents cost as much more as they did at one of the loads. A
core carries what fills it, and the receiver, which is one process, is the limit.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from math import ceil
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.harness import (
    Answer,
    Benchmark,
    Contestant,
    Options,
    Target,
    fsync_ms,
    take_turns,
)
from benchmarks.peers.stage import Act, play, python

SHARDS = (1, 2, 4, 8)
AGENTS = (1_000, 10_000, 100_000, 1_000_000)
USUAL_AGENTS, USUAL_SHARDS = 10_000, 2
RATE_PER_S = 50_000.0
RATES: tuple[float | str, ...] = (2_000.0, RATE_PER_S, "max")
"""At which the usual ones are measured; the others at the one in the middle."""
LOADS_PER_S = (2_000, 20_000, 100_000, 500_000, 2_000_000, 5_000_000)
FULL = 0.7
"""A core is full at this share: the rest is for bursts, and for whatever else is there."""
GROWTH_MAX = 2.0
OVERTIME_S = 300.0
"""A million agents are told and judged in a minute or two."""


class Point(NamedTuple):
    """What was measured at one load."""

    events_per_s: float
    receiver_us: float
    shards_us: float
    """CPU of an event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a load needs. `shards`: processes; `cores`: theirs and the receiver's."""

    agents: int
    events_per_s: float
    shards: int
    cores: float
    is_too_much: bool
    """One receiver cannot carry it."""


def need(events_per_s: float, points: Sequence[Point], *, agents: int, growth: float = 1.0) -> Need:
    """`points` by rising load; `growth`: what so many agents cost against those of the points."""
    receiver = growth * used(events_per_s, [(at.events_per_s, at.receiver_us) for at in points])
    shards = growth * used(events_per_s, [(at.events_per_s, at.shards_us) for at in points])
    return Need(
        agents=agents,
        events_per_s=events_per_s,
        shards=max(1, ceil(shards / FULL)),
        cores=(receiver + shards) / FULL,
        is_too_much=receiver > FULL,
    )


def used(events_per_s: float, costs: Sequence[tuple[float, float]]) -> float:
    """Cores, of a role with these µs an event at these loads."""
    cores = [load * us / 1e6 for load, us in costs]
    if events_per_s >= costs[-1][0]:
        return events_per_s * costs[-1][1] / 1e6
    if events_per_s <= costs[0][0]:
        return events_per_s * costs[0][1] / 1e6
    for (low, _), (high, _), from_, to in zip(costs, costs[1:], cores, cores[1:], strict=False):
        if events_per_s <= high:
            return from_ + (to - from_) * (events_per_s - low) / (high - low)
    raise AssertionError("loads rise")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rate", type=float, default=RATE_PER_S, help="events a second")
    parser.add_argument("--shards", type=int, nargs="*", default=SHARDS)
    parser.add_argument("--agents", type=int, nargs="*", default=AGENTS)
    parser.add_argument("--journal", choices=("off", "full"), default="off")


def run(options: Options) -> Answer:
    own = options.own
    pairs = [(USUAL_AGENTS, shards) for shards in own.shards]
    pairs += [(agents, USUAL_SHARDS) for agents in own.agents]
    contestants: dict[str, Contestant] = {
        _name(agents, shards): partial(_played, options, agents, shards, own.rate)
        for agents, shards in dict.fromkeys(pairs)
    }
    for rate in RATES:
        if rate != RATE_PER_S:
            usual = partial(_played, options, USUAL_AGENTS, USUAL_SHARDS, rate)
            contestants[_name(USUAL_AGENTS, USUAL_SHARDS, rate)] = usual
    answer = Answer(figures=take_turns(contestants, options, overtime_s=OVERTIME_S))
    needs = _needs(answer)
    _tell(needs)
    facts: dict[str, Any] = {"needs": [asdict(each) for each in needs]}
    if own.journal == "full":
        facts["fsync_ms"] = fsync_ms()
    return Answer(figures=answer.figures, targets=_targets(answer, own.agents), facts=facts)


def _name(agents: int, shards: int, rate: float | str = RATE_PER_S) -> str:
    name = f"{agents:,} agents, {shards} shards"
    if rate == RATE_PER_S:
        return name
    return f"{name}, full speed" if isinstance(rate, str) else f"{name}, {rate:,.0f}/s"


def _played(
    options: Options, agents: int, shards: int, rate: float | str, seconds: float
) -> Mapping[str, float]:
    act = Act(
        program=python("ours", "--shards", str(shards), "--bare"),
        agents=agents,
        seed=options.seed,
        durable=options.own.journal == "full",
        has_folder=True,
    )
    played = play(act, rate, seconds)
    return {
        "receiver µs": played.us("receiver"),
        "shards µs": played.us("shard"),
        "together µs": played.us(),
        "events/s": played.per_s,
    }


def _needs(answer: Answer) -> list[Need]:
    """Of what was measured: nothing without the usual ones at the usual rate."""
    subjects = {figure.subject for figure in answer.figures}
    usual = [_name(USUAL_AGENTS, USUAL_SHARDS, rate) for rate in RATES]
    if not set(usual) <= subjects:
        return []
    points = [
        Point(*(answer.median(name, unit) for unit in ("events/s", "receiver µs", "shards µs")))
        for name in usual
    ]
    middle = answer.median(_name(USUAL_AGENTS, USUAL_SHARDS), "together µs")
    return [
        need(
            load,
            points,
            agents=agents,
            growth=answer.median(_name(agents, USUAL_SHARDS), "together µs") / middle,
        )
        for agents in AGENTS
        if _name(agents, USUAL_SHARDS) in subjects
        for load in LOADS_PER_S
    ]


def _tell(needs: Sequence[Need]) -> None:
    table = Table(title=f"cores filled to {FULL:.0%}")
    for column in ("agents", "events/s", "shards", "cores"):
        table.add_column(column, justify="right")
    for each in needs:
        cores = "more than one receiver" if each.is_too_much else f"{each.cores:.2f}"
        load = f"{each.events_per_s:,.0f}"
        table.add_row(f"{each.agents:,}", load, str(each.shards), cores)
    Console().print(table)


def _targets(answer: Answer, agents: Sequence[int]) -> tuple[Target, ...]:
    if not {USUAL_AGENTS, AGENTS[-1]} <= set(agents):
        return ()
    many, few = _name(AGENTS[-1], USUAL_SHARDS), _name(USUAL_AGENTS, USUAL_SHARDS)
    reached = answer.median(many, "together µs") / answer.median(few, "together µs")
    what = f"CPU per event: {many} against {few}"
    return (Target(what=what, reached=reached, bound=GROWTH_MAX, sense="at most"),)


BENCHMARK = Benchmark(
    question="What does an event cost over shards and agents, and which load needs which cores?",
    run=run,
    add_arguments=add_arguments,
)
