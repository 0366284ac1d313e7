"""CloudVerification: a cloud gateway's ledger against what a runtime kept, as one JSON object.

lost                events that were told and stand in no row, and that no gap row accounts for;
                    agents who were subscribed and are not held at all
phantom             rows of what nobody was told
inversions          rows that come before an earlier event of their agent
duplicate_effects   events that stand twice
state_mismatches    rows, final states, pages or counts that say something wrong
over_budget         calls that a budget refused, in a run without faults
commands            what a sender did (see `command_verifier.py`); null: there was none
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import apsw

from tools.fake_gateway.cloud.command_verifier import CloudCommandVerifier
from tools.fake_gateway.cloud.expectation import NEVER, CloudExpectation
from tools.fake_gateway.cloud.gap_rows import GapRow, GapRows
from tools.fake_gateway.cloud.natives import wrong_fields
from tools.fake_gateway.cloud.row_verifier import FOUND_OTHERWISE, CloudRowVerifier
from tools.fake_gateway.cloud.subscribers import LEFT_OUT, NOBODY, SEVERAL
from tools.fake_gateway.exchanges import GIVE_UP_AFTER_S
from tools.fake_gateway.findings import KINDS, Findings
from tools.fake_gateway.journals import ShardJournal, open_journals
from tools.fake_gateway.row_verifier import UNKNOWN
from tools.fake_gateway.sender_store import open_store

OUTCOMES = ("applied", "unchanged", "duplicates", "late", "shed", "quarantined")
PLAN_NAME = "cloud.db"


def verify(
    ledger: Path,
    data: Path,
    *,
    is_journalled: bool = True,
    to_newest: bool = False,
    give_up_after_s: float = GIVE_UP_AFTER_S,
) -> dict[str, Any]:
    """Raises LedgerError or JournalError."""
    began_s = time.monotonic()
    expectation = CloudExpectation(ledger)
    _tell(f"ledger: {expectation.head} events", began_s)
    findings = Findings((*KINDS, "over_budget"))
    archived, current = open_journals(data)
    try:
        counts: Counter[str] = sum((journal.counts() for journal in current), Counter())
        quarantined: Counter[str] = sum((each.quarantined() for each in current), Counter())
        _check_counts(findings, counts)
        if is_journalled:
            accounts = _Accounts(expectation, findings, scopes(data), to_newest=to_newest)
            told = accounts.full(archived + current, counts)
        else:
            told = _final_only(expectation, findings, current)
    finally:
        for journal in archived + current:
            journal.close()
    verifier = CloudCommandVerifier(expectation, open_store(data), give_up_after_s=give_up_after_s)
    commands = verifier.verify()
    if not expectation.faults:
        for _ in range(expectation.too_many_requests):
            findings.add("over_budget", "a call was told 429")
    is_clean = findings.is_clean and verifier.findings.is_clean
    _tell("verified" if is_clean else "there are findings", began_s)
    sockets = expectation.subscribers.sockets
    return {
        "verified": is_clean,
        "dialect": "cloud",
        **findings.counts,
        "expected": sum(socket not in (NOBODY, LEFT_OUT) for socket in expectation.socket_of),
        "unheard": expectation.socket_of.count(NOBODY),
        "generated": expectation.head,
        **told,
        "agents": expectation.agents,
        "sockets": len(sockets),
        "sent_broken": expectation.sent_broken,
        "changes": len(expectation.changes),
        "commands": commands,
        "calls": dict(expectation.calls),
        "too_many_requests": expectation.too_many_requests,
        "fullest_window": expectation.fullest_window,
        "faults": dict(expectation.faults),
        "quarantined": dict(quarantined),
        "counts": dict(counts),
        "seconds": round(time.monotonic() - began_s, 2),
        "examples": findings.examples,
    }


class _Accounts:
    """Which events may rightly be missing, and what is held at the end."""

    def __init__(
        self,
        expectation: CloudExpectation,
        findings: Findings,
        scope_of: dict[str, str],
        *,
        to_newest: bool,
    ) -> None:
        self._expectation = expectation
        self._findings = findings
        self._scope_of = scope_of
        self._to_newest = to_newest
        self._verifier = CloudRowVerifier(expectation, findings)
        self._gaps: dict[str, GapRows] = {}
        self._excused = self._overtaken = self._cut = self._stale = 0

    def full(self, journals: list[ShardJournal], counts: Counter[str]) -> dict[str, Any]:
        verifier, is_complete, gap_rows = self._verifier, True, 0
        for journal in journals:
            verifier.journal(journal.name, journal.users(), journal.rows(), journal.commits())
            rows = [GapRow(*row) for row in journal.gap_rows()]
            self._gaps[journal.name] = GapRows(rows)
            gap_rows += len(rows)
            is_complete &= journal.first_row() == 1 and "/" not in journal.name
            for row_id in journal.unmatched_gaps():
                where = {"journal": journal.name, "row": row_id}
                self._findings.add("state_mismatches", "gap row", **where)
            self._check_pages(journal)
        for agent in range(self._expectation.agents):
            if self._expectation.subscribers.begun[agent] >= 0:
                self._agent(agent)
        kept: dict[str, int] = {
            "applied": verifier.rows["live"] + verifier.rows["history"],
            "late": verifier.rows["late"],
        }
        for outcome, count in kept.items():
            if is_complete and counts[outcome] != count:
                self._findings.add(
                    "state_mismatches", "counts", count=outcome, rows=count, told=counts[outcome]
                )
        return {
            "excused": self._excused,
            "overtaken": self._overtaken,
            "cut": self._cut,
            "stale_at_end": self._stale,
            "rows": sum(kept.values()),
            "late_rows": verifier.rows["late"],
            "completions": verifier.completions,
            "history_rows": verifier.rows["history"],
            "unknown_rows": verifier.rows["lost"],
            "gaps": gap_rows,
            "longest_behind_s": round(verifier.longest_lag.lasted_us / 1e6, 3),
            "longest_behind": verifier.longest_lag._asdict(),
            "longest_gap_s": max((one.longest_s for one in self._gaps.values()), default=0.0),
            "latency_ms": verifier.latencies.quantiles_ms(),
        }

    def _agent(self, agent: int) -> None:
        verifier, user = self._verifier, self._expectation.users[agent]
        held, state = verifier.held[agent], verifier.held_state[agent]
        if held == NEVER:
            self._findings.add("lost", "an agent who is not held", user=user)
            return
        end = self._expectation.end_of(agent)
        is_overtaken_by = NEVER  # the next row is a snapshot's, of this event
        begun = self._expectation.subscribers.begun[agent]
        for number in reversed(self._expectation.numbers_from(agent, begun)):
            found = verifier.found[number]
            if found:
                is_overtaken_by = number if found == FOUND_OTHERWISE else NEVER
            elif end is None or number < end:
                self._missing(agent, number, is_overtaken_by)
        if self._expectation.is_left_out(agent):
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
        expectation, verifier = self._expectation, self._verifier
        socket = expectation.socket_of[number]
        gaps = self._gaps.get(verifier.journal_of[agent] or "", GapRows(()))
        scope = self._scope_of.get(expectation.users[agent])
        if socket == LEFT_OUT or not expectation.is_all_told:
            return
        if socket > 0 and overtaken_by > number:
            closed_head = expectation.subscribers.sockets[socket].closed_head
            if closed_head is None or overtaken_by < closed_head:
                self._overtaken += 1
                return
        if socket > 0 and number > verifier.last_live[socket]:
            told = expectation.subscribers.sockets[socket]
            if told.closed_us is not None and gaps.cover(told.closed_us, scope):
                self._excused += 1
                return
            if told.is_left and not self._to_newest:
                self._cut += 1  # the runtime was ended in mid-stream
                return
        elif socket in (NOBODY, SEVERAL) and gaps.cover(expectation.sent_us(number), scope):
            self._excused += 1
            return
        where = {"user": expectation.users[agent], "event": number, "socket": socket}
        self._findings.add("lost", "event", sent_us=expectation.sent_us(number), **where)

    def _may_be_behind(self, agent: int, last: int) -> bool:
        """The runtime ended before it could know, or while the agent was stale."""
        subscribers = self._expectation.subscribers
        socket = subscribers.sockets.get(subscribers.last_socket[agent])
        if self._to_newest or socket is None:
            return False
        if not socket.is_left:
            self._stale += 1
            return True
        return last > self._verifier.last_live[socket.number]

    def _check_pages(self, journal: ShardJournal) -> None:
        """A page that is as new as its agents' last rows says what they say, and, of who stands as
        the last event left them, how they stand."""
        verifier, expectation = self._verifier, self._expectation
        for upto, fields in journal.pages():
            user, state, row = fields[1], fields[2], fields[8]
            agent = verifier.number_of.get(user)
            if agent is None or verifier.last_row[agent] == 0 or upto < verifier.last_row[agent]:
                continue
            where = {"journal": journal.name, "user": user}
            if (state, row) != (verifier.held_state[agent], verifier.last_row[agent]):
                self._findings.add(
                    "state_mismatches",
                    "page",
                    expected=[verifier.held_state[agent], verifier.last_row[agent]],
                    found=[state, row],
                    **where,
                )
            if verifier.held[agent] == expectation.last_number(agent) and state != UNKNOWN:
                _check_native(expectation, self._findings, agent, fields)


def _check_native(
    expectation: CloudExpectation, findings: Findings, agent: int, fields: list[Any]
) -> None:
    held, is_whole = expectation.final_held(agent), expectation.is_whole
    for what, expected, found in wrong_fields(fields, held, is_whole=is_whole):
        where = {"user": expectation.users[agent], "expected": expected, "found": found}
        findings.add("state_mismatches", what, **where)


def _final_only(
    expectation: CloudExpectation, findings: Findings, journals: list[ShardJournal]
) -> dict[str, Any]:
    """Without rows: everybody's state."""
    found = {one[1]: one for journal in journals for _, one in journal.pages()}
    for user in found.keys() - set(expectation.users):
        findings.add("phantom", "nobody in the organisation", user=user)
    for agent, user in enumerate(expectation.users):
        if expectation.subscribers.begun[agent] < 0 or expectation.is_left_out(agent):
            continue
        last = expectation.last_number(agent, expectation.end_of(agent))
        rightly = expectation.fact(agent, last).state
        if user not in found:
            findings.add("lost", "an agent who is not held", user=user)
        elif found[user][2] != rightly:
            where = {"user": user, "expected": rightly, "found": found[user][2]}
            findings.add("state_mismatches", "final state", **where)
        elif last == expectation.last_number(agent):
            _check_native(expectation, findings, agent, found[user])
    return {"rows": 0}


def _check_counts(findings: Findings, counts: Counter[str]) -> None:
    total = sum(counts[outcome] for outcome in OUTCOMES)
    if counts["received"] != total:
        where = {"count": "received", "told": counts["received"], "sum": total}
        findings.add("state_mismatches", "counts", **where)


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


def _tell(what: str, began_s: float) -> None:
    print(f"verify {time.monotonic() - began_s:6.1f} s: {what}", file=sys.stderr, flush=True)
