"""Tick: reads the feed into the model some ten times a second, and hands on what changed.

So nobody rings the web child for what shards tell, and what happens within one tick is one event
for those who read the stream. Knows no HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from actors.web.arguments import WebArguments
from actors.web.child_health import ChildHealthReader
from actors.web.feed_reader import FeedReader
from actors.web.read_model import AgentView, Health, ReadModel
from runtime.clock import Clock
from runtime.counters import Counters
from runtime.errors import LocalError

OnTick: TypeAlias = Callable[[Sequence[AgentView], Health], None]
"""Is given whoever changed, also if nobody did, and how things stand."""

QUIET_S: Final = 0.25
"""Of a tick when nothing has changed and nobody follows: half of what an idle web child costs."""


class TickLoop:
    """One life, on the loop on which it is started. Owns the model, of which it is the one writer,
    and what feeds it. An error of whoever listens ends the child."""

    def __init__(
        self, arguments: WebArguments, counters: Counters, generation: int, clock: Clock
    ) -> None:
        self.model = ReadModel(len(arguments.feeds), arguments.dialect)
        self.reader = FeedReader(
            arguments.feeds,
            arguments.shard_counters,
            self.model,
            counters=counters,
            generation=generation,
        )
        self.listeners: list[OnTick] = []
        self.is_followed: Callable[[], bool] = lambda: True
        """Whether anybody reads the stream."""
        self._vital_signs = ChildHealthReader(arguments.pages, clock)
        self._counters = counters
        self._clock = clock
        self._tick_s = arguments.settings.tick_ms / 1_000
        self._began_s = 0.0
        self._is_over = False
        counters.set("feed_tick_us", 0)

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._begin()

    def stop(self) -> None:
        self._is_over = True

    def _begin(self) -> None:
        self._began_s = self._clock.now_s()
        self._look()

    def _look(self) -> None:
        """Part by part, with the requests in between; but no longer than a tick takes."""
        if self._is_over:
            return
        now_s = self._clock.now_s()
        if self.reader.look(now_s) and now_s < self._began_s + self._tick_s:
            self._loop.call_soon(self._look)
            return
        try:
            is_awaited = self._tell() or self.is_followed()
        except OSError as error:  # the loop's handler would take it for a client's
            raise LocalError(f"a tick failed: {error}") from error
        took_s = self._clock.now_s() - self._began_s
        if took_s * 1e6 > self._counters.get("feed_tick_us"):
            self._counters.set("feed_tick_us", int(took_s * 1e6))
        pause_s = pause_after_s(self._tick_s, took_s, is_awaited=is_awaited)
        self._loop.call_later(pause_s, self._begin)

    def _tell(self) -> bool:
        """Whether there was anything to tell, or soon will be."""
        model, now_us = self.model, self._clock.wall_us()
        model.vitals = self._vital_signs.look()
        model.pass_minute(now_us)
        self.reader.show()
        changes, health = model.take_changes(), model.health(now_us)
        for listener in self.listeners:
            listener(changes, health)
        return bool(changes) or health.is_lagging


def pause_after_s(tick_s: float, took_s: float, *, is_awaited: bool) -> float:
    """Until the next tick. `is_awaited`: somebody follows, or there was something to tell."""
    return max(0.0, (tick_s if is_awaited else max(tick_s, QUIET_S)) - took_s)
