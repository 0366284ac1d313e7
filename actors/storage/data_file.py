"""DataFile: one kind of SQLite file that a single process owns, from its making to its repair.

    make         the file and its tables, in the newest format      before any child
    hand over    another run: no earlier owner commits any more     before any child; only who leads
    open         `OwnedFile`, by the process that was given the run
    commit       BEGIN IMMEDIATE → still our run? → statements → crash point → COMMIT
    examine      as its owner would read it; a damaged one is set aside, while no runtime runs

What a transaction writes is a value before it begins: times, salts and ids are drawn once, and the
same value is executed again after a full disk. Knows no table but `progress`, whose `run` names
the owner.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import apsw

from actors.storage.new_file import refuse_link
from actors.storage.sqlite import (
    DamagedFileError,
    FileFinding,
    Kind,
    backup,
    check,
    connect,
    make_durable,
    preparing,
    set_aside,
)
from runtime.crash_point import crash_point
from runtime.errors import LocalError

Statement: TypeAlias = tuple[str, Sequence[Sequence[Any]]]
"""SQL, and the parameters of each execution."""

_OWNER: Final = "SELECT run FROM progress"
_PRIVATE: Final = 0o600


def _nothing(_: object) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """A kind of file."""

    kind: Kind
    schema: str
    read: Callable[[Path], object] = _nothing
    """Reads one as its owner would, and raises DamagedFileError where that would."""
    migrate: Callable[[apsw.Connection], object] = _nothing
    """Brings an older one to the newest tables."""
    begin_run: Callable[[apsw.Connection], object] = _nothing
    """Clears what belonged to the last run, in the transaction that hands the file over."""
    is_private: bool = False
    """Nobody but its owner may read it, whatever the directory allows."""

    # -- before any child ------------------------------------------------------------------------

    def prepare(self, path: Path, run: str) -> None:
        """Makes the file if need be and hands it to this run: from now on only `run` commits."""
        self.make(path)
        self.hand_over(path, run)

    def make(self, path: Path) -> None:
        """Makes the file if need be, and brings an older one up to date."""
        if self.is_private:
            refuse_link(path)
            path.touch(_PRIVATE)
            path.chmod(_PRIVATE)
        with preparing(path, self.kind) as connection:
            if connection.pragma("user_version") == 0:
                with connection:
                    connection.execute(self.schema)
                    connection.pragma("user_version", self.kind.format)
            with connection:
                self.migrate(connection)

    def hand_over(self, path: Path, run: str) -> None:
        """From now on only `run` commits."""
        with preparing(path, self.kind) as connection, connection:
            self.begin_run(connection)
            connection.execute("UPDATE progress SET run = ?", (run,))
            if connection.changes() != 1:
                raise LookupError("the table progress is empty")

    # -- while no runtime runs -------------------------------------------------------------------

    def repair(self, path: Path, now_us: int) -> FileFinding | None:
        """Examines the file in a claimed directory, and sets a damaged one aside; None if nobody
        has begun with it. Nothing is put in its place: the next start makes a fresh one.

        Raises TemporaryError for a locked one and ConfigurationError for one of a newer version."""
        problem = self.examine(path)
        if problem is None:
            return None
        return FileFinding(path, problem, set_aside(path, now_us) if problem else None)

    def examine(self, path: Path) -> str | None:
        """What is wrong with it, empty if nothing is; None: there is none."""
        if not path.exists():
            return None
        try:
            check(path, self.kind)
            if has_begun(path, self.kind):
                self.read(path)
        except DamagedFileError as error:
            return error.problem
        return ""

    # -- at any time -----------------------------------------------------------------------------

    def copy(self, path: Path, copy: Path) -> Path:
        """Copies it as of one moment, while its owner goes on; returns the copy."""
        backup(path, self.kind, copy)
        return copy


def has_begun(path: Path, kind: Kind) -> bool:
    """Whether its tables were made; an empty file is no damage."""
    connection = connect(path, kind)
    try:
        return bool(connection.pragma("user_version"))
    finally:
        connection.close()


def run_of(path: Path, kind: Kind) -> str:
    """The run that owns it. To be called where damage is named."""
    connection = connect(path, kind)
    try:
        run = connection.execute(_OWNER).get
    finally:
        connection.close()
    if run is None:
        raise LookupError("the table progress is empty")
    return str(run)


class OwnedFile:
    """The open file of one run; one thread uses it at a time."""

    def __init__(self, path: Path, kind: Kind, run: str) -> None:
        self.path = path
        self._run = run
        self._connection = connect(path, kind)

    def close(self) -> None:
        self._connection.close()

    def _own(self, *, synchronous: str = "full") -> None:
        """Makes commits as durable as that. LocalError if another run owns the file by now."""
        make_durable(self._connection, synchronous)
        self._assert_own()

    def _assert_own(self) -> None:
        owner = self._connection.execute(_OWNER).get
        if owner != self._run:
            self.close()
            raise LocalError(f"{self.path} is owned by run {owner!r}, not by {self._run!r}")

    @contextmanager
    def _transaction(self) -> Iterator[apsw.Connection]:
        """All or nothing, and only for the run that owns the file. On one of TRANSIENT_ERRORS
        nothing was written, and the same may be tried again; LocalError if another run owns it."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            if connection.execute(_OWNER).get != self._run:
                raise LocalError(
                    f"{self.path}: Another runtime has taken over this file; commit refused"
                )
            yield connection
            crash_point("in-transaction")
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:  # a failed COMMIT may have rolled back by itself
                connection.execute("ROLLBACK")

    def _execute(self, statements: Iterable[Statement]) -> None:
        """One transaction of nothing but these."""
        with self._transaction() as connection:
            for sql, rows in statements:
                connection.executemany(sql, rows)
