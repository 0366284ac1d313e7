"""WspCommandVerifier: a sender's commands against updates and the events that they made."""

from __future__ import annotations

from typing import Any

from tools.fake_gateway.command_verifier import CommandVerifier
from tools.fake_gateway.exchanges import GIVE_UP_AFTER_S
from tools.fake_gateway.sender_store import Command, SenderStore
from tools.fake_gateway.wsp.expectation import Expectation


class WspCommandVerifier(CommandVerifier):
    """A change is named by the correlation id of its update, which is the command's id."""

    def __init__(
        self,
        expectation: Expectation,
        store: SenderStore | None,
        *,
        give_up_after_s: float = GIVE_UP_AFTER_S,
    ) -> None:
        super().__init__(expectation.exchanges, store, give_up_after_s=give_up_after_s)
        self._expectation = expectation

    def _is_nothing_done(self) -> bool:
        return self._exchanges.is_empty

    def _command(self, command: Command) -> None:
        add, where = self.findings.add, {"command": command.id, "step": command.step}
        updates = self._exchanges.updates.get(command.id, [])
        is_applied = command.id in self._exchanges.changes
        if command.step == "confirmed" and not self._was_told(command.id):
            add("confirmed_not_applied", "no socket was told of such an event", **where)
        if command.acknowledged_us is not None and not is_applied:
            add("acknowledged_not_applied", "no event bears its id", **where)
        if command.step == "refused" and is_applied:
            add("refused_but_applied", "an event bears its id", **where)
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

    def _check_changes(self, store: SenderStore | None) -> None:
        """The audit keeps the ids of commands that are gone by their age."""
        known = set() if store is None else {row.command for row in store.audit}
        for correlation in self._exchanges.updates.keys() - known:
            self.findings.add("updates_of_nobody", "no such command", command=correlation)
        for correlation, numbers in self._exchanges.changes.items():
            if store is not None and len(numbers) > 1:
                self.findings.add("applied_twice", "events", command=correlation, events=numbers)

    def _figures(self, store: SenderStore) -> dict[str, Any]:
        del store  # the ledger tells all of it
        exchanges = self._exchanges
        return {
            "updates": sum(map(len, exchanges.updates.values())),
            "malformed": exchanges.malformed,
            "lost": exchanges.lost,
            "applied": sum(id_ in exchanges.updates for id_ in exchanges.changes),
            "acknowledged": exchanges.acknowledged,
            "unacknowledged": exchanges.unacknowledged,
            "most_in_a_second": exchanges.most_in_a_second,
        }
