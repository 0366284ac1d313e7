"""Demo: gateway and runtime together, under load, until every event is accounted for.

    start → load → catch up → drain → verify → report

Knows no ring and no journal: it reads the pages of the children and the status of the gateway. The
supervisor runs here, in this main thread, a step at a time; so the demo sees what a service sees.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any, Final, Literal, NamedTuple

from pydantic import SecretStr

from actors import demo_gateway, demo_report, demo_view, log
from actors.demo_gateway import BundledGateway
from actors.demo_report import FINDINGS, OUTCOMES, Report
from actors.demo_view import Sample, UseMeter, View
from actors.settings import Settings
from actors.topology import Runtime
from runtime.clock import SystemClock
from runtime.counters import Counters
from runtime.errors import EXIT_CLEAN, EXIT_FAILURE, ConfigurationError, LocalError
from runtime.supervisor import Supervisor

STEP_S: Final = 0.05
STATUS_EVERY_S: Final = 0.25
READY_TIMEOUT_S: Final = 60.0
CATCH_UP_TIMEOUT_S: Final = 60.0
BEAT_TIMEOUT_S: Final = 5.0
RATE_SPAN_S: Final = 1.0
LATENCIES: Final = ("p50", "p90", "p99", "p999", "max")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What was asked for."""

    agents: int = 5_000
    rate: float | Literal["max"] = 2_000
    seconds: float = 30.0  # 0: until Ctrl-C
    shards: int = 2
    seed: int = 7
    journal: Literal["full", "off"] = "full"
    tls: bool = False
    data_dir: Path | None = None  # None: a temporary one
    json_path: Path | None = None


class Interrupted(Exception):  # noqa: N818 - a wish, not an error
    """A second Ctrl-C, or one before there was anything to verify."""


class Moment(NamedTuple):
    """What the children had done and used by then."""

    at_s: float
    received: int
    applied: int
    cpu_ns: Mapping[str, int]  # by role
    gateway_cpu_s: float


def run(plan: Plan) -> int:
    """0 only if verified. Raises RuntimeFault if it did not come that far."""
    if plan.data_dir is not None and plan.data_dir.exists() and any(plan.data_dir.iterdir()):
        raise ConfigurationError(
            f"--data-dir {plan.data_dir} is not empty: a demo verifies a journal from its start"
        )
    with tempfile.TemporaryDirectory(prefix="presence-demo-") as folder, _wishes() as wishes:
        try:
            report, findings = _carry_out(plan, Path(folder), wishes)
        except Interrupted:
            print("interrupted", file=sys.stderr)
            return 128 + signal.SIGINT
    demo_report.show(report)
    if plan.json_path is not None:
        demo_report.write_json(report, findings, plan.json_path)
    return EXIT_CLEAN if report.verified else EXIT_FAILURE


def _carry_out(plan: Plan, folder: Path, wishes: Wishes) -> tuple[Report, dict[str, Any]]:
    data_dir = folder / "data" if plan.data_dir is None else plan.data_dir
    ledger = folder / "ledger"
    with ExitStack() as stack:
        view = stack.enter_context(demo_view.view())
        gateway = BundledGateway.start(ledger, agents=plan.agents, seed=plan.seed, tls=plan.tls)
        stack.callback(gateway.close)
        settings = _settings(plan, gateway, data_dir)
        lines = folder / "log"
        stack.callback(_tell_log, lines, view)
        arguments = log.LogArguments(format="json", level="warning", path=str(lines))
        log.setup(arguments, process="supervisor")
        runtime = Runtime.assemble(settings, arguments)
        stack.callback(runtime.data_dir.lock.release)
        supervisor = stack.enter_context(Supervisor(runtime.specs, environment=runtime.environment))
        demo = Demo(
            plan=plan,
            runtime=runtime,
            supervisor=supervisor,
            gateway=gateway,
            view=view,
            wishes=wishes,
        )
        demo.run()
        gateway.stop()
        demo.look("verifying")
        findings, is_content = demo_gateway.verify(
            ledger, data_dir, plan.journal, folder / "findings.json"
        )
    if plan.data_dir is not None:
        _keep(ledger, plan.data_dir / "ledger")
    return demo.report(findings, is_content=is_content), findings


