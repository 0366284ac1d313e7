"""Owns how our SQLite files are opened, copied and repaired, and what an error of one means.

Knows no table. Only apsw opens them: the system's own SQLite may have the WAL-reset bug.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import ClassVar, Final

import apsw

from actors.storage.new_file import create, refuse_link
from runtime.errors import ConfigurationError, LocalError, TemporaryError

TRANSIENT_ERRORS: Final = (apsw.FullError, apsw.BusyError, apsw.IOError, apsw.LockedError)
"""A disk that is full, busy or failing: the same transaction is tried again."""
DISK_DAMAGE_ERRORS: Final = (apsw.CorruptError, apsw.NotADBError)
DAMAGE_ERRORS: Final = (
    *DISK_DAMAGE_ERRORS,
    apsw.SQLError,  # tables or columns that are not there
    ValueError,  # JSON that is none
    ArithmeticError,
    LookupError,
    TypeError,
)
"""What comes of a file that is not what we wrote. Only around what reads or writes such files."""

BUSY_TIMEOUT_MS = 200

_WAL_PAGES = 4_000
"""Pages of 4 KiB between two checkpoints of the write-ahead log: 16 MB."""
_COPY_PAGES = 1_000
"""Copied at a time."""


class DamagedFileError(ConfigurationError):
    """A file that is not what we wrote any more. Restarting does not help."""

    cure: ClassVar[str]
    """What follows when it was set aside."""

    def __init__(self, path: Path, problem: object) -> None:
        super().__init__(
            f"{path} is damaged: {problem}. Stop the runtime and run `presence-runtime repair "
            f"--data-dir {path.parent}`, which moves the file aside; then {self.cure}"
        )
        self.problem = str(problem)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file is for."""

    name: str
    format: int
    """The newest `user_version` that this program knows."""
    damaged: type[DamagedFileError]


@contextmanager
def damage_named(path: Path, kind: Kind) -> Iterator[None]:
    """Turns what SQLite and our own decoders say of a damaged file into an error that names it."""
    try:
        yield
    except DAMAGE_ERRORS as error:
        raise kind.damaged(path, error) from None


def connect(path: Path, kind: Kind, *, flags: int = apsw.SQLITE_OPEN_READWRITE) -> apsw.Connection:
    """A connection with this project's settings; ConfigurationError for what is no such file,
    TemporaryError for one that cannot be read just now."""
    refuse_link(path)
    try:
        with damage_named(path, kind):
            connection = apsw.Connection(str(path), flags=flags)
            connection.set_busy_timeout(BUSY_TIMEOUT_MS)
            version = connection.pragma("user_version")
    except apsw.CantOpenError as error:
        creates = flags & apsw.SQLITE_OPEN_CREATE and not path.exists()
        needed = path.parent if creates else path
        is_ours = (creates or path.is_file()) and os.access(needed, os.R_OK | os.W_OK)
        raise (TemporaryError if is_ours else ConfigurationError)(
            f"cannot open {path}: {error}"
        ) from None
    except (apsw.BusyError, apsw.LockedError):
        raise TemporaryError(_locked(path)) from None
    except apsw.Error as error:
        raise TemporaryError(f"cannot read {path}: {error}") from None
    if version not in range(kind.format + 1):
        raise ConfigurationError(
            f"{path} has {kind.name} format {version}, but this version supports {kind.format}; "
            "run the newer version, or set a different data_dir"
        )
    return connection


def _locked(path: Path) -> str:
    what = f"{path} is locked by another program (for example a database shell or a copy)"
    return f"{what}; stop that program"


@contextmanager
def preparing(path: Path, kind: Kind) -> Iterator[apsw.Connection]:
    """A connection to a file that is made if need be, before any child uses it."""
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    connection = connect(path, kind, flags=flags)
    try:
        with damage_named(path, kind):
            connection.pragma("journal_mode", "wal")
            yield connection
    except (apsw.BusyError, apsw.LockedError):
        raise TemporaryError(_locked(path)) from None
    except TRANSIENT_ERRORS as error:
        raise TemporaryError(f"cannot write {path}: {error}") from None
    finally:
        connection.close()


def make_durable(connection: apsw.Connection, synchronous: str = "full") -> None:
    """What is committed is on the disk: for those who write. `normal`: it survives any crash but
    that of the machine."""
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", synchronous)
    connection.pragma("wal_autocheckpoint", _WAL_PAGES)


