"""File descriptors: how many shared memory takes for so many children, and what a start does of it.

The soft limit of a login is often 1,024; a start raises it as far as the machine lets it.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from actors.app.shared_memory import SharedMemory
from actors.settings.model import Settings

NOT_RAISED = pytest.mark.xfail(
    reason="trap 44: the limit is neither raised at the start nor named", raises=AssertionError
)

RAISED = 4_096
"""The least hard limit of the systems that we name, and so what the largest plan has to fit in."""


def settings(shards: int, receivers: int, dialect: str) -> Settings:
    given: dict[str, Any] = {
        "dialect": dialect,
        "base_url": "http://127.0.0.1:1",
        "client_id": "x",
        "client_secret": "yyyyyyyy",
        "shards": shards,
        "ring_bytes": 65_536,
    }
    if dialect == "cloud":
        given["receivers"] = receivers
        given["clients"] = [
            {"client_id": f"c{number}", "client_secret": "zzzzzzzz"} for number in range(receivers)
        ]
    return Settings(**given)


def open_now() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  a Path would open more


@pytest.mark.parametrize(
    ("shards", "receivers", "dialect"),
    [
        (2, 1, "wsp"),
        (16, 1, "wsp"),
        (64, 1, "wsp"),
        (16, 16, "cloud"),
        (64, 4, "cloud"),
        (64, 16, "cloud"),
    ],
)
def test_shared_memory_takes_fewer_descriptors_than_the_raised_limit(
    shards: int, receivers: int, dialect: str
) -> None:
    before = open_now()
    memory = SharedMemory.create(settings(shards, receivers, dialect))
    assert len(memory.rings) > shards
    assert 0 < open_now() - before < RAISED


def test_more_receivers_than_clients_can_be_given_are_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="clients"):
        settings(64, 64, "cloud")


CONFIG = """
base_url = "http://127.0.0.1:1"
client_id = "a"
client_secret = "bbbbbbbb"
data_dir = "data"
shards = 4
sender.enabled = false
web.listen = "off"
"""
SOFT = 48
DEADLINE_S = 30.0


def soft_limit_of(pid: int) -> int:
    """Of a process that lives; SOFT of one that is gone."""
    try:
        return resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]
    except ProcessLookupError:
        return SOFT


def wait_for_a_start(process: subprocess.Popen[bytes], log: Path) -> None:
    """Until the limit is raised, or it has said something of it, or it has ended."""
    deadline_s = time.monotonic() + DEADLINE_S
    while soft_limit_of(process.pid) == SOFT and process.poll() is None:
        if "open files" in log.read_text():
            return
        assert time.monotonic() < deadline_s, log.read_text()
        time.sleep(0.02)


@NOT_RAISED
def test_a_start_raises_the_limit_or_says_in_a_line_what_is_needed(tmp_path: Path) -> None:
    config, log = tmp_path / "presence.toml", tmp_path / "log"
    config.write_text(CONFIG)
    config.chmod(0o600)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with log.open("wb") as told:
        process = subprocess.Popen(
            [sys.executable, "-m", "runtime", "--config", str(config)],
            cwd=Path(__file__).parents[2],
            stdout=told,
            stderr=told,
            start_new_session=True,
            # As a login of this limit would start it: nothing runs between fork and exec but this.
            preexec_fn=partial(resource.setrlimit, resource.RLIMIT_NOFILE, (SOFT, hard)),  # noqa: PLW1509
        )
    is_raised = False
    try:
        wait_for_a_start(process, log)
        said = log.read_text()
        is_raised = soft_limit_of(process.pid) > SOFT
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(DEADLINE_S if is_raised else 1.0)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert is_raised or ("Traceback" not in said and str(SOFT) in said), said
