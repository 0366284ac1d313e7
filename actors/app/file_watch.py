"""FileWatch: whether the files of a data directory still are those that the children have open.

Looked at once a second, by the supervisor: it has none of them open, and reading one in a process
that has would give up SQLite's locks. What was deleted, moved, replaced or written over is said;
what follows from it is not decided here.

While its owner lives, SQLite writes a file only in a checkpoint, and neither removes nor makes the
log and the index beside it. Every checkpoint, whoever makes it, leaves its numbers in the index
before it writes the first page (`wal.c`, WalCkptInfo): bytes that change without them are not
SQLite's.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import structlog

from actors.storage import new_file
from runtime.counters import RUNNING, WAITING, Counters

LOOK_EVERY_S: Final = 1.0
SUSPECT: Final = ".suspect"
"""Behind the name of a journal: a file that says that the next start must examine it."""
OVERWRITTEN: Final = "its content was overwritten by another program"
_INDEX_BYTES: Final = 136
_SALT, _DONE, _ATTEMPTED = slice(32, 40), slice(96, 100), slice(128, 132)

Identity: TypeAlias = tuple[int, int]


class WatchedFile(NamedTuple):
    """A file, and the page of the child that has it open; None: it is no SQLite file."""

    path: Path
    owner: Counters | None = None


class FileLook(NamedTuple):
    """One file at one look; None: not there."""

    file: Identity | None
    log: Identity | None = None
    shared: Identity | None = None
    written: tuple[int, int] = (0, 0)
    """Size, and when it was written last (ns)."""
    checkpoint: bytes | None = None
    """Which checkpoint was the last; None: one runs, or nobody can tell."""
    life: int | None = None
    """Of its owner; None: it does not have it open for sure."""


def trouble_of(before: FileLook, now: FileLook) -> str:
    """What somebody else has done to the file between two looks; "" if nothing."""
    if now.file is None:
        return "it was deleted or moved"
    if now.file != before.file:
        return "it was replaced by another file"
    if before.life is None or now.life != before.life:
        return ""
    for beside, was, is_ in (("log", before.log, now.log), ("index", before.shared, now.shared)):
        if was is not None and is_ != was:
            return f"the {beside} beside it was deleted or replaced"
    has_changed = now.written != before.written
    if has_changed and before.checkpoint is not None and now.checkpoint == before.checkpoint:
        return OVERWRITTEN
    return ""


class FileWatch:
    """Called once in a while; says what is wrong as soon as it is sure."""

    def __init__(self, files: Sequence[WatchedFile]) -> None:
        self._files = files
        self._before = {file.path: _look(file) for file in files}
        self._doubted: dict[Path, str] = {}
        self._log = structlog.get_logger("runtime.supervisor")

    def __call__(self) -> str:
        """ "" or why the runtime must end. A thing is wrong if it is at two looks in turn: a child
        that ends by itself closes its files before anybody hears of it."""
        found: dict[Path, str] = {}
        for file in self._files:
            now = _look(file)
            trouble = trouble_of(self._before[file.path], now)
            if trouble:
                found[file.path] = trouble
            else:
                self._before[file.path] = now
        sure = {
            path: trouble
            for path, trouble in found.items()
            if trouble == OVERWRITTEN or self._doubted.get(path) == trouble
        }
        self._doubted = found
        for path, trouble in sure.items():
            self._log.error("file.tampered", path=str(path), what=trouble)
            self._suspect(path)
        if not sure:
            return ""
        path, trouble = next(iter(sure.items()))
        more = f" (and {len(sure) - 1} more files)" if len(sure) > 1 else ""
        return f"{path}: {trouble}{more}"

    def _suspect(self, path: Path) -> None:
        """Says so to the next start, if there is still a directory."""
        try:
            os.close(new_file.create(path.with_name(path.name + SUSPECT)))
        except OSError as error:
            self._log.warning("file.not_marked", path=str(path), cause=str(error))


class Lookout:
    """A look once a second, in a thread of its own: the supervisor does not wait for a disk that
    hangs. The first thing that is found is told, once."""

    def __init__(self, look: Callable[[], str], tell: Callable[[str], None]) -> None:
        self._look = look
        self._tell = tell
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="files", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(LOOK_EVERY_S):
            if found := self._look():
                self._tell(found)
                return


def _look(file: WatchedFile) -> FileLook:
    if file.owner is None:
        return FileLook(_identity(file.path))
    log, index = (file.path.with_name(file.path.name + end) for end in ("-wal", "-shm"))
    life = _life(file.owner)
    first = _checkpoint(index)
    try:
        status = file.path.stat()
    except OSError:
        return FileLook(None)
    beside = _identity(log), _identity(index)
    last = _checkpoint(index)
    return FileLook(
        (status.st_dev, status.st_ino),
        *beside,
        (status.st_size, status.st_mtime_ns),
        last if first == last else None,
        life if _life(file.owner) == life else None,
    )


def _life(owner: Counters) -> int | None:
    return owner.get("generation") if owner.get("phase") in (RUNNING, WAITING) else None


def _identity(path: Path) -> Identity | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _checkpoint(index: Path) -> bytes | None:
    try:
        with index.open("rb", buffering=0) as file:
            head = file.read(_INDEX_BYTES)
    except OSError:
        return None
    if len(head) < _INDEX_BYTES or head[_DONE] != head[_ATTEMPTED]:
        return None
    return head[_SALT] + head[_DONE]
