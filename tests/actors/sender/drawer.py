"""A drawer for stores: commands to put in, a store that restarts, and a writer that gets killed."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from actors.sender.commands import Command, CommandStep, Record, webhook_body
from actors.sender.outbox import Attempt, WebhookResent
from actors.sender.store import CommandStore, prepare
from actors.storage.data_dir import sender_path
from actors.storage.sqlite import TRANSIENT_ERRORS
from runtime import crash_point

RUN = "run-1"
WAITING = "waiting:"
RETRY_S = 0.02
NOW_US = 1_795_000_000_000_000
USER = "5f8d0e3c-agent"


def accepted(number: int = 1, **fields: Any) -> Command:
    values: dict[str, Any] = {
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "key": f"key-{number}",
        "who": "uid:1000",
        "user_id": USER,
        "to_state": "busy",
        "reason": "lunch",
        "expected": None,
        "forced": False,
        "step": CommandStep.ACCEPTED,
        "code": "",
        "detail": "",
        "held": None,
        "queue": None,
        "tries": 0,
        "accepted_us": NOW_US + number,
        "first_sent_us": None,
        "last_sent_us": None,
        "acknowledged_us": None,
        "confirmed_us": None,
        "ended_us": None,
    }
    return Command(**{**values, **fields})


def record(command: Command, at_us: int = NOW_US, detail: str = "") -> Record:
    has_webhook = command.step is CommandStep.ACKNOWLEDGED
    body = webhook_body(command) if has_webhook else None
    return Record(command, command.step, at_us, detail, body)


def story(command: Command) -> Iterator[Command]:
    """A command that takes, step by step."""
    at_us = command.accepted_us
    yield command
    command = replace(
        command, step=CommandStep.SENT, tries=1, first_sent_us=at_us, last_sent_us=at_us
    )
    yield command
    command = replace(command, step=CommandStep.ACKNOWLEDGED, acknowledged_us=at_us + 40_000)
    yield command
    yield replace(
        command, step=CommandStep.CONFIRMED, confirmed_us=at_us + 90_000, ended_us=at_us + 90_000
    )


class Drawer:
    """A data directory with nothing but a store, opened for one run."""

    def __init__(self, data_dir: Path, run: str = RUN) -> None:
        self.data_dir = data_dir
        self.path = sender_path(data_dir)
        self.run = run
        prepare(self.path, run)
        self.store = CommandStore(self.path, run)

    def restart(self) -> None:
        """The same run goes on in a new process."""
        self.store.close()
        self.store = CommandStore(self.path, self.run)

    def put(self, *commands: Command) -> None:
        self.store.commit([record(command) for command in commands])

    def tell(self, numbers: Sequence[int]) -> None:
        """Commands that took, with all their steps."""
        for number in numbers:
            for command in story(accepted(number)):
                self.put(command)

    def settle(self, *attempts: Attempt | WebhookResent) -> None:
        self.store.commit([], attempts)

    def close(self) -> None:
        self.store.close()


def write_until_killed(path: Path, passage: int) -> None:
    """Commits stories and says each step that is durable; killed in a transaction at `passage`, or
    whenever somebody likes (0)."""
    if passage:
        crash_point.arm("sender", 1, {crash_point.VARIABLE: f"sender:in-transaction:{passage}"})
    store = CommandStore(path, RUN)
    first = 1 + max((int(one.id[-12:]) for one in store.unsettled()), default=0)
    for number in count(first):
        for command in story(accepted(number)):
            _commit(store, command)
            print(number, command.step, flush=True)


def _commit(store: CommandStore, command: Command) -> None:
    """The same transaction again, for as long as the disk is full."""
    for attempt in count():
        try:
            store.commit([record(command)])
        except TRANSIENT_ERRORS as error:
            if attempt == 0:
                print(WAITING, error, flush=True)
            threading.Event().wait(RETRY_S)
        else:
            return


if __name__ == "__main__":
    write_until_killed(Path(sys.argv[1]), int(sys.argv[2]))
