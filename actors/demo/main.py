"""Demo: gateway and runtime together, under load, until every event is accounted for.

    start → load → catch up → drain → verify → report

The run itself is in `demo.run`; here are its ends: what is set up, what is judged, what is told.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson

from actors.app.topology import Runtime
from actors.demo import gateway as demo_gateway
from actors.demo import report as demo_report
from actors.demo import sink_check
from actors.demo import view as demo_view
from actors.demo.gateway import BundledGateway
from actors.demo.misconduct import misconduct
from actors.demo.past import lived
from actors.demo.plan import DemoPlan, FaultProfile
from actors.demo.report import FINDINGS, OUTCOMES, DemoReport
from actors.demo.run import DemoRun
from actors.demo.settings import settings_of
from actors.demo.view import View
from actors.demo.wishes import Interrupted, StopRequests, wishes_noted
from actors.genesys.cloud_rest import USERS_PER_PAGE
from actors.genesys.rate_budget import WINDOW_S, shares
from actors.genesys.reconnect import DEAD_AFTER_S
from actors.web.arguments import DEMO_WORDS, OneTime
from runtime import log
from runtime.counters import Counters
from runtime.errors import EXIT_CLEAN, EXIT_FAILURE, ConfigurationError
from runtime.supervisor import Supervisor

__all__ = ["DemoPlan", "FaultProfile", "run"]

SINK_FILE: Final = "events.jsonl"
LATENCIES: Final = ("p50", "p90", "p99", "p999", "max")


def run(plan: DemoPlan) -> int:
    """0 only if verified. Raises RuntimeFault if it did not come that far."""
    if wrong := _what_is_wrong(plan):
        raise ConfigurationError(wrong)
    with tempfile.TemporaryDirectory(prefix="presence-demo-") as folder, wishes_noted() as wishes:
        try:
            report, findings = _carry_out(plan, Path(folder), wishes)
        except Interrupted:
            print("interrupted", file=sys.stderr)
            return 128 + signal.SIGINT
    demo_report.show(report)
    if plan.json_path is not None:
        demo_report.write_json(report, findings, plan.json_path)
    return EXIT_CLEAN if report.verified else EXIT_FAILURE


def _what_is_wrong(plan: DemoPlan) -> str:
    """Told before a minute of load is spent on it; empty if nothing is."""
    return _wrong_in_numbers(plan) or _wrong_in_dialect(plan) or _wrong_in_paths(plan)


def _wrong_in_numbers(plan: DemoPlan) -> str:
    numbers = {
        "--seconds": (plan.seconds, "a number of seconds, or 0 to run until Ctrl-C"),
        "--commands-per-s": (plan.commands_per_s, "a number, or 0 for none"),
        "--kill-every": (plan.kill_every_s, "a number of seconds"),
        "--kill-all-every": (plan.kill_all_every_s, "a number of seconds"),
    }
    for option, (number, expected) in numbers.items():
        if number is not None and not math.isfinite(number):
            return f"{option} {number}: expected {expected}"
    if plan.kill_every_s is None and plan.kill_role is not None:
        return f"--kill {plan.kill_role} requires --kill-every, in seconds"
    if plan.kill_all_every_s is not None and plan.journal == "off":
        return "--kill-all-every requires --journal full: without one nothing outlives a runtime"
    return ""


def _wrong_in_dialect(plan: DemoPlan) -> str:
    if plan.dialect == "cloud":
        return ""
    if plan.faults == "platform":
        return "--faults platform requires --dialect cloud: it is what that platform may do"
    if plan.watch != "all":
        return f"--watch {plan.watch} requires --dialect cloud: the other one has no such lists"
    return ""


def _wrong_in_paths(plan: DemoPlan) -> str:
    data_dir, json_path = plan.data_dir, plan.json_path
    if data_dir is not None and data_dir.exists():
        if not data_dir.is_dir():
            return f"--data-dir {data_dir} is not a directory"
        if any(data_dir.iterdir()):
            return f"--data-dir {data_dir} is not empty; a demo requires a new or empty directory"
    if json_path is not None:
        target = json_path if json_path.exists() else json_path.parent
        if json_path.is_dir() or not os.access(target, os.W_OK):
            return f"--json {json_path}: cannot write a file there"
    return ""


def _carry_out(
    plan: DemoPlan, folder: Path, wishes: StopRequests
) -> tuple[DemoReport, dict[str, Any]]:
    data_dir = folder / "data" if plan.data_dir is None else plan.data_dir
    ledger = folder / "ledger"
    with ExitStack() as stack:
        view = stack.enter_context(demo_view.view())
        gateway = BundledGateway.start(
            ledger,
            agents=plan.agents,
            seed=plan.seed,
            tls=plan.tls,
            faults=plan.faults,
            ack_loss=plan.ack_loss,
            dialect=plan.dialect,
            clients=plan.clients,
            token_life_s=plan.token_life_s,
        )
        stack.callback(gateway.close)
        settings = settings_of(plan, gateway, data_dir, sink_path=folder / SINK_FILE)
        past = None
        if plan.kill_all_every_s is not None:
            past = lived(plan, settings, gateway, folder=folder, view=view, wishes=wishes)
        lines = folder / "log"
        stack.callback(_tell_log, lines, view)
        arguments = log.LogArguments(format="json", level="warning", path=str(lines))
        log.setup(arguments, process="supervisor")
        one_time = OneTime(
            token=secrets.token_urlsafe(24), page=Counters.create("demo", DEMO_WORDS)
        )
        runtime = Runtime.assemble(settings, arguments, one_time=one_time)
        stack.callback(runtime.data_dir.lock.release)
        supervisor = stack.enter_context(
            Supervisor(runtime.specs, environment=runtime.environment, page=runtime.supervisor)
        )
        demo = DemoRun(
            plan=plan,
            runtime=runtime,
            supervisor=supervisor,
            gateway=gateway,
            view=view,
            wishes=wishes,
            one_time=one_time,
            past=past,
        )
        demo.run()
        gateway.stop()
        demo.look("verifying")
        findings, is_content = _verified(plan, demo, ledger, data_dir)
        if settings.sinks:
            demo.problems += sink_check.problems(data_dir, folder / SINK_FILE)
    if plan.data_dir is not None:
        _keep(ledger, plan.data_dir / "ledger")
    return _report(plan, runtime, supervisor, demo, findings, is_content=is_content), findings


def _verified(
    plan: DemoPlan, demo: DemoRun, ledger: Path, data_dir: Path
) -> tuple[dict[str, Any], bool]:
    """What the gateway's own program finds, and whether it is content."""
    shown = None
    if demo.shown is not None:
        shown = ledger.with_name("shown.json")
        shown.write_bytes(orjson.dumps(demo.shown))
    result = ledger.with_name("findings.json")
    return demo_gateway.verify(ledger, data_dir, plan.journal, result, to_newest=True, shown=shown)


