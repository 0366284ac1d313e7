"""Verification: a gateway's ledger against what a runtime kept, told as one JSON object.

lost                events that were told and stand in no row, and that no honest gap row covers;
                    agents of whom a runtime was told and who are not held at all
phantom             rows of what was never told
inversions          rows that come before an earlier change of their agent
duplicate_effects   changes that stand twice
state_mismatches    rows, final states, pages or counts that say something wrong
over_budget         (cloud) calls that a budget refused, in a run without faults
queue_mismatches    (cloud) queues whose members or available agents were shown wrongly at the end
commands            what a sender did (see `command_verifier.py`); null: there was none
"""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from tools.fake_gateway.command_verifier import CommandVerifier
from tools.fake_gateway.exchanges import GIVE_UP_AFTER_S
from tools.fake_gateway.findings import KINDS, Findings
from tools.fake_gateway.journals import ShardJournal, open_journals
from tools.fake_gateway.row_verifier import RowVerifier
from tools.fake_gateway.sender_store import SenderStore, open_store

OUTCOMES = ("applied", "unchanged", "duplicates", "late", "shed", "quarantined")


class Verification(ABC):
    """Of one run. `verify` raises LedgerError or JournalError."""

    kinds: ClassVar[Sequence[str]] = KINDS
    _rows: RowVerifier

    def __init__(
        self,
        ledger: Path,
        data: Path,
        *,
        is_journalled: bool = True,
        to_newest: bool = False,
        give_up_after_s: float = GIVE_UP_AFTER_S,
        shown: Mapping[str, Any] | None = None,
    ) -> None:
        """`shown`: what the runtime told of its queues at the end (see `queue_verifier`)."""
        self._began_s = time.monotonic()
        self._data = data
        self._is_journalled = is_journalled
        self._to_newest = to_newest
        self._give_up_after_s = give_up_after_s
        self._shown = shown
        self._findings = Findings(self.kinds)
        self._read(ledger)

    @abstractmethod
    def _read(self, ledger: Path) -> None:
        """What is expected; sets `_rows`."""

    @abstractmethod
    def _commands(self, store: SenderStore | None) -> CommandVerifier: ...
    @abstractmethod
    def _note_gaps(self, journal: ShardJournal) -> None: ...
    @abstractmethod
    def _check_events(self) -> dict[str, Any]:
        """When all rows are read: what is missing, and what is held at the end; its figures."""

    @abstractmethod
    def _check_without_rows(
        self, found: dict[str, list[Any]], counts: Counter[str]
    ) -> dict[str, Any]:
        """`found`: by user, the fields of their page."""

    @abstractmethod
    def _figures(self) -> dict[str, Any]:
        """Of the ledger."""

    def _check_counts(self, counts: Counter[str]) -> None:
        total = sum(counts[outcome] for outcome in OUTCOMES)
        if counts["received"] != total:
            where = {"count": "received", "told": counts["received"], "sum": total}
            self._findings.add("state_mismatches", "counts", **where)

    def _check_mark(self, journal: ShardJournal) -> None:  # noqa: B027 - wsp alone has marks
        """Of a journal that must have met everything."""

    def _check_page(self, agent: int, fields: list[Any]) -> None:  # noqa: B027 - cloud alone
        """Of a page that is as new as the agent's last row."""

    def verify(self) -> dict[str, Any]:
        archived, current = open_journals(self._data)
        try:
            counts: Counter[str] = sum((journal.counts() for journal in current), Counter())
            quarantined: Counter[str] = sum((each.quarantined() for each in current), Counter())
            self._check_counts(counts)
            for journal in current if self._to_newest else ():
                self._check_mark(journal)
            if self._is_journalled:
                told = self._check_rows(archived + current, counts)
            else:
                found = {one[1]: one for journal in current for _, one in journal.pages()}
                for user in (one for one in found if self._rows.number(one) is None):
                    self._findings.add("phantom", "nobody in the organisation", user=user)
                told = self._check_without_rows(found, counts)
        finally:
            for journal in archived + current:
                journal.close()
        verifier = self._commands(open_store(self._data))
        commands = verifier.verify()
        figures = self._figures()
        is_clean = self._findings.is_clean and verifier.findings.is_clean
        self._tell("verified" if is_clean else "there are findings")
        return {
            "verified": is_clean,
            **self._findings.counts,
            **told,
            **figures,
            "commands": commands,
            "quarantined": dict(quarantined),
            "counts": dict(counts),
            "seconds": round(time.monotonic() - self._began_s, 2),
            "examples": self._findings.examples,
        }

    def _check_rows(self, journals: list[ShardJournal], counts: Counter[str]) -> dict[str, Any]:
        verifier = self._rows
        is_complete = True  # nothing pruned, nothing archived: rows and counts can be compared
        for journal in journals:
            verifier.journal(journal.name, journal.users(), journal.rows(), journal.commits())
            is_complete &= journal.first_row() == 1 and "/" not in journal.name
            for row in journal.unmatched_gaps():
                self._findings.add("state_mismatches", "gap row", journal=journal.name, row=row)
            self._note_gaps(journal)
            self._check_pages(journal)
            self._tell(f"{journal.name}: {sum(verifier.rows.values())} rows so far")
        figures, rows = self._check_events(), verifier.rows
        kept = {"applied": rows["live"] + rows["history"], "late": rows["late"]}
        for outcome, count in kept.items():
            if is_complete and counts[outcome] != count:
                where = {"count": outcome, "rows": count, "told": counts[outcome]}
                self._findings.add("state_mismatches", "counts", **where)
        return {
            **figures,
            "rows": sum(kept.values()),
            "late_rows": rows["late"],
            "unknown_rows": rows["lost"],
            "latency_ms": verifier.latencies.quantiles_ms(),
        }

    def _check_pages(self, journal: ShardJournal) -> None:
        """A page that is as new as its agents' last rows says what they say."""
        verifier = self._rows
        for upto, fields in journal.pages():
            user, state, row = fields[1], fields[2], fields[8]
            agent = verifier.number(user)
            if agent is None or verifier.last_row[agent] == 0 or upto < verifier.last_row[agent]:
                continue
            expected = [verifier.held_state[agent], verifier.last_row[agent]]
            if [state, row] != expected:
                where = {"journal": journal.name, "user": user, "found": [state, row]}
                self._findings.add("state_mismatches", "page", expected=expected, **where)
            self._check_page(agent, fields)

    def _tell(self, what: str) -> None:
        seconds = time.monotonic() - self._began_s
        print(f"verify {seconds:6.1f} s: {what}", file=sys.stderr, flush=True)
