"""Pipeline: gateway, receiver and shards as they run in service; no page and no sender.

Each contestant is a whole `python -m runtime demo --rate max`: real processes, every event verified
against the gateway's ledger, and no figure from a run that did not verify.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.harness import (
    ROOT,
    Answer,
    Benchmark,
    Contestant,
    Options,
    Target,
    WrongResultError,
    fsync_ms,
    take_turns,
)

STEADY_RATE = 2_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--agents", type=int, default=5_000)
    parser.add_argument("--shards", type=int, default=2)


def run(options: Options) -> Answer:
    contestants: dict[str, Contestant] = {
        "journal off": partial(_demo, options, "off", "max"),
        "journal full": partial(_demo, options, "full", "max"),
        f"journal full, {STEADY_RATE}/s": partial(_demo, options, "full", str(STEADY_RATE)),
    }
    answer = Answer(figures=take_turns(contestants, options), facts={"fsync_ms": fsync_ms()})

    def at_most(subject: str, unit: str, bound: float) -> Target:
        reached = answer.median(subject, unit)
        return Target(what=f"{subject}: {unit}", reached=reached, bound=bound, sense="at most")

    def at_least(subject: str, unit: str, bound: float) -> Target:
        return Target(what=f"{subject}: {unit}", reached=answer.median(subject, unit), bound=bound)

    steady = f"journal full, {STEADY_RATE}/s"
    targets = (
        at_least("journal off", "events/s", 500_000),
        at_least("journal full", "events/s", 150_000),
        at_most("journal off", "receiver µs", 0.7),
        at_most("journal off", "shard µs", 2.2),
        at_most("journal full", "shard µs", 6.0),
        at_most(steady, "p50 ms", 5.0),
        at_most(steady, "p99 ms", 25.0),
    )
    return Answer(figures=answer.figures, targets=targets, facts=answer.facts)


def _demo(options: Options, journal: str, rate: str, seconds: float) -> Mapping[str, float]:
    with tempfile.TemporaryDirectory(prefix="presence-bench-") as folder:
        report_path = Path(folder) / "report.json"
        given = {
            "--agents": options.own.agents,
            "--shards": options.own.shards,
            "--seed": options.seed,
            "--rate": rate,
            "--seconds": seconds,
            "--journal": journal,
            "--json": report_path,
        }
        command = [sys.executable, "-m", "runtime", "demo"]
        command += [str(word) for pair in given.items() for word in pair]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise WrongResultError(
                f"{' '.join(command)} gave {done.returncode}:\n{done.stdout}\n{done.stderr}"
            )
        report: dict[str, Any] = json.loads(report_path.read_text())
    values = {
        "events/s": report["throughput_per_s"],
        "receiver µs": report["cpu_us_per_event"]["receiver"],
        "shard µs": report["cpu_us_per_event"]["shard"],
        "gateway µs": report["gateway_cpu_us_per_event"],
    }
    if rate != "max":
        values |= {f"{name} ms": report["latency_ms"][name] for name in ("p50", "p99")}
    return values


BENCHMARK = Benchmark(
    question="What do receiver and shards sustain with nothing lost, and what does an event cost?",
    run=run,
    add_arguments=add_arguments,
)
