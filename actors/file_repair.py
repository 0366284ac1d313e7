"""FileRepair: how one kind of our SQLite files is examined, set aside and copied.

Knows no kind. Nothing is deleted, and nothing is put in a file's place: the next start makes a
fresh one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from actors.sqlite import DamagedFileError, Finding, Kind, backup, check, connect, set_aside


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRepair:
    """`read` reads a file as its owner would, and raises DamagedFileError where that would."""

    kind: Kind
    read: Callable[[Path], object]

    def repair(self, path: Path, now_us: int) -> Finding | None:
        """Examines the file in a claimed directory, and sets a damaged one aside; None if nobody
        has begun with it. No runtime may run.

        Raises TemporaryError for a locked one and ConfigurationError for one of a newer version."""
        problem = self.examine(path)
        if problem is None:
            return None
        return Finding(path, problem, set_aside(path, now_us) if problem else None)

    def examine(self, path: Path) -> str | None:
        """What is wrong with it, empty if nothing is; None: there is none."""
        if not path.exists():
            return None
        try:
            check(path, self.kind)
            if self._has_begun(path):
                self.read(path)
        except DamagedFileError as error:
            return error.problem
        return ""

    def copy(self, path: Path, target: Path) -> Path:
        """Copies it as of one moment, while its owner goes on; returns the copy."""
        backup(path, self.kind, target / path.name)
        return target / path.name

    def _has_begun(self, path: Path) -> bool:
        connection = connect(path, self.kind)
        try:
            return bool(connection.pragma("user_version"))
        finally:
            connection.close()
