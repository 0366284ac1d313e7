"""CloudRowVerifier: holds the rows of journals, one after the other, against a cloud expectation.

Knows no file. A row is found again by its agent and its time, which is its position. An event has
at most one row; where events tell parts of an agent, one that changed two parts may have two.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from typing import Any, NamedTuple

from tools.fake_gateway.cloud.definitions import DEFINITIONS, ROUTING_STATUSES
from tools.fake_gateway.cloud.expectation import CloudExpectation, fact_of
from tools.fake_gateway.cloud.subscribers import LEFT_OUT
from tools.fake_gateway.findings import Findings
from tools.fake_gateway.row_verifier import INITIAL, NEVER, NO_COMMIT, UNKNOWN, Row, RowVerifier

FOUND_LIVE, FOUND_OTHERWISE = 1, 2
ROSTER = "roster"  # a cause: what the roster showed and no event had told
_FACTS = tuple(
    tuple(fact_of(presence, routing) for routing in range(len(ROUTING_STATUSES)))
    for presence in range(len(DEFINITIONS))
)


class Lag(NamedTuple):
    """For so long what was held of an agent was not what was true; until that row was durable."""

    lasted_us: int = 0
    user: str | None = None
    event: int = NEVER  # the first one that was not held
    journal: str = ""
    row: int = 0


class CloudRowVerifier(RowVerifier):
    def __init__(self, expectation: CloudExpectation, findings: Findings) -> None:
        super().__init__(expectation.users, findings)
        self.expectation = expectation
        self.longest_lag = Lag()
        self.found = bytearray(expectation.head)
        self.held_cause: list[str | None] = [None] * expectation.agents
        self.completions = 0
        self._is_whole = expectation.is_whole
        self._tied: set[int] = set()  # events before which a row of the same time came
        self._untied: set[int] = set()  # … of their copy, which must still be told itself
        self._dated: set[int] = set()  # events whose copy was told at another time
        self._place = [0] * expectation.agents  # of the event that should come next
        self.journals_of: list[list[str]] = [[] for _ in range(expectation.agents)]
        self.last_live = array("q", [-1]) * (max(expectation.subscribers.sockets, default=0) + 1)

    def number(self, user: str) -> int | None:
        """Ids are the same in whatever case; that two are not the same agent shows in the rows."""
        return self.number_of.get(user.lower())

    def _may_be_unknown(self, agent: int, at_us: int) -> bool:
        del at_us  # whenever it is
        return self.expectation.may_be_unknown(agent)

    def journal(
        self,
        name: str,
        users: Iterable[tuple[int, str]],
        rows: Iterable[Row],
        commits: Iterable[tuple[int, int]],
    ) -> None:
        people = self._people(users)
        for agent in people.values():
            if agent is not None:
                self.journals_of[agent].append(name)
        commit = iter(commits)
        commit_row, commit_us = next(commit, NO_COMMIT)
        live = 0
        for row in rows:
            row_id, agent_id = row[0], row[1]
            agent = people.get(agent_id)
            held = NEVER
            # The usual row is judged at once: half the time for a run of usual rows.
            number = self._usual(row, agent)
            if number >= 0:
                live += 1
            else:
                self.rows[row[11]] += 1
                held = NEVER if agent is None else self.held[agent]
                number = self._unusual(name, row, agent)
            while commit_row < row_id:
                commit_row, commit_us = next(commit, NO_COMMIT)
            if number >= 0 and commit_us:
                self.latencies.add(commit_us - self.expectation.sent_us(number))
            if agent is not None and commit_us:
                first = number if held == NEVER else self._first_missed(agent, held)
                if first is not None and first >= 0:
                    self._note_behind(agent, first, name, row_id, commit_us)
        self.rows["live"] += live

    def _first_missed(self, agent: int, held: int) -> int | None:
        """The first event that the row at hand made up for; None: it is no newer than the last."""
        if self.held[agent] <= held:
            return None
        expectation = self.expectation
        begin = max(held + 1, expectation.subscribers.begun[agent])
        numbers = expectation.numbers_from(agent, begin)
        return next((n for n in numbers if expectation.socket_of[n] != LEFT_OUT), None)

    def _note_behind(self, agent: int, first: int, journal: str, row: int, commit_us: int) -> None:
        lasted_us = commit_us - self.expectation.sent_us(first)
        longest = self.longest_lag
        # Of several that were sent together the first: no matter which row is read first.
        if (lasted_us, -first) > (longest.lasted_us, -longest.event):
            user = self.expectation.users[agent]
            self.longest_lag = Lag(lasted_us, user, first, journal, row)

    def _usual(self, row: Row, agent: int | None) -> int:
        """The number of its event, if it is a live row of the agent's next one and right in every
        respect; else NEVER, and nothing was noted."""
        row_id, _, previous, from_state, to_state, at_us, _, _, queue, presence, _, cause = row
        if agent is None or cause != "live" or not self._is_whole:
            return NEVER
        expectation, place = self.expectation, self._place[agent]
        times = expectation.times_us[agent]
        if place >= len(times) or times[place] != at_us:
            return NEVER
        number = expectation.of_agent[agent][place]
        state, presences = _FACTS[expectation.presences[number]][expectation.routings[number]]
        socket = expectation.socket_of[number]
        if (
            to_state != state
            or presence not in presences
            or from_state != self.held_state[agent]
            or previous != self.last_row[agent]
            or number <= self.held[agent]
            or socket <= 0
            or number in expectation.unusual
            or not (
                queue == expectation.queue(agent, number)
                or expectation.is_queue(agent, number, queue)
            )
        ):
            return NEVER
        self.found[number] = FOUND_LIVE
        self.held[agent], self.held_state[agent] = number, to_state
        self.held_cause[agent], self.last_row[agent] = "live", row_id
        self._place[agent] = place + 1
        if number > self.last_live[socket] and number not in expectation.copied:
            self.last_live[socket] = number
        return number

    def _unusual(self, journal: str, row: Row, agent: int | None) -> int:
        """Any row. The number of its event, if it is a live one; else NEVER."""
        cause = row[11]
        if cause == "gap":
            return NEVER
        where: dict[str, Any] = {"journal": journal, "row": row[0], "cause": cause}
        if not self._follows(row, agent, where) or agent is None:
            number = None
        else:
            number = self._event(row, agent, where)
        if agent is not None:
            self._place[agent] = bisect_right(self.expectation.times_us[agent], row[5])
        return NEVER if number is None or cause != "live" else number

    def _event(self, row: Row, agent: int, where: dict[str, Any]) -> int | None:
        """The number of its event; None: it has none."""
        at_us = row[5]
        number = self.expectation.number_at(agent, at_us)
        if self._is_repeat(agent, number, row):
            return None
        if number is None:
            if self._is_copy_at_another_time(agent, row):
                return None
            number = self._told_at_another_time(agent, row)
        if number is not None and self._is_before_a_tie(agent, number, row):
            self.held_state[agent] = row[4]
            return None
        if number is None or self.expectation.subscribers.begun[agent] < 0:
            self.findings.add("phantom", "a row of what nobody was told", at_us=at_us, **where)
            return None
        if self._is_completion(agent, number, row):
            self._complete(agent, number, row, where)
            return None
        self._content(agent, number, row, where)
        self._order(agent, number, row, where)
        return number

    def _is_repeat(self, agent: int, number: int | None, row: Row) -> bool:
        """An answer's row that says of its agent what is held: something beside was told, which
        no call dates (an absence). Only where topics may be lost, so that no event tells it."""
        is_old = number is None or number <= self.held[agent]
        is_same = row[4] == self.held_state[agent]
        is_answer = row[11] == "history" and self.expectation.varied.is_varied
        return is_answer and is_same and is_old and row[4] != UNKNOWN

    def _told_at_another_time(self, agent: int, row: Row) -> int | None:
        """The event whose time was told otherwise; of somebody of whom an answer has told a part,
        or no time, the one that it can be."""
        expectation, held = self.expectation, self.held[agent]
        for number in expectation.odd.get(agent, ()):
            is_next = number >= held and not self.found[number]
            if is_next and expectation.fact(agent, number).state == row[4]:
                return number
        if row[11] == "live" or agent not in expectation.varied.partly:
            return None
        begin = max(held, INITIAL)
        candidates = [begin, *(n for n in expectation.numbers_from(agent, begin + 1))]
        return next((n for n in candidates if row[4] in self._states(agent, n)), None)

    def _is_copy_at_another_time(self, agent: int, row: Row) -> bool:
        """An event that has its row, and whose second frame alone bore another time."""
        expectation, held = self.expectation, self.held[agent]
        if row[11] != "live" or held < 0 or held not in expectation.odd.get(agent, ()):
            return False
        is_copy = held in expectation.copied and bool(self.found[held]) and held not in self._dated
        if not is_copy or expectation.fact(agent, held).state != row[4]:
            return False
        self._dated.add(held)
        return True

    def _states(self, agent: int, number: int) -> set[str]:
        """What may be held by that event, where answers tell parts."""
        states = self.expectation.mixed_states(agent, number)
        is_incomplete = self.held_state[agent] in (None, UNKNOWN)
        return states | {"Not Available", UNKNOWN} if is_incomplete else states

    def _is_before_a_tie(self, agent: int, number: int, row: Row) -> bool:
        """A row of what was told before the event of the same time. Where both say the same, it is
        the second one that is not asked for more."""
        tie = self.expectation.ties.get(number)
        if tie is None or row[11] != "live":
            return False
        before, fact = fact_of(*tie), self.expectation.fact(agent, number)
        is_event = row[4] == fact.state and row[9] in fact.presences
        if number in self._untied and is_event:
            self._untied.discard(number)
            return True
        if number in self._tied:
            return False
        if self.held[agent] == number and is_event:
            self._tied.add(number)
            return True
        is_before = row[4] == before.state and row[9] in before.presences
        is_copy = self.held[agent] == number and number in self.expectation.copied
        if is_before and not is_event and (is_copy or self.held[agent] < number):
            self._tied.add(number)
            self._untied.update((number,) if is_copy else ())
            return True
        return False

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
        if not self.expectation.is_queue(agent, number, row[8]):
            self._mismatch("queue", self.expectation.queue(agent, number), row[8], where)

    def _content(self, agent: int, number: int, row: Row, where: dict[str, Any]) -> None:
        expectation = self.expectation
        fact = expectation.fact(agent, number)
        is_part = row[11] != "history" or number < self.held[agent]
        if is_part and not expectation.is_whole:
            return  # the other part of the event is on its way, or was newer already
        if self._is_partly_told(agent, row) or number in expectation.half_told:
            if row[4] not in self._states(agent, max(number, self.held[agent])):
                self._mismatch("state", fact.state, row[4], where)
            return
        if row[4] != fact.state:
            self._mismatch("state", fact.state, row[4], where)
        if row[9] not in fact.presences:
            self._mismatch("presence", fact.presences, row[9], where)
        is_told = number >= 0 and number not in expectation.queueless
        is_judged = row[11] == "live" and expectation.is_whole and is_told
        if is_judged and not expectation.is_queue(agent, number, row[8]):
            self._mismatch("queue", expectation.queue(agent, number), row[8], where)

    def _order(self, agent: int, number: int, row: Row, where: dict[str, Any]) -> None:
        """Is the event new, and does it come when it may?"""
        cause, to_state, held = row[11], row[4], self.held[agent]
        is_restored = self.held_state[agent] == UNKNOWN
        is_partly_told = self._is_partly_told(agent, row)
        if number == held and not is_restored and self.expectation.is_whole and not is_partly_told:
            self.findings.add("duplicate_effects", "an event that has a row already", **where)
        elif cause == "late":
            if number > held:
                self._mismatch("cause", "live", "late", where)
        elif number < held and not is_partly_told and not self._may_tell_a_part_late(number, cause):
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

    def _is_partly_told(self, agent: int, row: Row) -> bool:
        """Whether it is an answer's row, of somebody of whom one has left out a part, or an event
        its time: it may complete what is held. Of what the roster shows each part is proven by
        itself: one may be too young."""
        varied = self.expectation.varied
        is_part = agent in varied.partly or agent in varied.timeless or row[11] == ROSTER
        return row[11] not in ("live", "late") and is_part

    def _may_tell_a_part_late(self, number: int, cause: str) -> bool:
        """One part may come by a snapshot, or by a copy, when the other is newer already."""
        expectation = self.expectation
        return not expectation.is_whole and (cause == "history" or number in expectation.copied)
