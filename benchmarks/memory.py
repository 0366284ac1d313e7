"""Memory: what an agent costs in a shard, windows apart."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from uuid import UUID

from actors.events import STATE_EVENT
from actors.state.holding import Holding
from actors.state.merge import Merge
from benchmarks.harness import Answer, Benchmark, Options, Target, take_turns, verify

AGENTS = 200_000
QUEUE_AGENTS = 25
BATCH = 512
SUBJECT, UNIT = "an agent in a shard", "bytes"


def run(options: Options) -> Answer:
    figures = take_turns({SUBJECT: partial(_in_a_fresh_process, options)}, options)
    reached = Answer(figures=figures).median(SUBJECT, UNIT)
    bound = Target(what="memory per agent", reached=reached, bound=1_024, sense="at most")
    return Answer(figures=figures, targets=(bound,))


def _in_a_fresh_process(_options: Options, _seconds: float) -> Mapping[str, float]:
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return {UNIT: pool.apply(_bytes_per_agent)}


def _bytes_per_agent() -> float:
    """Agents as a history brings them: every text an object of its own, as orjson makes it."""
    merge = Merge(Holding(rows_kept=False))
    before = _resident_bytes()
    for first in range(0, AGENTS, BATCH):
        values = [_named(number) for number in range(first, min(first + BATCH, AGENTS))]
        count = len(values)
        merge.events(values, [0] * count, [1] * count, bytes(count), 0.0)
        merge.holding.take()
    verify("agents held", len(merge.holding.by_user), AGENTS)
    return (_resident_bytes() - before) / AGENTS


def _named(number: int) -> dict[str, object]:
    data = {
        "userId": str(UUID(int=number)),
        "state": "Available",
        "timestamp": "2026-11-21T22:00:00.000Z",
        "queueId": str(UUID(int=number // QUEUE_AGENTS)),
    }
    return {"type": STATE_EVENT, "sequence": number + 1, "data": data, "history": True}


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


BENCHMARK = Benchmark(question="How much memory does an agent take in a shard?", run=run)
