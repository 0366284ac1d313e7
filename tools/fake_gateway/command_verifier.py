"""CommandVerifier: holds a sender's commands against what the gateway did. Knows no file.

without_end             a command without exactly one end
applied_twice           one command that made more than one change
confirmed_not_applied   confirmed, and no change of it was told
acknowledged_not_applied  acknowledged, and nothing was applied
refused_but_applied     told to have changed nothing, and it did
changed_otherwise       an update whose user or state is not its command's
sent_too_early          an update that came, and its command does not know of having sent one
updates_of_nobody       … and there is no such command
unknown_too_early       given up before its time was over
webhook_missing         a success that the receiver was not told of
webhook_ids             a message under another id than its success has, or with other content
webhook_unearned        a message of a command that was no success
audit_broken            rows of the audit that the chain does not bear out
audit_incomplete        a command whose steps in the audit do not lead to where it stands
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from typing import Any

from tools.fake_gateway.exchanges import GIVE_UP_AFTER_S, US_PER_S, Exchanges
from tools.fake_gateway.findings import Findings
from tools.fake_gateway.sender_store import RESENT, Command, SenderStore

KINDS = (
    "without_end",
    "applied_twice",
    "confirmed_not_applied",
    "acknowledged_not_applied",
    "refused_but_applied",
    "changed_otherwise",
    "sent_too_early",
    "updates_of_nobody",
    "unknown_too_early",
    "webhook_missing",
    "webhook_ids",
    "webhook_unearned",
    "audit_broken",
    "audit_incomplete",
)
FIRST_STEP = "accepted"
ENDS = ("refused", "confirmed", "unconfirmed", "unknown")
SHARES = {"p50": 0.5, "p99": 0.99, "max": 1.0}


class CommandVerifier(ABC):
    """`store` None: there is no sender, so nobody may have been changed by one."""

    def __init__(
        self,
        exchanges: Exchanges,
        store: SenderStore | None,
        *,
        give_up_after_s: float = GIVE_UP_AFTER_S,
    ) -> None:
        self._exchanges = exchanges
        self._store = store
        self._give_up_after_us = round(give_up_after_s * US_PER_S)
        self.findings = Findings(KINDS)

    @abstractmethod
    def _is_nothing_done(self) -> bool:
        """Whether no client changed anybody."""

    @abstractmethod
    def _command(self, command: Command) -> None:
        """Against what became of it."""

    @abstractmethod
    def _check_changes(self, store: SenderStore | None) -> None:
        """Each is of a command, and of one only."""

    @abstractmethod
    def _figures(self, store: SenderStore) -> dict[str, Any]: ...

    def verify(self) -> dict[str, Any] | None:
        """What was found, and some figures; None: there was neither a sender nor a change."""
        store = self._store
        if store is None:
            if self._is_nothing_done():
                return None
            self._check_changes(None)
            return self.findings.counts | {"commands": 0, "examples": self.findings.examples}
        for command in store.commands:
            self._check_end(command)
            self._command(command)
        self._check_changes(store)
        self._check_audit(store)
        self._check_webhooks(store)
        return {
            **self.findings.counts,
            "commands": len(store.commands),
            "by_end": dict(Counter(one.step for one in store.commands if one.step in ENDS)),
            **self._figures(store),
            "most_tries": max((command.tries for command in store.commands), default=0),
            "acknowledged_ms": _acknowledged_ms(store),
            "webhooks": self._webhook_counts(store),
            "audit_rows": len(store.audit),
            "examples": self.findings.examples,
        }

    def _check_end(self, command: Command) -> None:
        add, where = self.findings.add, {"command": command.id, "step": command.step}
        is_over = command.ended_us is not None and command.step in ENDS
        if not is_over and not self._may_be_open(command):
            add("without_end", "no end", **where)
        if command.step == "unknown":
            tried_us = (command.ended_us or 0) - (command.first_sent_us or 0)
            if command.first_sent_us is None or tried_us < self._give_up_after_us:
                add("unknown_too_early", "its time was not over", tried_us=tried_us, **where)

    def _may_be_open(self, command: Command) -> bool:
        """Whether what it waits for has not come."""
        del command
        return False

    def _check_audit(self, store: SenderStore) -> None:
        add = self.findings.add
        for row, what in store.broken():
            add("audit_broken", what, row=row)
        steps: dict[str, list[str]] = defaultdict(list)
        for row_ in store.audit:
            if row_.step != RESENT:
                steps[row_.command].append(row_.step)
        for command in store.commands:
            told = steps[command.id]
            if told[:1] != [FIRST_STEP] or told[-1] != command.step:
                where = {"command": command.id, "step": command.step, "found": told}
                add("audit_incomplete", "steps", **where)
            ends = [step for step in told if step in ENDS]
            if len(ends) > 1:
                add("without_end", "more than one", command=command.id, found=ends)

    def _check_webhooks(self, store: SenderStore) -> None:
        """Where nothing is owed to anybody, none were wanted."""
        add, messages = self.findings.add, self._exchanges.messages
        commands = {command.id: command for command in store.commands}
        outbox = {message.id: message for message in store.outbox}
        for id_, told in messages.items():
            message = outbox.get(id_)
            command = commands.get(message.command) if message is not None else None
            if command is None:
                add("webhook_ids", "no success has this id", id=id_)
                continue
            if command.acknowledged_us is None:
                add("webhook_unearned", "the command was no success", id=id_, command=command.id)
            if set(told) != {(command.user, command.state)}:
                add("webhook_ids", "it tells of something else", id=id_, command=command.id)
        if not outbox and not messages:
            return
        message_of = {message.command: message for message in store.outbox}
        for command in store.commands:
            message = message_of.get(command.id)
            is_told = message is not None and message.id in messages
            if command.acknowledged_us is not None and not is_told:
                state = None if message is None else message.state
                add("webhook_missing", "never received", command=command.id, letter=state)

    def _webhook_counts(self, store: SenderStore) -> dict[str, int]:
        states = Counter(message.state for message in store.outbox)
        return {
            **{state: states[state] for state in ("waiting", "delivered", "dead")},
            "received": sum(map(len, self._exchanges.messages.values())),
            "refused": self._exchanges.refused_messages,
        }


def _acknowledged_ms(store: SenderStore) -> dict[str, float | None]:
    """From the first try to the acknowledgement."""
    taken_us = sorted(
        one.acknowledged_us - one.first_sent_us
        for one in store.commands
        if one.acknowledged_us is not None and one.first_sent_us is not None
    )
    if not taken_us:
        return dict.fromkeys(SHARES)
    last = len(taken_us) - 1
    return {name: taken_us[round(last * share)] / 1000 for name, share in SHARES.items()}
