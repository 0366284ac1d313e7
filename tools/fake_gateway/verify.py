"""Verification: a gateway's ledger against what a runtime kept, told as one JSON object.

lost                events that were told and stand in no row, and that no honest gap row covers
phantom             rows of what was never told
inversions          rows that come before an earlier change of their agent
duplicate_effects   changes that stand twice
state_mismatches    rows, final states, pages or counts that say something wrong
commands            what a sender did (see `command_verifier.py`); null: there was none
"""

from __future__ import annotations

import gc
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import orjson

from tools.fake_gateway.allowed_losses import SpanSet
from tools.fake_gateway.cloud import verify as cloud
from tools.fake_gateway.command_verifier import CommandVerifier
from tools.fake_gateway.exchanges import GIVE_UP_AFTER_S
from tools.fake_gateway.expectation import Expectation, LedgerError
from tools.fake_gateway.findings import Findings, Latencies
from tools.fake_gateway.journals import JournalError, ShardJournal, open_journals
from tools.fake_gateway.ledger import dialect_of
from tools.fake_gateway.row_verifier import INITIAL, NEVER, UNKNOWN, RowVerifier
from tools.fake_gateway.script import STATES
from tools.fake_gateway.sender_store import open_store

EXIT_VERIFIED, EXIT_FINDINGS, EXIT_UNUSABLE = 0, 1, 2
OUTCOMES = ("applied", "unchanged", "duplicates", "late", "shed", "quarantined")


def run(
    ledger: Path,
    data: Path,
    *,
    journal: str = "full",
    to_newest: bool = False,
    give_up_after_s: float = GIVE_UP_AFTER_S,
    json_file: Path | None = None,
) -> int:
    """Prints the result and returns the exit code."""
    how: dict[str, Any] = {
        "is_journalled": journal == "full",
        "to_newest": to_newest,
        "give_up_after_s": give_up_after_s,
    }
    gc.disable()  # millions of small tuples, none of them in a cycle
    try:
        if dialect_of(ledger) == "cloud":
            result = cloud.verify(ledger, data, **how)
        else:
            result = verify(ledger, data, **how)
    except (LedgerError, JournalError) as error:
        print(f"verify: {error}", file=sys.stderr)
        return EXIT_UNUSABLE
    finally:
        gc.enable()
    text = orjson.dumps(result, option=orjson.OPT_INDENT_2).decode()
    print(text)
    if json_file is not None:
        json_file.write_text(text + "\n")
    return EXIT_VERIFIED if result["verified"] else EXIT_FINDINGS


def verify(
    ledger: Path,
    data: Path,
    *,
    is_journalled: bool = True,
    to_newest: bool = False,
    give_up_after_s: float = GIVE_UP_AFTER_S,
) -> dict[str, Any]:
    began_s = time.monotonic()
    expectation = Expectation(ledger)
    required = expectation.required
    _tell(f"ledger: {required.end - required.first} events to be kept", began_s)
    findings = Findings()
    archived, current = open_journals(data)
    try:
        counts: Counter[str] = sum((journal.counts() for journal in current), Counter())
        quarantined: Counter[str] = sum((each.quarantined() for each in current), Counter())
        _check_counts(expectation, findings, counts)
        if to_newest:
            _check_marks(expectation, findings, current)
        if is_journalled:
            told = _full(expectation, findings, archived + current, counts, began_s)
        else:
            told = _final_only(expectation, findings, current, counts)
    finally:
        for journal in archived + current:
            journal.close()
    verifier = CommandVerifier(expectation, open_store(data), give_up_after_s=give_up_after_s)
    commands = verifier.verify()
    is_clean = findings.is_clean and verifier.findings.is_clean
    _tell("verified" if is_clean else "there are findings", began_s)
    agents = expectation.script.settings.agents
    return {
        "verified": is_clean,
        **findings.counts,
        "sent": expectation.sent_events + expectation.sent_history + expectation.sent_broken,
        "sent_events": expectation.sent_events,
        "sent_history": expectation.sent_history,
        "sent_broken": expectation.sent_broken,
        "expected": required.end - required.first + (agents if expectation.sockets else 0),
        **told,
        "agents": agents,
        "sockets": len(expectation.sockets),
        "epochs": len(expectation.seen_epochs),
        "faults": dict(expectation.faults),
        "troubles": expectation.fault_outcomes.report(),
        "commands": commands,
        "quarantined": dict(quarantined),
        "counts": dict(counts),
        "seconds": round(time.monotonic() - began_s, 2),
        "examples": findings.examples,
    }


