"""A shard without its thread: restores what a journal holds, takes batches, prepares transactions.

Knows no ring, no clock and no pykka: what the actor, the property tests and the simulation drive
is the same object. `docs/design.md`, "A shard, step by step".
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from actors.genesys.times import bounded, iso_ms
from actors.messages.control import SEQUENCE_STEP_MAX, Dialect, decode_control
from actors.messages.partition import shard_of
from actors.messages.transition import Transition
from actors.shard.agent_table import Agent, AgentTable, Correlated
from actors.shard.checkpoint import Checkpoint, decode_page
from actors.shard.cloud_sessions import CloudSessions
from actors.shard.correcting import CORRECTIONS, CorrectingMerge
from actors.shard.decode import JOINT, parse_frames
from actors.shard.dedup import WINDOW_WIDTH
from actors.shard.journal import Commit, Journal, ShardProgress, ToldRow, Transaction
from actors.shard.merge import OUTCOMES, Merge, digest_of
from actors.shard.native import native_of
from actors.shard.quarantine import ROWS_MAX, Rejection, rejection
from actors.shard.reconciliation import Doubts
from actors.shard.sessions import Scopes
from runtime.crash_point import crash_point
from runtime.ring import KIND_CONTROL, KIND_EVENT, KIND_REJECTED

PAGES_PER_TRANSACTION = 4


class BatchView(Protocol):
    """The part of a ring's batch that a shard reads."""

    @property
    def count(self) -> int: ...
    @property
    def ring(self) -> int: ...
    @property
    def cursor_to(self) -> int: ...
    @property
    def kinds(self) -> bytes: ...
    @property
    def epochs(self) -> Sequence[int]: ...
    @property
    def sequences(self) -> Sequence[int]: ...
    @property
    def received_ns(self) -> Sequence[int]: ...
    @property
    def flags(self) -> bytes: ...
    def frame(self, i: int, /) -> bytes: ...
    def joined(self, first: int, last: int, separator: bytes, /) -> bytes: ...


class ShardStatus(NamedTuple):
    """What the world may know of a shard after a batch."""

    mark_epoch: int
    mark_sequence: int
    wants_history: bool
    session: int
    agents: int
    stale_since_us: int
    """0: confirmed now; 1: never was; else since when it is not."""
    transitions: int
    session_up: bool
    history_running: bool
    gaps: int


class RefeedResult(NamedTuple):
    """What became of a frame that was fed again."""

    outcome: str
    reason: str | None = None
    """Why it is in quarantine once more."""


