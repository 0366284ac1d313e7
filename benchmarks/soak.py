"""Soak: a demo for minutes, with a flaky gateway, kills, commands and people who look at the page.

A tenth of the time before that belongs to whole runtimes, in each dialect: supervisor and children
are killed together, stopped, or frozen, and started with another number of shards.

Nobody is killed in the second half, and the last third is judged: by then windows and caches of
those that were killed are full again, and what memory, descriptors and threads do is what a service
does that runs for weeks. The demo's own verdict is the first part of ours.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.harness import (
    ROOT,
    Answer,
    Benchmark,
    Figure,
    Options,
    Target,
    WrongResultError,
    fsync_ms,
    under_way,
)
from benchmarks.readers import Readers
from benchmarks.soak_samples import SAMPLE_S, Samples

LIVES_SHARE: Final = 1 / 10
KILL_SHARE: Final = 1 / 2
JUDGED_FROM: Final = 2 / 3
GROWTH_PERCENT_MAX: Final = 3.0
PAGE: Final = "page: "
GRACE_S: Final = 400.0
"""Catching up, draining, verifying."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--agents", type=int, default=5_000)
    parser.add_argument("--rate", type=float, default=2_000.0)
    parser.add_argument("--kill-every", type=float, default=20.0, help="seconds, on average")
    parser.add_argument(
        "--kill-all-every",
        type=float,
        default=8.0,
        help="seconds a whole runtime lives, on average",
    )
    parser.add_argument("--readers", type=int, default=20, help="of the page's stream")
    parser.add_argument("--commands-per-s", type=float, default=2.0)


def run(options: Options) -> Answer:
    own = options.own
    lives_s = own.minutes * 60 * LIVES_SHARE
    seconds = own.minutes * 60 - 2 * lives_s
    lives = {dialect: _lived(options, dialect, lives_s) for dialect in ("wsp", "cloud")}
    with tempfile.TemporaryDirectory(prefix="presence-soak-") as name:
        folder = Path(name)
        with under_way(f"{own.minutes:g} minutes of faults, kills, commands and readers"):
            report, samples, readers = _soaked(options, folder, seconds)
    kills = len(report["kills"])
    if report["restarts"] != kills:
        raise WrongResultError(f"{report['restarts']} restarts, but {kills} kills")
    if not readers.changes or readers.problems:
        raise WrongResultError(f"{readers.changes} changes were read: {readers.problems[:3]}")
    growths = samples.growths(seconds * JUDGED_FROM)
    if not growths:
        print("too short to tell a leak: the last third must have two minutes")
    print(f"{kills} kills, {len(report['faults'])} kinds of faults, {readers.events:,} page events")
    return Answer(
        figures=_figures(report, samples, growths),
        targets=tuple(
            Target(
                what=f"growth, %: {what}", reached=each, bound=GROWTH_PERCENT_MAX, sense="at most"
            )
            for what, each in growths.items()
        ),
        facts={
            "fsync_ms": fsync_ms(),
            "memory_mb": samples.memory_mb,
            "descriptors": samples.descriptors,
            "threads": samples.threads,
            "files_mb": samples.files_mb,
            "kills": [(kill["at_s"], kill["child"]) for kill in report["kills"]],
            "readers": {
                "events": readers.events,
                "changes": readers.changes,
                "snapshots": readers.snapshots,
                "resyncs": readers.resyncs,
                "returns": readers.returns,
            },
            "report": report,
            "lives": lives,
        },
    )


