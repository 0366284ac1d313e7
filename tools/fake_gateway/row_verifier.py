"""RowVerifier: holds the rows of journals, one after the other, against an expectation.

Knows no file. Rows come in commit order, journal by journal; an agent's state goes on across the
journals of a directory (they are redistributed when the number of shards changes). What a row says
is checked by a dialect; here is what every row must do: follow the one before it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from tools.fake_gateway.findings import Findings, Latencies

UNKNOWN = "Unknown"
NEVER, INITIAL = -2, -1  # instead of the number of an event
NO_COMMIT = (1 << 62, 0)

Row = tuple[
    int, int, int, str | None, str, int, int, int, str | None, str | None, str | None, str
]  # id agent previous from to at_us epoch sequence queue presence correlation cause


class RowVerifier(ABC):
    def __init__(self, users: Sequence[str], findings: Findings) -> None:
        self.findings = findings
        self.latencies = Latencies()
        self.held = [NEVER] * len(users)  # the number of the newest event
        self.held_state: list[str | None] = [None] * len(users)
        self.last_row = [0] * len(users)  # in the journal at hand
        self.rows: Counter[str] = Counter()  # by cause
        self.number_of = {user: number for number, user in enumerate(users)}
        self._users = users

    @abstractmethod
    def journal(
        self,
        name: str,
        users: Iterable[tuple[int, str]],
        rows: Iterable[Row],
        commits: Iterable[tuple[int, int]],
    ) -> None:
        """One journal. `commits`: (last row, time when durable), by row."""

    @abstractmethod
    def _may_be_unknown(self, agent: int, at_us: int) -> bool: ...

    def _people(self, users: Iterable[tuple[int, str]]) -> dict[int, int | None]:
        """A new journal begins: by its number of an agent, ours."""
        self.last_row = [0] * len(self.held)
        return {agent: self.number(user) for agent, user in users}

    def number(self, user: str) -> int | None:
        """None: nobody in the organisation."""
        return self.number_of.get(user)

    def _follows(self, row: Row, agent: int | None, where: dict[str, Any]) -> bool:
        """Whether the row is of somebody whom we know, and states an event; what it says of the row
        before it is checked here, and so is one that makes its agent Unknown."""
        (row_id, _, previous, from_state, to_state, at_us) = row[:6]
        if agent is None:
            self.findings.add("phantom", "a row of nobody in the organisation", **where)
            return False
        where["user"] = self._users[agent]
        if previous != self.last_row[agent]:
            self._mismatch("previous", self.last_row[agent], previous, where)
        if from_state != self.held_state[agent]:
            self._mismatch("from_state", self.held_state[agent], from_state, where)
        self.last_row[agent] = row_id
        if row[11] != "lost":
            return True
        if to_state != UNKNOWN:
            self._mismatch("to_state", UNKNOWN, to_state, where)
        if not self._may_be_unknown(agent, at_us):
            self.findings.add("state_mismatches", "Unknown without a reason", **where)
        self.held_state[agent] = UNKNOWN
        return False

    def _mismatch(self, field: str, expected: Any, found: Any, where: dict[str, Any]) -> None:
        self.findings.add("state_mismatches", field, expected=expected, found=found, **where)
