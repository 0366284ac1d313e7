"""Report of a demo: what happened, in one value, one JSON document and one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from actors import tables

OUTCOMES: Final = ("applied", "unchanged", "duplicates", "late", "shed", "quarantined")
FINDINGS: Final = ("lost", "phantom", "inversions", "duplicate_effects", "state_mismatches")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The result of a demo. Whatever is None was not measured."""

    sent: int
    received: int
    applied: int
    unchanged: int
    transitions: int
    duplicates: int
    late: int
    shed: int
    quarantined: int
    lost: int
    phantom: int
    inversions: int
    duplicate_effects: int
    state_mismatches: int
    restarts: int
    reconnects: int
    throughput_per_s: float
    cpu_us_per_event: Mapping[str, float | None]
    gateway_cpu_us_per_event: float | None
    latency_ms: Mapping[str, float | None]
    verified: bool
    problems: tuple[str, ...]
    agents: int
    rate: float | str
    seconds: float
    shards: int
    seed: int
    journal: str
    tls: bool

    @property
    def sum_is_exact(self) -> bool:
        """Each record that reached a shard has exactly one outcome."""
        outcomes: list[int] = [getattr(self, outcome) for outcome in OUTCOMES]
        return self.received == sum(outcomes)


def write_json(report: Report, findings: Mapping[str, Any], path: Path) -> None:
    """The report, and all that the gateway's own program found."""
    document = {**asdict(report), "findings": dict(findings)}
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")


def show(report: Report) -> None:
    """The summary for people."""
    tables.show("demo", ("what", "value"), list(_rows(report)))
    for problem in report.problems:
        print(f"problem: {problem}")
    good = "verified: nothing lost, nothing twice, nothing out of order"
    print(good if report.verified else "NOT verified")


def _rows(report: Report) -> Iterator[tuple[str, object]]:
    for name in ("sent", "received", *OUTCOMES, "transitions", "restarts", "reconnects"):
        yield name, getattr(report, name)
    for name in FINDINGS:
        yield f"{name} (must be 0)", getattr(report, name)
    yield "events per second", round(report.throughput_per_s)
    for role, cpu_us in report.cpu_us_per_event.items():
        yield f"CPU per event, {role}, µs", cpu_us
    yield "CPU per event, gateway, µs", report.gateway_cpu_us_per_event
    for name, latency_ms in report.latency_ms.items():
        yield f"latency {name}, ms", latency_ms
