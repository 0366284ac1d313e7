"""Owns the life of the sinks' process: it looks whether there is anything new, and wakes the pumps.

It looks at the shards' pages, never at a file: five times a second, so that an idle runtime costs
next to nothing and a busy one is read in batches. Every sink has a pump and a thread of its own.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Mapping
from typing import Final

import structlog

from actors.planner.agent_reader import AgentReader
from actors.planner.store import roster_path
from actors.settings.sinks import SinkSettings
from actors.sinks.arguments import SinksArguments
from actors.sinks.delivery_worker import DeliveryWorker, Thread
from actors.sinks.envelope import EventEnvelope, SinkFilter
from actors.sinks.journals import JournalFile, JournalReader, find
from actors.sinks.jsonl import MB, JsonLines, StandardOutput
from actors.sinks.sink import Sink
from actors.sinks.sink_retry import SinkRetry
from actors.sinks.source import Source
from actors.sinks.store import SinkStore, sinks_path
from actors.sinks.webhook import WebhookSink
from actors.storage.disk_wait import DiskWait
from runtime import loop_child
from runtime.child import Child
from runtime.clock import Clock, SystemClock
from runtime.counters import DRAINING, LOADED, RUNNING

NICENESS: Final = 5
"""Shards go first."""
LOOK_S: Final = 0.2
ANYHOW_S: Final = 10.0
"""The journals are read so often even if no page tells of anything."""
DRAIN_S: Final = 3.0
"""What is left to deliver at a stop has this long; the rest comes with the next start."""
LINES_ROWS_MAX: Final = 2_000
"""Of one batch of lines."""


def run(child: Child, arguments: SinksArguments) -> None:
    """The entry of the child. Whatever a sink does, the process goes on."""
    os.nice(NICENESS)
    loop_child.run(Sinks(child, arguments, SystemClock()).live())


class Sinks:
    """One life."""

    def __init__(self, child: Child, arguments: SinksArguments, clock: Clock) -> None:
        self._child = child
        self._arguments = arguments
        self._clock = clock
        self._rng = random.Random()  # noqa: S311 - jitter
        self._log = structlog.get_logger("actors.sinks")
        path = sinks_path(arguments.data_dir)
        self._disk = DiskWait(child, self._log, path)
        self._threads: list[Thread] = []
        self._stores: list[SinkStore] = []
        self._stopped: asyncio.Event
        self._loop: asyncio.AbstractEventLoop

    async def live(self) -> None:
        """Until it is stopped, and then as long as `DRAIN_S` for what is left."""
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        loop_child.on_stop(self._child, self._on_stop)
        try:
            files = self._disk.until_done(lambda: find(self._arguments.data_dir))
            pumps = [self._worker(settings, files) for settings in self._arguments.settings]
            self._child.set_phase(LOADED)
            self._child.set_phase(RUNNING)
            await self._serve(pumps, files)
        finally:
            for thread in self._threads:
                thread.leave()

    def _on_stop(self) -> None:
        self._child.set_phase(DRAINING)
        self._stopped.set()

    def _worker(self, settings: SinkSettings, files: list[JournalFile]) -> DeliveryWorker:
        arguments = self._arguments
        path = sinks_path(arguments.data_dir)
        store = self._disk.until_done(lambda: SinkStore(path, arguments.run, settings.name))
        thread = Thread(settings.name)
        self._threads.append(thread)
        is_webhook = settings.kind == "webhook"
        agents = AgentReader(roster_path(arguments.data_dir), self._tell_unreadable)
        source = Source(
            files,
            store.places,
            EventEnvelope(arguments.source, agents.agent),
            SinkFilter(settings),
            rows_max=settings.batch_max if is_webhook else LINES_ROWS_MAX,
            wall_us=self._clock.wall_us,
            open_reader=JournalReader,
            begin=agents.refresh,
        )
        return DeliveryWorker(
            settings.name,
            self._sink(settings, thread),
            source,
            store,
            SinkRetry(
                backoff_most_s=settings.backoff_max_s,
                pause_s=settings.pause_s,
                rng=self._rng,
            ),
            linger_s=settings.linger_ms / 1e3 if is_webhook else 0.0,
            clock=self._clock,
            counters=self._child.counters,
            in_thread=thread,
        )

    def _tell_unreadable(self, cause: str) -> None:
        what = "events are delivered without names and profiles of their agents"
        self._log.warning("agents.unreadable", cause=cause, what=what)

    def _sink(self, settings: SinkSettings, thread: Thread) -> Sink:
        if settings.kind == "webhook":
            return WebhookSink(settings, self._arguments.address, self._clock.wall_us)
        if settings.to_stdout:
            return StandardOutput(thread)
        assert settings.path is not None, settings
        return JsonLines(
            settings.path,
            rotate_bytes=int(settings.rotate_mb * MB),
            keep=settings.keep,
            in_thread=thread,
        )

    # -- while it runs

    async def _serve(self, pumps: list[DeliveryWorker], files: list[JournalFile]) -> None:
        tasks = [self._loop.create_task(worker.run()) for worker in pumps]
        stopped = self._loop.create_task(self._stopped.wait())
        rows: tuple[int, ...] = ()
        anyhow_s = end_s = float("inf")
        try:
            while not all(task.done() for task in tasks):
                now_s = self._clock.now_s()
                if self._stopped.is_set() and end_s == float("inf"):
                    end_s = now_s + DRAIN_S
                    for worker in pumps:
                        worker.stop()
                if now_s >= end_s:
                    self._log.warning(
                        "sinks.undelivered", what="delivery continues at the next start"
                    )
                    break
                was, rows = rows, self._rows()
                if rows != was or now_s >= anyhow_s:
                    anyhow_s = now_s + ANYHOW_S
                    for worker in pumps:
                        worker.wake()
                self._show(pumps, files, rows)
                waited = [task for task in (*tasks, stopped) if not task.done()]
                await asyncio.wait(waited, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
                for pumping in tasks:
                    if pumping.done():
                        pumping.result()  # what ends a pump ends the process
        finally:
            for task in (*tasks, stopped):
                task.cancel()
            await asyncio.gather(*tasks, stopped, return_exceptions=True)
            self._show(pumps, files, self._rows())

    def _rows(self) -> tuple[int, ...]:
        """The newest committed row of each shard."""
        return tuple(page.get("transitions") for page in self._arguments.shard_counters)

    def _show(
        self, pumps: list[DeliveryWorker], files: list[JournalFile], rows: tuple[int, ...]
    ) -> None:
        put, now_us = self._child.counters.set, self._clock.wall_us()
        last_rows = _last_rows(files, rows)
        put("sinks", len(pumps))
        put("sinks_failing", sum(worker.is_failing for worker in pumps))
        put("sinks_paused", sum(worker.is_paused for worker in pumps))
        put("behind_rows", max(_behind(worker, last_rows) for worker in pumps))
        waits = [now_us - worker.oldest_us for worker in pumps if worker.oldest_us]
        put("behind_ms", max(waits, default=0) // 1_000)
        self._child.beat()


def _last_rows(files: list[JournalFile], rows: tuple[int, ...]) -> Mapping[str, int]:
    """By journal: of those that grow, the pages know it."""
    present = [file for file in files if not file.is_archived]
    grown = {file.identity: row for file, row in zip(present, rows, strict=True)}
    return {file.identity: max(file.last_row, grown.get(file.identity, 0)) for file in files}


def _behind(worker: DeliveryWorker, last_rows: Mapping[str, int]) -> int:
    """Rows that this sink is still to be given."""
    places = worker.source.places
    return sum(
        max(0, last - places[identity].row)
        for identity, last in last_rows.items()
        if not places[identity].is_done
    )
