"""A receiver of channels as a process: its successor goes on with what is ours, however it died."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from actors.messages.control import Gap, SessionBegins, SessionEnds
from runtime.child_spec import ChildSpec
from runtime.counters import Counters
from runtime.crash_point import VARIABLE
from runtime.supervisor import Supervisor
from tests.actors.receiver.cloud_rig import CloudRig
from tests.actors.receiver.test_cloud_loop import recorded
from tests.gateway.bundled import CloudServed, served
from tests.processes.facts import drive, drive_to_end, pid_of

AGENTS = 25
CHANNELS = 2
PATIENCE_S = 40.0
NAME = "receiver-0"
POINTS = (
    "after-channel-created",
    "in-transaction",
    "after-channel-recorded",
    "after-channel-subscribed",
    "after-session-number",
    "after-begins-staged",
    "after-stream",
    "after-snapshot-staged",
    "after-history-end-staged",
    "after-plan-applied",
)
WHILE_MADE = POINTS[:4]  # of one channel each the gateway may know, and nobody else

Found = TypeVar("Found")


@dataclass
class Beside:
    """A gateway whose loop has a thread of its own: ours drives a supervisor."""

    directory: Path
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    begun: threading.Event = field(default_factory=threading.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    gateway: CloudServed | None = None

    async def serve(self) -> None:
        async with served(self.directory, agents=AGENTS, calls_per_minute=3_000) as gateway:
            self.gateway = gateway
            self.begun.set()
            await self.over.wait()

    def ask(self, asked: Coroutine[Any, Any, Found]) -> Found:
        return asyncio.run_coroutine_threadsafe(asked, self.loop).result(PATIENCE_S)

    def status(self) -> dict[str, Any]:
        assert self.gateway is not None
        return self.ask(self.gateway.control("/status"))


@contextmanager
def gateway_beside_us(directory: Path) -> Iterator[Beside]:
    beside = Beside(directory)
    thread = threading.Thread(target=lambda: beside.loop.run_until_complete(beside.serve()))
    thread.start()
    try:
        assert beside.begun.wait(PATIENCE_S)
        yield beside
    finally:
        beside.loop.call_soon_threadsafe(beside.over.set)
        thread.join()
        beside.loop.close()


@contextmanager
def supervised(rig: CloudRig, crash_at: str = "") -> Iterator[Supervisor]:
    spec = ChildSpec(
        name=NAME,
        title=NAME,
        entry="actors.receiver.cloud_loop:run",
        arguments=rig.arguments,
        counters=rig.counters,
    )
    supervisor = Supervisor([spec], environment={**os.environ, VARIABLE: crash_at})
    supervisor.start()
    try:
        yield supervisor
        supervisor.request_stop("test")
        assert drive_to_end(supervisor, PATIENCE_S) == 0
    finally:
        supervisor.close()


def is_current(rig: CloudRig, generation: int) -> Callable[[], bool]:
    def fact() -> bool:
        count = rig.counters.get
        is_running = count("generation") == generation and count("phase") == Counters.RUNNING
        return is_running and count("channels_current") == CHANNELS

    return fact


def test_a_receiver_that_is_killed_goes_on_with_its_own_channels(tmp_path: Path) -> None:
    with gateway_beside_us(tmp_path) as beside:
        assert beside.gateway is not None
        users = beside.ask(beside.gateway.users())
        rig = CloudRig(beside.gateway, tmp_path)
        rig.watch(users)
        with supervised(rig) as supervisor:
            drive(supervisor, is_current(rig, 1), PATIENCE_S)
            held = recorded(rig)
            os.kill(pid_of(supervisor, NAME), signal.SIGKILL)
            drive(supervisor, is_current(rig, 2), PATIENCE_S)
            assert recorded(rig) == held
            status = beside.status()
            assert status["channels"] == status["sockets"] == CHANNELS
        assert rig.snapshots() == dict.fromkeys(users, 2)
        for shard in range(rig.shards):
            numbers = [each.session for each in rig.of(SessionBegins, shard)]
            assert numbers == sorted(set(numbers))
            assert {each.scope for each in rig.of(Gap, shard)} == {"c0/0", "c0/1"}
            ended = [each.scope for each in rig.of(SessionEnds, shard) if each.session == 0]
            assert ended == ["c0", "c0"]


def test_wherever_it_is_killed_every_channel_is_known_to_its_successor(tmp_path: Path) -> None:
    """The k-th life dies at the k-th point, so that one run visits them all."""
    with gateway_beside_us(tmp_path) as beside:
        assert beside.gateway is not None
        users = beside.ask(beside.gateway.users())
        rig = CloudRig(beside.gateway, tmp_path)
        rig.watch(users)
        crash_at = ",".join(f"{NAME}:{point}" for point in POINTS)
        with supervised(rig, crash_at) as supervisor:
            drive(supervisor, is_current(rig, len(POINTS) + 1), PATIENCE_S)
            assert len(recorded(rig)) == CHANNELS
            status = beside.status()
            assert status["sockets"] == CHANNELS
            assert status["topics"] == AGENTS
            # What nobody had recorded yet is nobody's, and is left alone; all others are used.
            # All are made at once: a life that dies meanwhile may leave each of them behind.
            assert status["channels"] - CHANNELS <= len(WHILE_MADE) * CHANNELS
        assert rig.snapshots().keys() == set(users)
