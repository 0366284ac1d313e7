"""Forgetting: takes one person out of the planner's store, which nobody else has open.

Whoever is still in the organisation is in the next roster again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from actors.planner.store import KIND
from actors.storage import sqlite

_HAS_MEMBERS: Final = "SELECT name FROM sqlite_master WHERE name = 'memberships'"
"""A file of 0.1 that no planner has opened since has none."""


def forget(path: Path, user_id: str) -> int:
    """How many names; TemporaryError for a disk in trouble, and then nothing was changed."""
    with sqlite.erasing(path, KIND) as connection:
        connection.execute("DELETE FROM users WHERE id = ?", (user_id,))
        names = connection.changes()
        if connection.execute(_HAS_MEMBERS).get is not None:
            connection.execute("DELETE FROM memberships WHERE user = ?", (user_id,))
        return names
