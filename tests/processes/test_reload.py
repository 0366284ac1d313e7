"""What operators and service managers say to a runtime of toys, and what it tells them."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from runtime.errors import EXIT_CLEAN
from tests.processes.facts import PATIENCE_S, diary_lines, eventually
from tests.processes.toy_process import CHILDREN, ToyRuntime

Run = Callable[..., ToyRuntime]
EVERYONE = ["receiver-0", "shard-0", "shard-1", "supervisor"]


def _has(counted: Callable[[], int], wanted: int) -> bool:
    return counted() == wanted


def test_a_hangup_is_a_reload_for_the_supervisor_first_and_then_for_every_child(run: Run) -> None:
    runtime = run(reloads=[True, True])
    pids = runtime.pids()
    for times in (1, 2):
        runtime.process.send_signal(signal.SIGHUP)
        eventually(partial(_has, lambda: len(runtime.reloads()), times * len(EVERYONE)))
        latest = runtime.reloads()[-len(EVERYONE) :]
        assert latest[0] == "supervisor"
        assert sorted(latest) == EVERYONE
    runtime.process.send_signal(signal.SIGTERM)
    assert runtime.wait() == EXIT_CLEAN
    assert runtime.pids() == pids


def test_what_the_supervisor_finds_wrong_reaches_no_child(run: Run) -> None:
    runtime = run(reloads=[False, True])
    runtime.process.send_signal(signal.SIGHUP)
    eventually(lambda: runtime.reloads() == ["supervisor"])
    runtime.process.send_signal(signal.SIGHUP)
    eventually(lambda: len(runtime.reloads()) == 1 + len(EVERYONE))


def test_a_child_that_has_nothing_to_read_again_lives_on(run: Run) -> None:
    runtime = run(reloads=[True, True], receiver="be_stubborn")
    pid = runtime.pids()["receiver-0"]
    for times in (1, 2):
        runtime.process.send_signal(signal.SIGHUP)
        eventually(partial(_has, lambda: runtime.reloads().count("shard-0"), times))
    assert runtime.pids()["receiver-0"] == pid
    assert not runtime.log("child.exited")


def test_a_terminal_that_leaves_is_no_wish_to_reload(run: Run) -> None:
    ours, theirs = os.openpty()
    runtime = run(reloads=[True], terminal=theirs)
    os.close(theirs)
    os.close(ours)
    assert runtime.wait() == EXIT_CLEAN
    assert runtime.reloads() == []
    assert [line["reason"] for line in runtime.log("runtime.stopped")] == ["SIGHUP"]


def test_one_signal_shows_the_stacks_of_all_and_changes_nothing(run: Run) -> None:
    runtime = run(receiver="be_stubborn")
    pids = runtime.pids()

    def shown() -> str:
        return runtime.stderr.read_text()

    for times in (1, 2):
        runtime.process.send_signal(signal.SIGUSR1)
        eventually(partial(_has, lambda: shown().count(" in be_stubborn\n"), times))
        eventually(partial(_has, lambda: shown().count(" in play\n"), 2 * times))
        assert shown().count(" in run\n") == times  # the supervisor's own
    assert runtime.pids() == pids
    assert not runtime.log("child.exited")
    assert [line["pid"] for line in runtime.log("child.stacks")] == 2 * list(pids.values())


def test_a_child_shows_its_own_stacks_to_whoever_signals_it(run: Run) -> None:
    runtime = run()
    os.kill(runtime.pids()["shard-1"], signal.SIGUSR1)
    eventually(lambda: runtime.stderr.read_text().count(" in play\n") == 1)
    assert not runtime.log("child.exited")


def test_a_service_manager_hears_of_every_turn_of_a_life(run: Run, tmp_path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE_S)

        def heard(word: str) -> list[str]:
            """The lines up to the first one that begins so."""
            lines: list[str] = []
            while not any(line.startswith(word) for line in lines):
                lines += manager.recv(4096).decode().split("\n")
            return lines

        environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
        runtime = run(reloads=[True], environment=environment)
        before = heard("READY=1")
        assert sum(" plays " in line for line in diary_lines(runtime.diary)) == CHILDREN
        assert "STATUS=0 of 3 processes are up: " in before[0]
        heard("WATCHDOG=1")
        runtime.process.send_signal(signal.SIGHUP)
        assert heard("MONOTONIC_USEC=")[-2] == "RELOADING=1"
        assert "READY=1" in heard("READY=1")
        runtime.process.send_signal(signal.SIGTERM)
        assert "STOPPING=1" in heard("STOPPING=1")
        assert "STATUS=stopping: SIGTERM" in heard("STATUS=stopping")
        assert runtime.wait() == EXIT_CLEAN
