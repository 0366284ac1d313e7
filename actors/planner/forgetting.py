"""Forgetting: takes one person out of the planner's store, which nobody else has open.

Whoever is still in the organisation is in the next roster again.
"""

from __future__ import annotations

from pathlib import Path

from actors.planner.store import KIND
from actors.storage import sqlite


def forget(path: Path, user_id: str) -> int:
    """How many names; TemporaryError for a disk in trouble, and then nothing was changed."""
    with sqlite.erasing(path, KIND) as connection:
        connection.execute("DELETE FROM users WHERE id = ?", (user_id,))
        return connection.changes()
