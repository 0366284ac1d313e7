"""Repair of the sinks' file: a broken one is set aside, while no runtime runs.

Nothing is deleted, and nothing is put in its place: the next start makes a fresh one. What is lost
with it is how far each sink was.
"""

from __future__ import annotations

from pathlib import Path

from actors.sinks.store import KIND, read_places, read_standings
from actors.sqlite import DamagedFileError, Finding, backup, check, connect, set_aside


def repair(path: Path, now_us: int) -> Finding | None:
    """Examines the file in a claimed directory; None if no sink has begun with it.

    Raises TemporaryError for a locked one and ConfigurationError for one of a newer version."""
    problem = examine(path)
    if problem is None:
        return None
    return Finding(path, problem, set_aside(path, now_us) if problem else None)


def examine(path: Path) -> str | None:
    """What is wrong with it, empty if nothing is; None: there is none."""
    if not path.exists():
        return None
    try:
        check(path, KIND)
        if _has_begun(path):
            read_standings(path)
            read_places(path)
    except DamagedFileError as error:
        return error.problem
    return ""


def _has_begun(path: Path) -> bool:
    connection = connect(path, KIND)
    try:
        return bool(connection.pragma("user_version"))
    finally:
        connection.close()


def copy(path: Path, target: Path) -> Path:
    """Copies it as of one moment, while its sinks go on; returns the copy."""
    backup(path, KIND, target / path.name)
    return target / path.name
