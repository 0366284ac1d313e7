"""Forgetting: takes one person out of a receiver's own file, which nobody else has open."""

from __future__ import annotations

from pathlib import Path

from actors.receiver.channel_store import KIND
from actors.storage import sqlite


def forget(path: Path, user_id: str) -> int:
    """How many refused topics were about them; TemporaryError for a disk in trouble."""
    with sqlite.erasing(path, KIND) as connection:
        connection.execute(
            "DELETE FROM refused"
            " WHERE instr(replace('.' || topic || '.', '?', '.'), '.' || ? || '.')",
            (user_id,),
        )
        return connection.changes()
