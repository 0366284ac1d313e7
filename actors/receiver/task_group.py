"""Owns the outer life of a receiver, of whichever dialect: its tasks, and how it ends.

It knows no session and no socket. A task that raises ends the receiver with what it raised.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine
from typing import Any, Final

from actors.messages.control import ControlRecord, Gap, HistoryEnds, SessionBegins, SessionEnds
from actors.receiver.ring_writer import RingWriter
from runtime.child import Child
from runtime.clock import Clock

TICK_S: Final = 0.25
DRAIN_S: Final = 10.0
LINES_END_S: Final = 3.0
GARBAGE_CHECKED_EVERY: Final = 50_000
"""Objects more than before. Frames that wait for room in a ring are no garbage: to look at all of
them each 700 frames was 7 % of a receiver whose rings are full."""
STAGED_POINTS: Final[dict[type[ControlRecord], str]] = {
    SessionBegins: "after-begins-staged",
    HistoryEnds: "after-history-end-staged",
    SessionEnds: "after-end-staged",
    Gap: "after-gap-staged",
}
"""Where a test may kill a receiver, by the control record that it has just staged."""


class TaskGroup:
    """For one event loop, in which it is made. `over` is set once it is to end."""

    def __init__(self, child: Child, clock: Clock, log: Any) -> None:
        self._child = child
        self._clock = clock
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self.over = asyncio.Event()
        self.failure: BaseException | None = None
        self._loop.set_exception_handler(self._on_loop_error)
        gc.set_threshold(GARBAGE_CHECKED_EVERY)

    def spawn(self, work: Coroutine[Any, Any, None], name: str = "") -> asyncio.Task[None]:
        """A task whose name begins with `line` is waited for at the end, all others are cut."""
        task = self._loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.fail(error)

    def fail(self, failure: BaseException) -> None:
        if self.failure is None:
            self.failure = failure
        self.over.set()

    def _on_loop_error(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is None or isinstance(error, OSError):  # the network's, told by a transport
            self._log.warning("loop.warning", cause=str(error or context.get("message")))
        else:
            self.fail(error)

    async def drain(self, ring_writer: RingWriter) -> None:
        """Hand over what has no room yet."""
        deadline_s = self._clock.now_s() + DRAIN_S
        ring_writer.publish()
        while ring_writer.is_spilling and self._clock.now_s() < deadline_s:
            await asyncio.sleep(TICK_S / 10)  # the shards ring as well, but only below 50 %
            ring_writer.relieve()
            self._child.beat()

    async def end_tasks(self) -> None:
        """Let the lines say goodbye, end all others."""
        lines = {task for task in self._tasks if task.get_name().startswith("line")}
        if lines:
            await asyncio.wait(lines, timeout=LINES_END_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
