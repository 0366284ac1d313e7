"""Looping: how a peer on an asyncio loop plays its part. Knows no WebSocket library."""

from __future__ import annotations

import asyncio
import gc

from benchmarks.peers.agents import TEND_S, Agents
from benchmarks.peers.part import Course, Report

LOOK_S = 0.005
HISTORY_COMPLETE = "history.complete"


class Looping:
    """The timers of one peer, and its end."""

    def __init__(self, agents: Agents) -> None:
        self._agents = agents
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._course = Course(lambda: agents.newest, self._report)
        self._loop.add_reader(0, self._told)
        self._tend()

    def ready(self) -> None:
        """The history is whole. What lives now lives on, and what comes is free of cycles: as in a
        shard of ours, the collector rests."""
        gc.collect()
        gc.freeze()
        gc.disable()
        self._course.ready()

    def lost(self) -> None:
        """The socket is gone; if it is not yet over, that ends the peer."""
        if not self._over.done():
            self._over.set_exception(ConnectionError("the socket is gone"))

    async def over(self) -> None:
        await self._over

    def _told(self) -> None:
        self._loop.remove_reader(0)
        self._course.told()
        self._look()

    def _look(self) -> None:
        self._agents.flush()
        if self._course.is_over():
            self._over.set_result(None)
        else:
            self._loop.call_later(LOOK_S, self._look)

    def _tend(self) -> None:
        self._agents.tend()
        self._loop.call_later(TEND_S, self._tend)

    def _report(self, cpu_s: float) -> Report:
        agents = self._agents
        return Report(
            events=agents.events,
            transitions=agents.transitions,
            states=agents.states,
            cpu_s={"peer": cpu_s},
        )
