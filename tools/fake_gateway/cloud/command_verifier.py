"""CloudCommandVerifier: holds a sender's commands against the presences that calls have changed.

The kinds of finding are those of the other dialect. The platform knows no correlation id: what
names a change is its modifiedDate, which the audit keeps of the acknowledgement.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import Any

import orjson

from tools.fake_gateway.cloud.definitions import DEFINITIONS
from tools.fake_gateway.cloud.expectation import Change, CloudExpectation
from tools.fake_gateway.command_verifier import (
    ENDS,
    KINDS,
    acknowledged_ms,
    check_audit,
    check_webhooks,
    webhook_counts,
)
from tools.fake_gateway.exchanges import GIVE_UP_AFTER_S, US_PER_S
from tools.fake_gateway.findings import Findings
from tools.fake_gateway.sender_store import Command, SenderStore

CLIENT = "client "  # a change by one of the OAuth clients
SLACK_US = 2 * US_PER_S  # between what the sender notes and what the gateway does
_SHOWN = re.compile(r"presence@(\d+)")


class CloudCommandVerifier:
    """`store` None: there is no sender, so calls may change nobody."""

    def __init__(
        self,
        expectation: CloudExpectation,
        store: SenderStore | None,
        *,
        give_up_after_s: float = GIVE_UP_AFTER_S,
    ) -> None:
        self._expectation = expectation
        self._store = store
        self._give_up_after_us = round(give_up_after_s * US_PER_S)
        self._changes: dict[str, list[Change]] = defaultdict(list)  # by user
        for change in expectation.changes:
            if change.by.startswith(CLIENT) and change.presence is not None:
                self._changes[expectation.users[change.agent]].append(change)
        self.findings = Findings(KINDS)

    def verify(self) -> dict[str, Any] | None:
        """What was found, and some figures; None: there was neither a sender nor a change."""
        store, exchanges = self._store, self._expectation.exchanges
        if store is None:
            if not self._changes:
                return None
            for user in self._changes:
                self.findings.add("updates_of_nobody", "there is no sender", user=user)
            return self.findings.counts | {"commands": 0, "examples": self.findings.examples}
        shown = _shown(store)
        for command in store.commands:
            self._command(command, shown.get(command.id))
        self._find_nobodys(store)
        check_audit(self.findings, store)
        check_webhooks(self.findings, store, exchanges.messages)
        return {
            **self.findings.counts,
            "commands": len(store.commands),
            "by_end": dict(Counter(one.step for one in store.commands if one.step in ENDS)),
            "applied": sum(map(len, self._changes.values())),
            "acknowledged": sum(one.acknowledged_us is not None for one in store.commands),
            "most_tries": max((command.tries for command in store.commands), default=0),
            "acknowledged_ms": acknowledged_ms(store),
            "webhooks": webhook_counts(store, exchanges),
            "audit_rows": len(store.audit),
            "examples": self.findings.examples,
        }

    def _command(self, command: Command, shown_us: int | None) -> None:
        add, where = self.findings.add, {"command": command.id, "step": command.step}
        if command.ended_us is None or command.step not in ENDS:
            add("without_end", "no end", **where)
        changes = self._changes.get(command.user, [])
        change = next((one for one in changes if one.at_us == shown_us), None)
        if command.acknowledged_us is not None and shown_us is not None:
            if change is None:
                add("acknowledged_not_applied", "no change has its modifiedDate", **where)
            elif change.presence not in meant(command.state):
                add("changed_otherwise", "presence", found=change.presence, **where)
        if command.step == "confirmed" and change is None:
            add("confirmed_not_applied", "no change has its modifiedDate", **where)
        if command.step == "unknown":
            tried_us = (command.ended_us or 0) - (command.first_sent_us or 0)
            if command.first_sent_us is None or tried_us < self._give_up_after_us:
                add("unknown_too_early", "its time was not over", tried_us=tried_us, **where)

    def _find_nobodys(self, store: SenderStore) -> None:
        """Each change is of a command that had been sent, and none of them made two."""
        commands: dict[str, list[Command]] = defaultdict(list)
        for command in store.commands:
            if command.first_sent_us is not None:
                commands[command.user].append(command)
        for user, changes in self._changes.items():
            sent = commands[user]
            for change in changes:
                before = [
                    one
                    for one in sent
                    if (one.first_sent_us or 0) - SLACK_US <= change.made_us
                    and change.presence in meant(one.state)
                ]
                if not before:
                    where = {"user": user, "presence": change.presence, "event": change.number}
                    self.findings.add("updates_of_nobody", "no such command", **where)
            if len(changes) > len(sent) > 0:
                where = {"user": user, "changes": len(changes), "commands": len(sent)}
                self.findings.add("applied_twice", "more changes than commands", **where)


def meant(text: str) -> set[int]:
    """The definitions that a sender may mean by it: an id, or a name in any of its spellings."""
    wanted = _alphanumeric(text)
    return {
        number
        for number, one in enumerate(DEFINITIONS)
        if wanted in map(_alphanumeric, (one.id, one.label, one.german, one.system_presence))
    }


def _alphanumeric(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())


def _shown(store: SenderStore) -> dict[str, int]:
    """By command the modifiedDate of its acknowledgement, in µs."""
    shown = {}
    for row in store.audit:
        if row.step == "acknowledged" and row.detail is not None:
            found = _SHOWN.search(str(orjson.loads(row.detail).get("detail", "")))
            if found is not None:
                shown[row.command] = int(found[1])
    return shown
