"""Findings: what verification found wrong, counted by kind, with a few examples of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

KINDS = ("lost", "phantom", "inversions", "duplicate_effects", "state_mismatches")
EXAMPLES_MAX = 10
STEP_US = 10
STEPS = 1_000_000
QUANTILES = {"p50": 500, "p90": 900, "p99": 990, "p999": 999, "max": 1000}  # of a thousand
LATENCY_STEPS_US = STEP_US * STEPS


class Findings:
    def __init__(self, kinds: Sequence[str] = KINDS) -> None:
        self.counts = dict.fromkeys(kinds, 0)
        self.examples: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}

    def add(self, kind: str, what: str, **where: Any) -> None:
        self.counts[kind] += 1
        if len(self.examples[kind]) < EXAMPLES_MAX:
            self.examples[kind].append({"what": what, **where})

    @property
    def is_clean(self) -> bool:
        return not any(self.counts.values())


class Latencies:
    """Times in steps of 10 µs up to 10 s, then exact; so that millions of them take no room."""

    def __init__(self) -> None:
        self.steps = [0] * STEPS
        self.beyond: list[int] = []
        self.count = 0

    def add(self, latency_us: int) -> None:
        self.count += 1
        step = max(0, latency_us) // STEP_US
        if step < STEPS:
            self.steps[step] += 1
        else:
            self.beyond.append(latency_us)

    def quantiles_ms(self) -> dict[str, float | int | None]:
        """p50 … max; a quantile is the smallest time that so many do not exceed."""
        found: dict[str, float | int | None] = {**dict.fromkeys(QUANTILES), "count": self.count}
        self.beyond.sort()
        passed, step = 0, -1
        for name, share in QUANTILES.items():
            rank = max(1, -(-self.count * share // 1000))
            while passed < rank and step + 1 < STEPS:
                step += 1
                passed += self.steps[step]
            if passed >= rank:
                found[name] = (step + 1) * STEP_US / 1000
            elif self.count:
                found[name] = self.beyond[rank - passed - 1] / 1000
        return found
