"""The journal of one shard: a SQLite file that a transaction either reached whole or not at all.

Knows no ring, no actor and no merge rule. Values in, values out; the shell decides when, and what
follows an error of the disk. Layout of the tables: SCHEMA below, which `docs/design.md` explains.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import apsw
import orjson

from actors.messages.control import Dialect
from actors.messages.transition import GapRow, Transition
from actors.shard.agent_table import PendingWrites
from actors.shard.quarantine import Kept, Quarantine, Rejection
from actors.shard.sessions import end_run
from actors.storage import sqlite
from actors.storage.data_file import DataFile, OwnedFile
from actors.storage.sqlite import DamagedFileError, Kind

FORMAT: Final = 1
SCHEMA: Final = """
CREATE TABLE agents(id INTEGER PRIMARY KEY, user_id TEXT NOT NULL UNIQUE);
CREATE TABLE transitions(
    id INTEGER PRIMARY KEY,       -- commit order
    agent INTEGER NOT NULL,       -- agents.id; 0: a gap
    previous INTEGER NOT NULL,    -- the same agent's previous row; 0: its first
    from_state TEXT,
    to_state TEXT NOT NULL,
    at_us INTEGER NOT NULL,       -- the event's own time
    received_us INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    queue TEXT, presence TEXT, correlation TEXT,
    cause TEXT NOT NULL           -- live, history, late, lost, gap, roster
);
CREATE TABLE gaps(
    row INTEGER PRIMARY KEY,      -- transitions.id
    scope TEXT NOT NULL, epoch INTEGER NOT NULL,
    first_sequence INTEGER NOT NULL, last_sequence INTEGER NOT NULL,
    at_us INTEGER NOT NULL, reason TEXT NOT NULL,
    since_us INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE commits(last_row INTEGER PRIMARY KEY, committed_us INTEGER NOT NULL);
CREATE TABLE quarantine(
    hash INTEGER PRIMARY KEY, reason TEXT NOT NULL, frame BLOB NOT NULL, bytes INTEGER NOT NULL,
    count INTEGER NOT NULL, first_us INTEGER NOT NULL, last_us INTEGER NOT NULL
);
CREATE TABLE pages(page INTEGER PRIMARY KEY, upto INTEGER NOT NULL, data BLOB NOT NULL);
CREATE TABLE progress(
    one INTEGER PRIMARY KEY CHECK (one = 1),
    run TEXT NOT NULL,            -- whoever holds another run id can commit nothing
    cursors TEXT NOT NULL,        -- JSON: the cursor of each ring of this run
    mark_epoch INTEGER NOT NULL,
    mark_sequence INTEGER NOT NULL,
    next_row INTEGER NOT NULL,
    counts TEXT NOT NULL,         -- JSON: outcomes
    sessions TEXT NOT NULL,       -- JSON: scopes
    silent BLOB NOT NULL,         -- int64: sequences handled without a row
    replay_from INTEGER NOT NULL  -- rows up to here are in the pages
);
INSERT INTO progress VALUES (1, '', '[]', 0, 0, 1, '{}', '{}', x'', 0);
"""

CLOUD_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS natives(
    row INTEGER PRIMARY KEY,      -- transitions.id
    data TEXT NOT NULL            -- JSON: what the agent's native values were then
);
CREATE TABLE IF NOT EXISTS watched(
    agent INTEGER PRIMARY KEY,    -- agents.id
    scope TEXT NOT NULL,          -- "": nobody watches it any more
    named INTEGER NOT NULL        -- the session in which its whole state was told last
);
"""
"""What journals of the cloud dialect have beside the others."""

_INSERT_TRANSITION = "INSERT INTO transitions VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)"
_UPDATE_PROGRESS = """
UPDATE progress SET cursors = ?, mark_epoch = ?, mark_sequence = ?, next_row = ?, counts = ?,
       sessions = ?, replay_from = max(replay_from, ?)
 WHERE one = 1
"""


class CheckpointPage(NamedTuple):
    """A checkpoint of 256 agents, true up to row `upto`."""

    page: int
    upto: int
    data: bytes


class ShardProgress(NamedTuple):
    """Where a shard stands; one row."""

    cursors: tuple[int, ...]
    mark_epoch: int
    mark_sequence: int
    next_row: int
    counts: dict[str, int]
    sessions: dict[str, Any]
    replay_from: int


class Commit(NamedTuple):
    """When the transaction that ended with this row was durable."""

    last_row: int
    committed_us: int


class Transaction(NamedTuple):
    """Everything that becomes durable together. It can be tried again as it is."""

    pending: PendingWrites
    progress: ShardProgress
    silent: bytes | None = None
    rejections: tuple[Rejection, ...] = ()
    pages: tuple[CheckpointPage, ...] = ()
    last_commit: Commit | None = None
    released: tuple[int, ...] = ()
    """Hashes of frames that were fed again, and are in quarantine no more."""


ToldRow: TypeAlias = tuple[int, str, int, int, int, str | None, str]
"""Agent, state, time, epoch, sequence, queue and cause of a row."""


class Stored(NamedTuple):
    """What a journal says of itself when it is opened."""

    run: str
    progress: ShardProgress
    silent: array[int]


class DamagedJournalError(DamagedFileError):
    """A file that is no journal any more."""

    cure = "the next history refills the shard"


KIND: Final = Kind("journal", FORMAT, DamagedJournalError)


def connect(path: Path, *, flags: int = apsw.SQLITE_OPEN_READWRITE) -> apsw.Connection:
    return sqlite.connect(path, KIND, flags=flags)


def damage_named(path: Path) -> AbstractContextManager[None]:
    return sqlite.damage_named(path, KIND)


def _migrate(connection: apsw.Connection) -> None:
    if "since_us" not in _columns(connection, "gaps"):
        connection.execute("ALTER TABLE gaps ADD COLUMN since_us INTEGER NOT NULL DEFAULT 0")


def _begin_run(connection: apsw.Connection) -> None:
    """Ring cursors and session numbers belong to a run and begin anew. What was confirmed by the
    last run is stale until a history of this one ends."""
    # A commit's time is written with the next one: of the last one the rows tell.
    (sessions, last_us) = connection.execute(
        "SELECT sessions, max((SELECT coalesce(max(committed_us), 0) FROM commits),"
        " coalesce((SELECT received_us FROM transitions ORDER BY id DESC LIMIT 1), 0))"
        " FROM progress"
    ).get
    scopes = orjson.loads(sessions)
    end_run(scopes, last_us)
    connection.execute(
        "UPDATE progress SET cursors = '[]', sessions = ?", (orjson.dumps(scopes).decode(),)
    )
    if _columns(connection, "watched"):
        connection.execute("UPDATE watched SET named = 0")


def _columns(connection: apsw.Connection, table: str) -> set[str]:
    rows = connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
    return {name for (name,) in rows}


class Journal(OwnedFile):
    """The open journal of a shard; one thread uses it."""

    def __init__(self, path: Path, run: str, dialect: Dialect | None = None) -> None:
        """`dialect` None: whichever it was written in."""
        super().__init__(path, KIND, run)
        sqlite.make_durable(self._connection)
        if dialect == "cloud":
            with self._connection:
                self._connection.execute(CLOUD_SCHEMA)
        self.dialect: Dialect = dialect_of(self._connection)
        self._quarantine = Quarantine(self._connection)

    def stored(self) -> Stored:
        """The progress row; LocalError if another run owns the journal by now."""
        self._assert_own()
        (cursors, epoch, mark, next_row, counts, sessions, silent, replay_from) = (
            self._connection.execute(
                "SELECT cursors, mark_epoch, mark_sequence, next_row, counts, sessions,"
                " silent, replay_from FROM progress"
            ).get
        )
        progress = ShardProgress(
            tuple(orjson.loads(cursors)),
            epoch,
            mark,
            next_row,
            orjson.loads(counts),
            orjson.loads(sessions),
            replay_from,
        )
        return Stored(self._run, progress, array("q", silent))

    def commit(self, transaction: Transaction) -> None:
        """Makes a transaction durable. On one of TRANSIENT_ERRORS nothing of it was, and the same
        one may be tried again; LocalError if another run owns the journal."""
        try:
            with self._transaction() as connection:
                self._write(connection, transaction)
        except BaseException:
            self._quarantine.recount()
            raise

    def _write(self, connection: apsw.Connection, transaction: Transaction) -> None:
        execute, executemany = connection.execute, connection.executemany
        pending, progress = transaction.pending, transaction.progress
        execute(
            _UPDATE_PROGRESS,
            (
                orjson.dumps(progress.cursors).decode(),
                progress.mark_epoch,
                progress.mark_sequence,
                progress.next_row,
                orjson.dumps(progress.counts).decode(),
                orjson.dumps(progress.sessions).decode(),
                progress.replay_from,
            ),
        )
        if pending.agents:
            executemany("INSERT INTO agents VALUES (?, ?)", pending.agents)
        if pending.rows:
            executemany(_INSERT_TRANSITION, pending.rows)
        if pending.gaps:
            executemany("INSERT INTO gaps VALUES (?, ?, ?, ?, ?, ?, ?, ?)", pending.gaps)
        if pending.natives:
            executemany("INSERT INTO natives VALUES (?, ?)", pending.natives)
        if pending.watched:
            watched = [(agent, *where) for agent, where in pending.watched.items()]
            executemany("INSERT OR REPLACE INTO watched VALUES (?, ?, ?)", watched)
        if transaction.rejections:
            self._quarantine.add(transaction.rejections)
        self._quarantine.release(transaction.released)
        if transaction.silent is not None:
            execute("UPDATE progress SET silent = ?", (transaction.silent,))
        if transaction.pages:
            executemany("INSERT OR REPLACE INTO pages VALUES (?, ?, ?)", transaction.pages)
        if transaction.last_commit is not None:
            execute("INSERT OR IGNORE INTO commits VALUES (?, ?)", transaction.last_commit)

    def quarantined(self, key: int) -> Kept | None:
        """A frame of the quarantine by its hash."""
        return self._quarantine.kept(key)

    def pages(self) -> Iterator[CheckpointPage]:
        return map(
            CheckpointPage._make, self._connection.execute("SELECT * FROM pages ORDER BY page")
        )

    def agents(self) -> Iterator[tuple[int, str]]:
        return self._connection.execute("SELECT id, user_id FROM agents ORDER BY id")

    def rows_behind(self, row: int) -> Iterator[Transition]:
        """The transitions with a greater id, in their order."""
        rows = self._connection.execute(
            "SELECT * FROM transitions WHERE id > ? ORDER BY id", (row,)
        )
        return map(Transition._make, rows)

    def told_behind(self, row: int) -> Iterator[ToldRow]:
        """What the windows must know of the rows with a greater id that tell of an event: over a
        start's 65,536 rows, half the time that whole ones take."""
        return self._connection.execute(
            "SELECT agent, to_state, at_us, epoch, sequence, queue, cause FROM transitions"
            " WHERE id > ? AND cause IN ('live', 'late', 'history') ORDER BY id",
            (row,),
        )

    def correlated_behind(self, row: int) -> Iterator[Transition]:
        """The transitions with a greater id that bear a correlation id."""
        rows = self._connection.execute(
            "SELECT * FROM transitions WHERE id > ? AND correlation IS NOT NULL ORDER BY id", (row,)
        )
        return map(Transition._make, rows)

    def definitions_behind(self, row: int) -> dict[int, str]:
        """Cloud: by a row with a greater id the presence definition that it shows."""
        if self.dialect != "cloud":
            return {}
        return dict(
            self._connection.execute(
                "SELECT row, json_extract(data, '$[1]') FROM natives"
                " WHERE row > ? AND json_valid(data)",
                (row,),
            )
        )

    def natives_behind(self, row: int) -> Iterator[tuple[int, str]]:
        """Agent and native values of the rows with a greater id that have any, in their order."""
        return self._connection.execute(
            "SELECT agent, data FROM natives JOIN transitions ON id = row"
            " WHERE row > ? ORDER BY row",
            (row,),
        )

    def watched(self) -> dict[int, tuple[str, int]]:
        """By an agent's number: its scope, and the session in which it was named last."""
        return watched_in(self._connection) if self.dialect == "cloud" else {}

    def prune(self, *, older_than_us: int, bytes_max: int, keep_from: int, slice_rows: int) -> int:
        """Deletes at most `slice_rows` of the oldest rows that are too old or too many, none at or
        behind `keep_from`; returns how many. Called again until it returns 0."""
        first = self._connection.execute("SELECT min(id) FROM transitions").get
        if first is None or first >= keep_from:
            return 0
        end = min(first + slice_rows, keep_from)
        if self._bytes_used() <= bytes_max:
            end = self._first_younger(first, end, older_than_us)
        if end <= first:
            return 0
        with self._transaction():
            self._connection.execute("DELETE FROM transitions WHERE id < ?", (end,))
            deleted = self._connection.changes()
            self._connection.execute("DELETE FROM gaps WHERE row < ?", (end,))
            self._connection.execute("DELETE FROM commits WHERE last_row < ?", (end,))
            if self.dialect == "cloud":
                self._connection.execute("DELETE FROM natives WHERE row < ?", (end,))
        return deleted

    def _first_younger(self, first: int, end: int, older_than_us: int) -> int:
        """The first row in [first, end) received at or after that time, else `end`."""
        found = self._connection.execute(
            "SELECT min(id) FROM transitions WHERE id >= ? AND id < ? AND received_us >= ?",
            (first, end, older_than_us),
        ).get
        return end if found is None else int(found)

    def _bytes_used(self) -> int:
        pragma = self._connection.pragma
        pages = int(pragma("page_count")) - int(pragma("freelist_count"))
        return pages * int(pragma("page_size"))

    def last_commit_us(self) -> int:
        """When the newest transaction was durable, as far as it is told; 0: nobody knows."""
        return int(
            self._connection.execute("SELECT coalesce(max(committed_us), 0) FROM commits").get
        )

    def gap_count(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM gaps").get)

    def behind_newest_events(self, count: int) -> int:
        """The row behind which the newest `count` live and late rows stand. Rows of other causes do
        not count: a mass Unknown and the history that ends it may be many more. 5 to 30 ms."""
        row = self._connection.execute(
            "SELECT id FROM transitions WHERE cause IN ('live', 'late')"
            " ORDER BY id DESC LIMIT 1 OFFSET ?",
            (count,),
        ).get
        return 0 if row is None else int(row)


def dialect_of(connection: apsw.Connection) -> Dialect:
    """The dialect of an open journal, told by its tables."""
    return "cloud" if _columns(connection, "natives") else "wsp"


def watched_in(connection: apsw.Connection) -> dict[int, tuple[str, int]]:
    """Of an open journal of the cloud dialect; see `Journal.watched`."""
    rows = connection.execute("SELECT agent, scope, named FROM watched")
    return {agent: (scope, named) for agent, scope, named in rows}


def gap_rows(connection: apsw.Connection) -> Iterator[GapRow]:
    """All gaps, newest first. Journals written before `since_us` was have one column less."""
    return (GapRow(*row) for row in connection.execute("SELECT * FROM gaps ORDER BY row DESC"))


JOURNAL_FILE: Final = DataFile(kind=KIND, schema=SCHEMA, migrate=_migrate, begin_run=_begin_run)
prepare: Final = JOURNAL_FILE.prepare
