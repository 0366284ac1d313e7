"""The service as an operator meets it, against the bundled gateway: started, watched, killed."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from actors.demo.gateway import BundledGateway, verify
from actors.sender.commands import Command
from actors.sender.reader import read_commands
from actors.shard import reader
from actors.web.address import connect_path
from runtime.errors import RuntimeFault

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
AGENTS = 100


def eventually(fact: Callable[[], object], what: str) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not fact():
        assert time.monotonic() < deadline_s, f"not within {PATIENCE_S} s: {what}"
        time.sleep(0.02)


class Service:
    """`python -m runtime` against a gateway."""

    def __init__(self, gateway: BundledGateway, folder: Path) -> None:
        self.gateway = gateway
        self.ledger = folder / "ledger"
        self.data_dir = folder / "data"
        self.log = folder / "log"
        self._processes: list[subprocess.Popen[bytes]] = []
        self._told_before = 0  # bytes of the log, at the latest start

    def start(
        self, *flags: str, secret: str | None = None, **variables: str
    ) -> subprocess.Popen[bytes]:
        given = {
            **{key: value for key, value in os.environ.items() if "PROXY" not in key.upper()},
            "GENESYSCLOUD_OAUTHCLIENT_ID": self.gateway.client_id,
            "GENESYSCLOUD_OAUTHCLIENT_SECRET": secret or self.gateway.client_secret,
            "PRESENCE_BASE_URL": self.gateway.base_url,
            "PRESENCE_DATA_DIR": str(self.data_dir),
            "PRESENCE_NAME": "test",
            "PRESENCE_WEB__LISTEN": "127.0.0.1:0",
            **variables,
        }
        with self.log.open("ab") as log:
            self._told_before = log.tell()
            process = subprocess.Popen(
                [sys.executable, "-m", "runtime", "--log-format", "json", *flags],
                cwd=ROOT,
                env=given,
                stderr=log,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def drain_and_verify(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        """Stops it as an operator would; what the gateway's own program then finds in its journals
        must be nothing."""
        process.send_signal(signal.SIGTERM)
        assert ended(process) == 0
        self.gateway.stop()
        findings, is_content = verify(
            self.ledger, self.data_dir, "full", self.data_dir.parent / "findings.json"
        )
        assert is_content, findings
        return findings

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line[:1] == "{"]

    def children(self) -> dict[str, int]:
        """The latest process of each child."""
        return {
            line["child"]: line["pid"] for line in self.lines() if line["event"] == "child.started"
        }

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "runtime", *arguments, "--data-dir", str(self.data_dir)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    def ask(self, *arguments: str) -> Any:
        done = self.command(*arguments)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def change(self, user_id: str, state: str) -> int:
        """Asks for a presence, whatever the agent does now; the answer's status, 0 without one."""
        with connect_path(self.data_dir) as path, closing(UnixConnection(path)) as connection:
            try:
                body = json.dumps({"state": state, "force": True})
                headers = {"Content-Type": "application/json"}
                connection.request("POST", f"/api/agents/{user_id}/presence", body, headers)
                return connection.getresponse().status
            except OSError:  # nobody is there at this moment
                return 0

    def commands(self) -> list[Command]:
        return read_commands(self.data_dir, limit=10_000)

    def has_caught_up(self) -> bool:
        """By the journals, read as `state` reads them: a process for each look would be a load.

        They say so of the runtime that wrote them last: the one that was started last must have
        told of a history of its own."""
        if b'"history.complete"' not in self.log.read_bytes()[self._told_before :]:
            return False
        newest = self.gateway.status()["newest_sequence"]
        try:
            shards = reader.summary(self.data_dir)
        except RuntimeFault:  # there is nothing to read yet
            return False
        return (
            sum(shard.agents for shard in shards) == AGENTS
            and all(shard.mark_sequence >= newest for shard in shards)
            and all(shard.scopes for shard in shards)
            and not any(
                scope["history_runs"] or scope["stale_since_us"] is not None
                for shard in shards
                for scope in shard.scopes.values()
            )
        )


class UnixConnection(http.client.HTTPConnection):
    """To a socket in a directory; closed whatever becomes of it."""

    def __init__(self, path: str) -> None:
        super().__init__("runtime", timeout=PATIENCE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ended(process: subprocess.Popen[bytes]) -> int:
    return process.wait(PATIENCE_S)


def title(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