def _full(
    expectation: Expectation,
    findings: Findings,
    journals: list[ShardJournal],
    counts: Counter[str],
    began_s: float,
) -> dict[str, Any]:
    verifier = RowVerifier(expectation, findings)
    gaps: set[tuple[int, int, int]] = set()
    allowed: dict[str, list[SpanSet]] = {}
    is_complete = True  # nothing pruned, nothing archived: rows and counts can be compared
    for journal in journals:
        verifier.journal(journal.name, journal.users(), journal.rows(), journal.commits())
        gaps |= journal.gaps()
        losses = SpanSet(expectation.excused(journal.gaps()))
        for _, user in journal.users():
            allowed.setdefault(user, []).append(losses)
        is_complete &= journal.first_row() == 1 and "/" not in journal.name
        for row in journal.unmatched_gaps():
            findings.add("state_mismatches", "gap row", journal=journal.name, row=row)
        _check_pages(verifier, findings, journal)
        _tell(f"{journal.name}: {sum(verifier.rows.values())} rows so far", began_s)
    excused = _find_lost(expectation, findings, verifier, allowed)
    _check_final(expectation, findings, verifier)
    rows = verifier.rows
    if is_complete:
        kept = {"applied": rows["live"] + rows["history"], "late": rows["late"]}
        for outcome, count in kept.items():
            if counts[outcome] != count:
                findings.add(
                    "state_mismatches", "counts", count=outcome, rows=count, told=counts[outcome]
                )
    return {
        "excused": excused,
        "rows": rows["live"] + rows["history"] + rows["late"],
        "late_rows": rows["late"],
        "unknown_rows": rows["lost"],
        "restored": verifier.restored,
        "gaps": len(gaps),
        "latency_ms": verifier.latencies.quantiles_ms(),
    }


def _find_lost(
    expectation: Expectation,
    findings: Findings,
    verifier: RowVerifier,
    allowed: dict[str, list[SpanSet]],
) -> int:
    """Returns how many missing events an honest gap row accounts for: one in a journal that holds
    the agent (`allowed`, by user)."""
    excused = 0
    first, end = expectation.required
    users = expectation.script.users
    number = verifier.stated.find(0, first, end)
    while number >= 0:
        user = users[expectation.agents[number]]
        if any(number in losses for losses in allowed.get(user, ())):
            excused += 1
        else:
            findings.add(
                "lost", "event", sequence=expectation.numbering.sequence(number), user=user
            )
        number = verifier.stated.find(0, number + 1, end)
    # One history fact per agent at the first connect. Later sockets may have overtaken it.
    if expectation.whole_histories:
        is_only = len(expectation.sockets) == 1
        changes = expectation.last_changes(first)
        for agent, held in enumerate(verifier.held):
            if held == NEVER or (is_only and not verifier.has_stated(agent, changes[agent])):
                findings.add("lost", "history", user=users[agent])
    return excused


def _check_final(expectation: Expectation, findings: Findings, verifier: RowVerifier) -> None:
    """What is held at the end is what was told last."""
    for agent, number in enumerate(expectation.last_changes(expectation.end)):
        held, state = verifier.held[agent], verifier.held_state[agent]
        if held == NEVER:
            continue  # lost, which is found already
        rightly = _final_states(expectation, agent, number)
        if state not in rightly or (state != UNKNOWN and held != number):
            findings.add(
                "state_mismatches",
                "final state",
                user=expectation.script.users[agent],
                expected=rightly,
                found=state,
                expected_event=number,
                found_event=held,
            )


