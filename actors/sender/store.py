"""The store of the sender: a SQLite file with its commands, their audit and what is owed to WFM.

Knows no ring, no actor and no rule of a command. Values in, values out; the shell decides when, and
what follows an error of the disk. Layout of the tables: SCHEMA below.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

import apsw

from actors.sender import audit
from actors.sender.commands import Command, CommandStep, Record
from actors.sender.outbox import (
    DEAD,
    DELAY_MOST_S,
    WAITING,
    Attempt,
    WebhookMessage,
    WebhookResent,
    message_id,
)
from actors.storage.data_file import DataFile, OwnedFile, run_of
from actors.storage.sqlite import DamagedFileError, Kind, damage_named
from runtime.errors import LocalError

FORMAT: Final = 1


class DamagedStoreError(DamagedFileError):
    """A file that is no store of the sender any more."""

    cure = "the sender starts with no commands, no audit and no webhook messages"


KIND: Final = Kind("sender", FORMAT, DamagedStoreError)

SCHEMA: Final = """
CREATE TABLE progress(
    one INTEGER PRIMARY KEY CHECK (one = 1),
    run TEXT NOT NULL,            -- whoever holds another run id can commit nothing
    audit_rows INTEGER NOT NULL,  -- so many has the audit
    audit_head TEXT NOT NULL      -- hash of the newest; that a tail is missing shows here
) STRICT;
INSERT INTO progress VALUES (1, '', 0, '');

CREATE TABLE commands(
    number INTEGER PRIMARY KEY,   -- order of acceptance
    id TEXT NOT NULL UNIQUE,      -- UUID; the correlation id of every try
    key TEXT UNIQUE,              -- idempotency key; NULL: released, the same key may try again
    who TEXT NOT NULL,
    user_id TEXT NOT NULL,
    to_state TEXT NOT NULL,
    reason TEXT NOT NULL,
    expected TEXT,
    forced INTEGER NOT NULL,
    step TEXT NOT NULL,
    code TEXT NOT NULL,
    detail TEXT NOT NULL,
    held TEXT,
    queue TEXT,
    tries INTEGER NOT NULL,
    accepted_us INTEGER NOT NULL,
    first_sent_us INTEGER,
    last_sent_us INTEGER,
    acknowledged_us INTEGER,
    confirmed_us INTEGER,
    ended_us INTEGER              -- NULL: unsettled
) STRICT;
CREATE INDEX commands_unsettled ON commands(number) WHERE ended_us IS NULL;
CREATE INDEX commands_ended ON commands(ended_us) WHERE ended_us IS NOT NULL;
CREATE INDEX commands_of_user ON commands(user_id, number);
CREATE INDEX commands_at_step ON commands(step, number);

CREATE TABLE outbox(
    number INTEGER PRIMARY KEY,
    message_id TEXT NOT NULL UNIQUE,  -- webhook-id and Idempotency-Key of every attempt
    command TEXT NOT NULL UNIQUE,     -- commands.id
    body BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'dead')),
    attempts INTEGER NOT NULL,        -- since born_us
    born_us INTEGER NOT NULL,         -- its age begins here; anew when it is sent again
    due_us INTEGER NOT NULL,          -- not before
    last_us INTEGER,                  -- the newest attempt: when, and how it ended
    last_status INTEGER,              -- 0: no answer at all
    last_detail TEXT NOT NULL,
    ended_us INTEGER                  -- NULL: waiting
) STRICT;
CREATE INDEX outbox_waiting ON outbox(due_us) WHERE state = 'waiting';
CREATE INDEX outbox_born ON outbox(born_us) WHERE state = 'waiting';
CREATE INDEX outbox_dead ON outbox(number) WHERE state = 'dead';
CREATE INDEX outbox_ended ON outbox(ended_us) WHERE ended_us IS NOT NULL;