def _tell_log(path: Path, view: View) -> None:
    """What the children had to say: each kind of line once, and how often it came. They write into
    a file, because a line in the middle of a live table ruins it."""
    lines: dict[tuple[str, str], str] = {}
    times: Counter[tuple[str, str]] = Counter()
    for text in path.read_text(errors="replace").splitlines() if path.exists() else ():
        try:
            line = json.loads(text)
            kind = (line["process"], f"{line['event']} {line.get('child')}")
        except (ValueError, KeyError):
            kind = ("", text)
        lines.setdefault(kind, text)
        times[kind] += 1
    for kind, text in lines.items():
        view.say(f"log: {text}" + (f" (and {times[kind] - 1} more)" if times[kind] > 1 else ""))


def _keep(ledger: Path, target: Path) -> None:
    target.mkdir(mode=0o700)
    for path in ledger.iterdir():
        (target / path.name).write_bytes(path.read_bytes())


def _report(
    plan: DemoPlan,
    runtime: Runtime,
    supervisor: Supervisor,
    demo: DemoRun,
    findings: Mapping[str, Any],
    *,
    is_content: bool,
) -> DemoReport:
    first, last = demo.first, demo.last
    assert first is not None and last is not None  # noqa: PT018 - both are set by a run

    def total(word: str) -> int:
        return sum(page.get(word) for page in runtime.shards)

    events = last.received - first.received
    cpu_us: dict[str, float | None] = {
        role: _per_event((ns - first.cpu_ns.get(role, 0)) / 1e3, events)
        for role, ns in last.cpu_ns.items()
    }
    cpu_us["total"] = _per_event(
        (sum(last.cpu_ns.values()) - sum(first.cpu_ns.values())) / 1e3, events
    )
    seconds = last.at_s - demo.begun_s
    counted: dict[str, Any] = {
        **{outcome: total(outcome) for outcome in ("received", *OUTCOMES)},
        **{finding: int(findings[finding]) for finding in FINDINGS},
        **_trouble(demo, findings),
    }
    report = DemoReport(
        **counted,
        sent=int(findings.get("sent", demo.sent)),  # a cloud's own program counts no frames
        transitions=total("transitions"),
        restarts=sum(supervisor.restarts.values()),
        reconnects=sum(page.get("reconnects") for page in runtime.receivers),
        throughput_per_s=(last.applied - first.applied) / seconds if seconds > 0 else 0.0,
        cpu_us_per_event=cpu_us,
        gateway_cpu_us_per_event=_per_event(
            (last.gateway_cpu_s - first.gateway_cpu_s) * 1e6, events
        ),
        latency_ms={name: (findings.get("latency_ms") or {}).get(name) for name in LATENCIES},
        verified=False,
        problems=(),
        dialect=plan.dialect,
        ready_s=round(demo.ready_s, 3),
        cloud=_cloud(plan, runtime, demo, findings),
        agents=plan.agents,
        rate=plan.rate,
        seconds=plan.seconds,
        shards=plan.shards,
        seed=plan.seed,
        journal=plan.journal,
        tls=plan.tls,
        fault_profile=plan.faults,
        kill_every_s=plan.kill_every_s,
        commands_per_s=plan.commands_per_s,
        commands=_commands(runtime, demo, findings),
    )
    problems = demo.problems + misconduct(report, findings.get("beside", {}))
    return _judged(report, problems, is_content=is_content)


