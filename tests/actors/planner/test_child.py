"""The planner as a process: whatever kills it, a plan is whole, and its successor goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from actors.genesys.channel_plan import Limits
from actors.planner.arguments import PLANNER_WORDS, PlannerArguments, WatchSelection
from actors.planner.store import prepare, read_roster
from runtime.child_spec import ChildSpec
from runtime.counters import Counters
from runtime.crash_point import VARIABLE
from runtime.doorbell import Doorbell
from runtime.errors import EXIT_CONFIGURATION
from runtime.supervisor import Supervisor
from tests.gateway.scripted_cloud import PAGES, ScriptedCloud, Trouble
from tests.processes.facts import drive, drive_to_end, pid_of

USERS = [f"u{n}" for n in range(700)]


@contextmanager
def cloud_beside_us() -> Iterator[ScriptedCloud]:
    """Its loop has a thread of its own: ours drives a supervisor."""
    cloud = ScriptedCloud()
    cloud.add(*USERS)
    begun = threading.Event()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        async with cloud:
            begun.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert begun.wait(20)
        yield cloud
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


class Run:
    """A supervisor with nothing but a planner."""

    def __init__(self, cloud: ScriptedCloud, path: Path, crash_at: str = "") -> None:
        prepare(path, "run")
        self.path = path
        self.page = Counters.create("planner", PLANNER_WORDS)
        arguments = PlannerArguments(
            address=cloud.address,
            path=path,
            run="run",
            watch=WatchSelection(),
            clients=1,
            limits=Limits(topics_per_channel_max=100),
            roster_every_s=0.2,
            requests_per_minute=3000,
            receiver_doorbells=(Doorbell.create("receiver-0"),),
        )
        spec = ChildSpec(
            name="planner",
            title="planner",
            entry="actors.planner.loop:run",
            arguments=arguments,
            counters=self.page,
        )
        environment = {**os.environ, **({VARIABLE: crash_at} if crash_at else {})}
        self.supervisor = Supervisor([spec], environment=environment)
        self.supervisor.start()

    def until(self, fact: Callable[[], object]) -> None:
        drive(self.supervisor, fact)

    def end(self) -> int:
        self.supervisor.request_stop("test")
        return drive_to_end(self.supervisor)


@contextmanager
def running(cloud: ScriptedCloud, path: Path, crash_at: str = "") -> Iterator[Run]:
    run = Run(cloud, path, crash_at)
    try:
        yield run
    finally:
        run.supervisor.close()


@pytest.mark.parametrize("point", ["in-transaction", "after-plan-committed"])
def test_a_kill_around_the_commit_leaves_no_plan_or_a_whole_one(tmp_path: Path, point: str) -> None:
    path = tmp_path / "cloud.db"
    with cloud_beside_us() as cloud, running(cloud, path, f"planner:{point}") as run:
        run.until(lambda: run.page.get("generation") == 2)
        assert read_roster(path).version == (point == "after-plan-committed")
        run.until(lambda: run.page.get("roster_reads") > 0)
        roster = read_roster(path)
        assert run.page.get("plan_version") == roster.version == 1
        assert roster.plan.places().keys() == set(USERS)
        assert run.end() == 0


def test_a_kill_while_a_page_is_awaited_moves_nobody(tmp_path: Path) -> None:
    path = tmp_path / "cloud.db"
    with cloud_beside_us() as cloud, running(cloud, path) as run:
        run.until(lambda: run.page.get("roster_reads") > 0)
        before = read_roster(path).plan.places()
        hang = Trouble(PAGES, 0, hangs=True)
        cloud.troubles.append(hang)
        run.until(lambda: hang not in cloud.troubles)  # it is being awaited now
        os.kill(pid_of(run.supervisor, "planner"), signal.SIGKILL)
        cloud.add("late")
        reads = run.page.get("roster_reads")
        run.until(lambda: run.page.get("roster_reads") > reads)
        assert run.page.get("generation") == 2
        after = read_roster(path).plan
        places = after.places()
        assert places.pop("late")
        assert places == before
        assert run.end() == 0


def test_a_client_that_is_refused_ends_the_runtime_with_its_configuration(tmp_path: Path) -> None:
    with cloud_beside_us() as cloud:
        cloud.refuses_clients = True
        with running(cloud, tmp_path / "cloud.db") as run:
            assert drive_to_end(run.supervisor) == EXIT_CONFIGURATION
