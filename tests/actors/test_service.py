"""The service as an operator meets it: a real process, its children, its signals, its exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.demo_gateway import BundledGateway, verify
from runtime.errors import EXIT_CONFIGURATION, EXIT_TEMPORARY

ROOT = Path(__file__).parents[2]
PATIENCE_S = 30.0
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
        self.data_dir = folder / "data"
        self.log = folder / "log"
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, *flags: str, secret: str | None = None) -> subprocess.Popen[bytes]:
        environment = {
            **{key: value for key, value in os.environ.items() if "PROXY" not in key.upper()},
            "GENESYSCLOUD_OAUTHCLIENT_ID": self.gateway.client_id,
            "GENESYSCLOUD_OAUTHCLIENT_SECRET": secret or self.gateway.client_secret,
            "PRESENCE_BASE_URL": self.gateway.base_url,
            "PRESENCE_DATA_DIR": str(self.data_dir),
            "PRESENCE_NAME": "test",
        }
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "runtime", "--log-format", "json", *flags],
                cwd=ROOT,
                env=environment,
                stderr=log,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

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

    def ask(self, *arguments: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "runtime", *arguments, "--data-dir", str(self.data_dir)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        return json.loads(done.stdout) if done.returncode == 0 else None

    def has_caught_up(self) -> bool:
        newest = self.gateway.status()["newest_sequence"]
        told = self.ask("state", "--json", "--limit", "0")
        return (
            told is not None
            and len(told["agents"]) == AGENTS
            and all(shard["mark"]["sequence"] >= newest for shard in told["shards"])
            and not any(shard["stale"] for shard in told["shards"])
        )


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    gateway = BundledGateway.start(tmp_path / "ledger", agents=AGENTS, seed=7, tls=False)
    service = Service(gateway, tmp_path)
    yield service
    service.close()
    gateway.close()


def ended(process: subprocess.Popen[bytes]) -> int:
    return process.wait(PATIENCE_S)


def title(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").decode()


def test_a_service_is_watched_while_it_runs_and_drains_when_it_is_told_to(
    service: Service, tmp_path: Path
) -> None:
    process = service.start()
    eventually(service.has_caught_up, "the history")
    titles = {name: title(pid) for name, pid in service.children().items()}
    assert titles == {
        name: f"presence-runtime: {name} [test]" for name in ("shard-0", "shard-1", "receiver-0")
    }
    assert title(process.pid) == "presence-runtime: supervisor [test]"
    service.gateway.start_load(1_000, 0.5)
    eventually(lambda: service.gateway.status()["load"] == "done", "the end of the load")
    eventually(service.has_caught_up, "the marks")
    assert service.ask("backup", str(tmp_path / "copy"), "--json") is not None
    process.send_signal(signal.SIGTERM)
    assert ended(process) == 0
    service.gateway.stop()
    findings, is_content = verify(
        tmp_path / "ledger", service.data_dir, "full", tmp_path / "findings.json"
    )
    assert is_content, findings


def test_a_second_runtime_on_the_same_directory_exits_75_and_names_the_first(
    service: Service,
) -> None:
    first = service.start()
    eventually(lambda: "shard-0" in service.children(), "a child")
    second = service.start()
    assert ended(second) == EXIT_TEMPORARY
    assert f"process {first.pid}" in service.log.read_text()
    assert first.poll() is None


def test_a_killed_supervisor_takes_its_children_along_and_a_successor_goes_on(
    service: Service,
) -> None:
    process = service.start()
    eventually(service.has_caught_up, "the history")
    orphans = service.children()
    process.kill()
    ended(process)
    eventually(lambda: not any(map(is_alive, orphans.values())), "the children's end")
    service.gateway.start_load(1_000, 0.2)
    service.start("--shards", "3")
    eventually(service.has_caught_up, "the replay")
    assert len(service.ask("state", "--json")["shards"]) == 3


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_refused_secret_ends_it_with_78_and_stands_in_no_line(service: Service) -> None:
    process = service.start(secret="not-the-right-secret")
    assert ended(process) == EXIT_CONFIGURATION
    text = service.log.read_text()
    assert "not-the-right-secret" not in text
    assert "401" in text
