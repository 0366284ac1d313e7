"""Repair of the receivers' files: a broken one is set aside, while no runtime runs.

Knows no actor. Nothing is deleted, and nothing is put in its place: the next start makes a fresh
one. What is lost with it is which channels are ours. Nobody listens to the old ones any more, so
they are the first that the gateway gives up for new ones, and end by themselves within a day.
"""

from __future__ import annotations

from pathlib import Path

from actors.receiver.channel_store import KIND, ChannelStore, read_report
from actors.sqlite import DamagedFileError, Finding, check, connect, damage_named, set_aside


def repair(path: Path, now_us: int) -> Finding | None:
    """Examines the file in a claimed directory; None if it is not there.

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
        _load(path)
    except DamagedFileError as error:
        return error.problem
    return ""


def _load(path: Path) -> None:
    """As its receiver would."""
    connection = connect(path, KIND)
    try:
        if connection.pragma("user_version") == 0:  # made, and never begun
            return
        with damage_named(path, KIND):
            run = connection.execute("SELECT run FROM progress").get
    finally:
        connection.close()
    if run is None:
        raise KIND.damaged(path, "its progress is gone")
    store = ChannelStore(path, run)
    try:
        store.channels()
    finally:
        store.close()
    read_report(path)
