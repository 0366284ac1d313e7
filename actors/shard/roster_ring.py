"""Owns the ring from the planner to a shard, and what the page says of sessions that are doubted.

What the roster shows stands in no journal and is nothing that a death is laid to: a shard that
starts skips what was read before its time, because it is read again.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.messages.doubts import DOUBT_WORDS
from actors.shard.shard import Shard
from runtime.block import Block
from runtime.counters import Counters
from runtime.ring import Batch, Consumer


class RosterRing:
    """The shard's end of it. All calls are the actor's, between two of its batches. `events`: the
    rings that bring events."""

    def __init__(
        self, ring: Block, counters: Counters, generation: int, events: Sequence[Consumer]
    ) -> None:
        self.consumer = Consumer(ring, generation=generation)
        self._counters = counters
        self._events = events
        self._judged_ns = [0] * len(events)  # when the newest record of each ring came

    def start(self, shard: Shard) -> None:
        self.consumer.skip_to(self.consumer.published)
        shard.doubts.restore(map(self._counters.get, DOUBT_WORDS))

    def judged(self, batch: Batch) -> None:
        """A batch of events."""
        self._judged_ns[batch.ring] = batch.received_ns[batch.count - 1]

    def reconcile(self, batch: Batch, shard: Shard, now_us: int) -> bool:
        """True: something was corrected, which must be committed."""
        judged_ns = min(
            judged_ns if consumer.used_bytes else now_us * 1_000
            for consumer, judged_ns in zip(self._events, self._judged_ns, strict=True)
        )
        return shard.reconcile(batch, judged_ns, now_us)

    def show(self, shard: Shard) -> None:
        """The doubts, for the receivers."""
        if shard.doubts.is_any:
            for word, value in zip(DOUBT_WORDS, shard.doubted, strict=True):
                self._counters.set(word, value)
