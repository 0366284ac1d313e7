"""Sent: what a sender kept of a small run by hand, and the gateway's ledger of the same run.

Tests break one thing in them and see it found.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
import orjson

from tests.fake_gateway.kept import EVENTS, SENT_US, Kept, Run
from tools.fake_gateway.script import LEAN, PRESENCES, WITH_CORRELATION, WITH_PRESENCE
from tools.fake_gateway.verify import verify
from tools.fake_gateway.wsp.expectation import Expectation

SCHEMA = """
CREATE TABLE progress(one INTEGER PRIMARY KEY, run TEXT, audit_rows INTEGER, audit_head TEXT);
CREATE TABLE commands(number INTEGER PRIMARY KEY, id TEXT, user_id TEXT, to_state TEXT, step TEXT,
  tries INTEGER, accepted_us INTEGER, first_sent_us INTEGER, acknowledged_us INTEGER,
  ended_us INTEGER);
CREATE TABLE outbox(number INTEGER PRIMARY KEY, message_id TEXT, command TEXT, state TEXT);
CREATE TABLE subjects(id INTEGER PRIMARY KEY, user_id TEXT);
CREATE TABLE audit(id INTEGER PRIMARY KEY, at_us INTEGER, command TEXT, step TEXT,
  subject INTEGER, detail_hash TEXT, hash TEXT, detail TEXT);
"""
S = 1_000_000
WAY = ("accepted", "validated", "admitted", "sent")


@dataclass
class Command:
    id: str
    user: str
    state: str
    steps: list[str]
    tries: int = 1
    first_sent_us: int | None = SENT_US
    acknowledged_us: int | None = None
    ended_us: int | None = SENT_US + 31 * S
    message: str | None = None  # the id of its letter

    @property
    def step(self) -> str:
        return self.steps[-1]


@dataclass
class Sent:
    """The run, still open, and the commands. `write` ends it."""

    run: Run
    commands: list[Command] = field(default_factory=list)
    audit: list[list[Any]] = field(default_factory=list)
    subjects: dict[int, str | None] = field(default_factory=dict)
    promised: tuple[int, str] | None = None

    def order(self, agent: int, presence: int, steps: Sequence[str], **more: Any) -> Command:
        """A command that comes as far as the steps say; nothing of it is at the gateway yet."""
        number = len(self.commands) + 1
        command = Command(
            f"{number:08x}-0000-4000-8000-000000000000",
            self.run.organisation.script.users[agent],
            PRESENCES[presence],
            [*WAY, *steps],
            **more,
        )
        if "acknowledged" in steps:
            command.acknowledged_us = SENT_US + 2_000
            command.message = f"msg_{command.id}"
        self.commands.append(command)
        return command

    def receive(self, command: Command, status: int = 200, *, applied: bool = True) -> None:
        """The gateway does what the command says."""
        users = self.run.organisation.script.users
        agent, presence = users.index(command.user), PRESENCES.index(command.state)
        number = self.run.update(agent, presence, command.id) if applied else None
        told = {"user": command.user, "presence": presence, "number": number}
        self.run.ledger.write(
            "update", correlation=command.id, status=status, at_us=SENT_US, socket=1, **told
        )
        how = "good" if applied else "missing"
        self.run.ledger.write(
            "ack", correlation=command.id, status=status, how=how, at_us=SENT_US, socket=1
        )

    def tell(self, command: Command, *, id_: str | None = None, status: int = 204) -> None:
        """The webhook receiver is told."""
        told = {"user": command.user, "state": command.state, "timestamp": "", "at_us": SENT_US}
        self.run.ledger.write("webhook", id=id_ or command.message, status=status, **told)

    def succeed(self, agent: int, presence: int) -> Command:
        """A command that took, in every respect."""
        command = self.order(agent, presence, ["acknowledged", "confirmed"])
        self.receive(command)
        self.tell(command)
        return command

    def chain(self) -> Sent:
        """Fills in the audit, as its rows are chained."""
        self.audit, head = [], ""
        people = {user: 1 + n for n, user in enumerate({one.user for one in self.commands})}
        self.subjects = {number: user for user, number in people.items()}
        for command in self.commands:
            for step in command.steps:
                detail = orjson.dumps({"salt": "x", "user": command.user, "ü": "|"}).decode()
                fields = [len(self.audit) + 1, SENT_US, command.id, step, people[command.user]]
                fields.append(sha256(detail))
                head = link(head, fields)
                self.audit.append([*fields, head, detail])
        self.promised = (len(self.audit), head)
        return self

    def check(self, tmp_path: Path, **options: Any) -> dict[str, Any]:
        """Sends what is left, and verifies it all, the journals being perfect."""
        run = self.run
        run.send(0, run.organisation.head - 1)
        kept = Kept(Expectation(run.close()))
        kept.history(0)
        kept.events(range(kept.expectation.head))
        data = kept.chain().write(tmp_path / "data")
        if not self.audit:
            self.chain()
        self.write(data / "sender.db")
        return verify(tmp_path / "ledger", data, **options)

    def write(self, path: Path) -> None:
        connection = apsw.Connection(str(path))
        connection.pragma("synchronous", "OFF")  # nothing of it must outlive the test
        connection.execute(SCHEMA)
        with connection:
            connection.execute("INSERT INTO progress VALUES (1, '', ?, ?)", self.promised)
            for one in self.commands:
                connection.execute(
                    "INSERT INTO commands VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        one.id, one.user, one.state, one.step, one.tries, SENT_US,
                        one.first_sent_us, one.acknowledged_us, one.ended_us,
                    ),
                )  # fmt: skip
                if one.message is not None:
                    connection.execute(
                        "INSERT INTO outbox VALUES (NULL, ?, ?, 'delivered')", (one.message, one.id)
                    )
            connection.executemany("INSERT INTO subjects VALUES (?, ?)", self.subjects.items())
            connection.executemany("INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)", self.audit)
        connection.close()


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def link(head: str, fields: list[Any]) -> str:
    return sha256(json.dumps([head, *fields], ensure_ascii=False, separators=(",", ":")))


def begun(tmp_path: Path) -> Sent:
    """A run whose clients asked for everything; half of its load has happened."""
    run = Run(tmp_path / "ledger")
    run.subscribe(shape=LEAN | WITH_PRESENCE | WITH_CORRELATION)
    run.happen(EVENTS // 2)
    return Sent(run)


def lived(tmp_path: Path) -> Sent:
    """… with a command of each end."""
    sent = begun(tmp_path)
    sent.succeed(3, 1)
    refused = sent.order(5, 2, ["refused"])
    sent.receive(refused, 403, applied=False)
    sent.run.happen(10)
    unseen = sent.order(6, 3, ["acknowledged", "unconfirmed"])
    sent.receive(unseen)
    sent.tell(unseen)
    sent.tell(unseen)  # at least once
    lost = sent.order(7, 0, ["unanswered", "sent", "unanswered", "unknown"], tries=2)
    sent.receive(lost, 0, applied=False)
    return sent
