"""Journals as sinks read them: which there are, each with an identity of its own, row by row.

Knows no sink and no position. Shards are never waited for nor held up: a read sees what was
committed and takes no lock that a commit would need.

A journal's identity is a random number in the header of its file (SQLite's `application_id`), where
renaming and archiving leave it; a fresh journal in the place of another one has none yet, and is
given its own before any child runs.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from pathlib import Path
from typing import Final, NamedTuple

import apsw
import structlog

from actors.messages.transition import TOLD, JournalRow
from actors.shard.journal import KIND, connect, dialect_of
from actors.shard.reader import archived_paths, journal_paths
from actors.shard.scan import with_gaps
from actors.storage import sqlite
from actors.storage.sqlite import DamagedFileError
from runtime.errors import LocalError

NONE: Final = 0
_IDENTITIES: Final = 2**31 - 1  # positive numbers of 32 bits with a sign
_TOLD: Final = ", ".join(f"t.{name}" for name in TOLD)
_ROWS: Final = """
SELECT t.id, a.user_id, {told}, {native}
  FROM transitions t LEFT JOIN agents a ON a.id = t.agent {natives}
 WHERE t.id > ? ORDER BY t.id LIMIT ?
"""
_PLAIN: Final = _ROWS.format(told=_TOLD, native="NULL", natives="")
_WITH_NATIVES: Final = _ROWS.format(
    told=_TOLD, native="n.data", natives="LEFT JOIN natives n ON n.row = t.id"
)


class JournalFile(NamedTuple):
    """One journal of a data directory."""

    path: Path
    identity: str  # empty: it has none yet
    generation: int
    """Of shard counts: agents move from the journals of one to those of the next."""
    is_archived: bool
    """Nothing is added to it any more."""
    first_row: int
    """The oldest that it holds, or the next that it will."""
    last_row: int

    @property
    def name(self) -> str:
        """For people: which file it is."""
        parent = f"{self.path.parent.name}/" if self.is_archived else ""
        return f"{parent}{self.path.stem}"


class Slice(NamedTuple):
    """Rows behind a row, of one moment."""

    rows: list[JournalRow]
    last_row: int  # of the journal


def find(data_dir: Path) -> list[JournalFile]:
    """All journals of a directory, in the order in which they were written. An archive that cannot
    be read is told of and left out."""
    found = []
    serials = {path.parent.name for path in archived_paths(data_dir)}
    for path in reversed(archived_paths(data_dir)):
        try:
            found.append(_look(path, int(path.parent.name.rpartition("-")[2]), is_archived=True))
        except (DamagedFileError, LocalError) as error:
            structlog.get_logger().error(
                "sinks.archive_unreadable", path=str(path), cause=str(error)
            )
    newest = max((int(name.rpartition("-")[2]) for name in serials), default=0)
    found += [_look(path, newest + 1, is_archived=False) for path in journal_paths(data_dir)]
    return found


def _look(path: Path, generation: int, *, is_archived: bool) -> JournalFile:
    with sqlite.reading(path, KIND) as connection:
        number = connection.pragma("application_id")
        first, last = _first_row(connection), _last_row(connection)
    identity = "" if number == NONE else f"{number:08x}"
    return JournalFile(
        path, identity, generation, is_archived, last + 1 if first is None else first, last
    )


def new_identity(taken: Collection[str]) -> str:
    while True:
        identity = f"{secrets.randbelow(_IDENTITIES) + 1:08x}"
        if identity not in taken:
            return identity


def identify(path: Path, identity: str) -> None:
    """Gives a journal its identity; before any child runs."""
    connection = connect(path)
    try:
        connection.pragma("application_id", int(identity, 16))
    finally:
        connection.close()


def _first_row(connection: apsw.Connection) -> int | None:
    first: int | None = connection.execute("SELECT min(id) FROM transitions").get
    return first


def _last_row(connection: apsw.Connection) -> int:
    return int(connection.execute("SELECT next_row FROM progress").get) - 1


class JournalReader:
    """The open journal; one thread uses it at a time. It can write, and does not: whoever closes a
    journal last cleans up its log, and that may be we."""

    def __init__(self, file: JournalFile) -> None:
        self._identity = file.identity
        self._connection = connect(file.path)
        self._connection.pragma("query_only", True)
        self._has_natives = False

    def close(self) -> None:
        self._connection.close()

    def behind(self, row: int, limit: int) -> Slice:
        """At most `limit` rows with a greater id. Raises what SQLite does for a disk in trouble."""
        execute = self._connection.execute
        execute("BEGIN")
        try:
            if not self._has_natives:  # the shard makes the table, perhaps after us
                self._has_natives = dialect_of(self._connection) == "cloud"
            found = execute(_WITH_NATIVES if self._has_natives else _PLAIN, (row, limit))
            rows = [JournalRow(self._identity, *each) for each in found]
            return Slice(with_gaps(self._connection, rows), _last_row(self._connection))
        finally:
            execute("COMMIT")
