"""Scan: all rows of a journal that were received between two times, in slices of one moment each.

Knows no agent's state. Between two slices nothing is held open: however slowly somebody reads, the
shard's log does not grow for it, and what retention takes meanwhile is left out.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import apsw

from actors.messages.transition import TOLD, GapRow, JournalRow
from actors.shard.journal import KIND
from actors.storage import sqlite

SLICE_ROWS: Final = 2_000
WINDOW_ROWS: Final = 2_000
"""Rows of several receivers stand in a journal as they were committed: at most a few batches out of
the order in which they were received."""
CLOCK_SLACK_US: Final = 3_600_000_000
"""So far back may the host's clock have been set between the receipt of a row and its commit."""
_ROWS: Final = f"""
SELECT ?, t.id, user_id, {", ".join(TOLD)}
  FROM transitions t LEFT JOIN agents ON agents.id = t.agent
 WHERE t.id > ? AND t.id <= ? AND received_us >= ? AND received_us < ? ORDER BY t.id
"""  # noqa: S608 - names of columns
_BEGIN_BEHIND: Final = """
SELECT coalesce(max(last_row), 0) FROM commits
 WHERE last_row < coalesce((SELECT min(last_row) FROM commits WHERE committed_us >= ?), 1 << 62)
"""


def scan(path: Path, journal: str, since_us: int, until_us: int) -> Iterator[JournalRow]:
    """In the order of their receipt, as far as WINDOW_ROWS reach. `journal`: what it is called."""
    return in_order(_slices(path, journal, since_us, until_us), WINDOW_ROWS)


def _slices(path: Path, journal: str, since_us: int, until_us: int) -> Iterator[JournalRow]:
    with sqlite.reading(path, KIND) as connection:
        row = _begin_behind(connection, since_us - CLOCK_SLACK_US)
        last = int(connection.execute("SELECT next_row FROM progress").get) - 1
    while row < last:
        with sqlite.reading(path, KIND) as connection:
            oldest = connection.execute("SELECT min(id) FROM transitions WHERE id > ?", (row,)).get
            if oldest is None:
                return
            row = oldest - 1
            end = min(row + SLICE_ROWS, last)
            found = connection.execute(_ROWS, (journal, row, end, since_us, until_us))
            rows = with_gaps(connection, [JournalRow(*each) for each in found])
        yield from rows
        row = end


def _begin_behind(connection: apsw.Connection, before_us: int) -> int:
    """The row behind which the first commit of that time or later stands. Each commit is looked at:
    their times are in order only as long as nobody sets the host's clock back."""
    return int(connection.execute(_BEGIN_BEHIND, (before_us,)).get)


def with_gaps(connection: apsw.Connection, rows: list[JournalRow]) -> list[JournalRow]:
    """Those rows of one journal, in its order; what is known of a gap stands beside its row."""
    if all(each.cause != "gap" for each in rows):
        return rows
    told = connection.execute(
        "SELECT * FROM gaps WHERE row BETWEEN ? AND ?", (rows[0].row, rows[-1].row)
    )
    gaps = {gap.row: gap for gap in (GapRow(*each) for each in told)}
    return [each._replace(gap=gaps.get(each.row)) for each in rows]


def by_receipt(row: JournalRow) -> tuple[int, str, int]:
    """The order of rows of several journals; no two stand at one place."""
    return row.received_us, row.journal, row.row


def in_order(rows: Iterable[JournalRow], window: int) -> Iterator[JournalRow]:
    """Sorted `by_receipt`, if none stands further from its place than the window is wide."""
    held: list[tuple[tuple[int, str, int], JournalRow]] = []
    for row in rows:
        placed = by_receipt(row), row
        if len(held) < window:
            heapq.heappush(held, placed)
        else:
            yield heapq.heappushpop(held, placed)[1]
    yield from (row for _, row in sorted(held))
