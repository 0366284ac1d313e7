"""Idle: what the runtime costs while nothing happens; connected to a gateway that is silent."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from pydantic import SecretStr

from actors.app.topology import Runtime
from actors.demo.gateway import BundledGateway
from actors.settings.model import Settings
from actors.settings.web import WebSettings
from benchmarks.harness import Answer, Benchmark, Options, Target, WrongResultError, take_turns
from runtime.log import LogArguments, setup
from runtime.supervisor import Supervisor

AGENTS = 5_000
READY_TIMEOUT_S = 60.0
STEP_S = 0.5
UNIT = "% of a core"


def run(options: Options) -> Answer:
    figures = take_turns({"all processes": partial(_idle, options)}, options)
    answer = Answer(figures=figures)
    reached = answer.median("all processes", UNIT)
    bound = Target(what="idle runtime", reached=reached, bound=1.0, sense="at most")
    return Answer(figures=figures, targets=(bound,))


def _idle(options: Options, seconds: float) -> Mapping[str, float]:
    with tempfile.TemporaryDirectory(prefix="presence-bench-") as folder:
        ledger, data_dir = Path(folder) / "ledger", Path(folder) / "data"
        gateway = BundledGateway.start(ledger, agents=AGENTS, seed=options.seed, tls=False)
        try:
            settings = Settings(
                base_url=gateway.base_url,
                client_id=gateway.client_id,
                client_secret=SecretStr(gateway.client_secret),
                data_dir=data_dir,
                web=WebSettings(listen="127.0.0.1:0"),
            )
            log = LogArguments(format="json", level="error", path=str(Path(folder) / "log"))
            setup(log, process="supervisor")
            runtime = Runtime.assemble(settings, log)
            try:
                with Supervisor(runtime.specs, environment=runtime.environment) as supervisor:
                    return _measured(supervisor, runtime, seconds)
            finally:
                runtime.data_dir.lock.release()
        finally:
            gateway.close()


def _measured(supervisor: Supervisor, runtime: Runtime, seconds: float) -> Mapping[str, float]:
    supervisor.start()
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    while sum(page.get("agents") for page in runtime.shards) < AGENTS:
        supervisor.step(0.1)
        if time.monotonic() > deadline_s:
            raise WrongResultError(f"not ready within {READY_TIMEOUT_S} s")
    _step_for(supervisor, 3.0)  # the last commit is told, pages are written
    before_ns, before_s = _cpu_ns(runtime), time.monotonic()
    _step_for(supervisor, max(seconds, 5.0))
    used_ns = _cpu_ns(runtime) - before_ns
    return {UNIT: used_ns / 1e7 / (time.monotonic() - before_s)}


def _step_for(supervisor: Supervisor, seconds: float) -> None:
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        supervisor.step(STEP_S)


def _cpu_ns(runtime: Runtime) -> int:
    """The supervisor is this process."""
    return time.process_time_ns() + sum(spec.counters.get("cpu_ns") for spec in runtime.specs)


BENCHMARK = Benchmark(question="What does the runtime cost while nothing happens?", run=run)
