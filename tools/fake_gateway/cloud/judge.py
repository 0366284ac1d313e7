"""CloudJudge: holds the rows of journals, one after the other, against a cloud expectation.

Knows no file. A row is found again by its agent and its time, which is its position. An event has
at most one row; where events tell parts of an agent, one that changed two parts may have two.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from typing import Any

from tools.fake_gateway.cloud.expectation import NEVER, CloudExpectation
from tools.fake_gateway.findings import Findings, Latencies
from tools.fake_gateway.judge import UNKNOWN, Row

_NO_COMMIT = (1 << 62, 0)
FOUND_LIVE, FOUND_OTHERWISE = 1, 2


class CloudJudge:
    def __init__(self, expectation: CloudExpectation, findings: Findings) -> None:
        self.expectation = expectation
        self.findings = findings
        self.latencies = Latencies()
        self.found = bytearray(expectation.head)
        self.held = [NEVER] * expectation.agents  # the number of the newest event
        self.held_state: list[str | None] = [None] * expectation.agents
        self.held_cause: list[str | None] = [None] * expectation.agents
        self.completions = 0
        self.last_row = [0] * expectation.agents  # in the journal at hand
        self.journal_of: list[str | None] = [None] * expectation.agents
        self.rows: Counter[str] = Counter()
        self.last_live = array("q", [-1]) * (max(expectation.hearers.sockets, default=0) + 1)
        self.number_of = {user: agent for agent, user in enumerate(expectation.users)}

    def journal(
        self,
        name: str,
        users: Iterable[tuple[int, str]],
        rows: Iterable[Row],
        commits: Iterable[tuple[int, int]],
    ) -> None:
        """One journal. `commits`: (last row, time when durable), by row."""
        people = {agent: self.number_of.get(user) for agent, user in users}
        for agent in people.values():
            if agent is not None:
                self.journal_of[agent] = name
        self.last_row = [0] * self.expectation.agents
        commit = iter(commits)
        commit_row, commit_us = next(commit, _NO_COMMIT)
        for row in rows:
            self.rows[row[11]] += 1
            if row[11] == "gap":
                continue
            agent = people.get(row[1])
            if agent is None:
                where = {"journal": name, "row": row[0], "cause": row[11]}
                self.findings.add("phantom", "a row of nobody in the organisation", **where)
                continue
            number = self._row(name, row, agent)
            while commit_row < row[0]:
                commit_row, commit_us = next(commit, _NO_COMMIT)
            if number is not None and number >= 0 and row[11] == "live" and commit_us:
                self.latencies.add(commit_us - self.expectation.sent_us(number))

    def _row(self, journal: str, row: Row, agent: int) -> int | None:
        """The number of its event; None: it has none."""
        (row_id, _, previous, from_state, to_state, at_us) = row[:6]
        cause = row[11]
        where: dict[str, Any] = {
            "journal": journal,
            "row": row_id,
            "cause": cause,
            "user": self.expectation.users[agent],
        }
        if previous != self.last_row[agent]:
            self._mismatch("previous", self.last_row[agent], previous, where)
        if from_state != self.held_state[agent]:
            self._mismatch("from_state", self.held_state[agent], from_state, where)
        self.last_row[agent] = row_id
        if cause == "lost":
            if to_state != UNKNOWN:
                self._mismatch("to_state", UNKNOWN, to_state, where)
            if not self.expectation.may_be_unknown(agent):
                self.findings.add("state_mismatches", "Unknown without a reason", **where)
            self.held_state[agent] = UNKNOWN
            return None
        number = self.expectation.number_at(agent, at_us)
        if number is None or self.expectation.hearers.begun[agent] < 0:
            self.findings.add("phantom", "a row of what nobody was told", at_us=at_us, **where)
            return None
        if self._is_completion(agent, number, row):
            self._complete(agent, number, row, where)
            return None
        self._content(agent, number, row, where)
        self._order(agent, number, row, where)
        return number

    def _is_completion(self, agent: int, number: int, row: Row) -> bool:
        """No snapshot tells of queues: an event that it has overtaken may still bring them, at the
        time since when they are so."""
        return (
            self.expectation.is_whole
            and row[11] == "live"
            and NEVER < number <= self.held[agent]
            and self.held_cause[agent] == "history"
            and self.expectation.is_queue_new(agent, number)
        )

    def _complete(self, agent: int, number: int, row: Row, where: dict[str, Any]) -> None:
        """It says what is held already, but for the queue."""
        self.completions += 1
        if row[4] != self.held_state[agent]:
            self._mismatch("state", self.held_state[agent], row[4], where)
        queue = self.expectation.queue(agent, number)
        if row[8] != queue:
            self._mismatch("queue", queue, row[8], where)

    def _content(self, agent: int, number: int, row: Row, where: dict[str, Any]) -> None:
        expectation = self.expectation
        fact = expectation.fact(agent, number)
        if not expectation.is_whole and row[11] != "history":
            return  # the other part of the event may still be on its way
        if row[4] != fact.state:
            self._mismatch("state", fact.state, row[4], where)
        if row[9] not in fact.presences:
            self._mismatch("presence", fact.presences, row[9], where)
        if row[11] == "live" and expectation.is_whole and number >= 0:
            queue = expectation.queue(agent, number)
            if row[8] != queue:
                self._mismatch("queue", queue, row[8], where)

    def _order(self, agent: int, number: int, row: Row, where: dict[str, Any]) -> None:
        """Is the event new, and does it come when it may?"""
        cause, to_state, held = row[11], row[4], self.held[agent]
        is_restored = self.held_state[agent] == UNKNOWN
        if number == held and not is_restored and self.expectation.is_whole:
            self.findings.add("duplicate_effects", "an event that has a row already", **where)
        elif cause == "late":
            if number > held:
                self._mismatch("cause", "live", "late", where)
        elif number < held and not self._may_tell_a_part_late(number, cause):
            self.findings.add("inversions", f"after event {held} of this agent", **where)
        if number >= 0:
            is_live = cause == "live"
            self.found[number] = FOUND_LIVE if is_live else FOUND_OTHERWISE
            socket = self.expectation.socket_of[number]
            if is_live and socket > 0 and number not in self.expectation.copied:
                self.last_live[socket] = max(self.last_live[socket], number)
        if cause != "late":
            self.held_cause[agent] = cause
            self.held[agent] = max(held, number)
            self.held_state[agent] = to_state

    def _may_tell_a_part_late(self, number: int, cause: str) -> bool:
        """One part may come by a snapshot, or by a copy, when the other is newer already."""
        expectation = self.expectation
        return not expectation.is_whole and (cause == "history" or number in expectation.copied)

    def _mismatch(self, field: str, expected: Any, found: Any, where: dict[str, Any]) -> None:
        self.findings.add("state_mismatches", field, expected=expected, found=found, **where)
