"""The runtime under load while its children are killed: nothing is lost, nothing happens twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.demo.gateway import BundledGateway
from tests.processes.embedded import Embedded
from tests.processes.service import Service, eventually

RATE = 3_000
LOAD_S = 4.0
KILLS_A_S = 2.0


def under_load(service: Service) -> subprocess.Popen[bytes]:
    process = service.start()
    eventually(service.has_caught_up, "the history")
    service.gateway.start_load(RATE, LOAD_S)
    return process


def settle(service: Service, process: subprocess.Popen[bytes]) -> dict[str, int]:
    """Load over, marks reached, drained and verified; how often each child was started."""
    eventually(lambda: service.gateway.status()["load"] == "done", "the end of the load")
    eventually(service.has_caught_up, "the marks")
    findings = service.drain_and_verify(process)
    assert findings["rows"] >= RATE * LOAD_S * 0.9
    starts: dict[str, int] = {}
    for line in service.lines():
        if line["event"] == "child.started":
            starts[line["child"]] = starts.get(line["child"], 0) + 1
    return starts


def moments(seed: int) -> Iterator[None]:
    """Comes back at random moments, a mean time apart, until the load is nearly over: a child that
    is killed when all is done would still be missing when the drain begins."""
    rng = random.Random(seed)
    end_s = time.monotonic() + LOAD_S - 1.0
    while True:
        time.sleep(rng.expovariate(KILLS_A_S))  # the moment of a kill is what is drawn
        if time.monotonic() >= end_s:
            return
        yield


def kill(service: Service, name: str) -> bool:
    try:
        os.kill(service.children()[name], signal.SIGKILL)
    except ProcessLookupError:  # its successor is on its way
        return False
    return True


@pytest.mark.parametrize("role", ["shard", "receiver"])
def test_children_killed_at_random_moments_lose_and_repeat_nothing(
    service: Service, role: str
) -> None:
    process = under_load(service)
    rng = random.Random(role)
    names = [name for name in service.children() if name.startswith(role)]
    kills = sum(kill(service, rng.choice(names)) for _ in moments(seed=len(role)))
    starts = settle(service, process)
    assert kills > 0
    assert sum(starts[name] for name in names) == len(names) + kills


def test_a_shard_that_skips_what_stands_in_its_ring_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same load, kill and judge as for a healthy one: they would notice."""
    monkeypatch.setenv("PRESENCE_CRASH_AT", "shard-0:after-merge:15")
    gateway = BundledGateway.start(tmp_path / "ledger", agents=100, seed=7, tls=False)
    careless = "tests.processes.careless_shard:run"
    embedded = Embedded(gateway, tmp_path, tmp_path / "data", shard_entry=careless)
    try:
        embedded.until(embedded.has_caught_up)
        gateway.start_load(RATE, LOAD_S / 2)
        embedded.until(embedded.load_is_done)
        embedded.until(embedded.has_caught_up)
        assert embedded.supervisor.restarts["shard-0"] == 1
        findings, is_content = embedded.drain_and_judge()
    finally:
        embedded.close()
    assert not is_content
    assert findings["lost"] > 0


def test_a_child_that_hangs_is_replaced_and_goes_on_where_it_stood(tmp_path: Path) -> None:
    gateway = BundledGateway.start(tmp_path / "ledger", agents=100, seed=7, tls=False)
    embedded = Embedded(gateway, tmp_path, tmp_path / "data", beat_timeout_s=3.0)
    try:
        embedded.until(embedded.has_caught_up)
        gateway.start_load(RATE, LOAD_S)
        embedded.until(lambda: gateway.status()["generated"] > RATE / 2)
        for name in ("shard-1", "receiver-0"):
            os.kill(embedded.pid(name), signal.SIGSTOP)
            embedded.until(lambda name=name: embedded.supervisor.restarts[name] >= 1)  # type: ignore[misc]
        embedded.until(embedded.load_is_done)
        embedded.until(embedded.has_caught_up)
        embedded.drain_and_verify()
    finally:
        embedded.close()
