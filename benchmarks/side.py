"""Side: a whole runtime with a gateway of its own, under load for a turn; two of them make pairs.

Both are up at once and take turns under the same load, so that the two of a pair are seconds apart,
and a slow minute of the machine hits both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import SecretStr

from actors.app.topology import Runtime
from actors.demo.gateway import BundledGateway, verify
from actors.settings.model import Settings
from actors.settings.sender import SenderSettings, WebhookSettings
from actors.settings.web import WebSettings
from benchmarks.harness import WrongResultError
from runtime.counters import Counters
from runtime.errors import EXIT_CLEAN
from runtime.log import LogArguments
from runtime.supervisor import Supervisor

READY_TIMEOUT_S: Final = 60.0
STEP_S: Final = 0.02
QUIET_S: Final = 1.5
"""Between two turns: the rate's window is empty again, and pages are written."""


class Use(NamedTuple):
    """CPU per event of a turn, by role."""

    receiver_us: float
    shard_us: float
    web_us: float


class Side:
    """A runtime and its gateway."""

    def __init__(
        self, folder: Path, gateway: BundledGateway, runtime: Runtime, supervisor: Supervisor
    ) -> None:
        self._folder = folder
        self.gateway = gateway
        self._runtime = runtime
        self.supervisor = supervisor

    @property
    def data_dir(self) -> Path:
        return self._runtime.data_dir.path

    @property
    def web(self) -> Counters:
        return self._runtime.web

    def is_ready(self, agents: int) -> bool:
        pages = self._runtime.shards
        return sum(page.get("agents") for page in pages) >= agents and self._is_at(
            self.gateway.status()["newest_sequence"]
        )

    def _is_at(self, newest: int) -> bool:
        return all(
            page.get("mark_sequence") == newest and not page.get("stale_since_us")
            for page in self._runtime.shards
        )

    def under_load(
        self,
        sides: Sequence[Side],
        rate: float,
        seconds: float,
        meanwhile: AbstractContextManager[Any],
    ) -> Use:
        """One turn: what an event of it cost."""
        self._beat(sides)
        before, received = self._cpu_ns(), self._received()
        with meanwhile:
            self.gateway.start_load(rate, seconds)
            rest(sides, seconds, "the load")
            wait(sides, lambda: self.gateway.status()["load"] == "done", "the end of the load")
        newest = self.gateway.status()["newest_sequence"]
        wait(sides, lambda: self._is_at(newest), "the last event")
        self._beat(sides)
        events = self._received() - received
        used = {role: ns - before[role] for role, ns in self._cpu_ns().items()}
        return Use(*(used[role] / 1e3 / events for role in ("receiver", "shard", "web")))

    def _beat(self, sides: Sequence[Side]) -> None:
        """Until every child has written down the CPU that it has used by now."""
        asked_ns = time.monotonic_ns()
        pages = [spec.counters for spec in self._runtime.specs]
        wait(sides, lambda: all(page.get("beat_ns") > asked_ns for page in pages), "a beat")

    def _received(self) -> int:
        return sum(page.get("received") for page in self._runtime.shards)

    def _cpu_ns(self) -> dict[str, int]:
        used: dict[str, int] = {}
        for spec in self._runtime.specs:
            used[spec.role] = used.get(spec.role, 0) + spec.counters.get("cpu_ns")
        return used

    def verify(self) -> None:
        """Drained, and held against the ledger of its gateway: no figure of a run that lost any."""
        self.supervisor.request_stop("measured")
        while not self.supervisor.finished:
            self.supervisor.step(STEP_S)
        if self.supervisor.exit_code != EXIT_CLEAN or any(self.supervisor.restarts.values()):
            raise WrongResultError(f"the runtime has ended: {self.supervisor.reason}")
        self.gateway.stop()
        findings, is_content = verify(
            self._folder / "ledger",
            self.data_dir,
            "full",
            self._folder / "findings.json",
            to_newest=True,
        )
        if not is_content:
            raise WrongResultError(f"the gateway finds {findings}")


@contextmanager
def attached(
    folder: Path, agents: int, seed: int, sender: SenderSettings | None = None
) -> Iterator[Side]:
    """`sender`: what it says, beside the gateway's webhook; None: none runs."""
    folder.mkdir()
    with ExitStack() as stack:
        gateway = BundledGateway.start(folder / "ledger", agents=agents, seed=seed, tls=False)
        stack.callback(gateway.close)
        chosen = SenderSettings()
        if sender is not None:
            secret = SecretStr(gateway.webhook_secret)
            webhook = WebhookSettings(url=gateway.webhook_url, secret=secret)
            chosen = sender.model_copy(update={"enabled": True, "webhook": webhook})
        settings = Settings(
            base_url=gateway.base_url,
            client_id=gateway.client_id,
            client_secret=SecretStr(gateway.client_secret),
            data_dir=folder / "data",
            web=WebSettings(listen="127.0.0.1:0", requests_per_s=0),
            sender=chosen,
        )
        runtime = Runtime.assemble(settings, log_of(folder))
        stack.callback(runtime.data_dir.lock.release)
        supervisor = stack.enter_context(Supervisor(runtime.specs, environment=runtime.environment))
        supervisor.start()
        yield Side(folder, gateway, runtime, supervisor)


def log_of(folder: Path) -> LogArguments:
    return LogArguments(format="json", level="error", path=str(folder / "log"))


def in_pairs(sides: Sequence[Side], pairs: int, turn: Callable[[int, int], Use]) -> list[list[Use]]:
    """`turn`: of that side, in that pair. Who begins changes from pair to pair."""
    found = []
    for number in range(pairs):
        uses: dict[int, Use] = {}
        for place in (0, 1) if number % 2 else (1, 0):
            uses[place] = turn(place, number)
            rest(sides, QUIET_S, "quiet")
        found.append([uses[0], uses[1]])
    return found


def rest(sides: Sequence[Side], seconds: float, what: str) -> None:
    end_s = time.monotonic() + seconds
    wait(sides, lambda: time.monotonic() > end_s, what, seconds + READY_TIMEOUT_S)


def wait(
    sides: Sequence[Side],
    fact: Callable[[], bool],
    what: str,
    within_s: float = READY_TIMEOUT_S,
) -> None:
    """Until the fact is there; both supervisors are at work meanwhile."""
    deadline_s = time.monotonic() + within_s
    while not fact():
        for side in sides:
            if side.supervisor.finished:
                raise WrongResultError(f"a runtime has ended: {side.supervisor.reason}")
            side.supervisor.step(STEP_S)
        if time.monotonic() > deadline_s:
            raise WrongResultError(f"not within {within_s} s: {what}")
