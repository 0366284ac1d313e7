"""The benchmarks by name: `python -m benchmarks NAME [--seconds N] [--json PATH]`."""

from __future__ import annotations

import importlib
import sys

from benchmarks.harness import Benchmark, ask

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


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] in {"-h", "--help"}:
        for name in NAMES:
            print(f"{name:10} {find(name).question}")
        print("report     What do the results in benchmarks/results say, with plots?")
        return 0
    name = arguments[0]
    if name == "report":
        return int(importlib.import_module("benchmarks.report").main())
    if name not in NAMES:
        print(f"no benchmark {name!r}; there are: {', '.join(NAMES)}", file=sys.stderr)
        return 2
    return ask(name, find(name), arguments[1:])


def find(name: str) -> Benchmark:
    benchmark = importlib.import_module(f"benchmarks.{name}").BENCHMARK
    assert isinstance(benchmark, Benchmark)
    return benchmark


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
