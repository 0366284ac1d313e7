"""What a start of the service says when the gateway lets it read, but not change presences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from actors.demo.gateway import BundledGateway
from runtime.errors import EXIT_CONFIGURATION
from tests.processes.service import AGENTS, Service, ended, eventually

READ_ONLY = "notifications:read notifications:subscribe"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    gateway = BundledGateway.start(
        tmp_path / "ledger", agents=AGENTS, seed=7, tls=False, scopes=READ_ONLY
    )
    service = Service(gateway, tmp_path)
    yield service
    service.close()
    gateway.close()


def test_a_client_that_may_only_read_is_told_of_the_scopes_and_how_to_do_without(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ended(service.start()) == EXIT_CONFIGURATION
    (told,) = (line for line in service.lines() if line["event"] == "child.failed")
    assert told["child"] == "sender"
    assert "the client lacks the scope presence:write, user:read" in told["error"]
    assert "or set sender.enabled = false" in told["error"]
    last = service.lines()[-1]
    assert (last["event"], last["cause"]) == ("runtime.failed", told["error"])

    monkeypatch.setenv("PRESENCE_SENDER__ENABLED", "false")
    process = service.start()
    eventually(service.has_caught_up, "the history")
    refused = service.command("send", "anybody", "busy")
    assert refused.returncode == 1
    assert "sender.enabled is false" in refused.stderr
    service.drain_and_verify(process)
