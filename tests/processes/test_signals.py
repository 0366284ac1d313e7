"""A runtime of toys as a process of its own, and the signals that reach it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from runtime.errors import EXIT_CLEAN, EXIT_FAILURE
from runtime.supervisor import ECHO_S
from tests.processes.facts import diary_lines, eventually, is_dead, is_gone, title
from tests.processes.toy_process import CHILDREN, ToyRuntime

DRAINED_IN_ORDER = [
    ["receiver-0 told", "receiver-0 drained"],
    ["shard-0 drained", "shard-0 told", "shard-1 drained", "shard-1 told"],
]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_drains_in_order_and_exits_clean(
    run: Callable[..., ToyRuntime], number: signal.Signals
) -> None:
    runtime = run()
    pids = runtime.pids()
    assert title(runtime.process.pid) == "toy: supervisor"
    runtime.process.send_signal(number)
    assert runtime.wait() == EXIT_CLEAN
    order = runtime.told_and_drained()
    assert [order[:2], sorted(order[2:])] == DRAINED_IN_ORDER
    assert [line["reason"] for line in runtime.log("runtime.stopped")] == [number.name]
    assert all(is_gone(pid) for pid in pids.values())


def test_ctrl_c_reaches_the_whole_process_group_but_only_the_supervisor_listens(
    run: Callable[..., ToyRuntime],
) -> None:
    runtime = run(drain_s=0.3)
    os.killpg(runtime.process.pid, signal.SIGINT)
    assert runtime.wait() == EXIT_CLEAN
    order = runtime.told_and_drained()
    assert [order[:2], sorted(order[2:])] == DRAINED_IN_ORDER


def test_a_second_signal_stops_now(run: Callable[..., ToyRuntime]) -> None:
    runtime = run(receiver="be_stubborn")
    pids = runtime.pids()
    runtime.process.send_signal(signal.SIGTERM)
    eventually(lambda: "receiver-0 told" in diary_lines(runtime.diary))
    time.sleep(ECHO_S)  # the two wishes have to be that far apart: this is the condition itself
    runtime.process.send_signal(signal.SIGTERM)
    assert runtime.wait() == EXIT_FAILURE
    assert runtime.told_and_drained() == ["receiver-0 told"]
    (failed,) = runtime.log("runtime.failed")
    assert "receiver-0 was killed by SIGKILL" in failed["reason"]
    assert failed["see"]["receiver-0"] == "child.killed"
    assert all(is_gone(pid) for pid in pids.values())


def test_the_echo_of_a_signal_is_not_a_second_wish(run: Callable[..., ToyRuntime]) -> None:
    # coreutils' `timeout` signals its child and then the child's whole group.
    runtime = run()
    runtime.process.send_signal(signal.SIGTERM)
    os.killpg(runtime.process.pid, signal.SIGTERM)
    assert runtime.wait() == EXIT_CLEAN


def test_a_killed_supervisor_takes_every_child_along_within_a_second(
    run: Callable[..., ToyRuntime],
) -> None:
    runtime = run()
    pids = runtime.pids()
    assert len(pids) == CHILDREN
    runtime.process.kill()
    eventually(lambda: all(is_dead(pid) for pid in pids.values()), within_s=1.0)
    assert runtime.wait() == -signal.SIGKILL
    assert runtime.told_and_drained() == []


def test_a_suspended_machine_wakes_without_a_mass_kill(run: Callable[..., ToyRuntime]) -> None:
    runtime = run(beat_timeout_s=1.0)
    pids = runtime.pids()
    everyone = [runtime.process.pid, *pids.values()]
    for pid in everyone:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(1.5)  # longer than every term: this is the condition itself
    os.kill(runtime.process.pid, signal.SIGCONT)
    eventually(lambda: runtime.log("runtime.suspended"))
    # The supervisor has looked, and sees the old beats of children that still stand still.
    assert not runtime.log("child.hung")
    for pid in pids.values():
        os.kill(pid, signal.SIGCONT)
    runtime.process.send_signal(signal.SIGTERM)
    assert runtime.wait() == EXIT_CLEAN
    assert runtime.pids() == pids
    assert len(runtime.told_and_drained()) == 2 * CHILDREN


def test_a_supervisor_alone_asleep_still_finds_a_hung_child_afterwards(
    run: Callable[..., ToyRuntime],
) -> None:
    runtime = run(beat_timeout_s=1.0)
    victim = runtime.pids()["shard-0"]
    os.kill(victim, signal.SIGSTOP)
    os.kill(runtime.process.pid, signal.SIGSTOP)
    time.sleep(1.2)  # longer than the term: this is the condition itself
    os.kill(runtime.process.pid, signal.SIGCONT)
    eventually(lambda: "shard-0 plays 2 after hung" in diary_lines(runtime.diary))
    assert [line["child"] for line in runtime.log("child.hung")] == ["shard-0"]
    assert is_gone(victim)
