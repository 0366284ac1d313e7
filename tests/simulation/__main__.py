"""`python -m tests.simulation --seeds 100000 --processes 2`: many schedules, and what they came to.

--start K --seeds 1 --trace replays one seed and tells what happened in it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests.simulation.faults import CRASHES, FAULTS
from tests.simulation.run import Summary, run, run_many
from tests.simulation.scale import small_scale

TELL_EVERY = 500
ROOT = Path(__file__).parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--json", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.trace:
        return trace(asked.start)
    began_s = time.monotonic()
    if asked.processes > 1:
        summary = in_processes(asked.start, asked.seeds, asked.processes)
    else:
        summary = in_this_process(asked.start, asked.seeds, is_quiet=asked.json)
    if asked.json:
        print(json.dumps(vars(summary)))
    else:
        tell(summary, time.monotonic() - began_s)
    return bool(summary.broken)


def in_this_process(start: int, seeds: int, *, is_quiet: bool) -> Summary:
    summary = Summary()
    for outcome in run_many(range(start, start + seeds)):
        summary.add(outcome)
        if outcome.findings:
            print(outcome, file=sys.stderr, flush=True)
        if summary.seeds % TELL_EVERY == 0:
            told = f"{start} + {summary.seeds} of {seeds} seeds, {len(summary.broken)} broken"
            print(told, file=sys.stderr if is_quiet else sys.stdout, flush=True)
    return summary


def in_processes(start: int, seeds: int, processes: int) -> Summary:
    """Each with its share; this one only adds up."""
    share = -(-seeds // processes)
    command = [sys.executable, "-m", "tests.simulation", "--json"]
    children = [
        subprocess.Popen(
            [*command, "--start", str(first), "--seeds", str(min(share, start + seeds - first))],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        for first in range(start, start + seeds, share)
    ]
    summary = Summary()
    for child in children:
        output, _ = child.communicate()
        part = json.loads(output)
        summary.seeds += part["seeds"]
        summary.events += part["events"]
        summary.faults += Counter(part["faults"])
        summary.crashes += Counter(part["crashes"])
        summary.broken += part["broken"]
    return summary


def trace(seed: int) -> int:
    """What happened, line by line; an exception comes with its traceback."""

    def log(event: str, fields: dict[str, object]) -> None:
        print(f"  {event}", *(f"{name}={value}" for name, value in fields.items()))

    with small_scale():
        outcome = run(seed, log=log)
    print(outcome if outcome.findings else f"seed {seed}: every promise is kept")
    return bool(outcome.findings)


def tell(summary: Summary, took_s: float) -> None:
    for title, names, counts in (
        ("faults", FAULTS, summary.faults),
        ("crashes", CRASHES, summary.crashes),
    ):
        print(title)
        for name in names:
            print(f"  {name:26}{counts[name]:>10,}")
    print(
        f"{summary.seeds:,} schedules, {summary.events:,} events, "
        f"{summary.faults.total():,} faults, {summary.crashes.total():,} crashes "
        f"in {took_s:.0f} s: {len(summary.broken)} broken"
    )
    for broken in summary.broken[:20]:
        print(broken)


if __name__ == "__main__":
    sys.exit(main())
