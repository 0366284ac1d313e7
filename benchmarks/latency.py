"""Latency: how old an event is when a reader learns of it, at shares of what can be sustained.

An open loop: the gateway gives each event its time before it tries to send it, and goes on at its
rate whatever the runtime does. The capacity is measured first, in the same run, with the same
reader attached.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from benchmarks.harness import (
    Answer,
    Benchmark,
    Contestant,
    Options,
    Target,
    fsync_ms,
    take_turns,
    under_way,
)
from benchmarks.peers.stage import Act, Played, play, python

SHARES = (10, 50, 90)
P99_MS_MAX = 5.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--agents", type=int, default=5_000)
    parser.add_argument("--shards", type=int, default=2)


def run(options: Options) -> Answer:
    capacities, contestants = {}, {}
    for journal in ("off", "full"):
        with under_way(f"the capacity, journal {journal}"):
            capacities[journal] = _played(options, journal, "max", options.seconds).per_s
        print(f"journal {journal}: {capacities[journal]:,.0f} events/s, watched")
        for share in SHARES:
            rate = capacities[journal] * share / 100
            contestants[f"journal {journal}, {share} %"] = _at(options, journal, rate)
    facts = {"capacities": capacities, "fsync_ms": fsync_ms()}
    answer = Answer(figures=take_turns(contestants, options), facts=facts)
    middle = "journal off, 50 %"
    reached = answer.median(middle, "p99 ms")
    target = Target(what=f"{middle}: p99 ms", reached=reached, bound=P99_MS_MAX, sense="at most")
    return Answer(figures=answer.figures, targets=(target,), facts=facts)


def _at(options: Options, journal: str, rate: float) -> Contestant:
    def measured(seconds: float) -> Mapping[str, float]:
        played = _played(options, journal, rate, seconds)
        return {f"{name} ms": age_ms for name, age_ms in played.ages_ms.items()}

    return measured


def _played(options: Options, journal: str, rate: float | str, seconds: float) -> Played:
    act = Act(
        program=python("ours", "--shards", str(options.own.shards), "--watched"),
        agents=options.own.agents,
        seed=options.seed,
        durable=journal == "full",
        has_folder=True,
    )
    return play(act, rate, seconds)


BENCHMARK = Benchmark(
    question="How old is an event when a reader learns of it, at shares of the capacity?",
    run=run,
    add_arguments=add_arguments,
)
