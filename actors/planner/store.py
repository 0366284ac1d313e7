"""The store of the planner: a SQLite file with the roster, the plan, and names for people to read.

Knows no gateway and no rule of a plan. The planner alone writes it; receivers, the command line and
the web read it at any time. Layout of the tables: SCHEMA below.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import apsw

from actors.genesys.channel_plan import EMPTY, Plan, Slot
from actors.sqlite import DamagedFileError, Kind, connect, damage_named, make_durable, preparing
from actors.sqlite import reading as reading_file
from runtime.crash_point import crash_point
from runtime.errors import LocalError

FILE: Final = "cloud.db"
FORMAT: Final = 1
_MODE: Final = 0o600  # names of people


class DamagedRosterError(DamagedFileError):
    """A file that is no store of the planner any more."""

    cure = "the planner begins with no roster; agents may change their channels once"


KIND: Final = Kind("planner", FORMAT, DamagedRosterError)

SCHEMA: Final = """
CREATE TABLE progress(
    one INTEGER PRIMARY KEY CHECK (one = 1),
    run TEXT NOT NULL,                -- whoever holds another run id can commit nothing
    version INTEGER NOT NULL,         -- of the plan; 0: there is none yet
    planned_us INTEGER NOT NULL,      -- when it changed last
    read_us INTEGER NOT NULL,         -- when the roster was read whole last
    clients_needed INTEGER NOT NULL
) STRICT;
INSERT INTO progress VALUES (1, '', 0, 0, 0, 0);

