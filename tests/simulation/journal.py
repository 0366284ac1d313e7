"""MemoryJournal: a journal without a file, with the contract of the real one.

A transaction is committed whole or not at all, can be tried again after an error of the disk, and
survives the shard. `test_journal.py` runs the same assertions against this one and SQLite.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any

import orjson

from actors.messages.transition import GapRow, Transition
from actors.shard.journal import CheckpointPage, Commit, ShardProgress, Stored, ToldRow, Transaction
from actors.shard.sessions import end_run
from runtime.crash_point import crash_point
from runtime.errors import LocalError


class Disk:
    """What is durable of one journal."""

    def __init__(self) -> None:
        self.run = ""
        self.progress = ShardProgress((), 0, 0, 1, {}, {}, 0)
        self.silent = b""
        self.agents: list[tuple[int, str]] = []
        self.rows: list[Transition] = []
        self.gaps: list[GapRow] = []
        self.commits: dict[int, int] = {}
        self.pages: dict[int, CheckpointPage] = {}
        self.rejections = 0
        self.errors: list[Exception] = []  # of the next commits, in order

    def prepare(self, run: str) -> None:
        """As `actors.shard.journal.prepare`."""
        self.run = run
        received_us = self.rows[-1].received_us if self.rows else 0
        last_us = max(received_us, *self.commits.values(), 0)
        scopes = _copy(self.progress.sessions)
        end_run(scopes, last_us)
        self.progress = self.progress._replace(cursors=(), sessions=scopes)


class MemoryJournal:
    """The open journal of one life of a shard."""

    dialect = "wsp"

    def __init__(self, disk: Disk, run: str) -> None:
        self.disk = disk
        self._run = run

    def close(self) -> None:
        pass

    def stored(self) -> Stored:
        disk = self.disk
        if disk.run != self._run:
            raise LocalError(f"belongs to run {disk.run!r}, not to {self._run!r}")
        progress = disk.progress._replace(
            counts=dict(disk.progress.counts), sessions=_copy(disk.progress.sessions)
        )
        return Stored(disk.run, progress, array("q", disk.silent))

    def watched(self) -> dict[int, tuple[str, int]]:
        return {}  # only channels have such

    def commit(self, transaction: Transaction) -> None:
        disk = self.disk
        if disk.errors:
            raise disk.errors.pop(0)
        if disk.run != self._run:
            raise LocalError("Another runtime has taken over this file; commit refused")
        pending, progress = transaction.pending, transaction.progress
        assert [row[0] for row in pending.rows] == list(
            range(len(disk.rows) + 1, progress.next_row)
        ), "row ids go on where the last transaction ended"
        crash_point("in-transaction")
        disk.progress = progress._replace(
            counts=dict(progress.counts),
            sessions=_copy(progress.sessions),
            replay_from=max(progress.replay_from, disk.progress.replay_from),
        )
        disk.agents += pending.agents
        disk.rows += map(Transition._make, pending.rows)
        disk.gaps += pending.gaps
        disk.rejections += len(transaction.rejections)
        if transaction.silent is not None:
            disk.silent = transaction.silent
        disk.pages.update((page.page, page) for page in transaction.pages)
        if transaction.last_commit is not None:
            last: Commit = transaction.last_commit
            disk.commits.setdefault(last.last_row, last.committed_us)

    def pages(self) -> Iterator[CheckpointPage]:
        return iter([page for _, page in sorted(self.disk.pages.items())])

    def agents(self) -> Iterator[tuple[int, str]]:
        return iter(sorted(self.disk.agents))

    def rows_behind(self, row: int) -> Iterator[Transition]:
        return iter(self.disk.rows[row:])

    def told_behind(self, row: int) -> Iterator[ToldRow]:
        return iter(
            (r.agent, r.to_state, r.at_us, r.epoch, r.sequence, r.queue, r.cause)
            for r in self.disk.rows[row:]
            if r.cause in {"live", "late", "history"}
        )

    def correlated_behind(self, row: int) -> Iterator[Transition]:
        return iter(r for r in self.disk.rows[row:] if r.correlation is not None)

    def definitions_behind(self, row: int) -> dict[int, str]:
        return {}

    def gap_count(self) -> int:
        return len(self.disk.gaps)

    def behind_newest_events(self, count: int) -> int:
        events = [row.id for row in self.disk.rows if row.cause in ("live", "late")]
        return events[-count - 1] if len(events) > count else 0


def _copy(sessions: dict[str, Any]) -> dict[str, Any]:
    copied: dict[str, Any] = orjson.loads(orjson.dumps(sessions))
    return copied
