"""SIGHUP to the service: a rotated secret, another log level, and what is wrong in a file."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.processes.service import Service, eventually, is_alive

ROTATED = "rotated-secret"


class Files:
    """What an operator edits while the service runs."""

    def __init__(self, folder: Path) -> None:
        self.secret = folder / "secret"
        self.config = folder / "presence-runtime.toml"

    def write(self, *, secret: str, level: str = "info", more: str = "") -> None:
        self.secret.write_text(secret)
        self.config.write_text(f'{more}\n[log]\nlevel = "{level}"\n')


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_files_are_read_again_at_a_hangup_and_what_is_wrong_changes_nothing(
    service: Service, files: Files
) -> None:
    files.write(secret=service.gateway.client_secret)
    process = service.start(
        "--config", str(files.config), PRESENCE_CLIENT_SECRET_FILE=str(files.secret)
    )
    eventually(service.has_caught_up, "the history")
    children = service.children()

    def lines(event: str) -> list[dict[str, Any]]:
        return [line for line in service.lines() if line["event"] == event]

    def refreshed() -> set[str]:
        return {line["process"] for line in lines("token.refreshed")}

    # Rotated at the gateway and in the file: used at once, by all who have a token.
    tokens = service.gateway.status()["tokens"]
    service.gateway.rotate(ROTATED)
    files.write(secret=ROTATED, level="debug", more="shards = 3")
    process.send_signal(signal.SIGHUP)
    eventually(lambda: refreshed() == {"receiver-0", "sender"}, "tokens for the new secret")
    assert service.gateway.status()["tokens"] == tokens + 2
    (done,) = lines("reload.done")
    assert done["log_level"] == "debug"
    assert lines("reload.incomplete")[0]["settings"] == ["shards"]

    # A file that says nothing: an error line, and all goes on with what it had.
    files.secret.write_text("")
    process.send_signal(signal.SIGHUP)
    eventually(lambda: lines("reload.refused"), "the refusal")
    (refused,) = lines("reload.refused")
    assert refused["level"] == "error"
    assert str(files.secret) in refused["error"]
    assert service.gateway.status()["tokens"] == tokens + 2

    assert children == service.children()
    assert all(map(is_alive, children.values()))
    assert ROTATED not in service.log.read_text()
