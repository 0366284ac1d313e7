"""Scaling: what an event costs by role over shards and agents, and which load needs which cores.

The model is the plainest that the figures allow: an event costs what it costs at a load that leaves
room, a core carries what fills it, and the receiver, which is one process, is the limit.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any

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
LOADS_PER_S = (2_000, 20_000, 100_000, 500_000, 2_000_000)
FULL = 0.7
"""A core is full at this share: the rest is for bursts, and for whatever else is there."""
GROWTH_MAX = 2.0
OVERTIME_S = 300.0
"""A million agents are told and judged in a minute or two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a load needs. `shards`: processes; `cores`: theirs and the receiver's."""

    events_per_s: float
    shards: int
    cores: float
    is_too_much: bool
    """One receiver cannot carry it."""


def need(events_per_s: float, *, receiver_us: float, shard_us: float) -> Need:
    """By the cost of an event in each role."""
    receiver = events_per_s * receiver_us / 1e6
    shards = events_per_s * shard_us / 1e6
    return Need(
        events_per_s=events_per_s,
        shards=max(1, ceil(shards / FULL)),
        cores=(receiver + shards) / FULL,
        is_too_much=receiver > FULL,
    )


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
        _name(agents, shards): partial(_played, options, agents, shards)
        for agents, shards in dict.fromkeys(pairs)
    }
    answer = Answer(figures=take_turns(contestants, options, overtime_s=OVERTIME_S))
    needs = _needs(answer)
    _tell(needs)
    facts: dict[str, Any] = {
        "needs": [(each.events_per_s, each.shards, each.cores) for each in needs]
    }
    if own.journal == "full":
        facts["fsync_ms"] = fsync_ms()
    return Answer(figures=answer.figures, targets=_targets(answer, own.agents), facts=facts)


def _name(agents: int, shards: int) -> str:
    return f"{agents:,} agents, {shards} shards"


def _played(options: Options, agents: int, shards: int, seconds: float) -> Mapping[str, float]:
    act = Act(
        program=python("ours", "--shards", str(shards), "--bare"),
        agents=agents,
        seed=options.seed,
        durable=options.own.journal == "full",
        has_folder=True,
    )
    played = play(act, options.own.rate, seconds)
    return {
        "receiver µs": played.us("receiver"),
        "shards µs": played.us("shard"),
        "together µs": played.us(),
    }


def _needs(answer: Answer) -> list[Need]:
    usual = _name(USUAL_AGENTS, USUAL_SHARDS)
    if usual not in {figure.subject for figure in answer.figures}:
        return []
    receiver_us = answer.median(usual, "receiver µs")
    shard_us = answer.median(usual, "shards µs")
    return [need(load, receiver_us=receiver_us, shard_us=shard_us) for load in LOADS_PER_S]


def _tell(needs: Sequence[Need]) -> None:
    table = Table(title=f"cores filled to {FULL:.0%}")
    for column in ("events/s", "shards", "cores"):
        table.add_column(column, justify="right")
    for each in needs:
        cores = "more than one receiver" if each.is_too_much else f"{each.cores:.2f}"
        table.add_row(f"{each.events_per_s:,.0f}", str(each.shards), cores)
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
