"""Report of a demo: what happened, in one value, one JSON document and one table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import orjson

from actors.cli import tables

OUTCOMES: Final = ("applied", "unchanged", "duplicates", "late", "shed", "quarantined")
FINDINGS: Final = ("lost", "phantom", "inversions", "duplicate_effects", "state_mismatches")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoReport:
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
    faults: tuple[Mapping[str, Any], ...]  # each, and what became of it
    faults_that_never_came: tuple[str, ...]  # kinds; the load was too short for them
    kills: tuple[Mapping[str, Any], ...]
    recovery_s: Mapping[str, Mapping[str, Any]]  # from a kill on, by role
    gap_rows: int
    gap_events: int  # that a gap row accounts for
    unknown_rows: int
    quarantined_by_reason: Mapping[str, int]
    stale_s: float  # during load and catching up
    memory: Mapping[str, Any]
    memory_growth: Mapping[str, float] | None  # None: the run was too short for it
    dialect: str
    ready_s: float  # from the start until every agent is confirmed
    cloud: Mapping[str, Any] | None  # what only that dialect has
    agents: int
    rate: float | str
    seconds: float
    shards: int
    seed: int
    journal: str
    tls: bool
    fault_profile: str
    kill_every_s: float | None
    lives: Mapping[str, Any] | None  # of whole runtimes; None: there was one
    commands_per_s: float
    commands: Mapping[str, Any] | None  # None: none were ordered

    @property
    def faults_by_kind(self) -> dict[str, int]:
        if self.cloud is not None:  # whose program counts them, and tells of none
            return dict(sorted(self.cloud["faults"].items()))
        return dict(sorted(Counter(str(fault["kind"]) for fault in self.faults).items()))

    @property
    def is_too_stale(self) -> bool:
        """Only the cloud dialect promises when, and only of what its gateway does: a child that is
        killed is waited for, and a load above what we can do is behind by as much as it likes."""
        if self.cloud is None or self.fault_profile == "none" or self.kill_every_s is not None:
            return False
        if self.lives is not None:
            return False
        longest_s = max(self.cloud["longest_stale_s"], self.cloud["longest_behind_s"] or 0.0)
        return bool(longest_s > self.cloud["stale_s_max"])

    @property
    def sum_is_exact(self) -> bool:
        """Each record that reached a shard has exactly one outcome."""
        outcomes: list[int] = [getattr(self, outcome) for outcome in OUTCOMES]
        return self.received == sum(outcomes)


def write_json(report: DemoReport, findings: Mapping[str, Any], path: Path) -> None:
    """The report, and all that the gateway's own program found."""
    document = {
        **asdict(report),
        "faults_by_kind": report.faults_by_kind,
        "kills_by_role": {role: told["kills"] for role, told in report.recovery_s.items()},
        "findings": dict(findings),
    }
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")


def show(report: DemoReport) -> None:
    """The summary for people."""
    if report.faults:
        columns = ("fault", "times", "outcome")
        tables.show("faults", columns, list(_fault_rows(report)))
    tables.show("demo", ("what", "value"), list(_rows(report)))
    for problem in report.problems:
        print(f"problem: {problem}")
    good = "verified: nothing lost, nothing twice, nothing out of order"
    print(good if report.verified else "NOT verified")


def _rows(report: DemoReport) -> Iterator[tuple[str, object]]:
    for name in ("sent", "received", *OUTCOMES, "transitions", "restarts", "reconnects"):
        yield name, getattr(report, name)
    for name in FINDINGS:
        yield f"{name} (must be 0)", getattr(report, name)
    yield "ready after, s", report.ready_s
    if report.cloud is not None:
        yield from _cloud_rows(report.cloud)
    yield "events per second", round(report.throughput_per_s)
    for role, cpu_us in report.cpu_us_per_event.items():
        yield f"CPU per event, {role}, µs", cpu_us
    yield "CPU per event, gateway, µs", report.gateway_cpu_us_per_event
    for name, latency_ms in report.latency_ms.items():
        yield f"latency {name}, ms", latency_ms
    if report.commands is not None:
        yield from _command_rows(report.commands)
    if report.lives is not None:
        yield from _lives_rows(report.lives)
    if report.fault_profile != "none" or report.kill_every_s is not None:
        yield from _trouble_rows(report)
    for name, share in (report.memory_growth or {}).items():
        yield f"memory growth from minute 12, {name}, %", 100 * share


