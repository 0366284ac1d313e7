"""Lives: a runtime that is started as an operator starts it, and dies whole, again and again.

Supervisor and children end together, by SIGKILL in whatever they do, or by SIGTERM as a service
manager ends them; or they stand still for seconds, as a machine that swaps or is moved makes them.
What a successor knows is what stood in files. Each life may have another number of shards, and in
some a sink is not configured, so that it has to make up for it from journals of earlier counts.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import httpx
from pydantic import SecretStr

from actors.app.topology import children_environment
from actors.demo.kills import spread
from actors.settings.model import Settings
from actors.shard import reader
from actors.web.address import connect_path
from runtime.clock import Clock, SystemClock
from runtime.errors import EXIT_CLEAN, LocalError, RuntimeFault

Ending: TypeAlias = Literal["kill", "stop", "freeze"]

ENDINGS: Final[Mapping[Ending, int]] = {"kill": 6, "stop": 2, "freeze": 2}
"""Of ten."""
SHARDS: Final = (1, 2, 3, 4)
RESHARDED_SHARE: Final = 0.3
SINKLESS_SHARE: Final = 0.3
FROZEN_S: Final = (0.5, 8.0)
STOP_TIMEOUT_S: Final = 60.0
READY_TIMEOUT_S: Final = 240.0
LOOK_EVERY_S: Final = 0.1
_ROOT: Final = Path(__file__).parents[2]


class LivesPlan:
    """What is drawn for one life after the other. Pure."""

    def __init__(self, every_s: float, seed: int, shards: int) -> None:
        self._every_s = every_s
        self._rng = random.Random(f"lives {seed}")  # noqa: S311 - a plan, no secret
        self._shards = shards

    def lasts_s(self) -> float:
        return self._rng.expovariate(1 / self._every_s)

    def ending(self) -> Ending:
        return self._rng.choices(list(ENDINGS), list(ENDINGS.values()))[0]

    def frozen_s(self) -> float:
        return self._rng.uniform(*FROZEN_S)

    def shards(self) -> int:
        """Of the next life."""
        if self._rng.random() < RESHARDED_SHARE:
            self._shards = self._rng.choice(SHARDS)
        return self._shards

    def has_sinks(self) -> bool:
        return self._rng.random() >= SINKLESS_SHARE


@dataclass(slots=True)
class LivesReport:
    """What became of them."""

    endings: Counter[str] = field(default_factory=Counter)
    shards: list[int] = field(default_factory=list)
    ready_s: list[float | None] = field(default_factory=list)
    """From a start until it was ready; None: it ended before."""
    problems: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {
            "lives": len(self.shards),
            "endings": dict(sorted(self.endings.items())),
            "shard_counts": dict(sorted(Counter(map(str, self.shards)).items())),
            "ready_s": spread(self.ready_s),
        }


class RuntimeProcess:
    """One run of the command, with all of its processes."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._data_dir = settings.data_dir
        config = folder / "life.toml"
        config.touch(mode=0o600)
        config.write_text("".join(toml_lines(settings)))
        with (folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
                [
                    *(sys.executable, "-P", "-m", "runtime", "--config", str(config)),
                    *("--log-format", "json", "--log-level", "warning"),
                ],
                cwd=folder,
                env={**children_environment(os.environ), "PYTHONPATH": str(_ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    def is_ready(self) -> bool:
        """As a service manager asks it."""
        try:
            with (
                connect_path(self._data_dir) as path,
                httpx.Client(transport=httpx.HTTPTransport(uds=path), timeout=1.0) as client,
            ):
                return client.get("http://localhost/readyz").is_success
        except (OSError, httpx.HTTPError):
            return False

    def signal_all(self, *numbers: int) -> None:
        """To every process of it. The supervisor stands still first: a child that it has not reaped
        keeps its number, and nobody starts a new one."""
        if self._process.poll() is not None:
            return
        supervisor = self._process.pid
        os.kill(supervisor, signal.SIGSTOP)
        for number in numbers:
            for pid in (*_children(supervisor), supervisor):
                os.kill(pid, number)

    def kill(self) -> None:
        """Nothing if it has ended."""
        self.signal_all(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """As a service manager does. Raises LocalError if it takes too long."""
        self._process.terminate()
        try:
            return self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise LocalError(f"a life did not stop within {STOP_TIMEOUT_S:g} s") from None


class Lives:
    """One after the other, until `is_over`. `tell`: of each, one line."""

    def __init__(
        self,
        plan: LivesPlan,
        settings: Settings,
        folder: Path,
        *,
        clock: Clock | None = None,
        is_interrupted: Callable[[], bool],
        tell: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._settings = settings
        self._folder = folder
        self._clock = clock or SystemClock()
        self._is_interrupted = is_interrupted
        self._tell = tell
        self._life: RuntimeProcess | None = None
        self._started_s = 0.0
        self._ready_s: float | None = None
        self.report = LivesReport()

    def begin(self, agents_min: int) -> None:
        """The first one, until it is ready and knows so many agents. Raises LocalError."""
        self._start()
        while self._ready_s is None or self._known() < agents_min:
            self._look()
            if self._is_interrupted():
                return
            if self._clock.now_s() > self._started_s + READY_TIMEOUT_S:
                raise LocalError(f"the first life was not ready within {READY_TIMEOUT_S:g} s")

    def go_on(self, is_over: Callable[[], bool]) -> None:
        """Until it is over; the last one is killed."""
        while not (is_over() or self._is_interrupted()):
            ends_s = self._clock.now_s() + self._plan.lasts_s()
            while self._clock.now_s() < ends_s and not (is_over() or self._is_interrupted()):
                self._look()
            self._end(self._plan.ending())
            if self._life is None:
                self._start()
        self.close()

    def close(self) -> None:
        if self._life is not None:
            self._end("kill")

    def _start(self) -> None:
        shards = self._plan.shards()
        sinks = self._settings.sinks if self._plan.has_sinks() or not self.report.shards else ()
        settings = self._settings.model_copy(update={"shards": shards, "sinks": sinks})
        self._life = RuntimeProcess(settings, self._folder)
        self._started_s, self._ready_s = self._clock.now_s(), None
        self.report.shards.append(shards)

    def _look(self) -> None:
        assert self._life is not None
        if (code := self._life.exit_code) is not None:
            self.report.problems.append(f"a life has exited by itself, with code {code}")
            self._ended()
            self._start()
        if self._ready_s is None and self._life.is_ready():
            self._ready_s = self._clock.now_s() - self._started_s
        time.sleep(LOOK_EVERY_S)

    def _end(self, ending: Ending) -> None:
        assert self._life is not None
        self.report.endings[ending] += 1
        self._tell(f"life {len(self.report.shards)} ({self.report.shards[-1]} shards): {ending}")
        match ending:
            case "freeze":
                self._life.signal_all(signal.SIGSTOP)
                time.sleep(self._plan.frozen_s())
                self._life.signal_all(signal.SIGCONT)
                return  # it lives on
            case "stop":
                if (code := self._life.stop()) != EXIT_CLEAN:
                    self.report.problems.append(f"a life that was stopped exited with code {code}")
            case "kill":
                self._life.kill()
        self._ended()

    def _ended(self) -> None:
        self.report.ready_s.append(self._ready_s)
        self._life = None

    def _known(self) -> int:
        try:
            return sum(shard.agents for shard in reader.summary(self._settings.data_dir))
        except RuntimeFault:  # there is nothing to read yet, or just now
            return 0


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def toml_lines(settings: Settings) -> Iterator[str]:
    """A settings file that says the same, secrets included."""
    given = settings.model_dump(exclude_unset=True)
    tables = {key: value for key, value in given.items() if _is_tables(value)}
    for key, value in given.items():
        if key not in tables:
            yield from _assigned(key, value)
    for name, rows in tables.items():
        for row in rows:
            yield f"[[{name}]]\n"
            for key, value in row.items():
                yield from _assigned(key, value)


def _is_tables(value: object) -> bool:
    return isinstance(value, (tuple, list)) and bool(value) and isinstance(value[0], dict)


def _assigned(key: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, each in value.items():
            yield from _assigned(f"{key}.{name}", each)
    elif value is not None:
        yield f"{key} = {json.dumps(value, default=_plain)}\n"  # is TOML, for these values


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