class reading:  # noqa: N801  a context manager that reads as a phrase
    """A read-only connection for the length of a block, in one snapshot; also while somebody
    writes, and when a killed writer left its log behind."""

    def __init__(self, path: Path, kind: Kind) -> None:
        self._path = path
        self._kind = kind

    def __enter__(self) -> apsw.Connection:
        self._connection = connect(self._path, self._kind, flags=apsw.SQLITE_OPEN_READONLY)
        try:
            self._connection.execute("BEGIN")
            is_empty = self._connection.pragma("user_version") == 0
        except apsw.Error as error:
            self.__exit__(None, error, None)
            raise
        if is_empty:
            self._connection.close()
            raise LocalError(f"{self._path} is empty; no runtime has used it yet")
        return self._connection

    def __exit__(self, _kind: object, error: object, _traceback: object) -> None:
        self._connection.close()
        if isinstance(error, DISK_DAMAGE_ERRORS):
            raise self._kind.damaged(self._path, error) from None
        if isinstance(error, TRANSIENT_ERRORS):  # also while its owner mends a killed one's log
            raise TemporaryError(f"{self._path} cannot be read at the moment: {error}") from None


def backup(path: Path, kind: Kind, copy: Path) -> None:
    """Copies a file as of one moment, while its owner goes on; overwrites nothing."""
    copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if os.path.lexists(copy):
        raise LocalError(f"{copy} exists; a backup does not overwrite files")
    os.close(create(copy))
    with reading(path, kind) as source:
        destination = apsw.Connection(str(copy))
        try:
            with destination.backup("main", source, "main") as pages:
                while not pages.done:
                    pages.step(_COPY_PAGES)
        finally:
            destination.close()


# -- erasing: while no runtime runs --------------------------------------------------------------


@contextmanager
def erasing(path: Path, kind: Kind) -> Iterator[apsw.Connection]:
    """A connection in one transaction that takes something out for good. What its pages and the log
    still hold of it, `purge` ends."""
    with _alone(path, kind) as connection, connection:
        yield connection


def purge(path: Path, kind: Kind) -> None:
    """Leaves in the file only what its tables hold, and no log beside it: deleted rows stand in
    free pages until something is written over them. Takes as much room again, for a while."""
    fresh = path.with_name(f"{path.name}.purged")
    fresh.unlink(missing_ok=True)  # of one that was interrupted
    with _alone(path, kind) as connection:
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").get
        if busy:
            raise TemporaryError(_locked(path))
        connection.execute("VACUUM INTO ?", (str(fresh),))
    fresh.chmod(path.stat().st_mode)
    for each in (fresh, path.parent):
        fd = os.open(each, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    for log in _family(path)[1:]:
        log.unlink(missing_ok=True)  # empty by now
    fresh.replace(path)


@contextmanager
def _alone(path: Path, kind: Kind) -> Iterator[apsw.Connection]:
    connection = connect(path, kind)
    try:
        connection.pragma("secure_delete", True)
        with damage_named(path, kind):
            yield connection
    except (apsw.BusyError, apsw.LockedError):
        raise TemporaryError(_locked(path)) from None
    except TRANSIENT_ERRORS as error:
        raise TemporaryError(f"cannot write {path}: {error}") from None
    finally:
        connection.close()


# -- repair: while no runtime runs ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FileFinding:
    """One file, and what became of it."""

    path: Path
    problem: str
    """Empty: it is healthy, and was left as it is."""
    kept_in: Path | None = None
    """Where the broken one is now; None: there was none."""


def check(path: Path, kind: Kind) -> None:
    """Raises DamagedFileError if SQLite itself finds fault with it."""
    connection = connect(path, kind)
    try:
        # The evidence stays as it is.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        with damage_named(path, kind):
            told = connection.execute("PRAGMA quick_check(1)").get
        if told != "ok":
            raise kind.damaged(path, " ".join(str(told).split()))
    finally:
        connection.close()


def set_aside(path: Path, now_us: int) -> Path | None:
    """Moves a file and what SQLite keeps beside it into a folder; None if there is nothing."""
    files = [each for each in _family(path) if each.exists()]
    if not files:
        return None
    stamp = datetime.fromtimestamp(now_us // 1_000_000, UTC).strftime("%Y%m%dT%H%M%SZ")
    for attempt in count(1):
        folder = path.parent / (f"broken-{stamp}" if attempt == 1 else f"broken-{stamp}-{attempt}")
        folder.mkdir(mode=0o700, exist_ok=True)
        if not any((folder / each.name).exists() for each in files):
            break
    # The log last: after a kill in between, a file without its log would look whole, and be an
    # older one. A log without its file is nothing to anybody.
    for each in files:
        each.rename(folder / each.name)
    return folder


def _family(path: Path) -> tuple[Path, ...]:
    return tuple(path.with_name(path.name + end) for end in ("", "-wal", "-shm"))
