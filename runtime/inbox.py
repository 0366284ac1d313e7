"""RingInbox: pykka's inbox over rings and a control lane; knows no actor and no record's meaning.

pykka asks an inbox for three methods: put, get, empty. `put` fills the control lane, for ordinary
envelopes (tell, ask, stop) from threads of this process. `get` gives, in this order: a due beat,
the control lane, the rings in turn, one batch to an envelope; with nothing to give it sleeps on the
doorbell until the next beat. `empty` speaks for the control lane only: pykka's teardown discards
what is admitted to, and records that nobody handled must stay in their ring.

A batch is lent, not taken: whoever handled it calls `commit`. Else the next get lends it again.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from runtime.clock import Clock, SystemClock
from runtime.doorbell import Doorbell
from runtime.ring import Batch, Consumer


class Beat:
    """The type of BEAT."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "BEAT"


BEAT: Final = Beat()  # the message of a due beat


class Ending:
    """How its reader's life ended; outlives the reader, which a pykka ref does not hold."""

    __slots__ = ("failure", "reached")

    def __init__(self) -> None:
        self.failure: BaseException | None = None
        self.reached = threading.Event()


BEAT_S: Final = 0.5
RECORDS_MAX: Final = 512


class RingInbox:
    """`put` and `empty` are for any thread, all else for the actor's own.

    beat_s: a beat is due that long after the last one, also under load.
    linger_s: how long a woken reader that finds less than a full batch lets it grow, without
    announcing its sleep, so that writers do not ring for each record; 0: not at all.
    """

    def __init__(
        self,
        consumers: Sequence[Consumer],
        doorbell: Doorbell,
        *,
        beat_s: float = BEAT_S,
        linger_s: float = 0.0,
        records_max: int = RECORDS_MAX,
        clock: Clock | None = None,
    ) -> None:
        assert beat_s > 0, f"beat_s {beat_s}"
        assert linger_s >= 0, f"linger_s {linger_s}"
        self.ending = Ending()
        self.records_max = records_max  # of the next batch; may be set at any time
        self._consumers = self._open = tuple(consumers)
        self._doorbell = doorbell
        self._beat_s = beat_s
        self._linger_s = linger_s
        self._clock = clock or SystemClock()
        self._control: deque[Envelope[Any]] = deque()
        self._next_ring = 0
        self._next_beat_s = self._clock.now_s() + beat_s

    def put(self, envelope: Envelope[Any], /) -> None:
        self._control.append(envelope)
        self._doorbell.ring()

    def empty(self) -> bool:
        return not self._control

    def get(self) -> Envelope[Any]:
        envelope = self._look()
        while envelope is None:
            self._sleep()
            envelope = self._look()
        return envelope

    def _look(self) -> Envelope[Any] | None:
        now_s = self._clock.now_s()
        if now_s >= self._next_beat_s:
            self._next_beat_s = now_s + self._beat_s
            return Envelope(BEAT)
        if self._control and not (self._stop_is_next() and self._has_records()):
            return self._control.popleft()
        batch = self._peek()
        return None if batch is None else Envelope(batch)

    def _stop_is_next(self) -> bool:
        """A stop waits for what was told before it, and for all that stands in the rings."""
        return isinstance(self._control[0].message, _ActorStop)

    def _has_records(self) -> bool:
        return any(consumer.used_bytes for consumer in self._open)

    def _peek(self) -> Batch | None:
        """From the ring after the one that gave the last batch, so that none waits for ever."""
        for i in range(self._next_ring, self._next_ring + len(self._open)):
            ring = i % len(self._open)
            batch = self._open[ring].peek(self.records_max)
            if batch is not None:
                batch.ring = ring
                self._next_ring = ring + 1
                return batch
        return None

    def _sleep(self) -> None:
        """Until somebody rings or a beat is due."""
        self._doorbell.announce()
        if not self._control and not self._has_records():
            self._doorbell.wait(self._next_beat_s - self._clock.now_s())
        self._doorbell.cancel()
        if self._linger_s > 0 and not self._control and self._has_less_than_a_batch():
            time.sleep(self._linger_s)

    def _has_less_than_a_batch(self) -> bool:
        batches = [consumer.peek(self.records_max) for consumer in self._open]
        return 0 < sum(batch.count for batch in batches if batch is not None) < self.records_max

    def commit(self, batch: Batch) -> None:
        """Handled: its records may go."""
        self._consumers[batch.ring].commit(batch.cursor_to)

    def close_rings(self) -> None:
        """From now on only the control lane. What stands in the rings stays for a successor."""
        self._open = ()