CREATE TABLE users(
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,               -- kept for people who read of the past
    is_watched INTEGER NOT NULL,
    client INTEGER,                   -- NULL: not watched, or no room (unmonitored)
    slot INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE queues(id TEXT PRIMARY KEY, name TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""

_UPSERT_USER: Final = """
INSERT INTO users VALUES (?, ?, 1, ?, ?)
ON CONFLICT(id) DO UPDATE SET name = excluded.name, is_watched = 1, client = excluded.client,
    slot = excluded.slot
"""
_UNWATCH: Final = "UPDATE users SET is_watched = 0, client = NULL, slot = NULL WHERE id = ?"
_UPSERT_QUEUE: Final = """
INSERT INTO queues VALUES (?, ?) ON CONFLICT(id) DO UPDATE SET name = excluded.name
"""


class Roster(NamedTuple):
    """The plan as of one version, with the names of all whom it is for."""

    version: int  # 0: nobody has planned anything yet
    planned_us: int
    read_us: int
    plan: Plan
    names: Mapping[str, str]  # of everybody watched, unmonitored ones included


class Names(NamedTuple):
    """By id, for people; of users who are gone as well."""

    users: Mapping[str, str]
    queues: Mapping[str, str]


def roster_path(data_dir: Path) -> Path:
    """Where the file is in a data directory."""
    return data_dir / FILE


def prepare(path: Path, run: str) -> None:
    """Makes the file if need be and hands it to this run: from now on only `run` commits."""
    path.touch(_MODE)
    path.chmod(_MODE)
    with preparing(path, KIND) as connection:
        if connection.pragma("user_version") == 0:
            with connection:
                connection.execute(SCHEMA)
                connection.pragma("user_version", FORMAT)
        with connection:
            connection.execute("UPDATE progress SET run = ?", (run,))
            if connection.changes() != 1:
                raise LookupError("its progress is gone")


class Store:
    """The open file of the planner; one thread uses it."""

    def __init__(self, path: Path, run: str) -> None:
        """LocalError if another run owns the file by now."""
        self.path = path
        self._run = run
        self._connection = connect(path, KIND)
        with damage_named(path, KIND):
            make_durable(self._connection)
            owner = self._connection.execute("SELECT run FROM progress").get
            self._roster = _roster(self._connection)
            self._queues = dict(self._connection.execute("SELECT id, name FROM queues"))
        if owner != run:
            self._connection.close()
            raise LocalError(f"{path} belongs to run {owner!r}, not to {run!r}")

    def close(self) -> None:
        self._connection.close()

    @property
    def roster(self) -> Roster:
        """As it was committed last."""
        return self._roster

    def commit(self, plan: Plan, names: Mapping[str, str], at_us: int) -> bool:
        """Makes the plan durable, and the names of all whom it is for; True: the plan is another
        one than before, and has the next version. On one of TRANSIENT_ERRORS nothing of it was, and
        the same call may be made again. LocalError if another run owns the file."""
        before, places, held = self._roster, plan.places(), self._roster.plan.places()
        assert names.keys() == places.keys() | plan.unmonitored
        changed = [
            (user, name, *(places.get(user) or (None, None)))
            for user, name in names.items()
            if before.names.get(user) != name or places.get(user) != held.get(user)
        ]
        gone = [(user,) for user in before.names.keys() - names.keys()]
        is_another = before.version == 0 or plan != before.plan
        now = Roster(
            before.version + is_another,
            at_us if is_another else before.planned_us,
            at_us,
            plan,
            dict(names),
        )
        with self._transaction():
            self._connection.executemany(_UPSERT_USER, changed)
            self._connection.executemany(_UNWATCH, gone)
            self._connection.execute(
                "UPDATE progress SET version = ?, planned_us = ?, read_us = ?, clients_needed = ?",
                (now.version, now.planned_us, now.read_us, plan.clients_needed),
            )
        self._roster = now
        return is_another

    def name_queues(self, names: Mapping[str, str]) -> None:
        """Adds these; those of queues that are gone are kept. Raises as `commit` does."""
        changed = [each for each in names.items() if self._queues.get(each[0]) != each[1]]
        if changed:
            with self._transaction():
                self._connection.executemany(_UPSERT_QUEUE, changed)
            self._queues.update(changed)

    def _transaction(self) -> _Transaction:
        return _Transaction(self._connection, self.path, self._run)


class _Transaction:
    """All or nothing, and only for the run that owns the file."""

    def __init__(self, connection: apsw.Connection, path: Path, run: str) -> None:
        self._connection = connection
        self._path = path
        self._run = run

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            owner = self._connection.execute("SELECT run FROM progress").get
            if owner != self._run:
                raise LocalError(f"{self._path} belongs to another run now: nothing is committed")
        except BaseException:
            self._roll_back()
            raise

    def __exit__(self, kind: object, _error: object, _traceback: object) -> None:
        try:
            if kind is None:
                crash_point("in-transaction")
                self._connection.execute("COMMIT")
        finally:
            self._roll_back()

    def _roll_back(self) -> None:
        if self._connection.in_transaction:  # a failed COMMIT may have rolled back by itself
            self._connection.execute("ROLLBACK")


# -- for readers ---------------------------------------------------------------------------------


def read_roster(path: Path) -> Roster:
    """As it stands now. Raises LocalError or ConfigurationError if there is none, TemporaryError if
    it cannot be read at this moment."""
    with reading_file(path, KIND) as connection, damage_named(path, KIND):
        return _roster(connection)


def read_names(path: Path) -> Names:
    """Raises as `read_roster` does."""
    with reading_file(path, KIND) as connection, damage_named(path, KIND):
        return Names(
            dict(connection.execute("SELECT id, name FROM users")),
            dict(connection.execute("SELECT id, name FROM queues")),
        )


def _roster(connection: apsw.Connection) -> Roster:
    version, planned_us, read_us, clients_needed = connection.execute(
        "SELECT version, planned_us, read_us, clients_needed FROM progress"
    ).get
    names: dict[str, str] = {}
    slots: dict[Slot, set[str]] = {}
    unmonitored = set()
    for user, name, client, slot in _watched(connection):
        names[user] = name
        if client is None or slot is None:
            unmonitored.add(user)
        else:
            slots.setdefault(Slot(client, slot), set()).add(user)
    plan = Plan(
        slots={slot: frozenset(slots[slot]) for slot in sorted(slots)},
        unmonitored=frozenset(unmonitored),
        clients_needed=clients_needed,
    )
    return Roster(version, planned_us, read_us, plan if version else EMPTY, names)


def _watched(
    connection: apsw.Connection,
) -> Iterator[tuple[str, str, int | None, int | None]]:
    return connection.execute("SELECT id, name, client, slot FROM users WHERE is_watched = 1")
