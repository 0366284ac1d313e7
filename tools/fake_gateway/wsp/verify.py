"""WspVerification: what the wsp dialect adds to a verification: sequences, histories, epochs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from tools.fake_gateway.findings import Latencies
from tools.fake_gateway.journals import ShardJournal
from tools.fake_gateway.row_verifier import INITIAL, NEVER, UNKNOWN
from tools.fake_gateway.script import STATES
from tools.fake_gateway.sender_store import SenderStore
from tools.fake_gateway.verification import Verification
from tools.fake_gateway.wsp.allowed_losses import SpanSet
from tools.fake_gateway.wsp.command_verifier import WspCommandVerifier
from tools.fake_gateway.wsp.expectation import Expectation
from tools.fake_gateway.wsp.row_verifier import WspRowVerifier


class WspVerification(Verification):
    _rows: WspRowVerifier

    def _read(self, ledger: Path) -> None:
        self._expectation = expectation = Expectation(ledger)
        self._users = expectation.script.users
        self._rows = WspRowVerifier(expectation, self._findings)
        self._gaps: set[tuple[int, int, int]] = set()
        self._allowed: dict[str, list[SpanSet]] = {}  # by user, of each journal that holds them
        first, end = expectation.required
        self._tell(f"ledger: {end - first} events to be kept")

    def _commands(self, store: SenderStore | None) -> WspCommandVerifier:
        return WspCommandVerifier(self._expectation, store, give_up_after_s=self._give_up_after_s)

    def _figures(self) -> dict[str, Any]:
        expectation, agents = self._expectation, len(self._users)
        first, end = expectation.required
        return {
            "sent": self._sent,
            "sent_events": expectation.sent_events,
            "sent_history": expectation.sent_history,
            "sent_broken": expectation.sent_broken,
            "expected": end - first + (agents if expectation.sockets else 0),
            "agents": agents,
            "sockets": len(expectation.sockets),
            "epochs": len(expectation.seen_epochs),
            "faults": dict(expectation.faults),
            "troubles": expectation.fault_outcomes.report(),
        }

    @property
    def _sent(self) -> int:
        expectation = self._expectation
        return expectation.sent_events + expectation.sent_history + expectation.sent_broken

    def _check_counts(self, counts: Counter[str]) -> None:
        super()._check_counts(counts)
        if counts["received"] > self._sent:
            where = {"told": counts["received"], "sent": self._sent}
            self._findings.add("phantom", "more received than sent", **where)

    def _check_mark(self, journal: ShardJournal) -> None:
        newest, mark = self._expectation.newest_mark, journal.mark()
        if mark != newest:
            where = {"journal": journal.name, "expected": newest, "found": mark}
            self._findings.add("lost", "the end", **where)

    def _note_gaps(self, journal: ShardJournal) -> None:
        gaps = journal.gaps()
        self._gaps |= gaps
        losses = SpanSet(self._expectation.excused(gaps))
        for _, user in journal.users():
            self._allowed.setdefault(user, []).append(losses)

    def _check_events(self) -> dict[str, Any]:
        excused = self._find_lost()
        self._check_final()
        return {"excused": excused, "restored": self._rows.restored, "gaps": len(self._gaps)}

    def _find_lost(self) -> int:
        """Returns how many missing events an honest gap row accounts for: one in a journal that
        holds the agent."""
        excused = 0
        expectation, rows, users = self._expectation, self._rows, self._users
        first, end = expectation.required
        number = rows.stated.find(0, first, end)
        while number >= 0:
            user = users[expectation.agents[number]]
            if any(number in losses for losses in self._allowed.get(user, ())):
                excused += 1
            else:
                where = {"sequence": expectation.numbering.sequence(number), "user": user}
                self._findings.add("lost", "event", **where)
            number = rows.stated.find(0, number + 1, end)
        # One history fact per agent at the first connect. Later sockets may have overtaken it.
        if expectation.whole_histories:
            is_only = len(expectation.sockets) == 1
            changes = expectation.last_changes(first)
            for agent, held in enumerate(rows.held):
                if held == NEVER or (is_only and not rows.has_stated(agent, changes[agent])):
                    self._findings.add("lost", "history", user=users[agent])
        return excused

    def _check_final(self) -> None:
        """What is held at the end is what was told last."""
        for agent, number in enumerate(self._expectation.last_changes(self._expectation.end)):
            held, state = self._rows.held[agent], self._rows.held_state[agent]
            if held == NEVER:
                continue  # lost, which is found already
            rightly = self._final_states(agent, number)
            if state not in rightly or (state != UNKNOWN and held != number):
                self._findings.add(
                    "state_mismatches",
                    "final state",
                    user=self._users[agent],
                    expected=rightly,
                    found=state,
                    expected_event=number,
                    found_event=held,
                )

    def _final_states(self, agent: int, number: int) -> list[str]:
        """What an agent whose last event this is may be at the end. Only who was thrown out may
        rightly hold as Unknown whom a history would have named."""
        expectation = self._expectation
        newest = expectation.named_by.newest
        is_newer = newest is not None and number >= newest.head
        if number == INITIAL:
            state = expectation.initial(agent).state
        else:
            state = STATES[expectation.states[number]]
        if not expectation.is_history_whole:
            return [state, UNKNOWN]
        is_unnamed = expectation.named_by.is_unnamed_at_last(agent)
        return [UNKNOWN] if is_unnamed and not is_newer else [state]

    def _check_without_rows(
        self, found: dict[str, list[Any]], counts: Counter[str]
    ) -> dict[str, Any]:
        """Everybody's state, and what the counts can tell."""
        expectation, add = self._expectation, self._findings.add
        changes = expectation.last_changes(expectation.end)
        for agent, user in enumerate(self._users):
            if user not in found:
                if expectation.whole_histories:
                    add("lost", "history", user=user)
                continue
            rightly, state = self._final_states(agent, changes[agent]), found[user][2]
            if state not in rightly:
                add("state_mismatches", "final state", user=user, expected=rightly, found=state)
        first, end = expectation.required
        if len(expectation.sockets) == 1 and expectation.is_history_whole:
            # One socket, every fact once: each made an effect, and nothing else did.
            surplus = counts["applied"] + counts["late"] - (end - first + len(self._users))
            for kind in ("lost",) * -surplus + ("phantom",) * surplus:
                add(kind, "counts", applied=counts["applied"], late=counts["late"])
        names = ("excused", "rows", "late_rows", "unknown_rows", "restored", "gaps")
        return {**dict.fromkeys(names, 0), "latency_ms": Latencies().quantiles_ms()}