def _trouble(demo: DemoRun, findings: Mapping[str, Any]) -> dict[str, Any]:
    """What went wrong on purpose, and what became of it."""
    faults = tuple(
        {"at_s": round((told.pop("at_us") - demo.begun_us) / 1e6, 3), **told}
        for told in map(dict, findings.get("troubles", ()))
    )
    came = {str(fault["kind"]) for fault in faults} | set(findings["faults"])
    return {
        "faults": faults,
        "faults_that_never_came": tuple(sorted(set(demo.kinds_planned) - came)),
        "kills": tuple(kill.to_json() for kill in demo.kills.kills),
        "recovery_s": demo.kills.by_role(),
        "lives": None if demo.lives is None else demo.lives.to_json(),
        "gap_rows": int(findings.get("gaps", 0)),  # without a journal a cloud has no rows
        "gap_events": int(findings.get("excused", 0)),
        "unknown_rows": int(findings.get("unknown_rows", 0)),
        "quarantined_by_reason": dict(findings["quarantined"]),
        "stale_s": round(demo.stale_s, 3),
        "memory": demo.memory.to_json(),
        "memory_growth": demo.memory.growth(),
    }


def _cloud(
    plan: DemoPlan, runtime: Runtime, demo: DemoRun, findings: Mapping[str, Any]
) -> dict[str, Any] | None:
    """What the cloud dialect has of its own."""
    if plan.dialect != "cloud":
        return None

    def total(word: str) -> int:
        return sum(page.get(word) for page in runtime.receivers)

    return {
        "clients": plan.clients,
        "channels": total("channels_planned"),
        "channels_created": total("channels_created"),
        "channels_lost": total("channels_lost"),
        "requests": total("requests") + runtime.planner.get("requests"),
        "too_many_requests": int(findings["too_many_requests"]),
        "injected_429": int(findings["injected_429"]),
        "over_budget": int(findings["over_budget"]),
        "variations": dict(findings["variations"]),
        "queues": findings.get("queues"),
        "queue_mismatches": int(findings["queue_mismatches"]),
        "deaf_events": int(findings.get("deaf", 0)),
        "fullest_window": int(findings["fullest_window"]),
        "faults": dict(findings["faults"]),
        "longest_stale_s": round(demo.longest_stale_s, 3),
        "longest_behind_s": findings.get("longest_behind_s"),  # None: without a journal
        "stale_s_max": round(_stale_s_max(plan), 1),
    }


def _stale_s_max(plan: DemoPlan) -> float:
    """For so long an agent may be stale: until the watchdog finds a silent socket, and then until
    everybody was read within the receiver's share of one client. Where topics are lost without a
    word, two readings of the roster find it."""
    calls = -(-plan.agents // USERS_PER_PAGE)
    found_s = 2 * plan.roster_every_s if plan.is_varied else 0.0
    return DEAD_AFTER_S + found_s + max(1, calls) * WINDOW_S / shares().receiver


def _commands(
    runtime: Runtime, demo: DemoRun, findings: Mapping[str, Any]
) -> dict[str, Any] | None:
    """What became of those that were ordered, and what the gateway says of them."""
    if demo.commands is None:
        return None
    page = runtime.sender
    return {
        "placed": demo.commands.placed,
        "ends": dict(sorted(demo.commands.ends.items())),
        "latency_ms": {
            name: {share: page.get(f"{name}_{share}_us") / 1000 for share in ("p50", "p99")}
            for name in ("acknowledgement", "confirmation")
        },
        "found": findings.get("commands"),
    }


def _judged(report: DemoReport, problems: list[str], *, is_content: bool) -> DemoReport:
    found = list(problems)
    if not is_content:
        found.append("the journal does not agree with the gateway's ledger")
    if not report.sum_is_exact:
        found.append("the number of received events is not the sum of their outcomes")
    if report.is_too_stale:
        found.append(
            "an agent was stale for longer than the watchdog interval plus one resynchronisation"
        )
    return replace(report, verified=not found, problems=tuple(found))


def _per_event(cpu_us: float, events: int) -> float | None:
    return round(cpu_us / events, 3) if events > 0 else None
