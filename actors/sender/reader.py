"""Reads the sender's store from outside, while the sender runs or after: commands, messages, audit.

Knows no actor and no run: a sender that was killed leaves a write-ahead log, which is read too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import orjson

from actors.sender import audit
from actors.sender.commands import Command
from actors.sender.store import COMMAND_SELECT, KIND, OutboxCounts, command_of, outbox_counts
from actors.storage.data_dir import sender_path
from actors.storage.sqlite import damage_named, reading
from runtime.errors import LocalError

COMMANDS_SHOWN_MAX = 10_000


class AuditRow(NamedTuple):
    """One step, as the audit has it."""

    row: int
    at_us: int
    command: str
    step: str
    user_id: str | None
    """None: this person was forgotten, and the detail erased."""
    detail: dict[str, Any]


class WebhookMessageRow(NamedTuple):
    """One webhook message."""

    message_id: str
    command: str
    state: str
    attempts: int
    born_us: int
    due_us: int
    last_us: int | None
    last_status: int | None
    last_detail: str
    body: bytes


class CommandStory(NamedTuple):
    """One command with all that is known of it."""

    command: Command
    steps: tuple[AuditRow, ...]
    message: WebhookMessageRow | None


_AUDIT_SELECT = (
    "SELECT audit.id, at_us, command, step, user_id, detail FROM audit"
    " LEFT JOIN subjects ON subjects.id = subject"
)
_MESSAGE_SELECT = (
    "SELECT message_id, command, state, attempts, born_us, due_us, last_us, last_status,"
    " last_detail, body FROM outbox"
)


def has_store(data_dir: Path) -> bool:
    """Whether any sender has begun with this directory."""
    return sender_path(data_dir).exists()


def read_commands(
    data_dir: Path, *, limit: int, step: str | None = None, user_id: str | None = None
) -> list[Command]:
    """The newest commands first, at most `limit`."""
    # The plus keeps SQLite from the index of steps where that of users finds fewer rows.
    conditions = {"user_id = ?": user_id, "step = ?" if user_id is None else "+step = ?": step}
    wanted = {text: value for text, value in conditions.items() if value is not None}
    where = f"WHERE {' AND '.join(wanted)} " if wanted else ""
    values = (*wanted.values(), min(limit, COMMANDS_SHOWN_MAX))
    with _reading(data_dir) as connection:
        rows = connection.execute(f"{COMMAND_SELECT} {where}ORDER BY number DESC LIMIT ?", values)
        return list(map(command_of, rows))


def read_command(data_dir: Path, command_id: str) -> CommandStory | None:
    """One command, its steps in their order, and its webhook message; None if there is none."""
    with _reading(data_dir) as connection:
        found = connection.execute(f"{COMMAND_SELECT} WHERE id = ?", (command_id,)).get
        if found is None:
            return None
        steps = tuple(_audit_rows(connection, "WHERE command = ? ORDER BY audit.id", command_id))
        message = connection.execute(f"{_MESSAGE_SELECT} WHERE command = ?", (command_id,)).get
        return CommandStory(
            command_of(found), steps, None if message is None else WebhookMessageRow._make(message)
        )


def read_letters(
    data_dir: Path, *, limit: int, state: str | None = None
) -> list[WebhookMessageRow]:
    """Webhook messages, the newest first, at most `limit`; of one state if it is given."""
    where, values = ("WHERE state = ? ", (state,)) if state is not None else ("", ())
    with _reading(data_dir) as connection:
        rows = connection.execute(
            f"{_MESSAGE_SELECT} {where}ORDER BY number DESC LIMIT ?",
            (*values, min(limit, COMMANDS_SHOWN_MAX)),
        )
        return list(map(WebhookMessageRow._make, rows))


def read_outbox(data_dir: Path) -> OutboxCounts:
    with _reading(data_dir) as connection:
        return outbox_counts(connection)


def read_audit(
    data_dir: Path,
    *,
    limit: int,
    user_id: str | None = None,
    command: str | None = None,
    before: int | None = None,
) -> list[AuditRow]:
    """The newest steps, newest first: of all commands, or of one agent or command; `before`: only
    rows of lower numbers."""
    conditions = {"user_id = ?": user_id, "command = ?": command, "audit.id < ?": before}
    wanted = {text: value for text, value in conditions.items() if value is not None}
    where = f"WHERE {' AND '.join(wanted)} " if wanted else ""
    values = (*wanted.values(), min(limit, COMMANDS_SHOWN_MAX))
    with _reading(data_dir) as connection:
        return list(_audit_rows(connection, f"{where}ORDER BY audit.id DESC LIMIT ?", *values))


def verify_audit(data_dir: Path) -> audit.ChainVerdict:
    """Follows the whole chain."""
    with _reading(data_dir) as connection:
        promised = connection.execute("SELECT audit_rows, audit_head FROM progress").get
        subjects = dict(connection.execute("SELECT id, user_id FROM subjects"))
        rows = connection.execute("SELECT * FROM audit ORDER BY id")
        return audit.verify(
            map(audit.AuditEntry._make, rows), subjects, audit.Chain._make(promised)
        )


def _audit_rows(
    connection: apsw.Connection, condition: str, *values: str | int
) -> Iterator[AuditRow]:
    for row in connection.execute(f"{_AUDIT_SELECT} {condition}", values):
        text = row[-1]
        detail = {} if text is None else orjson.loads(text)
        detail.pop("salt", None)
        yield AuditRow._make((*row[:-1], detail))


@contextmanager
def _reading(data_dir: Path) -> Iterator[apsw.Connection]:
    path = sender_path(data_dir)
    if not path.exists():
        raise LocalError(
            f"no {path.name} in {data_dir}: the sender has not been started with it yet"
        )
    with damage_named(path, KIND), reading(path, KIND) as connection:
        yield connection
