"""Toys: children so small that only their life and death is left. Entries for real processes."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from runtime.block import Block
from runtime.child import Child
from runtime.child_spec import ChildSpec
from runtime.counters import DRAINING, LOADED, RUNNING, Counters
from runtime.crash_point import crash_point
from runtime.errors import ConfigurationError, LocalError, TemporaryError

BEAT_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Toy:
    """How a toy plays. It notes its life in a diary that all toys of a test share."""

    diary: Path
    blocks: tuple[Block, ...] = ()
    secret: str = ""
    ballast: bytes = b""
    drain_s: float = 0.0
    burn_s: float = 0.0
    ends: dict[int, str] = field(default_factory=dict)  # generation: how it ends


def toy_spec(name: str, toy: Toy, *, entry: str = "play", **fields: Any) -> ChildSpec:
    values: dict[str, Any] = {
        "name": name,
        "title": f"toy: {name}",
        "entry": f"tests.processes.toys:{entry}",
        "arguments": toy,
        "counters": Counters.create(name),
        "setup": "tests.processes.toys:log_to_stdout",
        "setup_arguments": toy.diary,
        "temporary_delay_s": 0.1,
    }
    return ChildSpec(**(values | fields))


def log_to_stdout(name: str, diary: Path) -> None:
    structlog.configure(processors=[structlog.processors.JSONRenderer()])
    write(diary, f"{name} set up")


def write(diary: Path, line: str) -> None:
    fd = os.open(diary, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{line}\n".encode())  # one write: lines of several processes do not mix
    os.close(fd)


def play(child: Child, toy: Toy) -> None:
    """Load, beat until told, drain; or end as this generation is meant to."""
    # Not an Event: a signal may come while this very thread holds its lock.
    told: list[bool] = []
    child.on_stop(lambda: told.append(True))
    child.on_reload(lambda: write(toy.diary, f"{child.name} reloads"))
    write(toy.diary, f"{child.name} plays {child.generation} after {child.predecessor}")
    child.set_phase(LOADED)
    end(toy.ends.get(child.generation, toy.ends.get(0, "")))
    burn(toy.burn_s)
    child.set_phase(RUNNING)
    while not told:
        time.sleep(BEAT_S)
        child.beat()
        crash_point("after-beat")
    child.set_phase(DRAINING)
    write(toy.diary, f"{child.name} told")
    time.sleep(toy.drain_s)
    write(toy.diary, f"{child.name} drained secret={len(toy.secret)} ballast={len(toy.ballast)}")


def end(how: str) -> None:
    match how:
        case "":
            return
        case "return":
            sys.exit("not the way an entry ends")
        case "raise":
            raise ValueError("this toy is broken")
        case "fault":
            raise LocalError("the toy box is full")
        case "configuration":
            raise ConfigurationError("no batteries")
        case "temporary":
            raise TemporaryError("asleep")
        case "silence":
            time.sleep(3600)
        case _:
            raise AssertionError(how)


def burn(seconds: float) -> None:
    end_s = time.process_time() + seconds
    while time.process_time() < end_s:
        pass


def load_slowly(child: Child, toy: Toy) -> None:
    """Beats while it loads, longer than its start timeout."""
    for _ in range(50):
        child.beat()
        time.sleep(BEAT_S)
    play(child, toy)


def leave_at_once(child: Child, toy: Toy) -> None:
    write(toy.diary, f"{child.name} leaves {child.generation}")


def be_stubborn(child: Child, toy: Toy) -> None:
    """Hears the wish to stop, and plays on."""
    child.on_stop(lambda: write(toy.diary, f"{child.name} told"))
    write(toy.diary, f"{child.name} plays {child.generation} after {child.predecessor}")
    child.set_phase(RUNNING)
    while True:
        time.sleep(BEAT_S)
        child.beat()


def fail_beside_a_thread(child: Child, toy: Toy) -> None:
    """A thread beats on after the entry has failed: nobody may wait for it."""

    def beat_for_ever() -> None:
        while True:
            child.beat()
            time.sleep(BEAT_S)

    threading.Thread(target=beat_for_ever).start()
    end(toy.ends.get(child.generation, ""))
    play(child, toy)


def look_around(child: Child, toy: Toy) -> None:
    """Notes what this process was born with."""
    fds = {}
    for number in os.listdir("/proc/self/fd"):  # noqa: PTH208 - closed before they are looked at
        link = Path("/proc/self/fd", number)
        if link.is_symlink():
            fds[number] = str(link.readlink())
    write(toy.diary, f"fds {json.dumps(fds)}")
    write(toy.diary, f"session {os.getsid(0) == os.getpid()}")
    write(toy.diary, f"sigint ignored {signal.getsignal(signal.SIGINT) is signal.SIG_IGN}")
    write(toy.diary, f"blocked {sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))}")
    play(child, toy)
