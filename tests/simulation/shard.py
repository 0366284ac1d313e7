"""The real shard without its thread: the steps of `actors/shard/actor.py`, each of which may be the
last one. Knows no gateway.
"""

from __future__ import annotations

from typing import cast

from actors.shard.journal import Journal, Transaction
from actors.shard.shard import Shard
from actors.storage.sqlite import TRANSIENT_ERRORS
from runtime.block import Block
from runtime.clock import ManualClock
from runtime.crash_point import crash_point
from runtime.doorbell import Doorbell
from runtime.ring import KIND_CONTROL, Batch, Consumer
from tests.simulation.journal import Disk, MemoryJournal


class Intake:
    """How many events a shard has answered for, counted where its ring lets them go."""

    def __init__(self) -> None:
        self.received = 0
        self.by_cursor: dict[int, int] = {}

    def lent(self, batch: Batch) -> None:
        self.by_cursor[batch.cursor_to] = (
            self.received + batch.count - batch.kinds.count(KIND_CONTROL)
        )

    def let_go(self, cursor: int) -> None:
        self.received = self.by_cursor[cursor]


class SimulatedShard:
    """One life."""

    def __init__(
        self,
        index: int,
        shards: int,
        *,
        ring: Block,
        doorbell: Doorbell,
        disk: Disk,
        run: str,
        page: dict[str, int],
        generation: int,
        clock: ManualClock,
        intake: Intake,
    ) -> None:
        self._clock = clock
        self._page = page
        self._intake = intake
        self._pending: tuple[Transaction, Batch | None] | None = None  # the disk did not take it
        self.consumer = Consumer(ring, generation=generation, producer_doorbell=doorbell)
        self._journal = cast("Journal", MemoryJournal(disk, run))
        self.shard = Shard(index, shards, rings=1, now_s=clock.now_s())
        self.shard.restore(self._journal, clock.now_s(), lambda: None)
        self.skip()
        crash_point("after-load")
        self.show()

    def skip(self) -> None:
        """What the journal has is not met again."""
        (cursor,) = self.shard.cursors
        if cursor > self.consumer.cursor:
            self.consumer.skip_to(cursor)
            self._intake.let_go(cursor)

    @property
    def has_work(self) -> bool:
        return self._pending is not None or self.consumer.used_bytes > 0

    def step(self, records_max: int) -> None:
        """A batch; or another try to commit the last one."""
        if self._pending is not None:
            self._commit(*self._pending)
            return
        batch = self.consumer.peek(records_max)
        if batch is None:
            return
        self._intake.lent(batch)
        crash_point("after-peek")
        now_s = self._clock.now_s()
        self.shard.take(batch, now_s)
        crash_point("after-merge")
        transaction = self.shard.prepare(now_s)
        crash_point("after-prepare")
        self._commit(transaction, batch)

    def beat(self) -> None:
        now_s = self._clock.now_s()
        if self._pending is None and self.shard.owes_quietly(now_s):
            self._commit(self.shard.prepare(now_s), None)

    def stop(self) -> None:
        """A clean stop, behind the last batch."""
        while self.has_work:
            self.step(512)
        crash_point("before-last-commit")
        self._commit(self.shard.prepare(self._clock.now_s(), finish=True), None)
        self._commit(self.shard.prepare(self._clock.now_s()), None)
        crash_point("after-last-commit")

    def _commit(self, transaction: Transaction, batch: Batch | None) -> None:
        self._pending = (transaction, batch)
        try:
            self._journal.commit(transaction)
        except TRANSIENT_ERRORS:
            return
        self._pending = None
        self.shard.committed(transaction, self._clock.wall_us())
        crash_point("after-commit")
        crash_point("after-feed")  # nobody reads along here: tests/models/test_feed_model.py
        self.show()
        if batch is not None:
            crash_point("after-show")
            self.consumer.commit(batch.cursor_to)
            self._intake.let_go(batch.cursor_to)
            crash_point("after-release")

    def show(self) -> None:
        """What the receiver reads."""
        standing = self.shard.standing
        self._page.update(
            mark_epoch=standing.mark_epoch,
            mark_sequence=standing.mark_sequence,
            wants_history=int(standing.wants_history),
            session=standing.session,
        )
