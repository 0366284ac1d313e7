"""The audit: every step of every command in a chain of hashes, and the line that logs its end.

Pure; the table is written by `actors.sender.store`. Each row's hash is over the hash of the row
before it, so that a row changed, taken out or put in later breaks the chain from there on. What a
person may ask to be forgotten (who they are, what was said) is not in the chain: the row names a
subject by number and holds only the digest of its detail. The detail begins with a random salt, so
that once it is erased nobody can find out by trying what the digest was made of.

    hash = SHA-256 of the JSON array, without spaces, of
           [previous hash, id, at_us, command, step, subject, detail_hash]
    detail_hash = SHA-256 of the text of detail

Both in lower-case hex. The first row's previous hash is "".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import orjson

from actors.genesys.times import iso_ms
from actors.sender.commands import Command, CommandStep

RESENT: Final = "resent"
"""The step of a row that is none of the command's own: a person had its webhook sent again."""

SCHEMA: Final = """
CREATE TABLE subjects(
    id INTEGER PRIMARY KEY,
    user_id TEXT UNIQUE           -- NULL: this person was forgotten
) STRICT;
CREATE TABLE audit(
    id INTEGER PRIMARY KEY,       -- 1, 2, 3 … without a hole
    at_us INTEGER NOT NULL,
    command TEXT NOT NULL,        -- commands.id, which may be past its retention
    step TEXT NOT NULL,
    subject INTEGER NOT NULL,     -- subjects.id
    detail_hash TEXT NOT NULL,
    hash TEXT NOT NULL,
    detail TEXT                   -- JSON; NULL: erased with its subject
) STRICT;
CREATE INDEX audit_of_command ON audit(command);
CREATE INDEX audit_of_subject ON audit(subject);

CREATE TRIGGER audit_grows_at_its_end BEFORE INSERT ON audit
WHEN NEW.id <> (SELECT coalesce(max(id), 0) + 1 FROM audit)
BEGIN SELECT raise(ABORT, 'the audit grows only at its end'); END;
CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
BEGIN SELECT raise(ABORT, 'the audit is kept'); END;
CREATE TRIGGER audit_is_written_once
BEFORE UPDATE OF id, at_us, command, step, subject, detail_hash, hash ON audit
BEGIN SELECT raise(ABORT, 'the audit is written once'); END;
CREATE TRIGGER audit_detail_is_only_erased BEFORE UPDATE OF detail ON audit
WHEN NEW.detail IS NOT NULL
BEGIN SELECT raise(ABORT, 'a detail can only be erased'); END;
CREATE TRIGGER subjects_grow BEFORE INSERT ON subjects
WHEN EXISTS (SELECT 1 FROM subjects WHERE id = NEW.id OR user_id = NEW.user_id)
BEGIN SELECT raise(ABORT, 'this subject is there'); END;
CREATE TRIGGER subjects_are_kept BEFORE DELETE ON subjects
BEGIN SELECT raise(ABORT, 'subjects are kept'); END;
CREATE TRIGGER subjects_are_only_forgotten BEFORE UPDATE ON subjects
WHEN NEW.id <> OLD.id OR NEW.user_id IS NOT NULL
BEGIN SELECT raise(ABORT, 'a subject can only be forgotten'); END;
"""


class AuditEntry(NamedTuple):
    """One row of the table `audit`."""

    id: int
    at_us: int
    command: str
    step: str
    subject: int
    detail_hash: str
    hash: str
    detail: str | None


_TYPES: Final = (int, int, str, str, int, str, str)


class Chain(NamedTuple):
    """How far the chain reaches."""

    rows: int = 0
    head: str = ""

    def append(
        self, at_us: int, command: str, step: str, subject: int, detail: str
    ) -> tuple[Chain, AuditEntry]:
        row_id = self.rows + 1
        digest = _sha256(detail)
        link = _link(self.head, row_id, at_us, command, step, subject, digest)
        return Chain(row_id, link), AuditEntry(
            row_id, at_us, command, step, subject, digest, link, detail
        )


