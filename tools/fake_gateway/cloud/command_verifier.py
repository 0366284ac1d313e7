"""CloudCommandVerifier: holds a sender's commands against the presences that calls have changed.

The kinds of finding are those of the other dialect. The platform knows no correlation id: what
names a change is its modifiedDate, which the audit keeps of the acknowledgement.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import orjson

from tools.fake_gateway.cloud.definitions import DEFINITIONS
from tools.fake_gateway.cloud.expectation import CloudExpectation, PresenceChange
from tools.fake_gateway.command_verifier import CommandVerifier
from tools.fake_gateway.exchanges import GIVE_UP_AFTER_S, US_PER_S
from tools.fake_gateway.sender_store import Command, SenderStore

CLIENT = "client "  # a change by one of the OAuth clients
SLACK_US = 2 * US_PER_S  # between what the sender notes and what the gateway does
_SHOWN = re.compile(r"presence@(\d+)")


class CloudCommandVerifier(CommandVerifier):
    def __init__(
        self,
        expectation: CloudExpectation,
        store: SenderStore | None,
        *,
        give_up_after_s: float = GIVE_UP_AFTER_S,
    ) -> None:
        super().__init__(expectation.exchanges, store, give_up_after_s=give_up_after_s)
        self._changes: dict[str, list[PresenceChange]] = defaultdict(list)  # by user
        for change in expectation.changes:
            if change.by.startswith(CLIENT) and change.presence is not None:
                self._changes[expectation.users[change.agent]].append(change)
        self._shown = {} if store is None else _shown(store)

    def _is_nothing_done(self) -> bool:
        return not self._changes

    def _command(self, command: Command) -> None:
        add, where = self.findings.add, {"command": command.id, "step": command.step}
        changes, shown_us = self._changes.get(command.user, []), self._shown.get(command.id)
        change = next((one for one in changes if one.at_us == shown_us), None)
        if command.acknowledged_us is not None and shown_us is not None:
            if change is None:
                add("acknowledged_not_applied", "no change has its modifiedDate", **where)
            elif change.presence not in meant(command.state):
                add("changed_otherwise", "presence", found=change.presence, **where)
        if command.step == "confirmed" and change is None:
            add("confirmed_not_applied", "no change has its modifiedDate", **where)

    def _figures(self, store: SenderStore) -> dict[str, Any]:
        return {
            "applied": sum(map(len, self._changes.values())),
            "acknowledged": sum(one.acknowledged_us is not None for one in store.commands),
        }

    def _check_changes(self, store: SenderStore | None) -> None:
        """Each change is of a command that had been sent, and none of them made two."""
        if store is None:
            for user in self._changes:
                self.findings.add("updates_of_nobody", "there is no sender", user=user)
            return
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
