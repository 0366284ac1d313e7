"""The state actor: a shard on its thread, between its rings and its journal.

A shell: it waits, retries and shows counters. What a batch means is decided in `shard.py`.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import Any, Final

import structlog

from actors.messages.feed import FrameWanted
from actors.shard.answering import Answering
from actors.shard.arguments import ShardArguments
from actors.shard.durations import Durations
from actors.shard.feed import Feed
from actors.shard.journal import DamagedJournalError, Journal, Transaction, damage_named
from actors.shard.memberships import Memberships
from actors.shard.pruning import Pruning
from actors.shard.roster_ring import RosterRing
from actors.shard.shard import RefeedResult, Shard, ShardStatus
from actors.shard.suspicion import (
    HAND_WORDS,
    NO_SUSPICION,
    REASON,
    SUSPICION_WORDS,
    BatchInHand,
    BatchStep,
    Suspicion,
    Verdict,
    suspicion_after,
)
from actors.shard.unusable_input import UnusableInput
from actors.storage.disk_wait import DiskWait
from actors.storage.sqlite import DISK_DAMAGE_ERRORS
from runtime.child import Child
from runtime.clock import Clock, SystemClock
from runtime.counters import LOADED, RUNNING
from runtime.crash_point import crash_point, poison_point
from runtime.inbox import RingInbox
from runtime.ring import Batch, Consumer
from runtime.ring_actor import RingActor

BATCH_RECORDS = 512
BATCH_RECORDS_SLOW_DISK = 4_096
SLOW_COMMIT_S = 0.005
COLLECT_EVERY_S = 60.0
GO_ON: Final = "go on"
"""What the actor tells itself when a reader has more to be told: nothing else would wake it."""


class StateActor(RingActor):
    """Drains batches into the shard, the shard into the journal."""

    def __init__(
        self,
        child: Child,
        arguments: ShardArguments,
        consumers: Sequence[Consumer],
        inbox: RingInbox,
        *,
        answering: Answering | None = None,
        feed: Feed | None = None,
        roster: RosterRing | None = None,
        memberships: Memberships | None = None,
    ) -> None:
        """`consumers` bring events; in the inbox those of `answering`, `feed` and `roster` come
        after them, in this order."""
        super().__init__(inbox)
        self._consumers = consumers
        self._answering = answering
        self._feed = feed
        self._roster = roster
        self._memberships = memberships or Memberships()
        others = (answering, feed, roster)
        self._all_consumers = [*consumers, *(each.consumer for each in others if each)]
        self._is_going_on = False
        self._child = child
        self._arguments = arguments
        self._ring_inbox = inbox
        self._clock: Clock = SystemClock()
        self._log = structlog.get_logger("actors.state").bind(shard=arguments.index)
        self._journal: Journal | None = None
        self._shard = self._new_shard()
        self._disk = DiskWait(child, self._log, arguments.path)
        self._pruning = Pruning(
            age_us=int(arguments.retention_days * 86_400e6),
            bytes_max=arguments.retention_bytes,
            clock=self._clock,
            log=self._log,
        )
        self._collect_at_s = self._clock.now_s() + COLLECT_EVERY_S
        self._unusable = UnusableInput(child.counters, self._log, arguments.path)
        self._suspicion = NO_SUSPICION
        self._commit_took = Durations(child.counters, "commit")
        self._events_took = Durations(child.counters, "event")
        self._batch_records = BATCH_RECORDS

    # --- life --------------------------------------------------------------------------------

    def on_start(self) -> None:
        if self._arguments.journalled:
            self._load()
            assert self._journal is not None
            self._pruning.start(self._journal)
            for consumer, cursor in zip(self._consumers, self._shard.cursors, strict=True):
                if cursor > consumer.cursor:  # killed between commit and ring commit
                    consumer.skip_to(cursor)
        elif self._child.generation > 1:
            counters = self._child.counters
            self._shard.restart_empty(counters.get("mark_epoch"), counters.get("mark_sequence"))
        if self._answering is not None:
            self._answering.show(self._shard)
        if self._roster is not None:
            self._roster.start(self._shard)
        self._memberships.start(self._shard.agent_table, self._clock.now_s())
        crash_point("after-load")
        self._suspect()
        self._show()
        self._child.set_phase(LOADED)
        self._child.beat()
        self._log.info("shard.loaded", agents=len(self._shard.agent_table.by_id))
        self._child.set_phase(RUNNING)

    def on_batch(self, batch: Batch) -> None:
        now_s = self._clock.now_s()
        if batch.ring >= len(self._consumers):
            self._hear(batch, now_s)
            return
        crash_point("after-peek")
        before = self._shard.merge.counts["quarantined"]
        self._take_in_hand(batch)
        if self._suspicion.covers(batch.ring, batch.cursor_from):
            self._go_carefully(batch, now_s)
        else:
            poison_point(lambda: batch.joined(0, batch.count, b"\n"))
            self._shard.take(batch, now_s)
        crash_point("after-merge")
        transaction = None
        if self._journal is not None:
            self._child.counters.set("hand_step", BatchStep.COMMITTING)
            transaction = self._shard.prepare(now_s)
            crash_point("after-prepare")
            self._commit(transaction)
        crash_point("after-commit")
        if self._feed is not None:
            self._feed.publish(self._shard, transaction)
        crash_point("after-feed")
        if self._roster is not None:
            self._roster.judged(batch)
        self._events_took.add_events(batch.kinds, batch.received_ns, self._clock.wall_us() * 1_000)
        self._show()
        if self._answering is not None and self._shard.agent_table.correlated:
            self._answering.show(self._shard)
        crash_point("after-show")
        counters = self._child.counters
        counters.add("batches")
        counters.set("hand_step", BatchStep.NOTHING)
        if self._suspicion.verdict and self._suspicion.is_over(batch.ring, batch.cursor_to):
            self._think(NO_SUSPICION)
        if self._shard.merge.counts["quarantined"] != before:
            self._unusable.quarantined(now_s)
        if self._shard.merge.unreadable:
            self._unusable.unreadable(self._shard.merge.unreadable)
        self._go_on(now_s)

    def _hear(self, batch: Batch, now_s: float) -> None:
        """Questions and wants are in no journal and nothing that a death is laid to. What is held
        between two batches is what was committed last."""
        if self._roster is not None and batch.ring == len(self._all_consumers) - 1:
            self._reconcile(batch, now_s)
        elif self._answering is not None and batch.ring == len(self._consumers):
            self._answering.answer(batch, self._shard, now_s)
        else:
            assert self._feed is not None
            self._feed.hear(batch)
        self._go_on(now_s)

    def _reconcile(self, batch: Batch, now_s: float) -> None:
        """What the roster corrects is committed at once, as events are."""
        assert self._roster is not None
        if not self._roster.reconcile(batch, self._shard, self._clock.wall_us()):
            return
        transaction = None
        if self._journal is not None:
            transaction = self._shard.prepare(now_s)
            self._commit(transaction)
        if self._feed is not None:
            self._feed.publish(self._shard, transaction)
        self._show()

    def on_beat(self) -> None:
        self._child.beat()
        now_s = self._clock.now_s()
        if self._answering is not None:
            self._answering.beat(now_s)
        self._go_on(now_s)
        if now_s >= self._collect_at_s:
            self._collect_at_s = now_s + COLLECT_EVERY_S
            gc.collect()
            gc.freeze()
        if self._journal is None:
            return
        if self._shard.owes_quietly(now_s):
            self._commit(self._shard.prepare(now_s))
        if self._pruning.is_due(now_s):
            replay_from = self._shard.checkpoint.replay_from
            pruned = self._pruning.prune(self._journal, replay_from, now_s)
            self._child.counters.add("rows_pruned", pruned)

    def on_stop(self) -> None:
        """A clean stop: every state in its page, so that the next start replays nothing."""
        journal = self._journal or self._open_journal()
        self._journal = journal
        crash_point("before-last-commit")
        self._commit(self._shard.prepare(self._clock.now_s(), finish=True))
        self._commit(self._shard.prepare(self._clock.now_s()))  # says when the last one was
        crash_point("after-last-commit")
        journal.close()
        self._show()
        self._child.beat()

    # --- who reads along ---------------------------------------------------------------------

    def _go_on(self, now_s: float) -> None:
        """Has the next part of a snapshot told before the next batch. Not two of them in a row if a
        batch waits: after it we are here again."""
        has_to_tell = self._feed is not None and self._feed.has_more(now_s)
        if not self._is_going_on and (has_to_tell or self._has_to_read(now_s)):
            self._is_going_on = True
            self.actor_ref.tell(GO_ON)

    def _has_to_read(self, now_s: float) -> bool:
        """Queues of agents; and who reads along has room for them."""
        has_room = self._feed is None or self._feed.has_room
        return has_room and self._memberships.has_more(self._shard.agent_table, now_s)

    def on_message(self, message: Any) -> Any:
        if message is not GO_ON:
            return super().on_message(message)
        now_s = self._clock.now_s()
        self._is_going_on = False
        if self._has_to_read(now_s):
            self._memberships.look(self._shard.agent_table, now_s)
            if self._feed is not None:
                self._feed.tell_touched(self._shard.agent_table)
        if self._feed is not None:
            wanted = self._feed.next_frame()
            if wanted is not None:
                self._feed_again(self._feed, wanted, now_s)
            else:
                self._feed.tell_more(self._shard, now_s)
        if not any(consumer.used_bytes for consumer in self._all_consumers):
            self._go_on(now_s)
        return None

    def _feed_again(self, feed: Feed, wanted: FrameWanted, now_s: float) -> None:
        """Whatever it does to us, it is in no ring any more, and no successor meets it."""
        kept = self._journal.quarantined(wanted.key) if self._journal is not None else None
        if kept is None:
            fed = RefeedResult("unknown", "no such frame is in quarantine")
        elif not kept.is_whole:
            fed = RefeedResult("unknown", "only the beginning of this frame was kept")
        else:
            fed = self._shard.feed_again(kept.frame, self._clock.wall_us(), now_s)
            transaction = self._shard.prepare(now_s)
            if fed.reason is None:
                transaction = transaction._replace(released=(wanted.key,))
            self._commit(transaction)
            feed.publish(self._shard, transaction)
            self._show()
            self._child.counters.add("frames_fed_again")
        self._log.info("frame.reprocessed", outcome=fed.outcome, reason=fed.reason)
        feed.tell_fed(wanted.number, *fed)

    # --- poison ------------------------------------------------------------------------------

    def _suspect(self) -> None:
        """Judges what the last life had in hand when it ended."""
        load = self._child.counters.get
        suspicion = suspicion_after(
            Suspicion(*map(load, SUSPICION_WORDS)),
            BatchInHand(*map(load, HAND_WORDS)),
            self._child.predecessor,
        )
        self._child.counters.set("hand_step", BatchStep.NOTHING)
        self._think(suspicion)
        if suspicion.verdict == Verdict.SUSPECT:
            self._log.warning("batch.suspected", predecessor=str(self._child.predecessor))

    def _think(self, suspicion: Suspicion) -> None:
        """Keeps it where a successor finds it, whoever kills us."""
        self._suspicion = suspicion
        put = self._child.counters.set
        put(SUSPICION_WORDS[-1], Verdict.NONE)  # until the other words are whole
        for word, value in zip(SUSPICION_WORDS, suspicion, strict=True):
            put(word, value)
        self._choose_batch()

    def _take_in_hand(self, batch: Batch) -> None:
        put = self._child.counters.set
        put("hand_ring", batch.ring)
        put("hand_from", batch.cursor_from)
        put("hand_to", batch.cursor_to)
        put("hand_records", batch.count)
        put("hand_step", BatchStep.JUDGING)  # last: now the others count

    def _go_carefully(self, batch: Batch, now_s: float) -> None:
        assert batch.count == 1, f"{batch.count} records at once under suspicion"
        if self._suspicion.verdict == Verdict.CONDEMNED:
            self._shard.set_aside(batch, REASON)
            self._log.error(
                "record.quarantined",
                reason=REASON,
                sequence=batch.sequences[0],
                path=str(self._arguments.path),
            )
            return
        poison_point(lambda: batch.frame(0))
        self._shard.take(batch, now_s)

    def _choose_batch(self) -> None:
        """One record at a time as long as one of those that come is suspected."""
        is_careful = self._suspicion.verdict != Verdict.NONE
        self._ring_inbox.records_max = 1 if is_careful else self._batch_records

    # --- the journal -------------------------------------------------------------------------

    def _new_shard(self) -> Shard:
        arguments = self._arguments
        return Shard(
            arguments.index,
            arguments.shards,
            rings=len(arguments.rings),
            now_s=self._clock.now_s(),
            journalled=arguments.journalled,
            dialect=arguments.dialect,
        )

    def _open_journal(self) -> Journal:
        arguments = self._arguments
        return Journal(arguments.path, arguments.run, arguments.dialect)

    def _load(self) -> None:
        """Restores what the journal holds, for as long as it takes until it can be read: a full
        disk has no room for what SQLite keeps beside a journal either."""
        path = self._arguments.path

        def restore() -> None:
            self._shard = self._new_shard()  # what was restored in part is nothing
            with damage_named(path):
                self._journal = self._open_journal()
                self._shard.restore(self._journal, self._clock.now_s(), self._child.beat)

        self._disk.until_done(restore)

    def _commit(self, transaction: Transaction) -> None:
        """Commits, for as long as the disk takes. Anything but a transient error of the disk ends
        the process: its successor meets the batch again with the memory of the last commit."""
        journal = self._journal
        assert journal is not None
        started_ns = self._clock.now_ns()
        try:
            self._disk.until_done(lambda: journal.commit(transaction))
        except DISK_DAMAGE_ERRORS as error:
            raise DamagedJournalError(self._arguments.path, error) from None
        took_ns = self._clock.now_ns() - started_ns
        self._shard.committed(transaction, self._clock.wall_us())
        counters = self._child.counters
        counters.add("commits")
        counters.add("commit_ns", took_ns)
        self._commit_took.add(took_ns)
        is_slow = took_ns > SLOW_COMMIT_S * 1e9
        self._batch_records = BATCH_RECORDS_SLOW_DISK if is_slow else BATCH_RECORDS
        self._choose_batch()

    # --- what others see ---------------------------------------------------------------------

    def _show(self) -> None:
        """Counters after the commit: nobody may see a mark that a crash could take back."""
        standing, put = self._shard.standing, self._child.counters.set
        for outcome, count in self._shard.merge.counts.items():
            put(outcome, count)
        if self._child.counters.get("mark_epoch") != standing.mark_epoch:
            put("mark_sequence", 0)  # never the old numbering's mark beside the new one's number
        for word, value in zip(ShardStatus._fields, standing, strict=True):
            put(word, int(value))
        if self._roster is not None:
            self._roster.show(self._shard)
