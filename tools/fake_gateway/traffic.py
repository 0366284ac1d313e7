"""Traffic: a load, its pace, and the turns in which what happens is put on sockets.

What happens, and who is told of it, is a dialect's business.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass

from tools.fake_gateway.ledger import Ledger
from tools.fake_gateway.pacing import Load, Pace

TURN_S = 0.001  # a paced event is that much later at most
BACKLOG_BYTES = 1 << 20  # of a socket's send buffer; at full speed a full one is normal
SLOW_AFTER_S = 10.0  # a send buffer that is over its bound without progress for so long is cut
MAX_RUNS_PER_TURN = 16  # then the loop reads sockets and answers calls
STRETCH_NS = 20_000_000  # at full speed times are put right so often
STRETCH_STEP_NS = 200  # … and grow by this from event to event, unless the agents are few


@dataclass(slots=True)
class SentFrames:
    """Put on sockets so far."""

    events: int = 0
    history: int = 0
    broken: int = 0
    bytes: int = 0

    @property
    def total(self) -> int:
        return self.events + self.history + self.broken


class Traffic(ABC):
    def __init__(
        self,
        ledger: Ledger,
        *,
        backlog_bytes: int = BACKLOG_BYTES,
        slow_after_s: float = SLOW_AFTER_S,
    ) -> None:
        self.sent = SentFrames()
        self.load: Load | None = None
        self.load_state = "idle"
        self.drops_due = 0
        self.slow_cut = 0
        self._ledger = ledger
        self._backlog_bytes = backlog_bytes
        self._slow_after_s = slow_after_s
        self._load_base = 0  # steps before the load
        self._load_started_ns = 0
        self._load_wall_ns = 0
        self._stretch_ns = 0
        self._awake = asyncio.Event()

    @property
    @abstractmethod
    def steps(self) -> int:
        """Of the script, so far."""

    @property
    @abstractmethod
    def listening(self) -> int:
        """Sockets that are told of events."""

    @abstractmethod
    def turn(self) -> bool:
        """One look at the load and every socket. False: nothing to do until `wake`."""

    @abstractmethod
    def _begin_stretch(self, step: int, now_ns: int, step_ns: int) -> None:
        """From that step of the script on."""

    @abstractmethod
    def _begin_pace(self, pace: Pace) -> None: ...
    @abstractmethod
    def _happen(self, steps: int) -> None:
        """So many steps of the load have happened by now."""

    @abstractmethod
    def _has_room_everywhere(self) -> bool: ...

    def start_load(self, load: Load) -> None:
        """Replaces the load that runs, if one does."""
        self.load, self.load_state = load, "running"
        self._load_base = self.steps
        self._load_started_ns, self._load_wall_ns = time.monotonic_ns(), time.time_ns()
        self._stretch_ns = 0
        self.wake()

    def stop_load(self) -> None:
        if self.load is not None:
            self.load, self.load_state = None, "done"
            self.wake()

    def wake(self) -> None:
        self._awake.set()

    async def rest(self, is_busy: bool) -> None:
        """Between two turns: a moment, or until there is something to do."""
        if is_busy:
            # The loop writes between turns: at full speed the kernel may have taken all by then.
            await asyncio.sleep(0)
            if not (self._is_at_full_speed and self._has_room_everywhere()):
                await asyncio.sleep(TURN_S)
        else:
            self._ledger.flush()
            self._awake.clear()
            await self._awake.wait()

    @property
    def _is_at_full_speed(self) -> bool:
        return self.load is not None and self.load.rate is None

    def _pace(self) -> None:
        """Events that are due happen now."""
        if self.load is None:
            return
        due = self.load.due(time.monotonic_ns() - self._load_started_ns)
        self.drops_due += due.drops
        for pace in due.paces:
            self._begin_pace(pace)
        if self.load.rate is not None:
            self._happen(due.events)
        if due.is_over:
            self.stop_load()

    def _put_times_right(self, first: int) -> int:
        """At full speed, from `first` on; returns the wall clock."""
        wall_ns = time.time_ns()
        if wall_ns - self._stretch_ns >= STRETCH_NS:
            self._begin_stretch(first, wall_ns, STRETCH_STEP_NS)
            self._stretch_ns = wall_ns
        return wall_ns
