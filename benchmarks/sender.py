"""Sender: what an attached sender with commands costs receiver and shards, for each event.

Two runtimes are up at once, each with a gateway of its own, and take turns under the same load: one
with a sender and commands all the while, one without. So the two of a pair are seconds apart, and
a slow minute of the machine hits both. Each run ends with the gateway's own judgement.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import SecretStr

from actors.demo_commands import DemoCommands
from actors.demo_gateway import BundledGateway, verify
from actors.log import LogArguments, setup
from actors.sender_settings import (
    CapacitySettings,
    QueueLimits,
    SenderSettings,
    WebhookSettings,
)
from actors.settings import Settings
from actors.topology import Runtime
from actors.web_settings import WebSettings
from benchmarks.harness import (
    Answer,
    Benchmark,
    Figure,
    Options,
    Target,
    WrongResultError,
    overtime_is_wrong,
)
from runtime.errors import EXIT_CLEAN
from runtime.supervisor import Supervisor

COMMANDS_PER_S: Final = 5.0
READY_TIMEOUT_S: Final = 60.0
STEP_S: Final = 0.02
QUIET_S: Final = 1.5
"""Between two turns: the rate's window is empty again, and pages are written."""
ROLES: Final = ("receiver", "shard")
WITHOUT: Final = "without a sender"
RISE_PERCENT_MAX: Final = 2.0


class Use(NamedTuple):
    """CPU per event of a turn, by role."""

    receiver_us: float
    shard_us: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--agents", type=int, default=5_000)
    parser.add_argument("--rate", type=float, default=2_000, help="events a second of the load")
    parser.add_argument("--pairs", type=int, default=6, help="of turns, in each round")
    parser.add_argument("--commands-per-s", type=float, default=COMMANDS_PER_S)


def run(options: Options) -> Answer:
    own = options.own
    pairs: list[tuple[Use, Use]] = []
    ends: dict[str, int] = {}
    for number in range(options.repeat):
        limit_s = 2 * own.pairs * (options.seconds + 15) + 2 * READY_TIMEOUT_S
        with overtime_is_wrong(f"round {number}", limit_s):
            pairs += _round(options, number, ends)
    subject = f"with one and {own.commands_per_s:g} commands/s"
    figures, targets = [], []
    for place, role in enumerate(ROLES):
        for side, name in enumerate((WITHOUT, subject)):
            values = tuple(pair[side][place] for pair in pairs)
            figures.append(Figure(subject=name, unit=f"{role} µs", values=values))
        rises = [100 * (pair[1][place] / pair[0][place] - 1) for pair in pairs]
        figures.append(Figure(subject="rise of a pair", unit=f"{role} %", values=tuple(rises)))
        what = f"CPU per event of {role}: median rise, %"
        reached = statistics.median(rises)
        targets.append(Target(what=what, reached=reached, bound=RISE_PERCENT_MAX, sense="at most"))
    print(f"commands: {', '.join(f'{count} {end}' for end, count in sorted(ends.items()))}")
    return Answer(figures=tuple(figures), targets=tuple(targets), facts={"ends": ends})