def _link(*fields: int | str) -> str:
    return hashlib.sha256(orjson.dumps(fields)).hexdigest()


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def detail_of(command: Command, text: str, salt: str) -> str:
    """The detail of a row: who is concerned, who asked, and how the command stands."""
    detail: dict[str, Any] = {
        "salt": salt,
        "user": command.user_id,
        "who": command.who,
        "from": command.held,
        "to": command.to_state,
        "reason": command.reason,
        "expected": command.expected,
        "forced": command.forced,
        "tries": command.tries,
        "code": command.code,
        "detail": text,
    }
    return orjson.dumps(detail).decode()


class ChainVerdict(NamedTuple):
    """What an examination of the whole chain found."""

    rows: int
    head: str
    """Written down elsewhere, it proves later that nothing up to here was rewritten."""
    erased: int
    """Rows whose person was forgotten."""
    broken: int | None = None
    """The first row that is wrong; None: all are right."""
    problem: str = ""


def verify(
    rows: Iterable[AuditEntry], subjects: Mapping[int, str | None], promised: Chain
) -> ChainVerdict:
    """Follows the chain from its first row to the promised end."""
    chain, erased = Chain(), 0
    remaining = iter(rows)
    while True:
        try:
            row = next(remaining, None)
            problem = _problem(chain, row, subjects) if row is not None else ""
        except ValueError as error:  # text that is none
            problem = f"it cannot be read: {error}"
        if problem:
            return ChainVerdict(chain.rows, chain.head, erased, chain.rows + 1, problem)
        if row is None:
            break
        chain = Chain(row.id, row.hash)
        erased += row.detail is None
    if chain == promised:
        return ChainVerdict(chain.rows, chain.head, erased)
    if chain.rows == promised.rows:
        problem = "it is not the last committed row"
        return ChainVerdict(chain.rows, chain.head, erased, chain.rows, problem)
    problem = f"the chain has {chain.rows} rows, but {promised.rows} were committed"
    first = min(chain.rows, promised.rows) + 1
    return ChainVerdict(chain.rows, chain.head, erased, first, problem)


def _problem(chain: Chain, row: AuditEntry, subjects: Mapping[int, str | None]) -> str:
    expected = chain.rows + 1
    if tuple(map(type, row[:7])) != _TYPES or not isinstance(row.detail, str | None):
        return "a column has an invalid value"
    if row.id != expected:
        return f"row {expected} is missing: the next one is {row.id}"
    if row.hash != _link(chain.head, *row[:6]):
        return "its hash does not match its content and the previous row"
    if row.subject not in subjects:
        return f"its subject {row.subject} is missing"
    return _problem_of_detail(row, subjects[row.subject])


def _problem_of_detail(row: AuditEntry, user_id: str | None) -> str:
    if row.detail is None:
        return "" if user_id is None else "its detail is missing, but its subject was not forgotten"
    if _sha256(row.detail) != row.detail_hash:
        return "its detail was modified"
    if orjson.loads(row.detail)["user"] != user_id:
        return f"its subject {row.subject} does not match its detail"
    return ""


def _percent(mark: str) -> str:
    return "".join(f"%{byte:02X}" for byte in mark.encode())


# Controls, and what some readers take for the end of a line.
_FORGING: Final = (*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\u2028", "\u2029", *"%|")
_ENCODED: Final = {ord(mark): _percent(mark) for mark in _FORGING}


def audit_line(command: Command) -> str:
    """The log line of a finished command (protocol.md §1.3); nobody can forge a second one by what
    stands in it. Latency: from the first send to the acknowledgement; -1 without one."""
    assert command.ended_us is not None, f"command {command.id} goes on"
    latency_ms = -1
    if command.acknowledged_us is not None and command.first_sent_us is not None:
        latency_ms = max(0, command.acknowledged_us - command.first_sent_us) // 1_000
    user, state, reason = (
        text.translate(_ENCODED) for text in (command.user_id, command.to_state, command.reason)
    )
    is_refused = command.step == CommandStep.REFUSED
    success = "false" if is_refused or command.acknowledged_us is None else "true"
    return (
        f"AUDIT|{iso_ms(command.ended_us)}|user:{user}|state:{state}|reason:{reason}"
        f"|latency:{latency_ms}|success:{success}"
    )
