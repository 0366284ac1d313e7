"""DemoRun: one run of a demo, phase by phase, and what was seen of it.

Knows no ring and no journal: it reads the pages of the children and the status of the gateway. The
supervisor is stepped here, in the main thread; so the demo sees what a service sees.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from actors.app.topology import Runtime
from actors.demo.commands import DemoCommands
from actors.demo.gateway import BundledGateway
from actors.demo.kills import KillPlan, Kills
from actors.demo.memory import MemorySeries
from actors.demo.past import Past, begun
from actors.demo.plan import DemoPlan
from actors.demo.progress import progress_of
from actors.demo.queues import shown_queues
from actors.demo.view import Sample, UseMeter, View, time_left
from actors.demo.wishes import Interrupted, StopRequests
from actors.messages.control import Dialect
from actors.web import address
from actors.web.arguments import OneTime
from runtime.clock import SystemClock
from runtime.counters import Counters
from runtime.errors import EXIT_CLEAN, LocalError
from runtime.supervisor import Supervisor

STEP_S: Final = 0.05
STATUS_EVERY_S: Final = 0.25
# A cloud is asked for its agents page by page, in its rate budget.
READY_TIMEOUT_S: Final[Mapping[Dialect, float]] = {"wsp": 60.0, "cloud": 240.0}
CATCH_UP_TIMEOUT_S: Final = 60.0
TROUBLED_CATCH_UP_TIMEOUT_S: Final = 180.0
QUEUES_KNOWN_TIMEOUT_S: Final = 480.0  # 100,000 agents on six clients
BEAT_TIMEOUT_S: Final = 5.0
RATE_SPAN_S: Final = 1.0
LOAD: Final = "load"
_ASKING: Final = frozenset(
    {"starting", LOAD, "settling commands", "reading queues", "catching up"}
)  # phases in which it matters


class Moment(NamedTuple):
    """What the children had done and used by then."""

    at_s: float
    received: int
    applied: int
    cpu_ns: Mapping[str, int]  # by role
    gateway_cpu_s: float


class DemoRun:
    """Start, load, catch up, drain."""

    def __init__(
        self,
        *,
        plan: DemoPlan,
        runtime: Runtime,
        supervisor: Supervisor,
        gateway: BundledGateway,
        view: View,
        wishes: StopRequests,
        one_time: OneTime,
        past: Past | None = None,
    ) -> None:
        self._plan = plan
        self._past = past
        self._runtime = runtime
        self._supervisor = supervisor
        self._gateway = gateway
        self._view = view
        self._wishes = wishes
        self._one_time = one_time
        self._is_page_told = False
        self._clock = SystemClock()
        self._progress = progress_of(runtime)
        self._meter = UseMeter()
        self._status: dict[str, Any] = {}
        self._status_s = float("-inf")
        self._seen: deque[tuple[float, int]] = deque()  # (when, received), over the last moment
        self._changed_s = 0.0  # the last growth of `received`
        self._looked_s: float | None = None
        self._pages: dict[str, Counters] = {spec.name: spec.counters for spec in runtime.specs}
        self._roles = {spec.name: spec.role for spec in runtime.specs}
        self._kill_plan = KillPlan(plan.kill_every_s, plan.seed, plan.kill_until_s)
        self.kills = Kills(self._pages, self._roles)
        self.memory = MemorySeries()
        self.ready_s = 0.0  # that the start took
        self.stale_s = 0.0  # while anything was to be shown
        self.longest_stale_s = 0.0  # of one scope of a shard, by what the shards say
        self.begun_s, self.begun_us = 0.0, 0  # the load
        self.first: Moment | None = None
        self.last: Moment | None = None
        self.lives = None if past is None else past.report
        self.problems: list[str] = [] if self.lives is None else self.lives.problems
        self.shown: dict[str, Any] | None = None
        """Cloud: what the page showed of queues when all had come to rest."""
        self.commands: DemoCommands | None = None  # from the load on, if the plan wants any
        self.kinds_planned: tuple[str, ...] = ()  # of fault

    def run(self) -> None:
        """From the start to the drained end."""
        started_s = self._clock.now_s()
        self._supervisor.start()
        self._wait_until_ready()
        self.ready_s = self._clock.now_s() - started_s
        self.first = self._beaten()
        self._load()
        self._settle_commands()
        self._catch_up()
        self._drain()

    # -- phases --------------------------------------------------------------------------------

    def _wait_until_ready(self) -> None:
        """Connected, and every agent named by the history."""
        timeout_s = READY_TIMEOUT_S[self._plan.dialect]
        deadline_s = self._clock.now_s() + timeout_s
        while not self._is_ready():
            self.look("starting")
            if self._wishes.count:
                raise Interrupted
            if self._clock.now_s() > deadline_s:
                raise LocalError(
                    f"the runtime was not ready within {timeout_s:g} s: {self._total('agents'):,} "
                    f"of {self._plan.agents:,} agents are known; "
                    f"{', '.join(self._progress.unconfirmed())}"
                )

    def _is_ready(self) -> bool:
        known_min = self._plan.known_min
        return not self._progress.unconfirmed() and self._total("agents") >= known_min

    def _load(self) -> None:
        """Until its end; it may have begun in the past."""
        past = self._past
        if past is None:
            past = begun(self._plan, self._gateway, self._runtime.data_dir.path)
        self.begun_s, self.begun_us, self.commands = past.begun_s, past.begun_us, past.commands
        self._status_s = float("-inf")
        while True:
            self.look(LOAD)
            if self._wishes.count:
                self._view.say("stopping the load; press Ctrl-C again to abort")
                self._gateway.stop_load()
                return
            if self._status["load"] == "done":
                return
            self._kill_if_due()

    def _settle_commands(self) -> None:
        """Each command makes an event of its own: nothing has caught up before they have ended."""
        if self.commands is None:
            return
        self.commands.stop()
        while not self.commands.is_settled:
            self.look("settling commands")
            if self._wishes.count > 1:
                raise Interrupted
        self.problems += self.commands.problems

    def _kill_if_due(self) -> None:
        running: dict[str, list[str]] = {role: [] for role in self._roles.values()}
        pids = self._supervisor.pids
        for name, pid in pids.items():
            if pid is not None and self._plan.kill_role in {None, self._roles[name]}:
                running[self._roles[name]].append(name)
        now_s = self._clock.now_s()
        child = self._kill_plan.due(now_s - self.begun_s, running)
        if child is not None and (pid := pids[child]) is not None:
            # Ours, and not reaped before the supervisor's next step: the pid is nobody else's.
            os.kill(pid, signal.SIGKILL)
            self.kills.note(child, pid, now_s, now_s - self.begun_s)

    def _catch_up(self) -> None:
        """Until no fault is left, every mark has reached the gateway's newest sequence, and what is
        held is confirmed. Nobody may order anything more: a command from outside would make an
        event that comes when all is over."""
        limit_s = TROUBLED_CATCH_UP_TIMEOUT_S if self._plan.is_troubled else CATCH_UP_TIMEOUT_S
        self._wait_for_queues()
        self._one_time.page.set("is_over", 1)
        if self._is_page_told:
            self._view.say("the load has ended and the page closes; verifying every event")
        asked_ns, deadline_s = self._clock.now_ns(), self._clock.now_s() + limit_s
        self._status_s = float("-inf")
        while True:
            self.look("catching up")
            address.remove(self._runtime.data_dir.path)  # again: a successor makes a new one
            behind = self._behind(asked_ns)
            if not behind:
                break
            if self._wishes.count > 1:
                raise Interrupted
            if self._clock.now_s() > deadline_s:
                self.problems += [f"{what}, {limit_s:g} s after the load" for what in behind]
                break
        self.last = self._beaten()
        if self._plan.dialect == "cloud":
            self.shown = shown_queues(self._runtime.web.get("port"), self._one_time.token)
        self.kinds_planned = tuple(self._status["kinds_planned"])

    def _wait_for_queues(self) -> None:
        """Until it is known of everybody in which queues they are: who is a member of which is read
        within a rate budget. That somebody is unknown in the end the verdict says."""
        web = self._runtime.web
        deadline_s = self._clock.now_s() + QUEUES_KNOWN_TIMEOUT_S
        while web.get("queues_unknown") and self._clock.now_s() < deadline_s:
            self.look("reading queues")
            if self._wishes.count > 1:
                raise Interrupted

    def _behind(self, asked_ns: int) -> list[str]:
        """What is still to come; nothing that a dead child's page says counts."""
        status = self._status
        found = [
            f"{name} does not respond"
            for name, page in self._pages.items()
            if page.get("beat_ns") < asked_ns
        ]
        if status["faults_left"]:
            found.append(f"the gateway has {status['faults_left']} faults left")
        found += self._progress.behind(status, self._clock.now_s() - self._changed_s)
        found += self._progress.unconfirmed()
        sender = self._runtime.sender
        if unsettled := sender.get("unsettled") - sender.get("pending_now"):
            found.append(f"{unsettled:,} commands are unfinished")
        if not int(status["sockets"]):
            found.append("the gateway has no connection")
        return found

    def _drain(self) -> None:
        self._supervisor.request_stop("the demo has ended")
        while not self._supervisor.finished:
            self.look("draining")
            if self._wishes.count > 1:
                raise Interrupted
        if self._supervisor.exit_code != EXIT_CLEAN:
            self.problems.append(f"the runtime did not exit cleanly: {self._supervisor.reason}")

    # -- looking -------------------------------------------------------------------------------

    def look(self, phase: str) -> None:
        """One step of the supervisor, one sample for the view."""
        if not self._supervisor.finished:
            self._supervisor.step(STEP_S)
            if self._supervisor.finished and phase != "draining":
                raise LocalError(f"the runtime has exited: {self._supervisor.reason}")
        self._tell_page()
        now_s = self._clock.now_s()
        if now_s - self._status_s >= STATUS_EVERY_S and phase in _ASKING:
            self._status, self._status_s = self._gateway.status(), now_s
        received = self._total("received")
        if not self._seen or self._seen[-1][1] != received:
            self._changed_s = now_s
        self._seen.append((now_s, received))
        while now_s - self._seen[0][0] > RATE_SPAN_S:
            self._seen.popleft()
        span_s = now_s - self._seen[0][0]
        routed = sum(
            page.get("events_routed") + page.get("rejected") for page in self._runtime.receivers
        )
        pids = self._supervisor.pids
        uses = self._meter.read({**pids, "gateway": self._gateway.pid}, now_s)
        if self.begun_s and phase in _ASKING:
            self._observe(pids, now_s)
            self.memory.note(now_s - self.begun_s, uses)
        self._view.show(
            Sample(
                at_s=now_s,
                phase=phase,
                time=time_left(now_s - self.begun_s, self._plan.seconds) if phase == LOAD else "",
                sent=self.sent,
                received=received,
                applied=self._total("applied"),
                received_per_s=(received - self._seen[0][1]) / span_s if span_s else 0.0,
                in_rings=max(0, routed - received),
                restarts=sum(self._supervisor.restarts.values()),
                uses=uses,
            )
        )

    def _tell_page(self) -> None:
        """Once, as soon as it is served. Whoever opens it may change presences, too."""
        port = self._runtime.web.get("port")
        if port and not self._is_page_told:
            self._is_page_told = True
            self._view.say(f"page: http://127.0.0.1:{port}/?token={self._one_time.token}")
            self._view.say(_page_lasts(self._plan.seconds))

    def _observe(self, pids: Mapping[str, int | None], now_s: float) -> None:
        """What a fault or a kill did since the last look."""
        self.kills.watch(pids, now_s)
        if self._looked_s is not None and self._progress.unconfirmed():
            self.stale_s += now_s - self._looked_s
        self._looked_s = now_s
        now_us = self._clock.wall_us()
        for page in self._runtime.shards:
            if since_us := page.get("stale_since_us"):
                self.longest_stale_s = max(self.longest_stale_s, (now_us - since_us) / 1e6)

    @property
    def sent(self) -> int:
        """By the gateway, when it was asked last."""
        return int(self._status.get("sent", 0))

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


def _page_lasts(seconds: float) -> str:
    if not seconds:
        return (
            "the page is available until Ctrl-C, which ends the load; then every event is verified"
        )
    return (
        f"the page is available during the load of {seconds:g} s; to keep it longer, use "
        "--seconds 600, or --seconds 0 (until Ctrl-C)"
    )