def _round(options: Options, number: int, ends: dict[str, int]) -> list[tuple[Use, Use]]:
    """Some pairs of turns, of two runtimes that live as long as the round."""
    own = options.own
    with tempfile.TemporaryDirectory(prefix="presence-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        setup(_log(folder), process="supervisor")
        seed = options.seed + number
        sides = [
            stack.enter_context(_attached(folder / word, own.agents, seed, has_sender=has_sender))
            for word, has_sender in (("without", False), ("with", True))
        ]
        _wait(sides, lambda: all(side.is_ready(own.agents) for side in sides), "ready")
        found: list[tuple[Use, Use]] = []
        for turn in range(own.pairs):
            uses: dict[int, Use] = {}
            for place in (0, 1) if turn % 2 else (1, 0):
                per_s = own.commands_per_s if place else 0.0
                uses[place] = sides[place].under_load(sides, options, per_s, seed + turn, ends)
                end_s = time.monotonic() + QUIET_S
                _wait(sides, lambda end_s=end_s: time.monotonic() > end_s, "quiet")  # type: ignore[misc]
            found.append((uses[0], uses[1]))
        for side in sides:
            side.verify()
        return found


class Side:
    """A runtime and its gateway."""

    def __init__(
        self, folder: Path, gateway: BundledGateway, runtime: Runtime, supervisor: Supervisor
    ) -> None:
        self._folder = folder
        self._gateway = gateway
        self._runtime = runtime
        self.supervisor = supervisor

    def is_ready(self, agents: int) -> bool:
        pages = self._runtime.shards
        return sum(page.get("agents") for page in pages) >= agents and self._is_at(
            self._gateway.status()["newest_sequence"]
        )

    def _is_at(self, newest: int) -> bool:
        return all(
            page.get("mark_sequence") == newest and not page.get("stale_since_us")
            for page in self._runtime.shards
        )

    def under_load(
        self, sides: Sequence[Side], options: Options, per_s: float, seed: int, ends: dict[str, int]
    ) -> Use:
        """One turn: what an event of it cost."""
        self._beat(sides)
        before, received = self._cpu_ns(), self._received()
        commands = None
        if per_s:
            users = self._gateway.users(options.own.agents)
            data_dir = self._runtime.data_dir.path
            commands = DemoCommands(data_dir, users, per_s=per_s, seed=seed)
            commands.start()
        self._gateway.start_load(options.own.rate, options.seconds)
        end_s = time.monotonic() + options.seconds
        _wait(sides, lambda: time.monotonic() > end_s, "the load")
        if commands is not None:
            commands.stop()
        _wait(sides, lambda: self._gateway.status()["load"] == "done", "the end of the load")
        if commands is not None:
            _wait(sides, lambda: commands.is_settled, "the commands' ends")
            if commands.problems:
                raise WrongResultError("; ".join(commands.problems))
            for end, count in commands.ends.items():
                ends[end] = ends.get(end, 0) + count
        newest = self._gateway.status()["newest_sequence"]
        _wait(sides, lambda: self._is_at(newest), "the last event")
        self._beat(sides)
        events = self._received() - received
        after = self._cpu_ns()
        return Use(*((after[role] - before[role]) / 1e3 / events for role in ROLES))

    def _beat(self, sides: Sequence[Side]) -> None:
        """Until every child has written down the CPU that it has used by now."""
        asked_ns = time.monotonic_ns()
        pages = [spec.counters for spec in self._runtime.specs]
        _wait(sides, lambda: all(page.get("beat_ns") > asked_ns for page in pages), "a beat")

    def _received(self) -> int:
        return sum(page.get("received") for page in self._runtime.shards)

    def _cpu_ns(self) -> dict[str, int]:
        used = dict.fromkeys(ROLES, 0)
        for spec in self._runtime.specs:
            if spec.role in used:
                used[spec.role] += spec.counters.get("cpu_ns")
        return used

    def verify(self) -> None:
        """Drained, and held against the ledger of its gateway: no figure of a run that lost any."""
        self.supervisor.request_stop("measured")
        while not self.supervisor.finished:
            self.supervisor.step(STEP_S)
        if self.supervisor.exit_code != EXIT_CLEAN or any(self.supervisor.restarts.values()):
            raise WrongResultError(f"the runtime has ended: {self.supervisor.reason}")
        self._gateway.stop()
        findings, is_content = verify(
            self._folder / "ledger",
            self._runtime.data_dir.path,
            "full",
            self._folder / "findings.json",
            to_newest=True,
        )
        if not is_content:
            raise WrongResultError(f"the gateway finds {findings}")


@contextmanager
def _attached(folder: Path, agents: int, seed: int, *, has_sender: bool) -> Iterator[Side]:
    folder.mkdir()
    with ExitStack() as stack:
        gateway = BundledGateway.start(folder / "ledger", agents=agents, seed=seed, tls=False)
        stack.callback(gateway.close)
        webhook = WebhookSettings(url=gateway.webhook_url, secret=SecretStr(gateway.webhook_secret))
        settings = Settings(
            base_url=gateway.base_url,
            client_id=gateway.client_id,
            client_secret=SecretStr(gateway.client_secret),
            data_dir=folder / "data",
            web=WebSettings(listen="127.0.0.1:0"),
            # A limit, so that shards are asked for the counts of a queue as well.
            sender=SenderSettings(
                enabled=has_sender,
                webhook=webhook,
                capacity=CapacitySettings(default=QueueLimits(minimum_available=1)),
            ),
        )
        runtime = Runtime.assemble(settings, _log(folder))
        stack.callback(runtime.data_dir.lock.release)
        supervisor = stack.enter_context(Supervisor(runtime.specs, environment=runtime.environment))
        supervisor.start()
        yield Side(folder, gateway, runtime, supervisor)


def _log(folder: Path) -> LogArguments:
    return LogArguments(format="json", level="error", path=str(folder / "log"))


def _wait(sides: Sequence[Side], fact: Callable[[], bool], what: str) -> None:
    """Until the fact is there; both supervisors are at work meanwhile."""
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    while not fact():
        for side in sides:
            if side.supervisor.finished:
                raise WrongResultError(f"a runtime has ended: {side.supervisor.reason}")
            side.supervisor.step(STEP_S)
        if time.monotonic() > deadline_s:
            raise WrongResultError(f"not within {READY_TIMEOUT_S} s: {what}")


BENCHMARK = Benchmark(
    question="What does an attached sender with commands cost receiver and shards?",
    run=run,
    add_arguments=add_arguments,
)
