"""Pump: one sink's life. It pulls, delivers, and writes down how far it is; then again.

It decides nothing: what comes next is the source's, how long to wait the patience's. What blocks is
done in a thread of its own, so that no sink waits for another one. Its place is written behind the
delivery: a kill in between delivers the same once more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, TypeVar

import apsw
import structlog

from actors.sinks.sink import Sink, SinkBatch, UndeliveredError
from actors.sinks.sink_retry import SinkRetry
from actors.sinks.source import Pulled, Source
from actors.sinks.store import SinkStore
from actors.storage.sqlite import DAMAGE_ERRORS, TRANSIENT_ERRORS
from runtime.clock import Clock
from runtime.counters import Counters
from runtime.crash_point import crash_point
from runtime.errors import RuntimeFault

COMMIT_RETRY_S: Final = 0.5
STEP_S: Final = 1.0

Done = TypeVar("Done")


class Thread:
    """The one thread of a sink."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    def __call__(self, work: Callable[[], Done]) -> Awaitable[Done]:
        return asyncio.get_running_loop().run_in_executor(self._executor, work)

    def leave(self) -> None:
        """Also if it hangs."""
        self._executor.shutdown(wait=False, cancel_futures=True)


class DeliveryWorker:
    """For one sink; counts on the page of the child, from the loop's thread only."""

    def __init__(
        self,
        name: str,
        sink: Sink,
        source: Source,
        store: SinkStore,
        retry: SinkRetry,
        *,
        linger_s: float,
        clock: Clock,
        counters: Counters,
        in_thread: Thread,
    ) -> None:
        self._sink = sink
        self._source = source
        self._store = store
        self._retry = retry
        self._linger_s = linger_s
        self._clock = clock
        self._counters = counters
        self._in_thread = in_thread
        self._log: Any = structlog.get_logger("actors.sinks").bind(sink=name)
        self._woken = asyncio.Event()
        self._stopping = asyncio.Event()
        self._is_open = False
        self._problem: str | None = None  # "": it delivers; None: nothing is known yet
        self.is_paused = False
        self.oldest_us = 0
        """When the oldest row was received that is being delivered; 0: there is none."""

    # -- for the loop

    @property
    def is_failing(self) -> bool:
        return bool(self._problem)

    @property
    def source(self) -> Source:
        return self._source

    def wake(self) -> None:
        """There may be something to pull."""
        self._woken.set()

    def stop(self) -> None:
        """To end as soon as nothing is left to deliver, or at the first failure."""
        self._stopping.set()
        self._woken.set()

    async def run(self) -> None:
        """Until it is stopped, and has delivered what there was. If it is cancelled, nothing is
        closed: its thread may hang."""
        is_last = False
        while not is_last:
            is_last = self._stopping.is_set()
            self._woken.clear()
            pulled = await self._pull()
            if pulled is None or not await self._hand_on(pulled):
                break
            if pulled.has_more:
                is_last = False
            elif not is_last:
                await self._woken.wait()
                await self._pause(self._linger_s)
        await self._sink.close()

    # -- one turn

    async def _pull(self) -> Pulled | None:
        """None: it was stopped, and the journals cannot be read."""
        while True:
            try:
                return await self._in_thread(self._source.pull)
            except (RuntimeFault, apsw.Error, *DAMAGE_ERRORS) as error:  # also if it was taken away
                self._source.close()
                failure = UndeliveredError(f"a journal cannot be read: {error}")
            if not await self._after(failure):
                return None

    async def _hand_on(self, pulled: Pulled) -> bool:
        """False: it was stopped, and could not."""
        if pulled.events:
            self.oldest_us = pulled.oldest_us
            batch = SinkBatch(pulled.events)
            while (failure := await self._attempt(batch)) is not None:
                if not await self._after(failure):
                    return False
            crash_point("after-deliver")
            await self._succeeded()
        if pulled.places and not await self._commit(pulled):
            return False
        self.oldest_us = 0
        counters = self._counters
        counters.add("delivered", len(pulled.events))
        counters.add("batches", bool(pulled.events))
        counters.add("rows_missed", pulled.missed)
        return True

    async def _attempt(self, batch: SinkBatch) -> UndeliveredError | None:
        try:
            if not self._is_open:
                await self._sink.open()
                self._is_open = True
            await self._sink.deliver(batch)
        except UndeliveredError as failure:
            self._is_open = False
            return failure
        return None

    async def _commit(self, pulled: Pulled) -> bool:
        """For as long as the disk takes; False: it was stopped meanwhile."""
        while True:
            try:
                await self._in_thread(lambda: self._store.commit(pulled.places, len(pulled.events)))
            except TRANSIENT_ERRORS as error:
                self._counters.add("commit_failures")
                self._log.warning("sink.position_not_saved", cause=str(error))
                if not await self._pause(COMMIT_RETRY_S):
                    return False
                continue
            crash_point("after-place")
            self._source.delivered(pulled)
            return True

    # -- failures

    async def _after(self, failure: UndeliveredError) -> bool:
        """Counts it, tells it if it is news, and waits; False: it was stopped."""
        wait_s = self._retry.after(failure)
        self._counters.add("failed")
        self._counters.add("refused", failure.is_refused)
        await self._tell(str(failure), is_paused=failure.is_refused, retry_in_s=round(wait_s, 1))
        return await self._pause(wait_s)

    async def _succeeded(self) -> None:
        self._retry.succeeded()
        await self._tell("", is_paused=False)

    async def _tell(self, problem: str, *, is_paused: bool, **values: object) -> None:
        """One line, and one in the file, for a change of what is the matter."""
        if (problem, is_paused) == (self._problem, self.is_paused):
            return
        was, self._problem, self.is_paused = self._problem, problem, is_paused
        if is_paused:
            self._log.error("sink.refused", cause=problem, **values)
        elif problem:
            self._log.warning("sink.failing", cause=problem, **values)
        elif was:
            self._log.info("sink.recovered", was=was)
        since_us = self._clock.wall_us()
        with suppress(*TRANSIENT_ERRORS):  # for people only
            await self._in_thread(
                lambda: self._store.tell(problem, is_paused=is_paused, since_us=since_us)
            )

    async def _pause(self, seconds: float) -> bool:
        """False: it was stopped. In steps: a suspended machine must not oversleep."""
        due_s = self._clock.now_s() + seconds
        while (left_s := due_s - self._clock.now_s()) > 0 and not self._stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), min(left_s, STEP_S))
        return not self._stopping.is_set()
