"""Repair of the sender's store: a broken one is set aside, while no runtime runs.

Knows no actor. Nothing is deleted, and nothing is put in its place: the next start makes a fresh
one. What is lost with it are the end states of its unsettled commands, the keys that were bound,
the webhook messages that waited and the audit up to now, which the file set aside still has. A
chain of the audit that was tampered with is no damage: `audit verify` tells of it.
"""

from __future__ import annotations

from pathlib import Path

from actors.data_dir import DataDir, sender_path
from actors.sender.store import KIND, Store
from actors.sqlite import DamagedFileError, Finding, check, connect, damage_named, set_aside


def repair(data_dir: DataDir, now_us: int) -> Finding | None:
    """Examines the store of a claimed directory; None if no sender has begun with it.

    Raises TemporaryError for a locked one and ConfigurationError for one of a newer version."""
    path = sender_path(data_dir.path)
    problem = examine(path)
    if problem is None:
        return None
    if not problem:
        return Finding(path, problem, None)
    kept_in = set_aside(path, now_us)
    data_dir.record_store(is_there=False)  # so that the next start does not miss it
    return Finding(path, problem, kept_in)


def examine(path: Path) -> str | None:
    """What is wrong with it, empty if nothing is; None: there is none."""
    if not path.exists():
        return None
    try:
        check(path, KIND)
        with damage_named(path, KIND):
            _load(path)
    except DamagedFileError as error:
        return error.problem
    return ""


def _load(path: Path) -> None:
    """As its sender would."""
    connection = connect(path, KIND)
    try:
        if connection.pragma("user_version") == 0:  # made, and never begun
            return
        run = connection.execute("SELECT run FROM progress").get
    finally:
        connection.close()
    store = Store(path, run)
    try:
        store.unsettled()
        store.outbox_counts()
    finally:
        store.close()