class Shard:
    """The state of the agents of one shard, and what its journal is owed."""

    def __init__(
        self,
        index: int,
        shards: int,
        *,
        rings: int,
        now_s: float,
        journalled: bool = True,
        dialect: Dialect = "wsp",
    ) -> None:
        self.agent_table = AgentTable(
            owns=lambda user_id: shard_of(user_id, shards) == index, rows_kept=journalled
        )
        self.merge = (
            Merge(self.agent_table) if dialect == "wsp" else CorrectingMerge(self.agent_table)
        )
        self._sessions_of = Scopes if dialect == "wsp" else CloudSessions
        self.sessions = self._sessions_of(self.merge)
        self.dialect = dialect
        self.checkpoint = Checkpoint(now_s=now_s, replay_from=0, upto={})
        self.doubts = Doubts()
        self.cursors = [0] * rings
        self._rejections: deque[Rejection] = deque(maxlen=ROWS_MAX)
        self._durable: Commit | None = None

    @property
    def standing(self) -> ShardStatus:
        merge, sessions = self.merge, self.sessions
        return ShardStatus(
            merge.epoch,
            merge.mark,
            sessions.wants_history,
            merge.session,
            len(self.agent_table.by_id),
            0 if sessions.stale_since_us is None else max(1, sessions.stale_since_us),
            self.agent_table.next_row - 1,
            any(scope.is_up for scope in sessions.scopes.values()),
            any(scope.history_runs for scope in sessions.scopes.values()),
            sessions.gaps,
        )

    # --- restoring ---------------------------------------------------------------------------

    def restore(self, journal: Journal, now_s: float, beat: Callable[[], None]) -> None:
        """Loads the checkpoint and replays the rows behind it; then the windows."""
        assert journal.dialect == self.dialect, f"{journal.path} speaks {journal.dialect}"
        stored = journal.stored()
        progress = stored.progress
        upto = self._restore_agents(journal, beat)
        start = min(progress.replay_from, journal.behind_newest_events(WINDOW_WIDTH))
        for count, row in enumerate(journal.rows_behind(progress.replay_from)):
            if row.agent:
                self.agent_table.by_id[row.agent - 1].replay(row)
            if count % 10_000 == 0:
                beat()
        for agent in self.agent_table.by_id:
            agent.at_us = bounded(agent.at_us)
        self.agent_table.next_row = progress.next_row
        self.cursors[: len(progress.cursors)] = progress.cursors
        self.merge.counts.update(progress.counts)
        self._restore_natives(journal, progress.replay_from)
        self.sessions = self._sessions_of.from_json(self.merge, progress.sessions)
        self.sessions.restore(journal.watched())
        self.sessions.gaps = journal.gap_count()
        self.merge.epoch = max(self.merge.epoch, progress.mark_epoch)
        if progress.mark_epoch == self.merge.epoch:
            self.merge.mark = progress.mark_sequence
        if self.dialect == "wsp":
            self._restore_windows(journal.told_behind(start), stored.silent, now_s, beat)
        self._restore_correlated(
            journal.correlated_behind(start), journal.definitions_behind(start)
        )
        self.checkpoint = Checkpoint(now_s=now_s, replay_from=progress.replay_from, upto=upto)

    def restart_empty(self, mark_epoch: int, mark: int) -> None:
        """Without a journal a successor knows nothing: a history must name all agents again, and
        nothing up to its predecessor's mark need be replayed for it."""
        self.merge.epoch, self.merge.mark = mark_epoch, mark
        self.sessions.begin_empty()

    def _restore_agents(self, journal: Journal, beat: Callable[[], None]) -> dict[int, int]:
        """The agents of all pages, then those that no page has yet; row up to which each page
        is true."""
        upto: dict[int, int] = {}
        paged: dict[int, Agent] = {}
        for page in journal.pages():
            upto[page.page] = page.upto
            paged.update((agent.id, agent) for agent in decode_page(page.data))
            beat()
        for agent_id, user_id in journal.agents():
            self.agent_table.restore(paged.get(agent_id) or Agent(agent_id, user_id))
        return upto

    def _restore_natives(self, journal: Journal, replay_from: int) -> None:
        """The newest of each agent: a row has all of them as they were then."""
        if self.dialect == "wsp":
            return
        for agent_id, data in dict(journal.natives_behind(replay_from)).items():
            agent = self.agent_table.by_id[agent_id - 1]
            agent.native = native_of(data) or agent.native

    def _restore_windows(
        self, told: Iterable[ToldRow], silent: array[int], now_s: float, beat: Callable[[], None]
    ) -> None:
        """In one pass with local names: most of the time that a start takes goes by here."""
        merge, users = self.merge, [agent.user_id for agent in self.agent_table.by_id]
        epoch, handled, digests = merge.epoch, silent[:], deque[int](maxlen=WINDOW_WIDTH)
        for agent, state, at_us, of, sequence, queue, cause in told:
            if of == epoch:
                handled.append(sequence)
            if agent and cause != "history":  # else a row of somebody who was forgotten
                digests.append(digest_of(users[agent - 1], state, iso_ms(at_us), queue))
        beat()
        merge.window.extend(handled)
        merge.inherited = array("q", sorted(silent))
        merge.hashes.restore(digests, now_s)

    def _restore_correlated(
        self, recent: Iterable[Transition], definitions: Mapping[int, str]
    ) -> None:
        users = self.agent_table.by_id
        self.agent_table.correlated.extend(
            Correlated(
                users[row.agent - 1].user_id,
                row.correlation,
                row.to_state,
                row.presence,
                row.at_us,
                definitions.get(row.id) or "",
            )
            for row in recent
            if row.correlation is not None  # all of them; said for the type
        )

    # --- one batch ---------------------------------------------------------------------------

    def take(self, batch: BatchView, now_s: float) -> None:
        """Judges every record of a batch, in order."""
        kinds, first, total = batch.kinds, 0, batch.count
        if kinds.count(KIND_EVENT) == total:
            self._take_events(batch, 0, total, now_s)
            first = total
        while first < total:
            kind, last = kinds[first], first + 1
            if kind == KIND_EVENT:
                while last < total and kinds[last] == KIND_EVENT:
                    last += 1
                self._take_events(batch, first, last, now_s)
            elif kind == KIND_CONTROL:
                self.sessions.apply(decode_control(batch.frame(first)))
            else:
                assert kind == KIND_REJECTED, f"record of kind {kind}"
                self._take_rejected(batch, first)
            first = last
        self.cursors[batch.ring] = batch.cursor_to

    def _take_events(self, batch: BatchView, first: int, last: int, now_s: float) -> None:
        values = parse_frames(
            batch.joined(first, last, JOINT), last - first, lambda i: batch.frame(first + i)
        )
        crash_point("after-parse")
        received_ns = batch.received_ns[first:last]
        findings = self.merge.events(
            values, received_ns, batch.epochs[first:last], batch.flags[first:last], now_s
        )
        for index, reason in findings:
            self._rejections.append(
                rejection(reason, batch.frame(first + index), received_ns[index] // 1000)
            )

    def _take_rejected(self, batch: BatchView, index: int) -> None:
        reason, _, frame = batch.frame(index).partition(b"\0")
        self._reject(batch, index, reason.decode("ascii", "replace"), frame)

    def set_aside(self, batch: BatchView, reason: str) -> None:
        """Quarantines every record of a batch without looking at it. What their headers say was
        handled is handled: a gateway that sends it again shall not kill again."""
        for index in range(batch.count):
            self._reject(batch, index, reason, batch.frame(index))
            if batch.kinds[index] == KIND_EVENT:
                self._renounce(batch.epochs[index], batch.sequences[index])
        self.cursors[batch.ring] = batch.cursor_to

    def _renounce(self, epoch: int, sequence: int) -> None:
        merge = self.merge
        highest = max(merge.newest, merge.mark) + SEQUENCE_STEP_MAX
        in_window = merge.mark - WINDOW_WIDTH < sequence <= highest
        if epoch == merge.epoch & 0xFFFF and sequence > 0 and in_window:
            merge.window.add(sequence)
            merge.silent.append(sequence)
            merge.silent_changed = True

    def _reject(self, batch: BatchView, index: int, reason: str, frame: bytes) -> None:
        self.merge.counts["received"] += 1
        self.merge.counts["quarantined"] += 1
        self._rejections.append(rejection(reason, frame, batch.received_ns[index] // 1000))

    def feed_again(self, frame: bytes, received_us: int, now_s: float) -> RefeedResult:
        """Judges a frame of the quarantine as if it came now."""
        before = dict(self.merge.counts)
        (value,) = parse_frames(b"[" + frame + b"]", 1, lambda _: frame)
        reason = self.merge.again(value, received_us, now_s)
        if reason is not None:
            self._rejections.append(rejection(reason, frame, received_us))
        grown = (name for name in OUTCOMES[1:] if self.merge.counts[name] > before[name])
        return RefeedResult(next(grown), reason)

    def reconcile(self, batch: BatchView, judged_ns: int, now_us: int) -> bool:
        """Compares what the roster shows with what is held; `judged_ns`: everything that came by
        then was judged. True: something was corrected, which must be committed. The number of a
        record is when the roster was read, by the gateway's clock."""
        merge = self.merge
        assert isinstance(merge, CorrectingMerge)
        assert isinstance(self.sessions, CloudSessions)
        before = merge.counts[CORRECTIONS]
        count, read_ns = batch.count, batch.received_ns
        for index, value in enumerate(
            parse_frames(batch.joined(0, count, JOINT), count, batch.frame)
        ):
            if read_ns[index] > judged_ns:
                continue  # what is held is behind; the next read shows it again
            scope = merge.correct(value, now_us, batch.sequences[index])
            if scope is not None:
                self.doubts.add(scope, self.sessions.scopes[scope].session)
        return merge.counts[CORRECTIONS] != before

    @property
    def doubted(self) -> list[int]:
        """As the page has them."""
        return self.doubts.shown(getattr(self.merge, "session_of", {}))

    # --- transactions ------------------------------------------------------------------------

    def prepare(self, now_s: float, *, finish: bool = False) -> Transaction:
        """Everything owed, as one value; from here on it must be committed or the process end."""
        merge = self.merge
        pages = self.checkpoint.due(self.agent_table, now_s, PAGES_PER_TRANSACTION, finish=finish)
        silent = None
        if merge.silent_changed:
            silent = merge.silent_sequences().tobytes()
            merge.silent_changed = False
        progress = ShardProgress(
            tuple(self.cursors),
            merge.epoch,
            merge.mark,
            self.agent_table.next_row,
            dict(merge.counts),
            self.sessions.to_json(),
            self.checkpoint.replay_from,
        )
        transaction = Transaction(
            self.agent_table.take(), progress, silent, tuple(self._rejections), pages, self._durable
        )
        self._rejections.clear()
        self._durable = None
        return transaction

    def committed(self, transaction: Transaction, now_us: int) -> None:
        """The transaction is durable: the next one will say since when."""
        if transaction.pending.rows:
            self._durable = Commit(transaction.progress.next_row - 1, now_us)

    def owes_quietly(self, now_s: float) -> bool:
        """Whether an idle shard owes its journal something: a commit time, or pages."""
        agent_table = self.agent_table
        is_due = self.checkpoint.is_due(
            agent_table.next_row - 1, now_s, is_appointed=bool(agent_table.appointed)
        )
        return self._durable is not None or is_due
