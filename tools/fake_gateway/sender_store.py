"""SenderStore: what a runtime's sender kept, read through apsw and never written.

Knows the tables, and how the rows of the audit are chained; nothing of what should stand in them.

    hash = SHA-256 of the JSON [previous hash, id, at_us, command, step, subject, detail_hash]
    detail_hash = SHA-256 of the detail; both in lower-case hex, the hash before the first is ""
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import orjson

from tools.fake_gateway.journals import JournalError

STORE_NAME = "sender.db"
RESENT = "resent"  # a step of the audit that is none of the command's own


class Command(NamedTuple):
    id: str
    user: str
    state: str
    step: str
    tries: int
    accepted_us: int
    first_sent_us: int | None
    acknowledged_us: int | None
    ended_us: int | None


class OutboxMessage(NamedTuple):
    """A webhook message that is owed or was sent."""

    id: str
    command: str
    state: str  # waiting | delivered | dead


class AuditRow(NamedTuple):
    id: int
    at_us: int
    command: str
    step: str
    subject: int
    detail_hash: str
    hash: str
    detail: str | None  # None: erased with its person
    user: str | None  # None: forgotten


_COMMANDS = """
SELECT id, user_id, to_state, step, tries, accepted_us, first_sent_us, acknowledged_us, ended_us
  FROM commands ORDER BY number
"""
_LETTERS = "SELECT message_id, command, state FROM outbox ORDER BY number"
_AUDIT = """
SELECT audit.id, at_us, command, step, subject, detail_hash, hash, detail, user_id
  FROM audit LEFT JOIN subjects ON subjects.id = audit.subject ORDER BY audit.id
"""


class SenderStore:
    """One file, read whole. The runtime has ended; a write-ahead log that it left is read too."""

    def __init__(self, path: Path) -> None:
        try:
            connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
            connection.pragma("query_only", True)
            self.commands = list(map(Command._make, connection.execute(_COMMANDS)))
            self.outbox = list(map(OutboxMessage._make, connection.execute(_LETTERS)))
            self.audit = list(map(AuditRow._make, connection.execute(_AUDIT)))
            promised = connection.execute("SELECT audit_rows, audit_head FROM progress").fetchone()
            connection.close()
        except apsw.Error as error:
            raise JournalError(f"{path} is not a readable store: {error}") from None
        self._promised = promised or (0, "")

    def broken(self) -> Iterator[tuple[int, str]]:
        """(row, what is wrong with it): the first that the chain does not bear out, each whose
        detail it does not, and the end, if it is not the one that was committed."""
        head, expected = "", 1
        for row in self.audit:
            if row.id != expected:
                yield expected, "it is missing"
                return
            if row.hash != _hash([head, *row[:6]]):
                yield row.id, "its hash does not follow from what it says and the row before it"
                return
            if (what := _wrong_detail(row)) is not None:
                yield row.id, what
            head, expected = row.hash, expected + 1
        if (expected - 1, head) != self._promised:
            yield expected, f"the end is not that of the {self._promised[0]} rows committed"


def _wrong_detail(row: AuditRow) -> str | None:
    if row.detail is None:
        return None if row.user is None else "its detail is gone, its person is not"
    if _sha256(row.detail) != row.detail_hash:
        return "its detail is not the one that was written"
    if orjson.loads(row.detail).get("user") != row.user:
        return "its subject is not the person that its detail names"
    return None


def _hash(fields: list[Any]) -> str:
    return _sha256(json.dumps(fields, ensure_ascii=False, separators=(",", ":")))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def open_store(directory: Path) -> SenderStore | None:
    """None: no sender has begun there."""
    path = directory / STORE_NAME
    return SenderStore(path) if path.exists() else None
