"""CommandVerifier: holds a sender's commands against what the gateway did. Knows no file.

without_end             a command without exactly one end
applied_twice           a correlation id that made more than one event
confirmed_not_applied   confirmed, and no event bears its id that any socket was told
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

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from tools.fake_gateway.exchanges import GIVE_UP_AFTER_S, US_PER_S, Exchanges, Message
from tools.fake_gateway.expectation import Expectation
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


class CommandVerifier:
    """`store` None: there is no sender, so there may be no updates."""

    def __init__(
        self,
        expectation: Expectation,
        store: SenderStore | None,
        *,
        give_up_after_s: float = GIVE_UP_AFTER_S,
    ) -> None:
        self._expectation = expectation
        self._exchanges = expectation.exchanges
        self._store = store
        self._give_up_after_us = round(give_up_after_s * US_PER_S)
        self.findings = Findings(KINDS)

    def verify(self) -> dict[str, Any] | None:
        """What was found, and some figures; None: there was neither a sender nor an update."""
        store, exchanges = self._store, self._exchanges
        if store is None:
            if exchanges.is_empty:
                return None
            self._find_nobodys(set())
            return self.findings.counts | {"commands": 0, "examples": self.findings.examples}
        for command in store.commands:
            self._command(command)
        self._find_twice()
        self._find_nobodys({row.command for row in store.audit})
        check_audit(self.findings, store)
        check_webhooks(self.findings, store, exchanges.messages)
        return {
            **self.findings.counts,
            "commands": len(store.commands),
            "by_end": dict(Counter(one.step for one in store.commands if one.step in ENDS)),
            "updates": sum(map(len, exchanges.updates.values())),
            "malformed": exchanges.malformed,
            "lost": exchanges.lost,
            "applied": sum(id_ in exchanges.updates for id_ in exchanges.changes),
            "acknowledged": exchanges.acknowledged,
            "unacknowledged": exchanges.unacknowledged,
            "most_in_a_second": exchanges.most_in_a_second,
            "most_tries": max((command.tries for command in store.commands), default=0),
            "acknowledged_ms": acknowledged_ms(store),
            "webhooks": webhook_counts(store, exchanges),
            "audit_rows": len(store.audit),
            "examples": self.findings.examples,
        }

    def _command(self, command: Command) -> None:
        add, where = self.findings.add, {"command": command.id, "step": command.step}
        updates = self._exchanges.updates.get(command.id, [])
        is_applied = command.id in self._exchanges.changes
        if (command.ended_us is None) or command.step not in ENDS:
            add("without_end", "no end", **where)
        if command.step == "confirmed" and not self._was_told(command.id):
            add("confirmed_not_applied", "no socket was told of such an event", **where)
        if command.acknowledged_us is not None and not is_applied:
            add("acknowledged_not_applied", "no event bears its id", **where)
        if command.step == "refused" and is_applied:
            add("refused_but_applied", "an event bears its id", **where)
        if command.step == "unknown":
            tried_us = (command.ended_us or 0) - (command.first_sent_us or 0)
            if command.first_sent_us is None or tried_us < self._give_up_after_us:
                add("unknown_too_early", "its time was not over", tried_us=tried_us, **where)
        if updates and command.first_sent_us is None:
            add("sent_too_early", "it came before it was known to be sent", **where)
        for update in updates:
            if (update.user, update.state) != (command.user, command.state):
                expected, found = [command.user, command.state], [update.user, update.state]
                add("changed_otherwise", "update", expected=expected, found=found, **where)

    def _was_told(self, correlation: str) -> bool:
        """Whether some socket was told of an event that bears this id."""
        sent, named = self._expectation.sent, self._expectation.named
        return any(
            number < len(sent) and (sent[number] or named[number])
            for number in self._exchanges.changes.get(correlation, ())
        )

    def _find_twice(self) -> None:
        for correlation, numbers in self._exchanges.changes.items():
            if len(numbers) > 1:
                self.findings.add("applied_twice", "events", command=correlation, events=numbers)

    def _find_nobodys(self, known: set[str]) -> None:
        """The audit keeps the ids of commands that are gone by their age."""
        for correlation in self._exchanges.updates.keys() - known:
            self.findings.add("updates_of_nobody", "no such command", command=correlation)


def check_audit(findings: Findings, store: SenderStore) -> None:
    for row, what in store.broken():
        findings.add("audit_broken", what, row=row)
    steps: dict[str, list[str]] = defaultdict(list)
    for row_ in store.audit:
        if row_.step != RESENT:
            steps[row_.command].append(row_.step)
    for command in store.commands:
        told = steps[command.id]
        if told[:1] != [FIRST_STEP] or told[-1] != command.step:
            findings.add(
                "audit_incomplete", "steps", command=command.id, step=command.step, found=told
            )
        ends = [step for step in told if step in ENDS]
        if len(ends) > 1:
            findings.add("without_end", "more than one", command=command.id, found=ends)


def check_webhooks(
    findings: Findings, store: SenderStore, messages: Mapping[str, list[Message]]
) -> None:
    """Where nothing is owed to anybody, none were wanted."""
    add = findings.add
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


def webhook_counts(store: SenderStore, exchanges: Exchanges) -> dict[str, int]:
    outbox = Counter(message.state for message in store.outbox)
    return {
        "waiting": outbox["waiting"],
        "delivered": outbox["delivered"],
        "dead": outbox["dead"],
        "received": sum(map(len, exchanges.messages.values())),
        "refused": exchanges.refused_messages,
    }


def acknowledged_ms(store: SenderStore) -> dict[str, float | None]:
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
