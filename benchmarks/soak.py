"""Soak: a demo for minutes, with a flaky gateway, kills, commands and people who look at the page.

Nobody is killed in the last third: what memory, descriptors and threads do then is what a service
does that runs for weeks. The demo's own verdict is the first part of ours.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.harness import ROOT, Answer, Benchmark, Figure, Options, Target, WrongResultError
from benchmarks.readers import Readers

KILL_SHARE: Final = 2 / 3
SAMPLE_S: Final = 1.0
JUDGED_S: Final = 120.0
"""A last third that is shorter says nothing of a leak."""
GROWTH_PERCENT_MAX: Final = 3.0
PAGE: Final = "page: "
GRACE_S: Final = 400.0
"""Catching up, draining, verifying."""


@dataclass(slots=True)
class Samples:
    """What each process held, by its name, over the seconds of the run."""

    at_s: list[float] = field(default_factory=list)
    bytes: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    descriptors: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    threads: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    journal: list[tuple[float, int]] = field(default_factory=list)

    def look(self, at_s: float, parent: int, data_dir: Path) -> None:
        self.at_s.append(at_s)
        for name, pid in processes(parent):
            try:
                resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
                descriptors = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - counted only
                threads = len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208
            except OSError:  # it has just ended
                continue
            self.bytes.setdefault(name, []).append((at_s, resident))
            self.descriptors.setdefault(name, []).append((at_s, descriptors))
            self.threads.setdefault(name, []).append((at_s, threads))
        size = sum(path.stat().st_size for path in data_dir.glob("*.db*"))
        self.journal.append((at_s, size))


def processes(parent: int) -> Iterator[tuple[str, int]]:
    """The supervisor and its children, by the names in their titles."""
    yield "supervisor", parent
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            after = path.read_text().rpartition(")")[2].split()
            title = (path.parent / "cmdline").read_bytes().rstrip(b"\0").decode(errors="replace")
        except OSError:
            continue
        if int(after[1]) == parent and title.startswith("presence-runtime: "):
            yield title.removeprefix("presence-runtime: ").split()[0], int(path.parent.name)


def growth_percent(points: Sequence[tuple[float, int]], since_s: float) -> float | None:
    """By how much the last fifth of the time from then on lies above its first; by medians. None:
    too short, or it was not there all the time."""
    late = [(at_s, value) for at_s, value in points if at_s >= since_s]
    if not late or late[-1][0] - since_s < JUDGED_S or late[0][0] > since_s + 2 * SAMPLE_S:
        return None
    fifth_s = (late[-1][0] - since_s) / 5
    first = statistics.median(value for at_s, value in late if at_s <= since_s + fifth_s)
    last = statistics.median(value for at_s, value in late if at_s >= late[-1][0] - fifth_s)
    return 100 * (last / first - 1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--agents", type=int, default=5_000)
    parser.add_argument("--rate", type=float, default=2_000.0)
    parser.add_argument("--kill-every", type=float, default=20.0, help="seconds, on average")
    parser.add_argument("--readers", type=int, default=20, help="of the page's stream")
    parser.add_argument("--commands-per-s", type=float, default=2.0)


def run(options: Options) -> Answer:
    own = options.own
    seconds = own.minutes * 60
    with tempfile.TemporaryDirectory(prefix="presence-soak-") as name:
        folder = Path(name)
        report, samples, readers = _soaked(options, folder, seconds)
    kills = len(report["kills"])
    if report["restarts"] != kills:
        raise WrongResultError(f"{report['restarts']} restarts, but {kills} kills")
    if not readers.events or readers.problems:
        raise WrongResultError(f"{readers.events} events were read: {readers.problems[:3]}")
    growths = {
        f"{what} of {process}": grown
        for what, series in (
            ("memory", samples.bytes),
            ("descriptors", samples.descriptors),
            ("threads", samples.threads),
        )
        for process, points in series.items()
        if (grown := growth_percent(points, seconds * KILL_SHARE)) is not None
    }
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
            "memory_mb": {
                process: [(at_s, round(size / 1e6, 2)) for at_s, size in points]
                for process, points in samples.bytes.items()
            },
            "journal_mb": [(at_s, round(size / 1e6, 2)) for at_s, size in samples.journal],
            "report": report,
        },
    )


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
    for process, points in samples.bytes.items():
        value = statistics.median(size for _, size in points) / 1e6
        figures.append(Figure(subject=process, unit="resident MB", values=(value,)))
    if samples.journal:
        size = samples.journal[-1][1] / 1e6
        figures.append(Figure(subject="journals at the end", unit="MB", values=(size,)))
    for role, seconds in report["recovery_s"].items():
        if isinstance(seconds, Mapping) and seconds.get("p50") is not None:
            figures.append(Figure(subject=f"{role} back", unit="s", values=(seconds["p50"],)))
    figures += [
        Figure(subject=what, unit="% grown", values=(each,)) for what, each in growths.items()
    ]
    return tuple(figures)


BENCHMARK = Benchmark(
    question="Does it stay right and stay small, for as long as one likes?",
    run=run,
    add_arguments=add_arguments,
)
