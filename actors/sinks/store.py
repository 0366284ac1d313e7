"""The store of the sinks: a SQLite file that says how far each sink is in each journal.

Knows no row and no sink's kind. A place is written when what it stands for was delivered, never
before: a crash in between delivers that once more. Layout of the tables: SCHEMA below.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import apsw

from actors.sinks.positions import Places, SinkPosition
from actors.storage.data_file import DataFile, OwnedFile
from actors.storage.sqlite import DamagedFileError, Kind, damage_named, preparing
from actors.storage.sqlite import reading as reading_file

FILE: Final = "sinks.db"
FORMAT: Final = 1


class DamagedSinksError(DamagedFileError):
    """A file that is no store of sinks any more."""

    cure = "every sink starts as a new one; with `begin = oldest` events are delivered again"


KIND: Final = Kind("sinks", FORMAT, DamagedSinksError)

SCHEMA: Final = """
CREATE TABLE progress(
    one INTEGER PRIMARY KEY CHECK (one = 1),
    run TEXT NOT NULL                 -- whoever holds another run id can commit nothing
) STRICT;
INSERT INTO progress VALUES (1, '');

CREATE TABLE sinks(
    name TEXT PRIMARY KEY,
    target TEXT NOT NULL,             -- where to, for people
    delivered INTEGER NOT NULL,       -- events, ever
    problem TEXT NOT NULL,            -- empty: what was tried last was delivered
    is_paused INTEGER NOT NULL,       -- it was refused, and is tried again slowly
    since_us INTEGER NOT NULL         -- since when that is so; 0: it has not delivered yet
) STRICT, WITHOUT ROWID;

CREATE TABLE places(
    sink TEXT NOT NULL,
    journal TEXT NOT NULL,            -- its identity
    row INTEGER NOT NULL,             -- everything up to here was delivered
    is_done INTEGER NOT NULL,
    PRIMARY KEY(sink, journal)
) STRICT, WITHOUT ROWID;
"""

_DELIVERED: Final = "UPDATE sinks SET delivered = delivered + ? WHERE name = ?"
_TOLD: Final = "UPDATE sinks SET problem = ?, is_paused = ?, since_us = ? WHERE name = ?"
_PUT: Final = "INSERT OR REPLACE INTO places VALUES (?, ?, ?, ?)"


class SinkStatus(NamedTuple):
    """How a sink is."""

    name: str
    target: str
    delivered: int
    problem: str
    is_paused: bool
    since_us: int


def sinks_path(data_dir: Path) -> Path:
    """Where the file is in a data directory."""
    return data_dir / FILE


# -- before any child ----------------------------------------------------------------------------


def settle(path: Path, targets: Mapping[str, str], places: Mapping[str, Places]) -> None:
    """Writes down the sinks of these settings, and where each begins in what is new to it."""
    with preparing(path, KIND) as connection, connection:
        for name, target in targets.items():
            connection.execute(
                "INSERT INTO sinks VALUES (?, ?, 0, '', 0, 0)"
                " ON CONFLICT DO UPDATE SET target = excluded.target",
                (name, target),
            )
        for name, each in places.items():
            connection.executemany(_PUT, _rows(name, each))


# -- while it runs -------------------------------------------------------------------------------


class SinkStore(OwnedFile):
    """The open file, for one sink; one thread uses it at a time.

    Commits do not wait for the disk: should the power fail, some are forgotten, and what they stood
    for is delivered once more. After any other crash none is."""

    def __init__(self, path: Path, run: str, sink: str) -> None:
        """LocalError if another run owns the file by now."""
        super().__init__(path, KIND, run)
        self._sink = sink
        with damage_named(path, KIND):
            self._own(synchronous="normal")
            self.places = _places(self._connection, sink)

    def commit(self, places: Mapping[str, SinkPosition], delivered: int) -> None:
        """These are its places now, and so many more events were delivered. On one of
        TRANSIENT_ERRORS nothing was written; LocalError if another run owns the file."""
        self._execute([(_PUT, _rows(self._sink, places)), (_DELIVERED, [(delivered, self._sink)])])
        self.places.update(places)

    def tell(self, problem: str, *, is_paused: bool, since_us: int) -> None:
        """How it is from now on. Raises as `commit` does."""
        self._execute([(_TOLD, [(problem, is_paused, since_us, self._sink)])])


# -- for readers ---------------------------------------------------------------------------------


def read_standings(path: Path) -> list[SinkStatus]:
    """Every sink that was ever configured, by name. Raises LocalError or ConfigurationError if
    there is nothing to read, TemporaryError if it cannot be read at this moment."""
    with reading_file(path, KIND) as connection, damage_named(path, KIND):
        rows = connection.execute(
            "SELECT name, target, delivered, problem, is_paused, since_us FROM sinks ORDER BY name"
        )
        return [
            SinkStatus(name, target, delivered, problem, bool(is_paused), since_us)
            for name, target, delivered, problem, is_paused, since_us in rows
        ]


def read_places(path: Path) -> dict[str, Places]:
    """By sink. Raises as `read_standings` does."""
    with reading_file(path, KIND) as connection, damage_named(path, KIND):
        names = [name for (name,) in connection.execute("SELECT DISTINCT sink FROM places")]
        return {name: _places(connection, name) for name in names}


def _places(connection: apsw.Connection, sink: str) -> Places:
    rows = connection.execute("SELECT journal, row, is_done FROM places WHERE sink = ?", (sink,))
    return {journal: SinkPosition(row, bool(is_done)) for journal, row, is_done in rows}


def _rows(sink: str, places: Mapping[str, SinkPosition]) -> list[tuple[str, str, int, bool]]:
    return [(sink, journal, place.row, place.is_done) for journal, place in places.items()]


def _read(path: Path) -> None:
    read_standings(path)
    read_places(path)


SINKS_FILE: Final = DataFile(kind=KIND, schema=SCHEMA, read=_read, is_private=True)
prepare: Final = SINKS_FILE.prepare
