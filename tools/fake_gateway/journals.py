"""Journals: what a runtime's data directory holds, read through apsw and never written.

Knows the tables, but nothing of what should stand in them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import apsw
import orjson

from tools.fake_gateway.row_verifier import Row

_ROWS = """
SELECT id, agent, previous, from_state, to_state, at_us,
       epoch, sequence, queue, presence, correlation, cause
  FROM transitions ORDER BY id
"""


class JournalError(Exception):
    """A data directory without journals that can be read."""


class ShardJournal:
    """One shard's file. The runtime has ended; a write-ahead log that it left is read as well."""

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        try:
            self._connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            self._connection.pragma("query_only", True)
            self._connection.execute("SELECT count(*) FROM agents").get  # noqa: B018 - reads it
        except apsw.Error as error:
            raise JournalError(f"{path} is not a readable journal: {error}") from None

    def users(self) -> Iterator[tuple[int, str]]:
        return cast("Iterator[tuple[int, str]]", self._select("SELECT id, user_id FROM agents"))

    def rows(self) -> Iterator[Row]:
        return cast("Iterator[Row]", self._select(_ROWS))

    def commits(self) -> Iterator[tuple[int, int]]:
        return cast(
            "Iterator[tuple[int, int]]",
            self._select("SELECT last_row, committed_us FROM commits ORDER BY last_row"),
        )

    def gaps(self) -> set[tuple[int, int, int]]:
        """(epoch, first sequence, last sequence)"""
        return set(self._select("SELECT epoch, first_sequence, last_sequence FROM gaps"))

    def unmatched_gaps(self) -> list[int]:
        """Rows of one of the two tables that tell of gaps which the other does not have."""
        return [
            row
            for (row,) in self._select(
                "SELECT row FROM gaps WHERE row NOT IN"
                " (SELECT id FROM transitions WHERE cause = 'gap')"
                " UNION SELECT id FROM transitions WHERE cause = 'gap'"
                " AND id NOT IN (SELECT row FROM gaps)"
            )
        ]

    def gap_rows(self) -> list[tuple[str, int, int, str]]:
        """(scope, since, until, reason) in µs; since 0: nobody knows."""
        return list(self._select("SELECT scope, since_us, at_us, reason FROM gaps ORDER BY row"))

    def first_row(self) -> int:
        return int(self._connection.execute("SELECT coalesce(min(id), 1) FROM transitions").get)

    def pages(self) -> Iterator[tuple[int, list[Any]]]:
        """(true up to this row, [agent, user, state, at_us, queue, presence, epoch, sequence, row
        id])"""
        for upto, data in self._select("SELECT upto, data FROM pages ORDER BY page"):
            for one in orjson.loads(data):
                yield upto, one

    def counts(self) -> Counter[str]:
        stored = self._connection.execute("SELECT counts FROM progress").get
        return Counter(orjson.loads(stored or b"{}"))

    def mark(self) -> tuple[int, int]:
        """(epoch, sequence) up to which it has met everything."""
        row = self._connection.execute("SELECT mark_epoch, mark_sequence FROM progress").get
        return (0, 0) if row is None else cast("tuple[int, int]", row)

    def quarantined(self) -> Counter[str]:
        """Frames that were set aside, by reason."""
        return Counter(
            dict(self._select("SELECT reason, sum(count) FROM quarantine GROUP BY reason"))
        )

    def close(self) -> None:
        self._connection.close()

    def _select(self, query: str) -> Iterator[Any]:
        return cast("Iterator[Any]", self._connection.execute(query))


def open_journals(directory: Path) -> tuple[list[ShardJournal], list[ShardJournal]]:
    """(archived, current): those of earlier shard counts, oldest first, and those of now."""
    archived = [
        ShardJournal(path, f"{path.parent.name}/{path.name}")
        for path in sorted(directory.glob("archive-*/shard-*.db"))
    ]
    current = [ShardJournal(path, path.name) for path in sorted(directory.glob("shard-*.db"))]
    if not current:
        raise JournalError(f"{directory} holds no journal (shard-*.db)")
    return archived, current
