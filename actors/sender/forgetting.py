"""Forgetting: takes one person out of the sender's store, which nobody else has open.

The audit's chain is made for it (see `audit`): a row names its person by a number, and holds only
the digest of what was said. So the rows stay, the chain stays whole, and what it was made of can
be found by nobody, for the salt goes with the detail.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import apsw

from actors.sender.store import KIND
from actors.storage import sqlite


class ForgottenCommands(NamedTuple):
    """What the store held of them."""

    commands: int
    unsettled: int
    """Of these commands: those without an end, which nobody will pursue now."""
    messages: int
    audit_rows: int
    """Whose detail was erased; the rows are there."""


_UNSETTLED: Final = "SELECT count(*) FROM commands WHERE user_id = ? AND ended_us IS NULL"
_MESSAGES: Final = """
DELETE FROM outbox WHERE command IN (SELECT id FROM commands WHERE user_id = ?)
"""
_COMMANDS: Final = "DELETE FROM commands WHERE user_id = ?"
_DETAILS: Final = """
UPDATE audit SET detail = NULL WHERE subject = (SELECT id FROM subjects WHERE user_id = ?)
"""
_SUBJECT: Final = "UPDATE subjects SET user_id = NULL WHERE user_id = ?"


def forget(path: Path, user_id: str) -> ForgottenCommands:
    """Raises TemporaryError for a disk in trouble; then nothing was changed."""
    with sqlite.erasing(path, KIND) as connection:
        unsettled = connection.execute(_UNSETTLED, (user_id,)).get
        messages, commands, details, _ = (
            _changed(connection, statement, user_id)
            for statement in (_MESSAGES, _COMMANDS, _DETAILS, _SUBJECT)
        )
        return ForgottenCommands(commands, unsettled, messages, details)


def _changed(connection: apsw.Connection, statement: str, user_id: str) -> int:
    connection.execute(statement, (user_id,))
    return connection.changes()
