"""Owns what a start finds out about journals that were taken away or put back, and its gap rows.

Knows no actor. A gap says since when rows may be missing, and stands behind every row that there
ever was: whoever reads in the order of the rows (a sink) meets it, and meets no number twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from actors.messages.control import SCOPE_ALL
from actors.messages.transition import GapRow
from actors.shard import repair
from actors.shard.agent_table import AgentTable
from actors.shard.journal import KIND, Journal, Transaction, damage_named, prepare
from actors.storage import sqlite
from actors.storage.data_file import has_begun
from actors.storage.sqlite import DamagedFileError

MISSING: Final = "journal missing"
OLDER: Final = "journal older than what was committed"
_RUN: Final = "losses"
_ORPHANS: Final = """
SELECT count(*) FROM transitions AS each
 WHERE previous > (SELECT min(id) FROM transitions)
   AND NOT EXISTS (SELECT 1 FROM transitions AS other WHERE other.id = each.previous)
"""
"""Rows that go on from one that is not there, and that retention did not take."""
_MISSING_AT_THE_END: Final = """
SELECT next_row - 1 - coalesce((SELECT max(id) FROM transitions), next_row - 1) FROM progress
"""


class Loss(NamedTuple):
    """Rows that were committed and are not there."""

    path: Path
    reason: str
    rows: int
    """How many there were once, as far as anybody knows; they began with number 1."""


def losses(paths: Iterable[Path], committed: Iterable[int], *, were_made: bool) -> list[Loss]:
    """Of the journals in the order of their shards. `committed`: how many rows each had at least;
    `were_made`: every one of them was there once."""
    found = []
    for path, rows in zip(paths, committed, strict=True):
        if not path.exists():
            if were_made:
                found.append(Loss(path, MISSING, rows))
        elif rows > rows_of(path):
            found.append(Loss(path, OLDER, rows))
    return found


def rows_of(path: Path) -> int:
    """The number of the newest row. Raises DamagedFileError."""
    if not path.exists() or not has_begun(path, KIND):
        return 0
    return _asked(path, "SELECT next_row FROM progress") - 1


def note(loss: Loss, now_us: int) -> None:
    """Writes the gap row, into a fresh journal if there is none."""
    prepare(loss.path, _RUN)
    journal = Journal(loss.path, _RUN)
    try:
        progress = journal.stored().progress
        agent_table = AgentTable()
        agent_table.next_row = max(progress.next_row, loss.rows + 1)
        epoch, since_us = progress.mark_epoch, journal.last_commit_us()
        row = agent_table.next_row
        gap = GapRow(row, SCOPE_ALL, epoch, 0, 0, now_us, loss.reason, since_us)
        agent_table.write_gap(gap, now_us)
        progress = progress._replace(next_row=agent_table.next_row)
        journal.commit(Transaction(agent_table.take(), progress))
    finally:
        journal.close()


def examine(path: Path) -> str:
    """Why a journal that somebody may have written over cannot be gone on with; "" if it can. Slow:
    it reads all of it."""
    known, problem = repair.examine(path)
    if problem or known is None or not has_begun(path, KIND):
        return problem
    try:
        is_whole = not _asked(path, _MISSING_AT_THE_END) and not _asked(path, _ORPHANS)
    except DamagedFileError as error:
        return error.problem
    return "" if is_whole else "rows are missing in it"


def _asked(path: Path, query: str) -> int:
    connection = sqlite.connect(path, KIND)
    try:
        with damage_named(path):
            return int(connection.execute(query).get)
    finally:
        connection.close()
