"""What first mistakes are made with: somebody new, and gateways of both dialects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.demo.gateway import BundledGateway
from tests.first_hour.newcomer import Newcomer


@pytest.fixture
def newcomer(tmp_path: Path) -> Newcomer:
    return Newcomer(tmp_path)


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BundledGateway]:
    ledger = tmp_path_factory.mktemp("gateway") / "ledger"
    running = BundledGateway.start(ledger, agents=10, seed=1, tls=False)
    yield running
    running.close()


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BundledGateway]:
    ledger = tmp_path_factory.mktemp("cloud") / "ledger"
    running = BundledGateway.start(ledger, agents=10, seed=1, tls=False, dialect="cloud")
    yield running
    running.close()
