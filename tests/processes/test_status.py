"""`status` and `top` as an operator uses them, against the service."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from runtime.errors import EXIT_CLEAN, EXIT_TEMPORARY
from tests.processes.service import ROOT, Service, ended, eventually


def test_status_says_live_then_what_is_wrong_then_that_nobody_is_there(service: Service) -> None:
    process = service.start()
    eventually(service.has_caught_up, "the history")
    eventually(lambda: service.command("status").returncode == EXIT_CLEAN, "it is live")
    status = service.ask("status", "--json")
    assert (status["live"], status["wrong"], status["name"]) == (True, [], "test")
    names = [each["name"] for each in status["processes"]]
    assert names == ["supervisor", "web", "sender", "shard-0", "shard-1", "receiver-0"]
    assert status["processes"][0]["pid"] == process.pid
    assert {each["name"]: each["pid"] for each in status["processes"][1:]} == service.children()
    assert {(ring["from"], ring["to"]) for ring in status["rings"]} > {("receiver-0", "shard-1")}

    top = service.command("top")  # on a pipe: once
    assert top.returncode == EXIT_CLEAN
    assert "is live" in top.stdout
    assert "transitions" in top.stdout

    os.kill(service.children()["receiver-0"], signal.SIGSTOP)
    eventually(lambda: service.command("status").returncode == EXIT_TEMPORARY, "it is not live")
    told = service.command("status").stdout
    assert told.startswith("presence-runtime test (wsp) is not live")
    assert "receiver-0" in told.partition("\n\n")[0]
    os.kill(service.children()["receiver-0"], signal.SIGCONT)

    process.send_signal(signal.SIGTERM)
    ended(process)
    gone = service.command("status")
    assert gone.returncode == EXIT_TEMPORARY
    assert "no runtime is running on" in gone.stderr


def test_top_goes_on_until_ctrl_c_and_leaves_the_terminal_as_it_was(service: Service) -> None:
    service.start()
    eventually(service.has_caught_up, "the history")
    ours, theirs = os.openpty()
    command = ["-m", "runtime", "top", "--every", "0.2", "--data-dir", str(service.data_dir)]
    process = subprocess.Popen(
        [sys.executable, *command], cwd=ROOT, stdin=theirs, stdout=theirs, start_new_session=True
    )
    os.close(theirs)
    seen = b""

    def read() -> bytes:
        try:
            return os.read(ours, 65_536)
        except OSError:  # nobody has it open any more
            return b""

    while seen.count(b"presence-runtime test") < 3:
        more = read()
        assert more, seen
        seen += more
    process.send_signal(signal.SIGINT)
    while more := read():
        seen += more
    assert ended(process) == EXIT_CLEAN
    os.close(ours)
    assert b"shard-1" in seen
    assert seen.index(b"\x1b[?1049h") < seen.index(b"\x1b[?1049l")  # the other screen, and back
