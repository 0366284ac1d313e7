"""Scan: all rows of a journal that were received between two times, in slices of one moment each.

Knows no agent's state. Between two slices nothing is held open: however slowly somebody reads, the
shard's log does not grow for it, and what retention takes meanwhile is left out.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import apsw

from actors.shard.agent_table import GapRow
from actors.shard.journal import KIND
from actors.storage import sqlite

SLICE_ROWS: Final = 2_000
WINDOW_ROWS: Final = 2_000
"""Rows of several receivers stand in a journal as they were committed: at most a few batches out of
the order in which they were received."""
CLOCK_SLACK_US: Final = 3_600_000_000
"""So far back may the host's clock have been set without a row being missed."""
_ROWS: Final = """
SELECT received_us, ?, t.id, user_id, from_state, to_state, at_us, epoch, sequence, queue, presence,
       correlation, cause
  FROM transitions t LEFT JOIN agents ON agents.id = t.agent
 WHERE t.id > ? AND t.id <= ? AND received_us >= ? AND received_us < ? ORDER BY t.id
"""
_NEXT_COMMIT: Final = """
SELECT last_row, committed_us FROM commits WHERE last_row BETWEEN ? AND ? ORDER BY last_row LIMIT 1
"""


class ScannedRow(NamedTuple):
    """One transition or gap. Rows order by the first three."""

    received_us: int
    journal: str
    row: int
    user_id: str | None
    """None: a gap, or a person who was forgotten."""
    from_state: str | None
    to_state: str
    at_us: int
    epoch: int
    sequence: int
    queue: str | None
    presence: str | None
    correlation: str | None
    cause: str
    gap: GapRow | None = None


def scan(path: Path, journal: str, since_us: int, until_us: int) -> Iterator[ScannedRow]:
    """In the order of their receipt, as far as WINDOW_ROWS reach. `journal`: what it is called."""
    return in_order(_slices(path, journal, since_us, until_us), WINDOW_ROWS)


def _slices(path: Path, journal: str, since_us: int, until_us: int) -> Iterator[ScannedRow]:
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
            rows = [ScannedRow(*each) for each in found]
            if any(each.cause == "gap" for each in rows):
                rows = _with_gaps(connection, rows)
        yield from rows
        row = end


def _begin_behind(connection: apsw.Connection, before_us: int) -> int:
    """A row that was committed before that time, so that all before it were received earlier."""
    low, high = 0, connection.execute("SELECT coalesce(max(last_row), 0) FROM commits").get
    while low < high:
        middle = (low + high + 1) // 2
        found = connection.execute(_NEXT_COMMIT, (middle, high)).get
        if found is not None and found[1] < before_us:
            low = found[0]
        else:
            high = middle - 1
    return int(low)


def _with_gaps(connection: apsw.Connection, rows: list[ScannedRow]) -> list[ScannedRow]:
    span = (rows[0].row, rows[-1].row)
    told = connection.execute("SELECT * FROM gaps WHERE row BETWEEN ? AND ?", span)
    gaps = {gap.row: gap for gap in (GapRow(*each) for each in told)}
    return [each._replace(gap=gaps.get(each.row)) for each in rows]


def in_order(rows: Iterable[ScannedRow], window: int) -> Iterator[ScannedRow]:
    """Sorted, if none stands further from its place than the window is wide."""
    held: list[ScannedRow] = []
    for row in rows:
        if len(held) < window:
            heapq.heappush(held, row)
        else:
            yield heapq.heappushpop(held, row)
    yield from sorted(held)