def _final_states(expectation: Expectation, agent: int, number: int) -> list[str]:
    """What an agent whose last event this is may be at the end. Only who was thrown out may rightly
    hold as Unknown whom a history would have named."""
    newest = expectation.named_by.newest
    is_newer = newest is not None and number >= newest.head
    state = _state(expectation, agent, number)
    if not expectation.is_history_whole:
        return [state, UNKNOWN]
    is_unnamed = expectation.named_by.is_unnamed_at_last(agent)
    return [UNKNOWN] if is_unnamed and not is_newer else [state]


def _check_marks(
    expectation: Expectation, findings: Findings, journals: list[ShardJournal]
) -> None:
    newest = expectation.newest_mark
    for journal in journals:
        if (mark := journal.mark()) != newest:
            findings.add("lost", "the end", journal=journal.name, expected=newest, found=mark)


def _check_pages(verifier: RowVerifier, findings: Findings, journal: ShardJournal) -> None:
    """A page that is as new as its agents' last rows says what they say."""
    number_of = verifier.number_of
    for upto, (_, user, state, _, _, _, _, _, row, *_) in journal.pages():
        agent = number_of.get(user)
        if agent is None or verifier.last_row[agent] == 0 or upto < verifier.last_row[agent]:
            continue
        if (state, row) != (verifier.held_state[agent], verifier.last_row[agent]):
            findings.add(
                "state_mismatches",
                "page",
                journal=journal.name,
                user=user,
                expected=[verifier.held_state[agent], verifier.last_row[agent]],
                found=[state, row],
            )


def _final_only(
    expectation: Expectation,
    findings: Findings,
    journals: list[ShardJournal],
    counts: Counter[str],
) -> dict[str, Any]:
    """Without rows: everybody's state, and what the counts can tell."""
    users = expectation.script.users
    number_of = {user: number for number, user in enumerate(users)}
    found = {one[1]: one for journal in journals for _, one in journal.pages()}
    for user in found.keys() - number_of.keys():
        findings.add("phantom", "nobody in the organisation", user=user)
    changes = expectation.last_changes(expectation.end)
    for agent, user in enumerate(users):
        if user not in found:
            if expectation.whole_histories:
                findings.add("lost", "history", user=user)
            continue
        rightly, state = _final_states(expectation, agent, changes[agent]), found[user][2]
        if state not in rightly:
            findings.add(
                "state_mismatches", "final state", user=user, expected=rightly, found=state
            )
    first, end = expectation.required
    if len(expectation.sockets) == 1 and expectation.is_history_whole:
        # One socket, every fact once: each made an effect, and nothing else did.
        surplus = counts["applied"] + counts["late"] - (end - first + len(users))
        for kind in ("lost",) * -surplus + ("phantom",) * surplus:
            findings.add(kind, "counts", applied=counts["applied"], late=counts["late"])
    return {
        "excused": 0,
        "rows": 0,
        "late_rows": 0,
        "unknown_rows": 0,
        "restored": 0,
        "gaps": 0,
        "latency_ms": Latencies().quantiles_ms(),
    }


def _check_counts(expectation: Expectation, findings: Findings, counts: Counter[str]) -> None:
    total = sum(counts[outcome] for outcome in OUTCOMES)
    if counts["received"] != total:
        findings.add(
            "state_mismatches", "counts", count="received", told=counts["received"], sum=total
        )
    sent = expectation.sent_events + expectation.sent_history + expectation.sent_broken
    if counts["received"] > sent:
        findings.add("phantom", "more received than sent", told=counts["received"], sent=sent)


def _state(expectation: Expectation, agent: int, number: int) -> str:
    if number == INITIAL:
        return expectation.initial(agent).state
    return STATES[expectation.states[number]]


def _tell(what: str, began_s: float) -> None:
    print(f"verify {time.monotonic() - began_s:6.1f} s: {what}", file=sys.stderr, flush=True)
