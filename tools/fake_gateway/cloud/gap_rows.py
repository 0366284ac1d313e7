"""GapRows: for what of an agent a runtime owns up to not knowing it. Pure.

A gap row stands in the journal of a shard and speaks of a scope: the agents of one channel slot. It
accounts for what happened while it lasted, and for what a socket that ended then had not delivered.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

SLACK_US = 5_000_000  # until a loss is noticed, and until a new socket is spoken of
FLIGHT_US = 1_000_000  # of an event that was sent before another one that was committed
RESTART = "the runtime starts"  # a reason: the row begins with the last event of its own journal


class GapRow(NamedTuple):
    scope: str
    since_us: int
    until_us: int
    reason: str


class GapRows:
    """Of one journal. `scope_of`: by user, as far as it is known; else any row will do."""

    def __init__(self, rows: Iterable[GapRow]) -> None:
        self.rows = list(rows)
        self._by_scope: dict[str, list[GapRow]] = {}
        for row in self.rows:
            self._by_scope.setdefault(row.scope, []).append(row)

    @property
    def longest_s(self) -> float:
        """Of those whose beginning is known: so long was somebody stale."""
        lasted_us = [row.until_us - row.since_us for row in self.rows if row.since_us]
        return round(max(lasted_us, default=0) / 1e6, 3)

    def cover(self, at_us: int, scope: str | None) -> bool:
        rows = self.rows if scope is None else self._by_scope.get(scope, [])
        return any(
            row.since_us - SLACK_US <= at_us <= max(row.since_us, row.until_us) + SLACK_US
            for row in rows
        )

    def cover_restart(self, at_us: int, scope: str | None) -> bool:
        """Whether it was under way to this journal when a whole runtime died: others may have
        committed what the same socket brought behind it."""
        rows = self.rows if scope is None else self._by_scope.get(scope, [])
        return any(
            row.since_us - FLIGHT_US <= at_us <= row.until_us
            for row in rows
            if row.reason == RESTART
        )
