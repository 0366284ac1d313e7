"""What a child shows while it waits for a disk."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest
import structlog

from actors.storage import disk_wait
from actors.storage.disk_wait import DiskWait
from runtime.child import Child
from runtime.counters import DRAINING, RUNNING, STARTING, WAITING, Counters


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Child:
    monkeypatch.setattr(disk_wait, "RETRY_FIRST_S", 0.001)
    return Child("a", 1, Counters.create("a", ("commit_failures",)))


def phases_seen(child: Child, *, failures: int = 2) -> list[int]:
    """The phase at each try, and the one behind the last."""
    seen = []

    def work() -> int:
        seen.append(child.counters.get("phase"))
        if len(seen) <= failures:
            raise apsw.FullError("no room")
        return 7

    wait = DiskWait(child, structlog.get_logger(), Path("a.db"))
    assert wait.until_done(work) == 7
    assert child.counters.get("commit_failures") == failures
    return [*seen, child.counters.get("phase")]


def test_a_running_child_shows_that_it_waits_and_that_it_runs_again(child: Child) -> None:
    child.set_phase(RUNNING)
    assert phases_seen(child) == [RUNNING, WAITING, WAITING, RUNNING]


@pytest.mark.parametrize("phase", [STARTING, DRAINING])
def test_a_child_that_starts_or_drains_is_not_shown_as_ready(child: Child, phase: int) -> None:
    child.set_phase(phase)
    assert phases_seen(child) == [phase] * 4


def test_a_child_that_is_told_to_drain_while_it_waits_goes_on_draining(child: Child) -> None:
    child.set_phase(RUNNING)
    locked = iter([True])

    def work() -> None:
        if next(locked, False):
            raise apsw.BusyError("locked")
        child.set_phase(DRAINING)

    DiskWait(child, structlog.get_logger(), Path("a.db")).until_done(work)
    assert child.counters.get("phase") == DRAINING


def test_what_no_disk_says_ends_the_wait(child: Child) -> None:
    with pytest.raises(ZeroDivisionError):
        DiskWait(child, structlog.get_logger(), Path("a.db")).until_done(lambda: 1 / 0)
