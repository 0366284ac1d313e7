"""Supervisor: carries out the restart plan on real processes. Decides nothing (see restart_plan).

    exit_code = Supervisor(specs).run()          # with signal handlers, until all have ended

or, inside somebody else's main thread and without handlers:

    with Supervisor(specs) as supervisor:
        supervisor.start()
        while not supervisor.finished:
            supervisor.step(0.1)

One turn: wait for an exit, a wish to stop or the time that the plan has named; collect facts; ask
the plan; act. Exits are seen through pidfds, so there is no SIGCHLD handler to share with an
embedder, and no pid is ever signalled that might have passed to somebody else.
"""

from __future__ import annotations

import math
import os
import select
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

import structlog
from setproctitle import setproctitle
from structlog.typing import FilteringBoundLogger

from runtime.child_spec import ChildSpec, assert_consistent
from runtime.children_status import children_status
from runtime.clock import Clock, SystemClock
from runtime.counters import DRAINING, RUNNING, STARTING, Counters
from runtime.errors import EXIT_CLEAN, EXIT_CONFIGURATION, EXIT_FAILURE, EXIT_TEMPORARY
from runtime.exit import Exit
from runtime.last_words import cause_left
from runtime.notify import Notifier
from runtime.restart_plan import (
    DRAIN_S,
    LOOK_S,
    Action,
    ChildFacts,
    Finish,
    Kill,
    Renew,
    Situation,
    Start,
    StopAll,
    Stopping,
    Terminate,
    Wait,
    restart_plan,
)
from runtime.signals import Signals
from runtime.spawn import spawn

# `timeout`, or a shell that goes down with its terminal, sends the same signal twice: an echo of
# the first, not the second wish that means "now".
ECHO_S = 0.5
PAGE_WORDS = ("started_us",)  # UTC: since when this supervisor lives
DUMP_S = 0.02  # a child writes its stacks in a millisecond or two


@dataclass(slots=True)
class ManagedChild:
    """One child in our care: its latest life, and how earlier ones ended."""

    spec: ChildSpec
    generation: int = 0
    process: subprocess.Popen[bytes] | None = None  # None: not running
    pidfd: int = -1
    started_s: float = 0.0
    told: bool = False
    killed: bool = False
    hung: bool = False  # that is what it was killed for
    exits: tuple[Exit, ...] = ()

    def facts(self) -> ChildFacts:
        counters = self.spec.counters
        phase, sign_of_life_s = STARTING, self.started_s
        # Until a new life has taken over the page, its words are those of the life before.
        if counters.get("generation") == self.generation:
            phase = counters.get("phase")
            sign_of_life_s = max(sign_of_life_s, counters.get("beat_ns") / 1e9)
        return ChildFacts(
            generation=self.generation,
            running=self.process is not None,
            sign_of_life_s=sign_of_life_s,
            phase=phase,
            told=self.told,
            killed=self.killed,
            exits=self.exits,
        )


