"""Exchanges: what a ledger tells of updates, the events they made, and webhooks. Knows no store."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from typing import Any, NamedTuple

from tools.fake_gateway.script import PRESENCES

US_PER_S = 1_000_000
OK = 200
GIVE_UP_AFTER_S = 30.0  # after its first try, and not before, a command may end as unknown
SECOND_US = 950_000  # updates that left a second apart may arrive a little closer
RECEIVED = 204  # what a webhook message is told that was taken


class Received(NamedTuple):
    """An update that came, and could be read."""

    user: str
    state: str
    status: int  # 0: lost by a fault
    at_us: int


class Message(NamedTuple):
    """A webhook message that was taken."""

    user: str
    state: str


class Exchanges:
    """Told line by line."""

    def __init__(self) -> None:
        self.updates: dict[str, list[Received]] = defaultdict(list)  # by correlation id
        self.changes: dict[str, list[int]] = defaultdict(list)  # … the events they made
        self.messages: dict[str, list[Message]] = defaultdict(list)  # by message id
        self.malformed = 0
        self.lost = 0
        self.acknowledged = 0  # acknowledgements of success that were written
        self.unacknowledged = 0  # … that a fault kept back
        self.refused_messages = 0
        self.most_in_a_second = 0
        self._second: deque[int] = deque()

    def add(self, line: Mapping[str, Any]) -> None:
        kind = line["kind"]
        if kind == "update":
            self._update(line)
        elif kind == "change":
            self.changes[line["correlation"]].append(line["number"])
        elif kind == "ack" and line["status"] == OK:
            self.acknowledged += line["how"] != "missing"
            self.unacknowledged += line["how"] == "missing"
        elif kind == "webhook":
            if line["status"] == RECEIVED:
                self.messages[line["id"]].append(Message(line["user"], line["state"]))
            else:
                self.refused_messages += 1

    def _update(self, line: Mapping[str, Any]) -> None:
        at_us = line["at_us"]
        self._second.append(at_us)
        while self._second[0] <= at_us - SECOND_US:
            self._second.popleft()
        self.most_in_a_second = max(self.most_in_a_second, len(self._second))
        if "user" not in line:
            self.malformed += 1
            return
        self.lost += line["status"] == 0
        state = PRESENCES[line["presence"]]
        self.updates[line["correlation"]].append(
            Received(line["user"], state, line["status"], at_us)
        )

    @property
    def is_empty(self) -> bool:
        return not (self.updates or self.malformed or self.messages)
