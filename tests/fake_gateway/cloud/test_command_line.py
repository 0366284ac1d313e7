from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tools.fake_gateway.__main__ import EXIT_USAGE, main

SERVE = ["serve", "--dialect", "cloud", "--agents", "30", "--with-parent"]


def told(url: str, asked: Any = None) -> dict[str, Any]:
    data = None if asked is None else json.dumps(asked).encode()
    with urlopen(Request(url, data=data), timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def test_a_cloud_gateway_says_when_it_is_ready_and_ends_when_it_is_told(tmp_path: Path) -> None:
    timeline = tmp_path / "timeline.jsonl"
    timeline.write_text('{"at_s": 1, "kind": "drop"}\n\n')
    more = ["--clients", "3", "--ledger", str(tmp_path / "l"), "--timeline", str(timeline)]
    command = [sys.executable, "-m", "tools.fake_gateway", *SERVE, *more, "--faults", "flaky"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["dialect"] == "cloud"
        assert len({client["client_id"] for client in ready["clients"]}) == 3
        assert ready["client_id"] == ready["clients"][0]["client_id"]
        status = told(ready["control_url"] + "/status")
        assert (status["agents"], status["load"], status["faults_left"]) == (30, "idle", 1)
        loaded = told(ready["control_url"] + "/load", {"rate": 100, "seconds": 0})
        assert loaded["load"] == "running"
        assert told(ready["control_url"] + "/load/stop", {})["load"] == "done"
        told(ready["control_url"] + "/shutdown", {})
        assert process.wait(timeout=10) == 0


@pytest.mark.parametrize(
    "wrong", [["--clients", "0"], ["--hidden", "30"], ["--rate", "-1"], ["--seed", "-1"]]
)
def test_wrong_arguments_are_a_usage_error(
    wrong: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SERVE[:-1], "--ledger", str(tmp_path), *wrong]) == EXIT_USAGE
    assert "fake gateway:" in capsys.readouterr().err
