"""What every test with real children needs: a diary, and supervisors that leave nobody behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from actors.demo.gateway import BundledGateway
from runtime.child_spec import ChildSpec
from runtime.supervisor import Supervisor
from tests.processes.service import AGENTS, Service
from tests.processes.toy_process import ToyRuntime


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    return tmp_path / "diary"


@pytest.fixture
def supervise() -> Iterator[Callable[..., Supervisor]]:
    """Starts supervisors and lets no child outlive the test."""
    started: list[Supervisor] = []

    def start(specs: Sequence[ChildSpec], **fields: Any) -> Supervisor:
        supervisor = Supervisor(specs, **fields)
        started.append(supervisor)
        supervisor.start()
        return supervisor

    yield start
    for supervisor in started:
        supervisor.close()


@pytest.fixture
def run(diary: Path) -> Iterator[Callable[..., ToyRuntime]]:
    """A runtime of toys as a process of its own, in which every child plays."""
    started: list[ToyRuntime] = []

    def start(**options: Any) -> ToyRuntime:
        started.append(runtime := ToyRuntime(diary, **options))
        runtime.await_play()
        return runtime

    yield start
    for runtime in started:
        runtime.end()


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """Not started yet; its gateway is up, and silent until it is given a load."""
    gateway = BundledGateway.start(tmp_path / "ledger", agents=AGENTS, seed=7, tls=False)
    service = Service(gateway, tmp_path)
    yield service
    service.close()
    gateway.close()
