"""CloudCommandVerifier: holds a sender's commands against the presences that calls have changed.

The kinds of finding are those of the other dialect. The platform knows no correlation id: what
names a change is its modifiedDate, which the audit keeps of the acknowledgement. An answer may bear
another one, and it may come before its change, which may never come: *confirmed* is then only what
a channel has shown, the wanted definition, after the command was sent.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import orjson

from tools.fake_gateway.cloud.definitions import DEFINITIONS
from tools.fake_gateway.cloud.expectation import CloudExpectation, PresenceChange
from tools.fake_gateway.cloud.subscribers import DEAF, LEFT_OUT, NOBODY
from tools.fake_gateway.cloud.varied_lines import HeldBack
from tools.fake_gateway.command_verifier import CommandVerifier
from tools.fake_gateway.exchanges import GIVE_UP_AFTER_S, US_PER_S
from tools.fake_gateway.sender_store import Command, SenderStore

PENDING = "pending"  # a command's step that is no end
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
        self._expectation = expectation
        self._held_back: dict[str, list[HeldBack]] = defaultdict(list)  # by user
        for one in expectation.varied.held_back:
            self._held_back[expectation.users[one.agent]].append(one)
        self._number_of = {user: number for number, user in enumerate(expectation.users)}
        self._open = 0  # commands that wait for what has not come
        self._by_others = 0  # confirmed by what the channel showed, and not by its own change
        self._shown = {} if store is None else _shown(store)

    def _is_nothing_done(self) -> bool:
        return not self._changes and not self._held_back

    def _command(self, command: Command) -> None:
        add, where = self.findings.add, {"command": command.id, "step": command.step}
        changes, shown_us = self._changes.get(command.user, []), self._shown.get(command.id)
        change = self._named(command.user, changes, shown_us)
        is_answered = command.acknowledged_us is not None and shown_us is not None
        held_back = self._is_held_back(command)
        if is_answered and change is None and not held_back:
            add("acknowledged_not_applied", "no change has its modifiedDate", **where)
        is_other = change is not None and change.presence not in meant(command.state)
        if is_answered and change is not None and is_other and not held_back:
            add("changed_otherwise", "presence", found=change.presence, **where)
        if command.step == "confirmed":
            self._confirmed(command, change, where, is_held_back=held_back)

    def _may_be_open(self, command: Command) -> bool:
        """What is pending may be so for an hour, unless its change has come."""
        if command.step != PENDING or not self._is_held_back(command):
            return False
        if self._has_come(command, is_told=True):
            return False
        self._open += 1
        return True

    def _has_come(self, command: Command, *, is_told: bool = False) -> bool:
        """Whether a change by a call that it may have made was made behind it; `is_told`: certainly
        behind it (one just before it was another command's), and a socket was told of it."""
        socket_of = self._expectation.socket_of
        began_us = command.first_sent_us or command.accepted_us
        return any(
            one.presence in meant(command.state)
            and self._is_within(command, one.made_us)
            and not (is_told and one.made_us < began_us)
            and not (is_told and socket_of[one.number] in (NOBODY, LEFT_OUT, DEAF))
            for one in self._changes.get(command.user, ())
        )

    def _named(
        self, user: str, changes: list[PresenceChange], shown_us: int | None
    ) -> PresenceChange | None:
        """The change whose modifiedDate was told: its own, or the one that stands for it."""
        if shown_us is None:
            return None
        agent = self._number_of.get(user, -1)
        true_us = self._expectation.varied.date_of.get((agent, shown_us), shown_us)
        return next((one for one in changes if one.at_us == true_us), None)

    def _is_held_back(self, command: Command) -> bool:
        """Whether an answer to it told of a change that was not made then."""
        return any(
            one.presence in meant(command.state) and self._is_within(command, one.at_us)
            for one in self._held_back.get(command.user, ())
        )

    def _is_within(self, command: Command, at_us: int) -> bool:
        began_us = command.first_sent_us or command.accepted_us
        ended_us = command.ended_us or at_us
        return began_us - SLACK_US <= at_us <= ended_us + SLACK_US

    def _confirmed(
        self,
        command: Command,
        change: PresenceChange | None,
        where: dict[str, Any],
        *,
        is_held_back: bool,
    ) -> None:
        """A channel must have shown it; of one that was held back, that very change, or at least
        the presence that it wants, before it ended."""
        is_shown = change is not None
        if is_held_back:
            is_shown = self._has_come(command)
            if not is_shown and self._was_shown(command):
                self._by_others += 1
                return
        if not is_shown:
            told = "no channel showed it" if is_held_back else "no change has its modifiedDate"
            self.findings.add("confirmed_not_applied", told, **where)

    def _was_shown(self, command: Command) -> bool:
        """Whether an event told the wanted presence between sending and the end: nobody could tell
        it from the command's own."""
        expectation, wanted = self._expectation, meant(command.state)
        agent = self._number_of[command.user]
        began_us = command.first_sent_us or command.accepted_us
        return any(
            expectation.presences[number] in wanted
            and self._is_within(command, expectation.sent_us(number))
            for number in expectation.numbers_since(agent, began_us - SLACK_US)
        )

    def _figures(self, store: SenderStore) -> dict[str, Any]:
        return {
            "applied": sum(map(len, self._changes.values())),
            "acknowledged": sum(one.acknowledged_us is not None for one in store.commands),
            "held_back": sum(map(len, self._held_back.values())),
            "confirmed_by_others": self._by_others,
            "pending_at_end": self._open,
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
