"""WspRowVerifier: what rows say, against an expectation of the wsp dialect. Knows no file.

A fact is an event, or an initial state, of an agent. Rows of cause live, history and late state a
fact each, and no fact may be stated twice. Rows that make an agent Unknown, and the history row
that ends that, are restorations: checked for content, counted as neither.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from tools.fake_gateway.findings import LATENCY_STEPS_US, STEP_US, Findings
from tools.fake_gateway.row_verifier import INITIAL, NEVER, NO_COMMIT, UNKNOWN, Row, RowVerifier
from tools.fake_gateway.script import STATES, WITH_QUEUE
from tools.fake_gateway.wsp.expectation import SENT, Expectation, Extras, Fact
from tools.fake_gateway.wsp.numbering import Epoch


class Position(NamedTuple):
    """Where a row says that its fact stands: an event, or, for a history, an earlier state."""

    number: int  # INITIAL: the state before event 0
    is_restated: bool  # under a small sequence, because an epoch began after it


class WspRowVerifier(RowVerifier):
    def __init__(self, expectation: Expectation, findings: Findings) -> None:
        super().__init__(expectation.script.users, findings)
        self.expectation = expectation
        self.stated = bytearray(expectation.head)
        self.restored = 0
        self._initial_stated = bytearray(len(self.held))
        self._restated: set[tuple[int, int]] = set()
        self._queue_numbers = {None: -1} | {q: n for n, q in enumerate(expectation.script.queues)}

    def _may_be_unknown(self, agent: int, at_us: int) -> bool:
        return self.expectation.named_by.may_be_unknown(agent, at_us)

    def journal(
        self,
        name: str,
        users: Iterable[tuple[int, str]],
        rows: Iterable[Row],
        commits: Iterable[tuple[int, int]],
    ) -> None:
        expectation, people = self.expectation, self._people(users)
        held, held_state, last_row = self.held, self.held_state, self.last_row
        stated, sent, agents = self.stated, expectation.sent, expectation.agents
        states, times_ms, queues = expectation.states, expectation.times_ms, expectation.queues
        first_sent_us, steps = expectation.first_sent_us, self.latencies.steps
        queue_numbers, spans, live, timed = self._queue_numbers, self._spans(), 0, 0
        commit = iter(commits)
        commit_row, commit_us = next(commit, NO_COMMIT)
        is_usual = not expectation.has_extras and expectation.carries(WITH_QUEUE)
        # The usual row, live and right in every respect, is judged in line: 1.6 µs instead of 6.
        for row in rows:
            (
                row_id, agent_id, previous, from_state, to_state, at_us,
                epoch, sequence, queue, _, _, cause,
            ) = row  # fmt: skip
            offset, first, end = spans.get(epoch, (0, 0, 0))
            number, agent = sequence + offset, people.get(agent_id)
            if (
                is_usual
                and cause == "live"
                and first <= number < end
                and agent is not None
                and agents[number] == agent
                and held[agent] < number
                and sent[number] == SENT  # not one that an update caused: it has extras
                and not stated[number]
                and to_state == STATES[states[number]]
                and at_us == times_ms[number] * 1000
                and queue_numbers.get(queue) == queues[number]
                and from_state == held_state[agent]
                and previous == last_row[agent]
            ):
                stated[number] = 1
                held[agent], held_state[agent], last_row[agent] = number, to_state, row_id
                live += 1
            elif not self._row(name, row, agent):
                continue
            while commit_row < row_id:
                commit_row, commit_us = next(commit, NO_COMMIT)
            if commit_us:
                latency_us = commit_us - first_sent_us[number]
                if 0 <= latency_us < LATENCY_STEPS_US:
                    steps[latency_us // STEP_US] += 1
                    timed += 1
                else:
                    self.latencies.add(latency_us)
        self.rows["live"] += live
        self.latencies.count += timed

    def _spans(self) -> dict[int, tuple[int, int, int]]:
        """By the runtime's number of an epoch: what to add to a sequence; its events."""
        expectation = self.expectation
        return {
            place: (
                epoch.first - epoch.first_sequence,
                epoch.first,
                expectation.epoch_end(epoch),
            )
            for place, epoch in enumerate(expectation.seen_epochs, start=1)
        }

    def _row(self, journal: str, row: Row, agent: int | None) -> bool:
        """Any row, with everything that can be wrong about it. True: a live event, to be timed."""
        epoch, sequence, cause = row[6], row[7], row[11]
        where: dict[str, Any] = {"journal": journal, "row": row[0], "cause": cause}
        self.rows[cause] += 1
        if cause == "gap":
            if row[1] != 0:
                self.findings.add("state_mismatches", "a gap row that has an agent", **where)
            return False
        where["sequence"] = sequence
        if not self._follows(row, agent, where) or agent is None:
            return False
        position = self._position(agent, epoch, sequence, cause)
        if position is None:
            self.findings.add("phantom", "a row of what no socket was told", **where)
            return False
        self._content(agent, position, row, where)
        self._order(agent, row, position, where)
        return cause == "live"

    def _content(self, agent: int, position: Position, row: Row, where: dict[str, Any]) -> None:
        expectation = self.expectation
        is_initial = position.number == INITIAL
        fact = expectation.initial(agent) if is_initial else expectation.fact(position.number)
        said = Fact(row[4], row[5], row[8])
        for field, expected, found in zip(Fact._fields, fact, said, strict=True):
            if found != expected:
                self._mismatch(field, expected, found, where)
        extras = expectation.extras(agent, position.number)
        for field, expected, found in zip(Extras._fields, extras, row[9:11], strict=True):
            # Subscriptions may have asked for different things: then a row may know more.
            if found != expected and not (expected is None and len(expectation.shapes) > 1):
                self._mismatch(field, expected, found, where)

    def _order(self, agent: int, row: Row, position: Position, where: dict[str, Any]) -> None:
        """Is the fact new, and does it come when it may?"""
        epoch, to_state, cause = row[6], row[4], row[11]
        number, held = position.number, self.held[agent]
        if self.held_state[agent] == UNKNOWN and cause == "history":
            self.restored += 1
            self._state(agent, epoch, position)
        elif self._state(agent, epoch, position):
            self.findings.add("duplicate_effects", "a fact that is stated already", **where)
        elif cause == "late":
            if number > held:
                self._mismatch("cause", "live", "late", where)
        elif number < held:
            self.findings.add("inversions", f"after event {held} of this agent", **where)
        if cause != "late":
            self.held[agent] = max(held, number)
            self.held_state[agent] = to_state

    def _state(self, agent: int, epoch: int, position: Position) -> bool:
        """Notes that the fact is stated; True if it was before."""
        number = position.number
        was_stated: bool
        if position.is_restated and epoch > 1:
            key = (epoch, agent)
            was_stated = key in self._restated
            self._restated.add(key)
        elif number == INITIAL:
            was_stated = bool(self._initial_stated[agent])
        else:
            was_stated = bool(self.stated[number])
        if number == INITIAL:
            self._initial_stated[agent] = 1
        else:
            self.stated[number] = 1
        return was_stated

    def has_stated(self, agent: int, number: int) -> bool:
        """Whether some row states the event, or the agent's initial state."""
        return bool(self._initial_stated[agent] if number == INITIAL else self.stated[number])

    def _position(self, agent: int, number: int, sequence: int, cause: str) -> Position | None:
        """None: no socket was told such a thing of this agent."""
        expectation = self.expectation
        if not 1 <= number <= len(expectation.seen_epochs):
            return None
        epoch: Epoch = expectation.seen_epochs[number - 1]
        if sequence >= epoch.first_sequence:
            event = epoch.first + sequence - epoch.first_sequence
            told = expectation.named if cause == "history" else expectation.sent
            if event >= expectation.epoch_end(epoch) or not told[event]:
                return None
            return Position(event, False) if expectation.agents[event] == agent else None
        is_initial = sequence == expectation.numbering.position(epoch, agent, NEVER)
        if cause != "history" or not is_initial or epoch.name not in expectation.histories:
            return None
        return Position(expectation.last_changes(epoch.first)[agent], True)