def _settings(plan: Plan, gateway: BundledGateway, data_dir: Path) -> Settings:
    return Settings(
        name="demo",
        base_url=gateway.base_url,
        client_id=gateway.client_id,
        client_secret=SecretStr(gateway.client_secret),
        ca_file=gateway.ca_file,
        data_dir=data_dir,
        shards=plan.shards,
        journal=plan.journal,
    )


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


class Wishes:
    """How often somebody wanted it to end."""

    def __init__(self) -> None:
        self.count = 0

    def note(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1


@contextmanager
def _wishes() -> Iterator[Wishes]:
    """Signals leave a note instead of interrupting: the drain must not be torn apart."""
    wishes = Wishes()
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, wishes.note) for number in numbers}
    try:
        yield wishes
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class Demo:
    """One run, step by step."""

    def __init__(
        self,
        *,
        plan: Plan,
        runtime: Runtime,
        supervisor: Supervisor,
        gateway: BundledGateway,
        view: View,
        wishes: Wishes,
    ) -> None:
        self._plan = plan
        self._runtime = runtime
        self._supervisor = supervisor
        self._gateway = gateway
        self._view = view
        self._wishes = wishes
        self._clock = SystemClock()
        self._meter = UseMeter()
        self._status: dict[str, Any] = {}
        self._status_s = float("-inf")
        self._seen: deque[tuple[float, int]] = deque()  # (when, received), over the last moment
        self._begun_s = self._changed_s = 0.0  # the load; the last growth of `received`
        self._first: Moment | None = None
        self._last: Moment | None = None
        self._problems: list[str] = []
        self._pages: dict[str, Counters] = {
            spec.name: spec.counters for spec in self._runtime.specs
        }

    def run(self) -> None:
        """From the start to the drained end."""
        self._supervisor.start()
        self._wait_until_ready()
        self._first = self._beaten()
        self._load()
        self._catch_up()
        self._drain()

    # -- phases --------------------------------------------------------------------------------

    def _wait_until_ready(self) -> None:
        """Connected, and every agent named by the history."""
        deadline_s = self._clock.now_s() + READY_TIMEOUT_S
        while not self._is_ready():
            self.look("starting")
            if self._wishes.count:
                raise Interrupted
            if self._clock.now_s() > deadline_s:
                raise LocalError(
                    f"the runtime is not ready within {READY_TIMEOUT_S:g} s: "
                    f"{sum(page.get('agents') for page in self._runtime.shards):,} of "
                    f"{self._plan.agents:,} agents are known"
                )

    def _is_ready(self) -> bool:
        receiver = self._runtime.receiver
        if not receiver.get("connected") or receiver.get("history_running"):
            return False
        known = sum(page.get("agents") for page in self._runtime.shards)
        confirmed = all(page.get("stale_since_us") == 0 for page in self._runtime.shards)
        return confirmed and known >= self._plan.agents

    def _load(self) -> None:
        self._begun_s = self._clock.now_s()
        self._gateway.start_load(self._plan.rate, self._plan.seconds)
        self._status_s = float("-inf")
        while True:
            self.look("load")
            if self._wishes.count:
                self._view.say("stopping the load; once more to give up")
                self._gateway.stop_load()
                return
            if self._status["load"] == "done":
                return

    def _catch_up(self) -> None:
        """Until every mark has reached the gateway's newest sequence."""
        newest = int(self._gateway.status()["newest_sequence"])
        deadline_s = self._clock.now_s() + CATCH_UP_TIMEOUT_S
        while behind := [page for page in self._runtime.shards if _mark(page) < newest]:
            self.look("catching up")
            if self._wishes.count > 1:
                raise Interrupted
            if self._clock.now_s() > deadline_s:
                self._problems += [
                    f"{page.name} is at {_mark(page):,}, the gateway at {newest:,} "
                    f"{CATCH_UP_TIMEOUT_S:g} s after the load"
                    for page in behind
                ]
                break
        self._last = self._beaten()

    def _drain(self) -> None:
        self._supervisor.request_stop("the demo is over")
        while not self._supervisor.finished:
            self.look("draining")
            if self._wishes.count > 1:
                raise Interrupted
        if self._supervisor.exit_code != EXIT_CLEAN:
            self._problems.append(f"the runtime did not end cleanly: {self._supervisor.reason}")

    # -- looking -------------------------------------------------------------------------------

    def look(self, phase: str) -> None:
        """One step of the supervisor, one sample for the view."""
        if not self._supervisor.finished:
            self._supervisor.step(STEP_S)
            if self._supervisor.finished and phase != "draining":
                raise LocalError(f"the runtime has ended: {self._supervisor.reason}")
        now_s = self._clock.now_s()
        if now_s - self._status_s >= STATUS_EVERY_S and phase in {"starting", "load"}:
            self._status, self._status_s = self._gateway.status(), now_s
        received = self._total("received")
        if not self._seen or self._seen[-1][1] != received:
            self._changed_s = now_s
        self._seen.append((now_s, received))
        while now_s - self._seen[0][0] > RATE_SPAN_S:
            self._seen.popleft()
        span_s = now_s - self._seen[0][0]
        receiver = self._runtime.receiver
        pids = {**self._supervisor.pids, "gateway": self._gateway.pid}
        self._view.show(
            Sample(
                at_s=now_s,
                phase=phase,
                sent=int(self._status.get("sent", 0)),
                received=received,
                applied=self._total("applied"),
                received_per_s=(received - self._seen[0][1]) / span_s if span_s else 0.0,
                in_rings=max(
                    0, receiver.get("events_routed") + receiver.get("rejected") - received
                ),
                restarts=sum(self._supervisor.restarts.values()),
                uses=self._meter.read(pids, now_s),
            )
        )

    def _total(self, word: str) -> int:
        return sum(page.get(word) for page in self._runtime.shards)

    def _beaten(self) -> Moment:
        """The state of affairs, once every child has written down the CPU it has used by now."""
        status = self._gateway.status()
        at_s, asked_ns = self._changed_s, self._clock.now_ns()
        received, applied = self._total("received"), self._total("applied")
        deadline_s = self._clock.now_s() + BEAT_TIMEOUT_S
        while any(page.get("beat_ns") < asked_ns for page in self._pages.values()):
            if self._clock.now_s() > deadline_s:
                break
            self.look("measuring")
        cpu_ns: dict[str, int] = {}
        for spec in self._runtime.specs:
            cpu_ns[spec.role] = cpu_ns.get(spec.role, 0) + self._pages[spec.name].get("cpu_ns")
        return Moment(at_s, received, applied, cpu_ns, float(status["cpu_s"]))

    # -- judging -------------------------------------------------------------------------------

    def report(self, findings: Mapping[str, Any], *, is_content: bool) -> Report:
        first, last = self._first, self._last
        assert first is not None
        assert last is not None
        events = last.received - first.received
        cpu_us: dict[str, float | None] = {
            role: _per_event((ns - first.cpu_ns.get(role, 0)) / 1e3, events)
            for role, ns in last.cpu_ns.items()
        }
        cpu_us["total"] = _per_event(
            (sum(last.cpu_ns.values()) - sum(first.cpu_ns.values())) / 1e3, events
        )
        seconds = last.at_s - self._begun_s
        counts = {outcome: self._total(outcome) for outcome in ("received", *OUTCOMES)}
        report = Report(
            **counts,
            **{finding: int(findings[finding]) for finding in FINDINGS},
            sent=int(findings["sent"]),
            transitions=self._total("transitions"),
            restarts=sum(self._supervisor.restarts.values()),
            reconnects=self._runtime.receiver.get("reconnects"),
            throughput_per_s=(last.applied - first.applied) / seconds if seconds > 0 else 0.0,
            cpu_us_per_event=cpu_us,
            gateway_cpu_us_per_event=_per_event(
                (last.gateway_cpu_s - first.gateway_cpu_s) * 1e6, events
            ),
            latency_ms={name: (findings["latency_ms"] or {}).get(name) for name in LATENCIES},
            verified=False,
            problems=(),
            agents=self._plan.agents,
            rate=self._plan.rate,
            seconds=self._plan.seconds,
            shards=self._plan.shards,
            seed=self._plan.seed,
            journal=self._plan.journal,
            tls=self._plan.tls,
        )
        return _judged(report, self._problems, is_content=is_content)


def _judged(report: Report, problems: list[str], *, is_content: bool) -> Report:
    found = list(problems)
    if not is_content:
        found.append("the journal does not agree with the gateway's ledger")
    if not report.sum_is_exact:
        found.append("received is not the sum of its outcomes")
    return replace(report, verified=not found, problems=tuple(found))


def _mark(page: Counters) -> int:
    return page.get("mark_sequence")


def _per_event(cpu_us: float, events: int) -> float | None:
    return round(cpu_us / events, 3) if events else None
