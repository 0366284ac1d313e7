"""CloudVerification: what the cloud dialect adds to a verification: channels, scopes, budgets."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import apsw

from tools.fake_gateway.cloud import queue_verifier
from tools.fake_gateway.cloud.command_verifier import CloudCommandVerifier
from tools.fake_gateway.cloud.expectation import CloudExpectation
from tools.fake_gateway.cloud.gap_rows import GapRow, GapRows
from tools.fake_gateway.cloud.natives import wrong_fields
from tools.fake_gateway.cloud.row_verifier import FOUND_LIVE, FOUND_OTHERWISE, CloudRowVerifier
from tools.fake_gateway.cloud.subscribers import DEAF, LEFT_OUT, NOBODY, SEVERAL
from tools.fake_gateway.findings import KINDS
from tools.fake_gateway.journals import ShardJournal
from tools.fake_gateway.row_verifier import NEVER, UNKNOWN
from tools.fake_gateway.sender_store import SenderStore
from tools.fake_gateway.verification import Verification

PLAN_NAME = "cloud.db"
_UNTOLD = frozenset((NOBODY, LEFT_OUT, DEAF))


class CloudVerification(Verification):
    kinds = (*KINDS, "over_budget", queue_verifier.KIND)
    _rows: CloudRowVerifier

    def _read(self, ledger: Path) -> None:
        self._expectation = CloudExpectation(ledger)
        self._rows = CloudRowVerifier(self._expectation, self._findings)
        self._scope_of = scopes(self._data)
        self._gaps: dict[str, GapRows] = {}
        self._excused = self._overtaken = self._cut = self._stale = self._deaf = 0
        self._tell(f"ledger: {self._expectation.head} events")

    def _commands(self, store: SenderStore | None) -> CloudCommandVerifier:
        return CloudCommandVerifier(self._expectation, store, give_up_after_s=self._give_up_after_s)

    def _figures(self) -> dict[str, Any]:
        expectation = self._expectation
        for _ in range(0 if expectation.faults else expectation.too_many_requests):
            self._findings.add("over_budget", "a call was told 429")
        return {
            "dialect": "cloud",
            "expected": sum(socket not in _UNTOLD for socket in expectation.socket_of),
            "unheard": expectation.socket_of.count(NOBODY),
            "generated": expectation.head,
            "agents": expectation.agents,
            "sockets": len(expectation.subscribers.sockets),
            "sent_broken": expectation.sent_broken,
            "changes": len(expectation.changes),
            "calls": dict(expectation.calls),
            "too_many_requests": expectation.too_many_requests,
            "injected_429": expectation.injected_429,
            "variations": dict(expectation.varied.counts),
            "fullest_window": expectation.fullest_window,
            "faults": dict(expectation.faults),
            "beside": dict(expectation.varied.beside),
            "queues": self._check_queues(),
        }

    def _check_queues(self) -> dict[str, Any] | None:
        """None: nobody has said what was shown."""
        if self._shown is None:
            return None
        return queue_verifier.QueueVerifier(self._expectation, self._findings).check(self._shown)

    def _note_gaps(self, journal: ShardJournal) -> None:
        self._gaps[journal.name] = GapRows([GapRow(*row) for row in journal.gap_rows()])

    def _check_events(self) -> dict[str, Any]:
        rows, gaps = self._rows, self._gaps.values()
        for agent in range(self._expectation.agents):
            if self._expectation.subscribers.begun[agent] >= 0:
                self._agent(agent)
        return {
            "excused": self._excused,
            "overtaken": self._overtaken,
            "cut": self._cut,
            "stale_at_end": self._stale,
            "deaf": self._deaf,
            "completions": rows.completions,
            "history_rows": rows.rows["history"],
            "gaps": sum(len(one.rows) for one in gaps),
            "longest_behind_s": round(rows.longest_lag.lasted_us / 1e6, 3),
            "longest_behind": rows.longest_lag._asdict(),
            "longest_gap_s": max((one.longest_s for one in gaps), default=0.0),
        }

    def _agent(self, agent: int) -> None:
        rows, user = self._rows, self._expectation.users[agent]
        held, state = rows.held[agent], rows.held_state[agent]
        if held == NEVER:
            self._findings.add("lost", "an agent who is not held", user=user)
            return
        end = self._expectation.end_of(agent)
        is_overtaken_by = NEVER  # the next row is a snapshot's, of this event
        begun = self._expectation.subscribers.begun[agent]
        for number in reversed(self._expectation.numbers_from(agent, begun)):
            found = rows.found[number]
            if found:
                is_overtaken_by = number if found == FOUND_OTHERWISE else NEVER
            elif end is None or number < end:
                self._missing(agent, number, is_overtaken_by)
        if self._expectation.is_left_out(agent):
            if self._expectation.varied.is_varied and not self._expectation.away[agent]:
                self._findings.add("state_mismatches", "not watched at the end", user=user)
            return
        if state == UNKNOWN:
            where = {"user": user, "expected": "a state"}
            self._findings.add("state_mismatches", "Unknown at the end", **where)
            return
        fact = self._expectation.fact(agent, held)
        last = self._expectation.last_number(agent, end)
        if held < last and not self._may_be_behind(agent, last):
            self._findings.add(
                "state_mismatches",
                "not the newest event at the end",
                user=user,
                expected_event=last,
                found_event=held,
            )
        elif state != fact.state:
            self._findings.add(
                "state_mismatches", "final state", user=user, expected=fact.state, found=state
            )

    def _missing(self, agent: int, number: int, overtaken_by: int) -> None:
        """An event without a row: overtaken by a snapshot of the same session, owned up to, cut at
        the end, or lost."""
        expectation, rows = self._expectation, self._rows
        socket = expectation.socket_of[number]
        if socket == LEFT_OUT or not expectation.is_all_told:
            return
        if self._is_told_by_nothing(agent, number):
            return
        if socket > 0 and overtaken_by > number:
            closed_head = expectation.subscribers.sockets[socket].closed_head
            if closed_head is None or overtaken_by < closed_head:
                self._overtaken += 1
                return
        if self._is_owned_up_to(agent, number):
            self._excused += 1
            return
        is_newest = socket > 0 and number > rows.last_live[socket]
        if is_newest and expectation.subscribers.sockets[socket].is_left and not self._to_newest:
            self._cut += 1  # the runtime was ended in mid-stream
            return
        where = {"user": expectation.users[agent], "event": number, "socket": socket}
        self._findings.add("lost", "event", sent_us=expectation.sent_us(number), **where)

    def _is_owned_up_to(self, agent: int, number: int) -> bool:
        """Whether a gap row says that it was missed."""
        expectation, rows = self._expectation, self._rows
        socket, sent_us = expectation.socket_of[number], expectation.sent_us(number)
        # With another shard count an agent moves to another journal.
        own = [self._gaps[name] for name in rows.journals_of[agent]]
        # Whoever left and came back may have been watched elsewhere before.
        is_moved = expectation.varied.is_varied and expectation.away[agent]
        scope = None if is_moved else self._scope_of.get(expectation.users[agent])
        if socket > 0 and number > rows.last_live[socket]:
            closed_us = expectation.subscribers.sockets[socket].closed_us
            return closed_us is not None and any(gaps.cover(closed_us, scope) for gaps in own)
        if socket in (NOBODY, SEVERAL) and any(gaps.cover(sent_us, scope) for gaps in own):
            return True
        return any(gaps.cover_restart(sent_us, scope) for gaps in own)

    def _is_told_by_nothing(self, agent: int, number: int) -> bool:
        """Its topic had been lost without a word, and what counts is that the agent's state came
        right; or it was told without its time, and brought nothing new."""
        expectation = self._expectation
        is_deaf = expectation.socket_of[number] == DEAF
        self._deaf += is_deaf
        return is_deaf or (number in expectation.unusual and not expectation.is_new(agent, number))

    def _may_be_behind(self, agent: int, last: int) -> bool:
        """The runtime ended before it could know, or while the agent was stale."""
        subscribers = self._expectation.subscribers
        socket = subscribers.sockets.get(subscribers.last_socket[agent])
        if self._to_newest or socket is None:
            return False
        if not socket.is_left:
            self._stale += 1
            return True
        return last > self._rows.last_live[socket.number]

    def _check_page(self, agent: int, fields: list[Any]) -> None:
        """Of who stands as the last event left them: how they stand."""
        last = self._expectation.last_number(agent)
        if self._rows.held[agent] == last and fields[2] != UNKNOWN:
            self._check_native(agent, fields)

    def _check_native(self, agent: int, fields: list[Any]) -> None:
        expectation = self._expectation
        varied, held = expectation.varied, expectation.final_held(agent)
        dated_by = expectation.number_at(agent, held.away_ms * 1000)
        # Whoever left and came back while nobody listened stands as before, and no call says when.
        is_event = dated_by is not None and dated_by >= 0
        is_missed = is_event and self._rows.found[dated_by or 0] != FOUND_LIVE
        for what, expected, found in wrong_fields(
            fields,
            held,
            is_whole=expectation.is_whole,
            is_damaged=agent in varied.damaged,
            is_timeless=agent in varied.timeless or agent in varied.partly,
            is_office_dated=not (varied.is_varied or is_missed),
        ):
            where = {"user": expectation.users[agent], "expected": expected, "found": found}
            self._findings.add("state_mismatches", what, **where)

    def _check_without_rows(
        self, found: dict[str, list[Any]], counts: Counter[str]
    ) -> dict[str, Any]:
        """Everybody's state."""
        del counts  # copies of events make them say little
        expectation, add = self._expectation, self._findings.add
        found = {user.lower(): fields for user, fields in found.items()}
        for agent, user in enumerate(expectation.users):
            if expectation.subscribers.begun[agent] < 0 or expectation.is_left_out(agent):
                continue
            last = expectation.last_number(agent, expectation.end_of(agent))
            rightly = expectation.fact(agent, last).state
            if user not in found:
                add("lost", "an agent who is not held", user=user)
            elif found[user][2] != rightly:
                where = {"user": user, "expected": rightly, "found": found[user][2]}
                add("state_mismatches", "final state", **where)
            elif last == expectation.last_number(agent):
                self._check_native(agent, found[user])
        return {"rows": 0}


def scopes(data: Path) -> dict[str, str]:
    """By user the scope of the plan's slot; nothing where no planner has begun."""
    path = data / PLAN_NAME
    if not path.exists():
        return {}
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        rows = connection.execute("SELECT id, client, slot FROM users WHERE slot IS NOT NULL")
        found = {user: f"c{client}/{slot}" for user, client, slot in rows}
        connection.close()
    except apsw.Error as error:
        print(f"verify: {path} cannot be read ({error}); any gap row will do", file=sys.stderr)
        return {}
    return found
