"""Recovery: how long nothing is committed after a kill, and how long a view is stale.

Real children under load, SIGKILLed, or the whole runtime at once, run as a command; afterwards
every event is verified against the gateway's ledger. A kill of a shard is over with the next event
that *it* commits, that of a receiver with the next event that its successor brought and any shard
committed; both from the moment of the kill. A history is timed from the acknowledgement of the new
session until no shard is stale any more.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import apsw
from pydantic import SecretStr

from actors.app.topology import Runtime
from actors.demo.gateway import BundledGateway, verify
from actors.demo.lives import RuntimeProcess
from actors.settings.model import RestartSettings, Settings
from actors.settings.web import WebSettings
from actors.shard import reader
from benchmarks.harness import (
    Answer,
    Benchmark,
    Contestant,
    Options,
    Target,
    WrongResultError,
    fsync_ms,
    take_turns,
)
from runtime.log import LogArguments, setup
from runtime.supervisor import Supervisor

AGENTS = 5_000
RATE = 2_000
PATIENCE_S = 60.0
STEP_S = 0.002
CALM_S = 0.5
SHARD, RECEIVER, HISTORY = "shard killed", "receiver killed", "history of a reconnect"
WHOLE, PAGE = "runtime killed, next commit", "runtime killed, page live"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kills", type=int, default=4, help="of each kind of child in a round")
    parser.add_argument("--agents", type=int, default=100_000, help="named by the history")


def run(options: Options) -> Answer:
    taken: dict[str, list[float]] = {SHARD: [], RECEIVER: [], HISTORY: [], WHOLE: [], PAGE: []}
    contestants: dict[str, Contestant] = {
        SHARD: partial(_killed, options, "shard", taken[SHARD]),
        RECEIVER: partial(_killed, options, "receiver", taken[RECEIVER]),
        HISTORY: partial(_history, options, taken[HISTORY]),
        WHOLE: partial(_whole, options, taken),
    }
    figures = take_turns(contestants, options)
    bounds = {SHARD: 1.0, RECEIVER: 2.0, HISTORY: 5.0, WHOLE: 3.0, PAGE: 4.0}
    targets = tuple(
        Target(
            what=f"{subject}: p50 s of {len(taken[subject])}",
            reached=statistics.median(taken[subject]),
            bound=bound,
            sense="at most",
        )
        for subject, bound in bounds.items()
    )
    return Answer(
        figures=figures, targets=targets, facts={"seconds": taken, "fsync_ms": fsync_ms()}
    )


class Run:
    """A runtime whose children we may kill, and its gateway."""

    def __init__(self, gateway: BundledGateway, runtime: Runtime, supervisor: Supervisor) -> None:
        self.gateway = gateway
        self.runtime = runtime
        self.supervisor = supervisor

    def until(self, fact: Callable[[], object], what: str) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while not fact():
            if self.supervisor.finished or time.monotonic() > deadline_s:
                raise WrongResultError(f"{what}: not within {PATIENCE_S} s")
            self.supervisor.step(STEP_S)

    def is_confirmed(self) -> bool:
        return all(
            page.get("session_up") and not page.get("stale_since_us")
            for page in self.runtime.shards
        )

    def has_caught_up(self) -> bool:
        newest = self.gateway.status()["newest_sequence"]
        return all(page.get("mark_sequence") >= newest for page in self.runtime.shards)

    def rest(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            self.supervisor.step(STEP_S)

    def applied(self) -> int:
        return sum(page.get("applied") for page in self.runtime.shards)


@contextmanager
def _running(options: Options, agents: int) -> Iterator[Run]:
    """Verified when the block is left."""
    with tempfile.TemporaryDirectory(prefix="presence-bench-") as folder:
        ledger, data_dir = Path(folder) / "ledger", Path(folder) / "data"
        gateway = BundledGateway.start(ledger, agents=agents, seed=options.seed, tls=False)
        try:
            settings = _settings(gateway, data_dir)
            log = LogArguments(format="json", level="error", path=str(Path(folder) / "log"))
            setup(log, process="supervisor")
            runtime = Runtime.assemble(settings, log)
            try:
                with Supervisor(runtime.specs, environment=runtime.environment) as supervisor:
                    supervisor.start()
                    one = Run(gateway, runtime, supervisor)
                    one.until(one.is_confirmed, "the first history")
                    yield one
                    _end(one, ledger, data_dir)
            finally:
                runtime.data_dir.lock.release()
        finally:
            gateway.close()


def _settings(gateway: BundledGateway, data_dir: Path) -> Settings:
    return Settings(
        base_url=gateway.base_url,
        client_id=gateway.client_id,
        client_secret=SecretStr(gateway.client_secret),
        data_dir=data_dir,
        restart=RestartSettings(intensity=1_000),
        web=WebSettings(listen="127.0.0.1:0"),
    )


def _end(one: Run, ledger: Path, data_dir: Path) -> None:
    one.gateway.stop_load()
    one.until(lambda: one.gateway.status()["load"] != "running", "the end of the load")
    one.until(one.has_caught_up, "the marks")
    one.until(one.is_confirmed, "the last history")
    one.supervisor.request_stop("measured")
    deadline_s = time.monotonic() + PATIENCE_S
    while not one.supervisor.finished and time.monotonic() < deadline_s:
        one.supervisor.step(0.1)
    one.gateway.stop()
    findings, is_content = verify(ledger, data_dir, "full", ledger.with_name("findings"))
    if not is_content:
        raise WrongResultError(f"verify: {findings}")


def _killed(
    options: Options, role: str, taken: list[float], _seconds: float
) -> Mapping[str, float]:
    rng = random.Random(options.seed)
    mine: list[float] = []
    with _running(options, AGENTS) as one:
        one.gateway.start_load(RATE, 600.0)
        for number in range(options.own.kills):
            before = one.applied()
            one.until(lambda before=before: one.applied() > before, "some load")  # type: ignore[misc]
            one.rest(CALM_S + rng.random())
            measure = _kill_shard if role == "shard" else _kill_receiver
            mine.append(measure(one, number))
            one.until(one.is_confirmed, "a confirmed view")
    taken.extend(mine)
    return {"s": statistics.median(mine)}


def _kill_shard(one: Run, number: int) -> float:
    page = one.runtime.shards[number % len(one.runtime.shards)]
    started_s = _kill(one, page.name)
    one.until(lambda: page.get("generation") == _generation(one, page.name), "a successor")
    commits = page.get("commits")
    one.until(lambda: page.get("commits") > commits, "a commit")
    return time.monotonic() - started_s


def _kill_receiver(one: Run, _number: int) -> float:
    page = one.runtime.receiver
    started_s = _kill(one, page.name)
    # By the time that a successor has even been loaded the rings are empty.
    one.until(lambda: page.get("generation") == _generation(one, page.name), "a successor")
    before = one.applied()
    one.until(lambda: one.applied() > before, "an event")
    return time.monotonic() - started_s


def _generation(one: Run, name: str) -> int:
    return one.supervisor.restarts[name] + 1


def _kill(one: Run, name: str) -> float:
    pid = one.supervisor.pids[name]
    assert pid is not None, f"{name} does not run"
    restarts = one.supervisor.restarts[name]
    started_s = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    one.until(lambda: one.supervisor.restarts[name] > restarts, "a restart")
    return started_s


def _history(options: Options, taken: list[float], _seconds: float) -> Mapping[str, float]:
    with _running(options, options.own.agents) as one:
        one.gateway.start_load(RATE, 600.0)
        one.rest(CALM_S)
        sessions = one.runtime.receiver.get("sessions_begun")
        dropped_s = time.monotonic()
        one.gateway.inject({"kind": "drop"})
        one.until(lambda: one.runtime.receiver.get("sessions_begun") > sessions, "a session")
        began_s = time.monotonic()
        number = one.runtime.receiver.get("session")
        one.until(
            lambda: (
                all(page.get("session") == number for page in one.runtime.shards)
                and one.is_confirmed()
            ),
            "a confirmed view",
        )
        ended_s = time.monotonic()
        known = sum(page.get("agents") for page in one.runtime.shards)
        if known != options.own.agents:
            raise WrongResultError(f"{known} agents instead of {options.own.agents}")
    taken.append(ended_s - began_s)
    return {"s": ended_s - began_s, "s with back-off": ended_s - dropped_s}


def _whole(
    options: Options, taken: Mapping[str, list[float]], _seconds: float
) -> Mapping[str, float]:
    """From SIGKILL of all processes and the next start, which come together."""
    commits: list[float] = []
    pages: list[float] = []
    with tempfile.TemporaryDirectory(prefix="presence-bench-") as name:
        folder = Path(name)
        ledger = folder / "ledger"
        gateway = BundledGateway.start(
            ledger, agents=options.own.agents, seed=options.seed, tls=False
        )
        try:
            settings = _settings(gateway, folder / "data")
            life = RuntimeProcess(settings, folder)
            _until(life.is_ready, "the first history")
            gateway.start_load(RATE, 600.0)
            for _ in range(options.own.kills):
                time.sleep(CALM_S)
                life.kill()
                rows = _rows(settings.data_dir)
                started_s = time.monotonic()
                life = RuntimeProcess(settings, folder)
                _until(lambda rows=rows: _rows(settings.data_dir) > rows, "a commit")  # type: ignore[misc]
                commits.append(time.monotonic() - started_s)
                _until(life.is_ready, "a live page")
                pages.append(time.monotonic() - started_s)
            gateway.stop_load()
            newest = gateway.status()["newest_sequence"]
            _until(lambda: _mark(settings.data_dir) >= newest, "the marks")
            life.stop()
            gateway.stop()
            findings, is_content = verify(ledger, settings.data_dir, "full", folder / "findings")
        finally:
            life.kill()
            gateway.close()
    if not is_content:
        raise WrongResultError(f"verify: {findings}")
    taken[WHOLE].extend(commits)
    taken[PAGE].extend(pages)
    return {"s": statistics.median(commits), "s, page": statistics.median(pages)}


def _rows(data_dir: Path) -> int:
    """The newest row of any journal; of one that is being opened after a kill: 0."""
    newest = 0
    for path in reader.journal_paths(data_dir):
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        with suppress(apsw.BusyError):
            newest = max(newest, connection.execute("SELECT max(id) FROM transitions").get or 0)
        connection.close()
    return newest


def _mark(data_dir: Path) -> int:
    return min(shard.mark_sequence for shard in reader.summary(data_dir))


def _until(fact: Callable[[], object], what: str) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not fact():
        if time.monotonic() > deadline_s:
            raise WrongResultError(f"{what}: not within {PATIENCE_S} s")
        time.sleep(0.02)


BENCHMARK = Benchmark(
    question="How long is nothing committed after a kill, and a view stale after a reconnect?",
    run=run,
    add_arguments=add_arguments,
)
