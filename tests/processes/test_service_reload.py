"""SIGHUP to the service: a rotated secret, another log level, and what is wrong in a file."""

from __future__ import annotations

import signal
import socket
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.processes.service import PATIENCE_S, Service, ended, eventually, is_alive

ROTATED = "rotated-secret"


def _says(log: Path, words: str) -> bool:
    return words in log.read_text()


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
    eventually(lambda: service.gateway.status()["tokens"] == 2, "a token for receiver and sender")
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

    # The stacks of all, and nobody minds.
    process.send_signal(signal.SIGUSR1)
    for file in ("supervisor", "web/server", "sender/actor", "shard/process", "receiver/loop"):
        eventually(partial(_says, service.log, f'{file}.py", line '), f"a stack in {file}")
    assert children == service.children()


def test_a_service_manager_hears_of_the_service_and_of_none_of_its_children(
    service: Service, tmp_path: Path
) -> None:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE_S)
        process = service.start(NOTIFY_SOCKET=str(tmp_path / "notify"))
        told = ""
        while "READY=1" not in told:
            told = manager.recv(4096).decode()
        assert told.splitlines()[1].startswith("STATUS=all 5 processes are up")
        phases = service.ask("status", "--json")["processes"]
        assert {each["phase"] for each in phases} <= {"loaded", "running"}
        for pid in service.children().values():
            assert b"NOTIFY_SOCKET" not in Path(f"/proc/{pid}/environ").read_bytes()
        process.send_signal(signal.SIGTERM)
        while "STOPPING=1" not in told:
            told = manager.recv(4096).decode()
        assert ended(process) == 0
