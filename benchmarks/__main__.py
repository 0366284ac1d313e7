"""The benchmarks by name: `python -m benchmarks NAME [--seconds N] [--json PATH]`."""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.harness import ROOT, Benchmark, ask

NAMES = (
    "ring",
    "inbox",
    "dedup",
    "receiver",
    "shard",
    "cloud",
    "feed",
    "pipeline",
    "latency",
    "recovery",
    "sender",
    "wall",
    "memory",
    "idle",
    "limit",
    "peers",
    "scaling",
    "soak",
)
"""Each is a file here that says `BENCHMARK = Benchmark(...)`; imported only when it is asked."""

RESULTS: Final = Path(__file__).parent / "results"
ALL_MINUTES: Final = 22
"""What `all` takes with what stands here, on two cores."""
OF_ALL: Final = {
    "recovery": ("--repeat", "1"),
    "sender": ("--repeat", "1"),
    "wall": ("--repeat", "1"),
    "feed": ("--repeat", "1"),
    "peers": ("--seconds", "5"),  # in two of them the first touch of memory shows
    "scaling": ("--repeat", "1"),
    "soak": ("--minutes", "3"),
}
"""Arguments where an `all` has less time than the usual ones take, or more."""


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in {"-h", "--help"}:
        for name in NAMES:
            print(f"{name:10} {find(name).question}")
        print("all        All of them, and then the report?")
        print("report     What do the results in benchmarks/results say, with plots?")
        return 0
    name = arguments[0]
    if name == "all":
        return everything(NAMES, RESULTS, arguments[1:])
    if name == "report":
        return int(importlib.import_module("benchmarks.report").main())
    if name not in NAMES:
        print(f"no benchmark {name!r}; there are: {', '.join(NAMES)}", file=sys.stderr)
        return 2
    return ask(name, find(name), arguments[1:])


def everything(names: Sequence[str], results: Path, arguments: Sequence[str]) -> int:
    """Each in a process of its own; one that fails does not keep the others from running."""
    print(f"{len(names)} benchmarks, some {ALL_MINUTES} minutes; results: {results}", flush=True)
    failed, began_s = [], time.monotonic()
    for number, name in enumerate(names, 1):
        minutes = (time.monotonic() - began_s) / 60
        print(f"\n[{number}/{len(names)}, minute {minutes:.0f}]", flush=True)
        path = results / f"{name}.json"
        path.unlink(missing_ok=True)  # else a failure would be reported as its last success
        command = [sys.executable, "-m", "benchmarks", name, "--json", str(path)]
        command += [*OF_ALL.get(name, ()), *arguments]
        if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    told = int(importlib.import_module("benchmarks.report").main())
    return 1 if failed else told


def find(name: str) -> Benchmark:
    benchmark = importlib.import_module(f"benchmarks.{name}").BENCHMARK
    assert isinstance(benchmark, Benchmark)
    return benchmark


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
