"""Facts about processes, and how to wait for one: never a sleep that hopes to be long enough."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from pathlib import Path

from runtime.child_spec import ChildSpec
from runtime.counters import RUNNING
from runtime.supervisor import Supervisor

PATIENCE_S = 20.0  # of a loaded machine; no test passes because of it


def drive(supervisor: Supervisor, fact: Callable[[], object], within_s: float = PATIENCE_S) -> None:
    """Step until the fact is there."""
    deadline_s = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < deadline_s, f"waited {within_s} s in vain"
        assert not supervisor.finished, f"finished: {supervisor.reason}"
        supervisor.step(0.02)


def drive_to_end(supervisor: Supervisor, within_s: float = PATIENCE_S) -> int:
    deadline_s = time.monotonic() + within_s
    while not supervisor.finished:
        assert time.monotonic() < deadline_s, f"not finished after {within_s} s"
        supervisor.step(0.02)
    return supervisor.exit_code


def plays(spec: ChildSpec, generation: int = 1) -> Callable[[], bool]:
    """The fact that this generation of a child has come to play."""
    counters = spec.counters

    def fact() -> bool:
        return counters.get("generation") == generation and counters.get("phase") == RUNNING

    return fact


def pid_of(supervisor: Supervisor, name: str) -> int:
    pid = supervisor.pids[name]
    assert pid is not None, f"{name} does not run"
    return pid


def eventually(fact: Callable[[], object], within_s: float = PATIENCE_S) -> None:
    deadline_s = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < deadline_s, f"waited {within_s} s in vain"
        time.sleep(0.005)


def is_gone(pid: int) -> bool:
    """Not even a zombie is left."""
    return not Path(f"/proc/{pid}").exists()


def is_dead(pid: int) -> bool:
    """Gone, or a zombie that its new parent (init) has not reaped yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def title(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()


def open_fds() -> int:
    gc.collect()  # what earlier tests left in cycles is not ours to count
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - one descriptor is listdir's own


def diary_lines(diary: Path) -> list[str]:
    return diary.read_text().splitlines() if diary.exists() else []
