"""Directories that release 0.1 could neither start on nor repair are read, repaired, started on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from actors.shard import reader
from actors.sinks import reader as sinks_reader
from actors.web.address import connect_path
from runtime.errors import EXIT_CLEAN, EXIT_FAILURE
from tests.processes.service import ROOT, UnixConnection, ended, eventually
from tests.processes.test_release_files import served

STRICKEN = Path(__file__).parents[1] / "data" / "stricken"
HELD_AT = {"wsp": "user-0", "cloud": "00000000-0000-4000-8000-000000000001"}
"""An agent who is held at a time that is in the year 10000."""
LAST_MOMENT = "9999-12-31T23:59:59.999Z"


@pytest.fixture(params=["wsp", "cloud"])
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def data_dir(dialect: str, tmp_path: Path) -> Path:
    with tarfile.open(STRICKEN / f"{dialect}.tar.xz") as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(tmp_path)
    return tmp_path / "data"


def ask(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "runtime", *arguments, "--data-dir", str(data_dir)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_command_that_reads_a_stricken_directory_reads_it(
    data_dir: Path, dialect: str
) -> None:
    agent = HELD_AT[dialect]
    for arguments in (
        ("state", "--limit", "0"),
        ("state", agent, "--json"),
        ("history", agent),
        ("history", agent, "--json"),
        ("export", "--since", "2026-11-01"),
        ("export", "--since", "2026-11-01", "--format", "csv"),
        ("repair",),
    ):
        done = ask(data_dir, *arguments)
        assert done.returncode == EXIT_CLEAN, (arguments, done.stderr)
        assert arguments[0] != "repair" or "Nothing to repair" in done.stdout
        assert len(arguments) < 2 or arguments[1] != agent or LAST_MOMENT in done.stdout


def test_a_stricken_directory_is_started_on_twice_and_its_sink_catches_up(
    data_dir: Path, dialect: str, tmp_path: Path
) -> None:
    known = {each.user_id: each.state for each in reader.read_states(data_dir)}
    assert len(known) > 9
    lines = tmp_path / "lines.jsonl"
    sinks = json.dumps([{"name": "a", "kind": "jsonl", "path": str(lines)}])
    (sink,) = sinks_reader.read(data_dir)
    assert sink.behind_rows > 0  # none that bear such a time were ever delivered
    for life in (1, 2):
        with (tmp_path / "log").open("ab") as log:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "runtime", "--log-format", "json"),
                    *("--config", str(tmp_path / "settings.toml"), "--data-dir", str(data_dir)),
                ],
                cwd=ROOT,
                env={"PRESENCE_SINKS": sinks},
                stderr=log,
            )
        try:
            eventually(lambda: served(data_dir) == known, f"all agents on the page, life {life}")
            assert shown(data_dir, f"/api/agents/{HELD_AT[dialect]}")["since"] == LAST_MOMENT
            history = shown(data_dir, f"/api/agents/{HELD_AT[dialect]}/history")
            assert LAST_MOMENT in {each["at"] for each in history["transitions"]}
            if dialect == "wsp":  # the other learns its definitions from a gateway first
                sent = ask(data_dir, "send", HELD_AT[dialect], "busy", "--wait")
                assert sent.returncode == EXIT_FAILURE
                assert "not confirmed" in sent.stdout + sent.stderr
            eventually(lambda: lines.exists() and delivered(lines) == sink.behind_rows, "every row")
        finally:
            process.send_signal(signal.SIGTERM)
            code = ended(process)
        assert code == EXIT_CLEAN, (tmp_path / "log").read_text()
    events = [json.loads(line)["event"] for line in (tmp_path / "log").read_text().splitlines()]
    assert "child.exited" in events
    assert not {"child.crashed", "child.failed", "sink.failing"} & set(events)


def delivered(lines: Path) -> int:
    """Rows that stand in the file; some may do so twice."""
    return len({json.loads(line)["id"] for line in lines.read_text().splitlines()})


def shown(data_dir: Path, path: str) -> dict[str, Any]:
    with connect_path(data_dir) as socket, closing(UnixConnection(socket)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 200, (path, answer.status)
        found: dict[str, Any] = json.loads(answer.read())
        return found