class Supervisor:
    """Lives in the main thread; only `request_stop` may be called from elsewhere."""

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        *,
        clock: Clock | None = None,
        log: FilteringBoundLogger | None = None,
        title: str | None = None,
        environment: Mapping[str, str] | None = None,
        drain_s: float = DRAIN_S,
        on_reload: Callable[[], bool] | None = None,
        notifier: Notifier | None = None,
        page: Counters | None = None,
    ) -> None:
        """`title` is for this process, from `start` on; `environment` for the children (None:
        ours). `on_reload` reads again what stands in files; True: the children are to do likewise.
        `notifier` tells a service manager how we do; `page`, which has PAGE_WORDS, shows our own
        life, as a child's does.

        `clock` must tell the time that children write into their pages: CLOCK_MONOTONIC.
        """
        assert specs, "nothing to supervise"
        assert_consistent(specs)
        self._specs = tuple(specs)
        self._clock = clock or SystemClock()
        self._log = log or structlog.get_logger("runtime.supervisor")
        self._title = title
        self._environment = environment
        self._drain_s = drain_s
        self._on_reload = on_reload
        self._notifier = notifier
        self._page = page
        self._managed = {spec.name: ManagedChild(spec) for spec in specs}
        self._wishes: deque[tuple[float, str, int]] = deque()
        self._reload_wanted = self._dump_wanted = False
        self._stopping: Stopping | None = None
        self._finish: Finish | None = None
        self._looked_s = self._renewed_s = -math.inf
        self._wait_s = 0.0
        self._wake_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._poll = select.poll()
        self._poll.register(self._wake_fd, select.POLLIN)

    # --- for whoever embeds us --------------------------------------------------------------------

    def run(self) -> int:
        """Supervise until all have ended; what signals do meanwhile, `Signals` says. A second one
        that asks for the end stops now."""
        reload = self.request_reload if self._on_reload is not None else None
        with Signals(stop=self.request_stop, reload=reload, dump=self.request_dump), self:
            self.start()
            while not self.finished:
                self.step()
        return self.exit_code

    def start(self) -> None:
        """Start what needs nobody; the others follow in `step`."""
        if self._title is not None:
            setproctitle(self._title)
        if self._page is not None:
            self._page.set("started_us", self._clock.wall_us())
            self._page.set("pid", os.getpid())
            self._page.set("generation", 1)
            self._page.set("phase", RUNNING)
        self._looked_s = self._clock.now_s()
        self._turn()

    def step(self, timeout_s: float = LOOK_S) -> None:
        """One turn, after waiting for something to happen. To be called about once a second or more
        often: after an absence of half a beat timeout we have overslept, and judge nobody."""
        if self.finished:
            return
        # In signal handlers and other threads, a wish writes to the eventfd: it cannot be slept
        # through.
        wait_s = min(timeout_s, self._wait_s)
        if self._notifier is not None and self._notifier.beat_every_s is not None:
            wait_s = min(wait_s, self._notifier.beat_every_s)
        self._poll.poll(math.ceil(wait_s * 1_000))
        self._turn()

    def request_stop(self, reason: str, exit_code: int = EXIT_CLEAN) -> None:
        """Drain and end with that code. Asked a second time (not an echo within 0.5 s): end now.

        Safe in a signal handler and in any thread, so it only leaves a note for the next turn; to
        log here could re-enter the very stream that was interrupted."""
        self._wishes.append((self._clock.now_s(), reason, exit_code))
        self._wake()

    def request_reload(self) -> None:
        """Read files again, here and in the children. As safe as `request_stop`."""
        self._reload_wanted = True
        self._wake()

    def request_dump(self) -> None:
        """Have every child write its stacks to stderr. As safe as `request_stop`."""
        self._dump_wanted = True
        self._wake()

    def _wake(self) -> None:
        if self._wake_fd >= 0:
            os.eventfd_write(self._wake_fd, 1)

    @property
    def finished(self) -> bool:
        return self._finish is not None

    @property
    def exit_code(self) -> int:
        """0 only if every child drained. Of a supervisor that has finished."""
        assert self._finish is not None, "not finished yet"
        return self._finish.exit_code

    @property
    def reason(self) -> str:
        """Why it stops or has stopped; empty in service."""
        end = self._finish or self._stopping
        return end.reason if end is not None else ""

    @property
    def restarts(self) -> dict[str, int]:
        return {name: max(0, managed.generation - 1) for name, managed in self._managed.items()}

    @property
    def pids(self) -> dict[str, int | None]:
        return {
            name: managed.process.pid if managed.process is not None else None
            for name, managed in self._managed.items()
        }

    def close(self) -> None:
        """Kill and reap what still runs, undrained: nothing outlives an embedder that failed."""
        running = [managed for managed in self._managed.values() if managed.process is not None]
        for managed in running:
            signal.pidfd_send_signal(managed.pidfd, signal.SIGKILL)
        for managed in running:
            assert managed.process is not None
            managed.process.wait()
            self._forget_process(managed)
        if self._wake_fd >= 0:
            os.close(self._wake_fd)
            self._wake_fd = -1
        if self._finish is None:
            self._finish = Finish(self.reason or "closed", EXIT_FAILURE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # --- one turn ---------------------------------------------------------------------------------

    def _turn(self) -> None:
        self._hear()
        self._reap()
        situation = Situation(
            children={name: managed.facts() for name, managed in self._managed.items()},
            now_s=self._clock.now_s(),
            looked_s=self._looked_s,
            renewed_s=self._renewed_s,
            stopping=self._stopping,
        )
        self._looked_s = situation.now_s
        for action in restart_plan(self._specs, situation):
            self._carry_out(action, situation.now_s)
        self._show(situation)

    def _show(self, situation: Situation) -> None:
        if self._page is not None:
            self._page.set("cpu_ns", time.process_time_ns())
            self._page.set("beat_ns", self._clock.now_ns())
        if self._notifier is not None:
            is_up, words = children_status(self._specs, situation)
            self._notifier.show(is_ready=is_up, status=words, now_s=situation.now_s)

    def _hear(self) -> None:
        try:
            os.eventfd_read(self._wake_fd)
        except BlockingIOError:
            pass
        while self._wishes:
            at_s, reason, exit_code = self._wishes.popleft()
            if self._stopping is None:
                self._stop(reason, exit_code, at_s)
            elif at_s - self._stopping.since_s > ECHO_S and not self._stopping.at_once:
                self._stopping = replace(self._stopping, at_once=True)
                self._log.warning("runtime.stopping", reason=reason, at_once=True)
        if self._reload_wanted:
            self._reload_wanted = False
            self._reload()
        if self._dump_wanted:
            self._dump_wanted = False
            self._dump()

    def _reload(self) -> None:
        if self._stopping is not None or self._on_reload is None:
            return
        if self._notifier is not None:
            self._notifier.reloading(self._clock.now_ns())
        if self._on_reload():
            for managed in self._managed.values():
                if managed.process is not None:
                    signal.pidfd_send_signal(managed.pidfd, signal.SIGHUP)

    def _dump(self) -> None:
        """Ours stand on stderr already. One after the other: all write where we write."""
        for managed in self._managed.values():
            if managed.process is not None:
                self._log.info("child.stacks", child=managed.spec.name, pid=managed.process.pid)
                signal.pidfd_send_signal(managed.pidfd, signal.SIGUSR1)
                time.sleep(DUMP_S)

    def _reap(self) -> None:
        now_s = self._clock.now_s()
        for managed in self._managed.values():
            if managed.process is not None and (code := managed.process.poll()) is not None:
                pid = managed.process.pid
                self._forget_process(managed)
                self._note_exit(managed, Exit(now_s, code, hung=managed.hung), pid=pid)

    def _forget_process(self, managed: ManagedChild) -> None:
        self._poll.unregister(managed.pidfd)
        os.close(managed.pidfd)
        managed.process, managed.pidfd = None, -1

    def _note_exit(self, managed: ManagedChild, last: Exit, **values: object) -> None:
        remembered = [old for old in managed.exits if last.at_s - old.at_s <= managed.spec.period_s]
        managed.exits = (*remembered, last)
        if last.code == EXIT_TEMPORARY and self._stopping is None:
            values["retry_in_s"] = managed.spec.temporary_delay_s
        expected = managed.told and last.code == EXIT_CLEAN
        (self._log.info if expected else self._log.warning)(
            "child.exited",
            child=managed.spec.name,
            generation=managed.generation,
            how=str(last),
            lived_s=round(last.at_s - managed.started_s, 3),
            **values,
        )

    def _carry_out(self, action: Action, now_s: float) -> None:
        match action:
            case Start(name, generation):
                self._start(self._managed[name], generation)
            case Terminate(name):
                managed = self._managed[name]
                managed.told = True
                signal.pidfd_send_signal(managed.pidfd, signal.SIGTERM)
            case Kill(name, reason, hung):
                managed = self._managed[name]
                managed.killed, managed.hung = True, hung
                signal.pidfd_send_signal(managed.pidfd, signal.SIGKILL)
                event = "child.hung" if hung else "child.killed"
                self._log.error(event, child=name, generation=managed.generation, reason=reason)
            case Renew(overslept_s):
                self._renewed_s = now_s
                self._log.warning("runtime.suspended", seconds=round(overslept_s, 1))
            case StopAll(reason, exit_code):
                self._stop(reason, exit_code, now_s)
            case Finish(reason, exit_code):
                self._finish = action
                if exit_code == EXIT_CLEAN:
                    self._log.info("runtime.stopped", reason=reason)
                else:
                    told = {"see": self._where_told()} | self._causes()
                    self._log.error("runtime.failed", reason=reason, exit_code=exit_code, **told)
            case Wait(seconds):
                self._wait_s = seconds

    def _causes(self) -> dict[str, str]:
        """In their own words, why children have ended everything; nothing if none says so."""
        ended = [managed for managed in self._managed.values() if managed.exits]
        wrong = [managed for managed in ended if managed.exits[-1].code == EXIT_CONFIGURATION]
        causes = filter(None, dict.fromkeys(cause_left(managed.spec.counters) for managed in wrong))
        return {"cause": told} if (told := "; ".join(causes)) else {}

    def _where_told(self) -> dict[str, str]:
        """Whose last end was a bad one, and where it stands why."""
        return {
            name: "child.killed" if child.killed and not child.hung else child.exits[-1].told_in
            for name, child in self._managed.items()
            if child.exits and child.exits[-1].code != EXIT_CLEAN
        }

    def _stop(self, reason: str, exit_code: int, since_s: float) -> None:
        self._stopping = Stopping(
            reason=reason, exit_code=exit_code, since_s=since_s, drain_s=self._drain_s
        )
        self._log.info("runtime.stopping", reason=reason, exit_code=exit_code)
        if self._notifier is not None:
            self._notifier.stopping()
        if self._page is not None:
            self._page.set("phase", DRAINING)

    def _start(self, managed: ManagedChild, generation: int) -> None:
        assert managed.process is None, f"{managed.spec.name} was not reaped"
        if generation > 1:
            self._log.info("child.restarting", child=managed.spec.name, generation=generation)
        managed.generation = generation
        managed.told = managed.killed = managed.hung = False
        managed.started_s = self._clock.now_s()
        try:
            last = managed.exits[-1] if managed.exits else None
            started = spawn(managed.spec, generation, last, self._environment)
            managed.process, managed.pidfd = started
        except OSError as error:  # no memory, no process, no descriptor: a life that ended at once
            self._note_exit(managed, Exit(managed.started_s, EXIT_FAILURE), error=str(error))
            return
        self._poll.register(managed.pidfd, select.POLLIN)
        self._log.info(
            "child.started", child=managed.spec.name, generation=generation, pid=managed.process.pid
        )
