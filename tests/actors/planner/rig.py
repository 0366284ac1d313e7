"""One planner's file and page, over as many lives as a test wants, beside a scripted gateway."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from actors.genesys.channel_plan import Limits
from actors.planner.arguments import PLANNER_WORDS, PlannerArguments, WatchSelection
from actors.planner.loop import Planner
from actors.planner.roster_calls import RetryPolicy
from actors.planner.store import Roster, prepare, read_roster
from runtime.child import Child
from runtime.clock import SystemClock
from runtime.counters import STARTING, Counters
from runtime.doorbell import Doorbell
from runtime.errors import ConfigurationError
from tests.actors.receiver.rig import in_loop, until
from tests.gateway.scripted_cloud import ScriptedCloud

HASTY = RetryPolicy(tries_max=2, backoff_first_s=0.001, backoff_most_s=0.002)
SMALL = Limits(topics_per_channel_max=3, channels_per_client_max=2)
SOON_S = 0.1
SHOWN = {
    "presence": {
        "presenceDefinition": {"id": "d", "systemPresence": "Busy"},
        "modifiedDate": "2026-11-30T20:00:00.000Z",
    },
    "routingStatus": {"status": "IDLE", "startTime": "2026-11-30T20:00:00.000Z"},
}


@dataclass
class Rig:
    """One planner's file and page, over as many lives as a test wants."""

    cloud: ScriptedCloud
    path: Path
    generation: int = 0
    counters: Counters = field(default_factory=lambda: Counters.create("planner", PLANNER_WORDS))
    doorbell: Doorbell = field(default_factory=lambda: Doorbell.create("receiver-0"))
    arguments: PlannerArguments = field(init=False)
    child: Child = field(init=False)

    def __post_init__(self) -> None:
        prepare(self.path, "run")
        os.set_blocking(self.doorbell.fileno(), False)
        self.arguments = PlannerArguments(
            address=self.cloud.address,
            path=self.path,
            run="run",
            watch=WatchSelection(),
            clients=1,
            limits=SMALL,
            requests_per_minute=3000,
            roster_every_s=SOON_S,
            receiver_doorbells=(self.doorbell,),
        )

    @asynccontextmanager
    async def living(self) -> AsyncIterator[asyncio.Task[None]]:
        """One life, stopped at the end of the block."""
        self.generation += 1
        self.counters.set("phase", STARTING)
        self.child = Child("planner", self.generation, self.counters)
        planner = Planner(self.child, self.arguments, SystemClock(), retry=HASTY)
        life = asyncio.create_task(planner.live())
        await asyncio.sleep(0)  # it begins
        try:
            yield life
        finally:
            self.child.stop()
            async with asyncio.timeout(10):
                await life

    async def fails(self) -> ConfigurationError:
        """The life that ends by itself."""
        with pytest.raises(ConfigurationError) as raised:
            async with self.living() as life:
                await life
        return raised.value

    def get(self, word: str) -> int:
        return self.counters.get(word)

    async def beats(self, seconds: float) -> None:
        """It lives on for so long, whatever it does."""
        from_ns = self.get("beat_ns")
        await until(lambda: self.get("beat_ns") > from_ns + seconds * 1e9)

    @property
    def roster(self) -> Roster:
        return read_roster(self.path)

    def rung(self) -> bool:
        try:
            return bool(os.read(self.doorbell.fileno(), 8))
        except BlockingIOError:
            return False


def with_rig(tmp_path: Path, test: Callable[[ScriptedCloud, Rig], Awaitable[None]]) -> None:
    async def run() -> None:
        async with ScriptedCloud() as cloud:
            await test(cloud, Rig(cloud, tmp_path / "cloud.db"))

    in_loop(run)