CREATE TABLE letters(state TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT;  -- of the outbox
INSERT INTO letters VALUES ('waiting', 0), ('delivered', 0), ('dead', 0);
CREATE TRIGGER letter_comes AFTER INSERT ON outbox
BEGIN UPDATE letters SET count = count + 1 WHERE state = NEW.state; END;
CREATE TRIGGER letter_goes AFTER DELETE ON outbox
BEGIN UPDATE letters SET count = count - 1 WHERE state = OLD.state; END;
CREATE TRIGGER letter_changes AFTER UPDATE OF state ON outbox
BEGIN
    UPDATE letters SET count = count - 1 WHERE state = OLD.state;
    UPDATE letters SET count = count + 1 WHERE state = NEW.state;
END;
"""

_COLUMNS: Final = tuple(field.name for field in fields(Command))
_NAMES: Final = ", ".join(_COLUMNS)
_VALUES: Final = attrgetter(*_COLUMNS)
_MARKS: Final = ", ".join("?" * len(_COLUMNS))
_NEWER: Final = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name != "id")
_UPSERT: Final = (
    f"INSERT INTO commands({_NAMES}) VALUES ({_MARKS})"  # noqa: S608 - our own names
    f" ON CONFLICT(id) DO UPDATE SET {_NEWER} WHERE commands.ended_us IS NULL"
)
COMMAND_SELECT: Final = f"SELECT {_NAMES} FROM commands"  # noqa: S608 - our own names
_MESSAGE_SELECT: Final = (
    "SELECT message_id, command, body, attempts, born_us, due_us FROM outbox"
    " WHERE state = 'waiting'"
)
_PRUNE_MESSAGES: Final = """
DELETE FROM outbox WHERE number IN
    (SELECT number FROM outbox WHERE ended_us < ? ORDER BY ended_us LIMIT ?)
"""
_PRUNE_COMMANDS: Final = """
DELETE FROM commands WHERE number IN
    (SELECT number FROM commands WHERE ended_us < ?
        AND NOT EXISTS (SELECT 1 FROM outbox WHERE command = commands.id)
     ORDER BY ended_us LIMIT ?)
"""


_SALT_BYTES: Final = 16


class OutboxCounts(NamedTuple):
    """How much is owed."""

    waiting: int
    dead: int
    oldest_us: int | None
    """Since when the oldest waiting message waits."""


class CommandTransaction(NamedTuple):
    """Everything that becomes durable together. It can be tried again as it is: the same salts make
    the same chain."""

    records: Sequence[Record]
    attempts: Sequence[Attempt | WebhookResent]
    salts: Sequence[str]
    """One for each record and each attempt: more than are used."""


class CommandStore(OwnedFile):
    """The open file of the sender; one thread uses it."""

    def __init__(
        self,
        path: Path,
        run: str,
        *,
        is_owing: bool = True,
        salt: Callable[[], str] = lambda: secrets.token_hex(_SALT_BYTES),
    ) -> None:
        """`is_owing`: whether there is a webhook at all; else no message is written, for it would
        wait for ever. LocalError if another run owns the file by now."""
        super().__init__(path, KIND, run)
        self._is_owing = is_owing
        self._salt = salt
        with damage_named(path, KIND):
            self._own()
            chain = self._connection.execute("SELECT audit_rows, audit_head FROM progress").get
        self._chain = audit.Chain(*chain)

    def prepared(
        self, records: Sequence[Record], attempts: Sequence[Attempt | WebhookResent] = ()
    ) -> CommandTransaction:
        """What `execute` makes durable."""
        return CommandTransaction(
            records, attempts, [self._salt() for _ in range(len(records) + len(attempts))]
        )

    def commit(
        self, records: Sequence[Record], attempts: Sequence[Attempt | WebhookResent] = ()
    ) -> None:
        """Prepared and executed, for whoever does not try again."""
        self.execute(self.prepared(records, attempts))

    def execute(self, transaction: CommandTransaction) -> None:
        """Makes all of it durable. On one of TRANSIENT_ERRORS nothing of it was, and the same one
        may be tried again; LocalError if another run owns the file, or if a command that has its
        end would get another one."""
        with self._transaction() as connection:
            chain = self._chain
            salts = iter(transaction.salts)
            for record, salt in zip(transaction.records, salts, strict=False):
                self._upsert(record.command)
                detail = audit.detail_of(record.command, record.detail, salt)
                chain = self._audited(chain, record.at_us, record.command, str(record.step), detail)
                if record.webhook is not None and self._is_owing:
                    self._owe(record)
            for attempt, salt in zip(transaction.attempts, salts, strict=True):
                if isinstance(attempt, WebhookResent):
                    chain = self._resent(chain, attempt, salt)
                else:
                    self._attempted(attempt)
            connection.execute(
                "UPDATE progress SET audit_rows = ?, audit_head = ? WHERE audit_rows = ?",
                (chain.rows, chain.head, self._chain.rows),
            )
            if connection.changes() != 1:
                raise LocalError(
                    f"{self.path}: the audit was modified by another process; commit refused"
                )
        self._chain = chain

    def _upsert(self, command: Command) -> None:
        self._connection.execute(_UPSERT, _VALUES(command))
        if self._connection.changes() != 1:
            raise LocalError(
                f"command {command.id} has its end already, not '{command.step}' again"
            )

    def _audited(
        self, chain: audit.Chain, at_us: int, command: Command, step: str, detail: str
    ) -> audit.Chain:
        subject = self._subject(command.user_id)
        chain, row = chain.append(at_us, command.id, step, subject, detail)
        self._connection.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        return chain

    def _subject(self, user_id: str) -> int:
        execute = self._connection.execute
        known = execute("SELECT id FROM subjects WHERE user_id = ?", (user_id,)).get
        if known is None:
            execute("INSERT INTO subjects(user_id) VALUES (?)", (user_id,))
            known = self._connection.last_insert_rowid()
        return int(known)

    # -- what is owed to WFM -------------------------------------------------------------------

    def _owe(self, record: Record) -> None:
        """A message is written once, however often its record is met."""
        self._connection.execute(
            "INSERT INTO outbox(message_id, command, body, state, attempts, born_us, due_us,"
            " last_detail) VALUES (?, ?, ?, ?, 0, ?, ?, '') ON CONFLICT DO NOTHING",
            (
                message_id(record.command.id),
                record.command.id,
                record.webhook,
                WAITING,
                record.at_us,
                record.at_us,
            ),
        )

    def _attempted(self, attempt: Attempt) -> None:
        self._connection.execute(
            "UPDATE outbox SET state = ?, attempts = attempts + 1, due_us = ?, last_us = ?,"
            " last_status = ?, last_detail = ?, ended_us = ?"
            " WHERE message_id = ? AND state = 'waiting'",
            (
                attempt.state,
                attempt.due_us,
                attempt.at_us,
                attempt.status,
                attempt.detail,
                None if attempt.state == WAITING else attempt.at_us,
                attempt.message_id,
            ),
        )
        assert self._connection.changes() == 1, f"{attempt.message_id} does not wait"

    def _resent(self, chain: audit.Chain, resent: WebhookResent, salt: str) -> audit.Chain:
        revived = self._connection.execute(
            "UPDATE outbox SET state = 'waiting', attempts = 0, born_us = ?, due_us = ?,"
            " ended_us = NULL WHERE message_id = ? AND state = 'dead' RETURNING command",
            (resent.at_us, resent.at_us, resent.message_id),
        ).get
        if revived is None:
            return chain
        command = self.command(revived)
        assert command is not None, f"{resent.message_id} outlived its command"
        detail = audit.detail_of(command, f"by {resent.who}", salt)
        return self._audited(chain, resent.at_us, command, audit.RESENT, detail)

    def due(self, now_us: int, room: int, on_way: Collection[str] = ()) -> list[WebhookMessage]:
        """The messages whose attempt is due, the longest waiting first, at most `room`, without
        those on the way."""
        wanted = max(0, room) + len(on_way)
        found = self._messages("due_us <= ? ORDER BY due_us", now_us, wanted)
        if len(found) < wanted:
            latest_us = now_us + DELAY_MOST_S * 1_000_000
            found += self._messages("due_us > ? ORDER BY due_us", latest_us, wanted - len(found))
        return [message for message in found if message.message_id not in on_way][: max(0, room)]

    def _messages(self, condition: str, at_us: int, limit: int) -> list[WebhookMessage]:
        rows = self._connection.execute(
            f"{_MESSAGE_SELECT} AND {condition} LIMIT ?", (at_us, limit)
        )
        return list(map(WebhookMessage._make, rows))

    def message_state(self, message: str) -> str | None:
        """Waiting, delivered or dead; None: there is no such message, or not any more."""
        state: str | None = self._connection.execute(
            "SELECT state FROM outbox WHERE message_id = ?", (message,)
        ).get
        return state

    def outbox_counts(self) -> OutboxCounts:
        return outbox_counts(self._connection)

    # -- commands ------------------------------------------------------------------------------

    def unsettled(self) -> list[Command]:
        """Commands without an end, in the order of their acceptance."""
        return list(self._commands("WHERE ended_us IS NULL ORDER BY number"))

    def bound(self, key: str) -> Command | None:
        """The command that this idempotency key is bound to."""
        return next(self._commands("WHERE key = ?", key), None)

    def command(self, command_id: str) -> Command | None:
        return next(self._commands("WHERE id = ?", command_id), None)

    def _commands(self, condition: str, *values: str) -> Iterator[Command]:
        rows = self._connection.execute(f"{COMMAND_SELECT} {condition}", values)
        return map(command_of, rows)

    def prune(self, *, older_than_us: int, slice_rows: int) -> int:
        """Deletes at most `slice_rows` messages and as many commands that ended before that time;
        returns how many. Called again until it returns 0. Their keys are free then; the audit
        stays."""
        deleted = 0
        with self._transaction():
            for statement in (_PRUNE_MESSAGES, _PRUNE_COMMANDS):
                self._connection.execute(statement, (older_than_us, slice_rows))
                deleted += self._connection.changes()
        return deleted


def command_of(row: tuple[Any, ...]) -> Command:
    """A row of COMMAND_SELECT."""
    values = dict(zip(_COLUMNS, row, strict=True))
    return Command(
        **{**values, "forced": bool(values["forced"]), "step": CommandStep(values["step"])}
    )


def outbox_counts(connection: apsw.Connection) -> OutboxCounts:
    counts = dict(connection.execute("SELECT state, count FROM letters"))
    oldest_us = connection.execute("SELECT min(born_us) FROM outbox WHERE state = 'waiting'").get
    return OutboxCounts(counts[WAITING], counts[DEAD], oldest_us)


def _read(path: Path) -> None:
    with damage_named(path, KIND):
        store = CommandStore(path, run_of(path, KIND))
        try:
            store.unsettled()
            store.outbox_counts()
        finally:
            store.close()


SENDER_FILE: Final = DataFile(kind=KIND, schema=SCHEMA + audit.SCHEMA, read=_read)
prepare: Final = SENDER_FILE.prepare