def _lived(options: Options, dialect: str, seconds: float) -> dict[str, Any]:
    """What became of whole runtimes; verified, or WrongResultError."""
    own = options.own
    with tempfile.TemporaryDirectory(prefix="presence-soak-") as name:
        report = Path(name) / "report.json"
        given = {
            "--dialect": dialect,
            "--seconds": seconds,
            "--agents": own.agents,
            "--rate": own.rate,
            "--seed": options.seed,
            "--faults": "flaky",
            "--kill-all-every": own.kill_all_every,
            "--json": report,
        }
        command = [sys.executable, "-m", "runtime", "demo"]
        command += [str(word) for pair in given.items() for word in pair]
        with under_way(f"{seconds:g} s of whole runtimes that die ({dialect})"):
            done = subprocess.run(
                command,
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=seconds + GRACE_S,
                check=False,
            )
        if done.returncode != 0:
            said = (done.stdout + done.stderr)[-3_000:]
            raise WrongResultError(f"the demo ended with {done.returncode}: {said}")
        told: dict[str, Any] = json.loads(report.read_text())["lives"]
    print(f"{dialect}: {told['lives']} lives of the whole runtime, {told['endings']}")
    return told


def _soaked(
    options: Options, folder: Path, seconds: float
) -> tuple[dict[str, Any], Samples, Readers]:
    own, data_dir, report = options.own, folder / "data", folder / "report.json"
    given = {
        "--seconds": seconds,
        "--agents": own.agents,
        "--rate": own.rate,
        "--seed": options.seed,
        "--faults": "flaky",
        "--kill-every": own.kill_every,
        "--kill-until": seconds * KILL_SHARE,
        "--commands-per-s": own.commands_per_s,
        "--data-dir": data_dir,
        "--json": report,
    }
    command = [sys.executable, "-m", "runtime", "demo"]
    command += [str(word) for pair in given.items() for word in pair]
    samples, readers = Samples(), Readers(own.readers)
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        demo = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=err)
        try:
            _accompany(demo, folder, samples, readers, seconds)
        finally:
            readers.stop()
            if demo.poll() is None:
                demo.terminate()
                demo.wait(GRACE_S)
    if demo.returncode != 0:
        said = (folder / "err").read_text()[-3_000:]
        raise WrongResultError(f"the demo ended with {demo.returncode}: {said}")
    told: dict[str, Any] = json.loads(report.read_text())
    return told, samples, readers


def _accompany(
    demo: subprocess.Popen[bytes],
    folder: Path,
    samples: Samples,
    readers: Readers,
    seconds: float,
) -> None:
    """Until the demo has ended; whoever reads the page stops when the load does."""
    began_s: float | None = None
    started_s = time.monotonic()
    while demo.poll() is None:
        if began_s is None and (page := _page(folder / "out")) is not None:
            began_s = time.monotonic()
            readers.start(page)
        if began_s is not None:
            at_s = time.monotonic() - began_s
            if at_s < seconds:
                samples.look(at_s, demo.pid, folder / "data")
            else:
                readers.stop()
        if time.monotonic() - started_s > seconds + GRACE_S:
            raise WrongResultError(f"the demo has no end, {GRACE_S:g} s after its load")
        threading.Event().wait(SAMPLE_S)


def _page(out: Path) -> str | None:
    """The page's address without its token: readers only look."""
    for line in out.read_text().splitlines():
        if line.startswith(PAGE):
            return line.removeprefix(PAGE).partition("/?")[0]
    return None


def _figures(
    report: Mapping[str, Any], samples: Samples, growths: Mapping[str, float]
) -> tuple[Figure, ...]:
    figures = [Figure(subject="applied", unit="events", values=(float(report["applied"]),))]
    for process, points in samples.memory_mb.items():
        value = statistics.median(size for _, size in points)
        figures.append(Figure(subject=process, unit="resident MB", values=(value,)))
    if samples.files_mb:
        size = samples.files_mb[-1][1]
        figures.append(Figure(subject="files at the end", unit="MB", values=(size,)))
    for role, told in report["recovery_s"].items():
        # Who takes no events is back when it is ready.
        back_s = told["event_s"]["p50"] or told["loaded_s"]["p50"]
        if back_s is not None:
            figures.append(Figure(subject=f"{role} back", unit="s", values=(back_s,)))
    figures += [
        Figure(subject=what, unit="% grown", values=(each,)) for what, each in growths.items()
    ]
    return tuple(figures)


BENCHMARK = Benchmark(
    question="Does it stay right and stay small, for as long as one likes?",
    run=run,
    add_arguments=add_arguments,
)
