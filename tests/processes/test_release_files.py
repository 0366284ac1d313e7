"""Files of release 0.1 are read, started on and restored as they are."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from actors.sender.reader import read_commands, verify_audit
from actors.web.address import connect_path
from runtime.errors import EXIT_CLEAN
from tests.processes.service import ROOT, UnixConnection, ended, eventually

RELEASE = Path(__file__).parents[1] / "data" / "release-0.1"
COPIES = ("data", "backup")


@pytest.fixture(params=["wsp", "cloud"])
def release(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    with tarfile.open(RELEASE / f"{request.param}.tar.xz") as archive:
        # Pythons before 3.11.4 know no filter; Debian 12 has 3.11.2.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(tmp_path)
    return tmp_path


def told(folder: Path, copy: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((folder / "told.json").read_text())[copy]
    return said


def ask(data_dir: Path, *arguments: str) -> Any:
    command = [sys.executable, "-m", "runtime", *arguments, "--data-dir", str(data_dir), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == EXIT_CLEAN, done.stderr
    return json.loads(done.stdout)


def assert_same_past(data_dir: Path, before: dict[str, Any]) -> None:
    """What a start may not change."""
    for user in list(before["history"])[:3]:
        assert_said(ask(data_dir, "history", user, "--limit", "20"), before["history"][user])
    assert_said(ask(data_dir, "audit", "show"), before["audit"])
    assert verify_audit(data_dir).problem == ""
    commands = [asdict(each) for each in read_commands(data_dir, limit=100)]
    assert_said(commands, before["commands"])


def assert_said(now: Any, before: Any) -> None:
    """Everything that was said; more may be said now."""
    if isinstance(before, dict):
        assert now.keys() >= before.keys()
        for name, value in before.items():
            assert_said(now[name], value)
    elif isinstance(before, list):
        assert len(now) == len(before)
        for one, other in zip(now, before, strict=True):
            assert_said(one, other)
    else:
        assert now == before


@pytest.mark.parametrize("copy", COPIES)
def test_what_release_0_1_wrote_is_read_as_it_read_it(release: Path, copy: str) -> None:
    before = told(release, copy)
    assert_same_past(release / copy, before)
    for command in ("sinks", "topics"):
        if command in before:
            assert_said(ask(release / copy, command), before[command])
    assert_said(ask(release / copy, "state", "--limit", "0"), before["state"])


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize("copy", COPIES)
def test_a_runtime_starts_on_what_release_0_1_left_or_backed_up(
    release: Path, copy: str, processes: list[subprocess.Popen[bytes]]
) -> None:
    before = told(release, copy)
    data_dir = release / "data"
    if copy == "backup":  # as docs/operations.md restores it
        shutil.rmtree(data_dir)
        shutil.copytree(release / "backup", data_dir)
    command = [sys.executable, "-m", "runtime", "--config", str(release / "settings.toml")]
    with (release / "log").open("wb") as log:
        processes.append(
            subprocess.Popen(
                [*command, "--data-dir", str(data_dir)],
                cwd=ROOT,
                env={"PRESENCE_SINKS": json.dumps([])},
                stderr=log,
            )
        )
    known = {each["user_id"]: each["state"] for each in before["state"]["agents"]}
    eventually(lambda: served(data_dir) == known, "all agents on the page")
    processes[0].send_signal(signal.SIGTERM)
    assert ended(processes[0]) == EXIT_CLEAN, (release / "log").read_text()
    assert_same_past(data_dir, before)
    again = ask(data_dir, "state", "--limit", "0")
    assert sorted(map(at, again["agents"])) == sorted(map(at, before["state"]["agents"]))
    assert [each["rows"] for each in again["shards"]] == [
        each["rows"] for each in before["state"]["shards"]
    ]


def at(agent: dict[str, Any]) -> tuple[str, str, str]:
    return agent["user_id"], agent["state"], agent["at"]


def served(data_dir: Path) -> dict[str, str] | None:
    """What the page's API says of everybody; None: nobody answers yet."""
    try:
        with connect_path(data_dir) as path, closing(UnixConnection(path)) as connection:
            connection.request("GET", "/api/agents?limit=100")
            agents = json.loads(connection.getresponse().read())["agents"]
    except (OSError, KeyError):
        return None
    return {each["id"]: each["state"] for each in agents}
