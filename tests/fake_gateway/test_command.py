"""The command: ready in one line, ends as it is told, and leaves a whole ledger."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tools.fake_gateway.__main__ import main
from tools.fake_gateway.ledger import read_ledger

SERVE = [sys.executable, "-m", "tools.fake_gateway", "serve"]


@contextmanager
def serve(ledger: Path, *more: str) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, Any]]]:
    command = [*SERVE, "--ledger", str(ledger), "--agents", "50", *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            if process.poll() is None:
                process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(number: signal.Signals, tmp_path: Path) -> None:
    with serve(tmp_path) as (process, ready):
        assert ready["pid"] == process.pid
        assert ready["ca_file"] is None
        with urllib.request.urlopen(ready["control_url"] + "/status") as answer:
            assert json.load(answer)["load"] == "idle"
        process.send_signal(number)
        assert process.wait(10) == 0
    assert list(read_ledger(tmp_path))[-1]["kind"] == "end"


def test_a_control_call_ends_it_cleanly(tmp_path: Path) -> None:
    with serve(tmp_path, "--tls", "--proxy", "--paused") as (process, ready):
        assert Path(ready["ca_file"]).is_file()
        assert ready["proxy_url"].startswith("http://127.0.0.1:")
        asked = urllib.request.Request(ready["control_url"] + "/shutdown", method="POST")
        with urllib.request.urlopen(asked) as answer:
            assert answer.status == 200
        assert process.wait(10) == 0


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    command = [*SERVE, "--ledger", str(tmp_path), "--agents", "50", "--with-parent"]
    parent = (
        "import subprocess, sys, json\n"
        f"child = subprocess.Popen({command!r}, stdout=subprocess.PIPE)\n"
        "print(json.loads(child.stdout.readline())['pid'], flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.kill()
    deadline_s = time.monotonic() + 10
    while is_running(pid):
        assert time.monotonic() < deadline_s, "it outlived its parent"
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Not gone, and not a zombie that nobody collects."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize(
    "wrong",
    [["--agents", "0"], ["--rate", "fast"], ["--rate", "-1"], ["--reorder", "1001"],
     ["--first-sequence", "5"], ["--seed", "-1"], ["--ack-loss", "1.5"], ["--updates-per-s", "-1"],
     ["--webhook-secret", "whsec_%"]],
)  # fmt: skip
def test_a_wrong_option_is_named(
    wrong: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--ledger", str(tmp_path), *wrong]) == 2
    assert "fake gateway: " in capsys.readouterr().err


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert "serve" in told
    assert "verify" in told


def test_nothing_of_the_product_is_imported() -> None:
    program = (
        "import sys, tools.fake_gateway.__main__, tools.fake_gateway.verify\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('runtime', 'actors')])"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    output = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, env=environment
    )
    assert output.stdout == b"[]\n"
