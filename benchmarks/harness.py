"""Harness: how a question is asked, measured and told; knows no question.

A benchmark answers one question. It verifies what it measured and raises WrongResultError if that
is not right: a fast wrong answer is no figure. Contestants of one run take turns, in an order
shuffled for each round, so that a slow minute of the machine hits all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

ROOT = Path(__file__).parent.parent
FSYNCS = 200


class WrongResultError(Exception):
    """What arrived is not what was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    seconds: float
    """How long each contestant runs in each round."""
    repeat: int
    """Rounds."""
    seed: int
    own: argparse.Namespace = field(default_factory=argparse.Namespace)
    """What the benchmark's own `add_arguments` asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One thing measured, once per round."""

    subject: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a figure must reach, and what it reached."""

    what: str
    reached: float
    bound: float
    sense: Literal["at least", "at most"] = "at least"

    @property
    def is_met(self) -> bool:
        if self.sense == "at least":
            return self.reached >= self.bound
        return self.reached <= self.bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    figures: tuple[Figure, ...]
    targets: tuple[Target, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else a reader of the JSON needs: profiles, counts, settings."""

    def median(self, subject: str, unit: str) -> float:
        found = [each for each in self.figures if (each.subject, each.unit) == (subject, unit)]
        assert len(found) == 1, f"{subject} in {unit}: {len(found)} figures"
        return found[0].median


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    question: str
    run: Callable[[Options], Answer]
    add_arguments: Callable[[argparse.ArgumentParser], None] | None = None


Contestant = Callable[[float], Mapping[str, float]]
"""Runs for so many seconds, verifies, and gives values by unit."""
OVERTIME_S = 60.0
"""A contestant that takes so much longer has lost something that it waits for."""


def take_turns(
    contestants: Mapping[str, Contestant], options: Options, *, overtime_s: float = OVERTIME_S
) -> tuple[Figure, ...]:
    """Every contestant once a round; figures in the order of the contestants."""
    shuffle = random.Random(options.seed).shuffle
    values: dict[tuple[str, str], list[float]] = {}
    for number in range(1, options.repeat + 1):
        order = list(contestants)
        shuffle(order)
        for place, subject in enumerate(order, 1):
            at = f"round {number} of {options.repeat}, {place} of {len(order)}: {subject}"
            with under_way(at), overtime_is_wrong(subject, options.seconds + overtime_s):
                measured = contestants[subject](options.seconds)
            for unit, value in measured.items():
                values.setdefault((subject, unit), []).append(value)
    return tuple(
        Figure(subject=subject, unit=unit, values=tuple(rounds))
        for subject in contestants
        for (owner, unit), rounds in values.items()
        if owner == subject
    )


@contextmanager
def under_way(what: str) -> Iterator[None]:
    """Says on the standard error what runs: with a clock on a terminal, else in a line."""
    if not sys.stderr.isatty():
        print(what, file=sys.stderr, flush=True)
        yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, refresh_per_second=2) as progress:
        progress.add_task(escape(what), total=None)
        yield


@contextmanager
def overtime_is_wrong(subject: str, seconds: float) -> Iterator[None]:
    """An alarm, which reaches the main thread in whatever call of ours or a peer's it waits."""

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise WrongResultError(f"{subject}: no end after {seconds} s")

    previous = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def verify(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise WrongResultError(f"{what}: {found!r} instead of {expected!r}")


@cache
def machine() -> dict[str, Any]:
    """Where and with what a figure was measured."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "kernel": platform.release(),
        "python": platform.python_version(),
        "commit": _git("rev-parse", "--short=12", "HEAD"),
        "changed_files": len(_git("status", "--porcelain").splitlines()),
    }


def fsync_ms() -> float:
    """What the disk of the temporary directory takes to make 4 KiB durable; median."""
    took_ms = []
    with tempfile.NamedTemporaryFile(prefix="presence-fsync-") as file:
        for _ in range(FSYNCS):
            file.write(bytes(4096))
            file.flush()
            started_s = time.perf_counter()
            os.fdatasync(file.fileno())
            took_ms.append((time.perf_counter() - started_s) * 1e3)
    return statistics.median(took_ms)


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def tell(name: str, benchmark: Benchmark, options: Options, answer: Answer) -> None:
    """For people: medians, spread, and ratios of figures in one unit to the first of them."""
    print(f"{name}: {benchmark.question}")
    where = {**machine(), "seed": options.seed}
    if "fsync_ms" in answer.facts:
        where["fsync"] = f"{answer.facts['fsync_ms']:.2f} ms"  # of 4 KiB on this disk
    print("  " + "  ".join(f"{key}={value}" for key, value in where.items()))
    first: dict[str, Figure] = {}
    width = max(len(figure.subject) for figure in answer.figures)
    for figure in answer.figures:
        reference = first.setdefault(figure.unit, figure)
        spread = f"{_short(min(figure.values))} .. {_short(max(figure.values))}"
        is_ratio = figure is not reference and reference.median
        ratio = f"{figure.median / reference.median:.2g}x" if is_ratio else ""
        median = _short(figure.median)
        print(f"  {figure.subject:{width}}  {median:>9} {figure.unit:<12} {ratio:>7}   {spread}")
    for target in answer.targets:
        verdict = "met   " if target.is_met else "MISSED"
        bound = f"{target.sense} {_short(target.bound)}"
        print(f"  {verdict} {target.what}: {_short(target.reached)}, wanted {bound}")


def _short(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:.2f} M"
    if value >= 1e4:
        return f"{value / 1e3:.1f} k"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def as_json(name: str, options: Options, answer: Answer) -> dict[str, Any]:
    return {
        "benchmark": name,
        "machine": machine(),
        "options": {
            "seconds": options.seconds,
            "repeat": options.repeat,
            "seed": options.seed,
            **vars(options.own),
        },
        "figures": [
            {
                "subject": figure.subject,
                "unit": figure.unit,
                "median": figure.median,
                "values": figure.values,
            }
            for figure in answer.figures
        ],
        "targets": [
            {
                "what": target.what,
                "reached": target.reached,
                "sense": target.sense,
                "bound": target.bound,
                "met": target.is_met,
            }
            for target in answer.targets
        ],
        "facts": dict(answer.facts),
    }


COMMON = {"name", "seconds", "repeat", "seed", "json"}


def ask(name: str, benchmark: Benchmark, arguments: Sequence[str]) -> int:
    """Run one benchmark from its command line; the exit code. A missed target is no failure."""
    parser = argparse.ArgumentParser(f"python -m benchmarks {name}", description=benchmark.question)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each contestant in a round")
    parser.add_argument("--repeat", type=int, default=3, help="rounds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write the figures there")
    if benchmark.add_arguments is not None:
        benchmark.add_arguments(parser)
    given = parser.parse_args(arguments)
    own = {key: value for key, value in vars(given).items() if key not in COMMON}
    options = Options(
        seconds=given.seconds,
        repeat=given.repeat,
        seed=given.seed,
        own=argparse.Namespace(**own),
    )
    machine()  # as it is before we load it
    try:
        answer = benchmark.run(options)
    except WrongResultError as error:
        print(f"{name}: wrong result: {error}", file=sys.stderr)
        return 1
    tell(name, benchmark, options, answer)
    if given.json is not None:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(as_json(name, options, answer), indent=2) + "\n")
    return 0
