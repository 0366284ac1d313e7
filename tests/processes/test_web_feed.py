"""The web child beside shards under load: killed, stopped, and a shard killed before it could tell.

No shard waits for it, and it is current again by itself: what it serves is what the journals hold.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from actors.app.shared_memory import LINKS
from actors.demo.gateway import BundledGateway
from actors.shard.reader import read_states
from actors.web.address import connect_path
from actors.web.server import NICENESS
from runtime.counters import RUNNING
from runtime.crash_point import VARIABLE
from tests.processes.embedded import Embedded
from tests.processes.service import UnixConnection

RATE = 3_000
AGENTS = 200
KILLS = 2
ENDLESS_S = 600.0  # until it is stopped: on a slow machine five seconds are over before a kill
SMALL_RING_BYTES = 64 << 10
BEFORE_IT_IS_TOLD = "shard-0:after-commit:60"

Shown = dict[str, tuple[str, int, str | None, str | None, bool]]


class Watched(Embedded):
    """A runtime whose page is read."""

    def snapshot(self) -> dict[str, Any]:
        with (
            connect_path(self.runtime.data_dir.path) as path,
            closing(UnixConnection(path)) as connection,
        ):
            connection.request("GET", "/api/snapshot")
            told: dict[str, Any] = json.loads(connection.getresponse().read())
            return told

    def shown(self) -> Shown:
        told = self.snapshot()
        states, queues = told["states"], [queue for queue, _ in told["queues"]]
        return {
            user: (states[state], since, None if queue < 0 else queues[queue], presence, bool(old))
            for user, _, state, since, queue, presence, old, _ in told["agents"]
        }

    def journalled(self) -> Shown:
        return {
            each.user_id: (
                each.state,
                each.at_us // 1_000,
                each.queue,
                each.presence,
                each.stale_since_us is not None,
            )
            for each in read_states(self.runtime.data_dir.path)
        }

    def is_current(self, generation: int) -> bool:
        page = self.runtime.web
        return (
            page.get("generation") == generation
            and page.get("phase") == RUNNING
            and page.get("feed_agents") == AGENTS
            and page.get("feed_lagging") == 0
        )

    def settle(self) -> None:
        """All that was sent is committed, and shown as it is in the journals."""
        self.until(self.load_is_done)
        self.until(self.has_caught_up)
        self.until(lambda: self.runtime.web.get("feed_lagging") == 0)
        self.until(lambda: self.shown() == self.journalled())
        health = self.snapshot()["summary"]["health"]
        assert health["live"]
        assert not health["reasons"]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[BundledGateway]:
    gateway = BundledGateway.start(tmp_path / "ledger", agents=AGENTS, seed=7, tls=False)
    yield gateway
    gateway.close()


@pytest.fixture
def watched(gateway: BundledGateway, tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(gateway, tmp_path, tmp_path / "data")
    yield watched
    watched.close()


def test_a_web_child_killed_under_load_is_current_again(watched: Watched) -> None:
    watched.until(lambda: watched.is_current(1))
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, watched.pid("web")) == min(19, own + NICENESS)
    watched.gateway.start_load(RATE, ENDLESS_S)
    took = []
    for life in range(2, KILLS + 2):
        before = watched.shown()
        watched.until(lambda before=before: watched.shown() != before)  # type: ignore[misc]
        began_s = time.monotonic()
        watched.kill("web")
        watched.until(lambda life=life: watched.is_current(life))  # type: ignore[misc]
        took.append(round(time.monotonic() - began_s, 2))
    print(f"current again after {took} s")
    watched.gateway.stop_load()
    watched.settle()
    watched.drain_and_verify()


def test_a_web_child_that_stands_still_holds_nobody_up(
    gateway: BundledGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = [
        link._replace(capacity=SMALL_RING_BYTES) if link.name == "feeds" else link for link in LINKS
    ]
    monkeypatch.setattr("actors.app.shared_memory.LINKS", small)
    watched = Watched(gateway, tmp_path, tmp_path / "data", beat_timeout_s=60.0)
    try:
        watched.until(lambda: watched.is_current(1))
        losses = sum(page.get("feed_losses") for page in watched.runtime.shards)
        web = watched.pid("web")
        os.kill(web, signal.SIGSTOP)
        try:
            gateway.start_load(RATE, 3.0)
            watched.until(watched.load_is_done)
            watched.until(watched.has_caught_up)
            dropped = sum(page.get("feed_losses") for page in watched.runtime.shards) - losses
            assert dropped == len(watched.runtime.shards), "each ring was full once, and no more"
        finally:
            os.kill(web, signal.SIGCONT)
        watched.settle()
        watched.drain_and_verify()
    finally:
        watched.close()


def test_what_a_killed_shard_had_committed_and_not_told_is_shown(
    gateway: BundledGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, BEFORE_IT_IS_TOLD)
    watched = Watched(gateway, tmp_path, tmp_path / "data")
    try:
        watched.until(lambda: watched.is_current(1))
        gateway.start_load(RATE, 2.0)
        watched.until(lambda: watched.supervisor.restarts["shard-0"] == 1)
        watched.settle()
        watched.drain_and_verify()
    finally:
        watched.close()
