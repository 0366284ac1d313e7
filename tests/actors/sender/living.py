"""A sender's loop in a test: the page it writes, what it tells, and its life."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from actors.genesys.http import GatewayAddress
from actors.genesys.presence import update_frame
from actors.sender import signals
from actors.sender.cloud_loop import CloudLoop
from actors.sender.line import SenderPolicy
from actors.sender.loop import Loop
from actors.sender.loop_life import LoopLife
from actors.sender.words import LOOP_WORDS
from actors.settings.sender import SenderSettings
from runtime.clock import SystemClock
from runtime.counters import Counters
from tests.actors.receiver.rig import DEADLINE_S, credentials, until

Told = TypeVar("Told", bound=signals.Signal)

HASTY = SenderPolicy(
    even_gap_s=0.001, backoff_first_s=0.001, backoff_most_s=0.002, replace_gap_s=0.0
)
"""Does not wait before it tries again: what it should wait is tested in test_line."""


@dataclass
class Living:
    """`told` grows in the loop's order."""

    url: str
    settings: SenderSettings = field(default_factory=SenderSettings)
    policy: SenderPolicy = HASTY
    credentials: Callable[[], tuple[str, str]] = credentials
    ca_file: Path | None = None
    told: list[signals.Signal] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.counters = Counters.create("sender", LOOP_WORDS)
        self.clock = SystemClock()
        self.loop = self.make()

    def make(self) -> LoopLife:
        return Loop(
            address=GatewayAddress(
                api_url=self.url, credentials=self.credentials, ca_file=self.ca_file
            ),
            settings=self.settings,
            counters=self.counters,
            tell=self.told.append,
            clock=self.clock,
            policy=self.policy,
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[LoopLife]:
        """The loop lives for as long as the block lasts, then it is asked to stop."""
        life = asyncio.ensure_future(self.loop.live())
        try:
            yield self.loop
        finally:
            self.loop.stop()
            async with asyncio.timeout(DEADLINE_S):
                await asyncio.wait([life])
        life.result()

    def all(self, kind: type[Told]) -> list[Told]:
        return [each for each in self.told if isinstance(each, kind)]

    async def first(self, kind: type[Told], n: int = 1, within_s: float = DEADLINE_S) -> Told:
        """The nth of this kind, as soon as it was told."""
        await until(lambda: len(self.all(kind)) >= n, within_s)
        return self.all(kind)[n - 1]

    async def until_count(self, word: str, at_least: int) -> None:
        await until(lambda: self.counters.get(word) >= at_least)

    async def until_told(self, fact: Callable[[signals.Signal], bool]) -> None:
        await until(lambda: any(map(fact, self.told)))


@dataclass
class CloudLiving(Living):
    """In the cloud dialect."""

    requests_per_minute: int = 300

    def make(self) -> LoopLife:
        return CloudLoop(
            address=GatewayAddress(
                api_url=self.url,
                credentials=self.credentials,
                token_url=f"{self.url}/oauth/token",
            ),
            settings=self.settings,
            counters=self.counters,
            tell=self.told.append,
            clock=self.clock,
            requests_per_minute=self.requests_per_minute,
        )


def send(line: int, correlation: str = "c1", state: str = "busy") -> signals.Send:
    return signals.Send(line, correlation, update_frame("agent-1", state, "", correlation))