def _cloud_rows(cloud: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    yield "OAuth clients, channels", f"{cloud['clients']}, {cloud['channels']}"
    yield "channels created, lost", f"{cloud['channels_created']}, {cloud['channels_lost']}"
    yield "requests, refused with 429", f"{cloud['requests']:,}, {cloud['too_many_requests']}"
    if cloud["injected_429"]:
        yield "429 by a fault or a variation", cloud["injected_429"]
    yield "most requests of one client per minute", cloud["fullest_window"]
    yield "queue counts wrong (must be 0)", cloud["queue_mismatches"]
    if (queues := cloud["queues"]) is not None:
        checked = f"{queues['queues']:,}, {queues['memberships']:,}, {queues['agents_left_out']:,}"
        yield "queues checked, memberships, agents left out", checked
    if cloud["longest_stale_s"]:
        yield "agents of a channel stale, s (longest)", cloud["longest_stale_s"]
        yield "… limit, s (watchdog and one resynchronisation)", cloud["stale_s_max"]
    yield "an agent's state incorrect, s (longest)", cloud["longest_behind_s"]
    for kind, times in cloud["faults"].items():
        yield f"fault: {kind}", times
    if cloud["variations"]:
        yield "events of topics lost without a word", cloud["deaf_events"]
    for name, times in cloud["variations"].items():
        yield f"variation: {name}", times


def _command_rows(commands: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    yield "commands", commands["placed"]
    for end, count in commands["ends"].items():
        yield f"commands {end}", count
    for name, told in commands["latency_ms"].items():
        yield f"{name} p50, p99, ms", f"{told['p50']:.1f}, {told['p99']:.1f}"
    found = commands["found"]
    yield "commands out of order (must be 0)", sum(found[name] for name in found["examples"])
    updates = [name for name in ("updates", "applied", "acknowledged") if name in found]
    yield f"updates: {', '.join(updates)}", ", ".join(f"{found[name]:,}" for name in updates)
    webhooks = found["webhooks"]
    yield "webhooks delivered, received", f"{webhooks['delivered']:,}, {webhooks['received']:,}"


def _lives_rows(lives: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    ready_s = lives["ready_s"]
    yield "lives of the whole runtime", lives["lives"] + 1
    for name in ("endings", "shard_counts"):
        told = ", ".join(f"{what} {times}" for what, times in lives[name].items())
        yield f"… {name.replace('_', ' ')}", told
    yield "… that became ready", ready_s["count"]
    yield "… ready after, s (p50, max)", f"{ready_s['p50']}, {ready_s['max']}"


def _trouble_rows(report: DemoReport) -> Iterator[tuple[str, object]]:
    if report.faults_that_never_came:
        yield "faults that did not occur", ", ".join(report.faults_that_never_came)
    yield "gap rows", report.gap_rows
    yield "events covered by a gap row", report.gap_events
    yield "rows that made an agent Unknown", report.unknown_rows
    for reason, count in report.quarantined_by_reason.items():
        yield f"quarantined: {reason}", count
    yield "stale, s", report.stale_s
    for role, told in report.recovery_s.items():
        yield f"kills, {role}", told["kills"]
        for what, name in (("ready again", "loaded_s"), ("next committed event", "event_s")):
            times = told[name]
            yield f"{what} after, {role}, s (p50, max)", f"{times['p50']}, {times['max']}"


def _fault_rows(report: DemoReport) -> Iterator[tuple[str, int, str]]:
    for kind, times in report.faults_by_kind.items():
        told = [fault for fault in report.faults if fault["kind"] == kind]
        became = dict(Counter(str(fault["became"]) for fault in told))
        waits_s = [fault["back_s"] for fault in told if fault["back_s"] is not None]
        text = ", ".join(
            what if count == times else f"{what} ({count})" for what, count in became.items()
        )
        if waits_s:
            text += f"; reconnected after {median(waits_s):.2f} s, at most {max(waits_s):.2f} s"
        yield kind, times, text
