"""Owns the book of unsettled commands: each one's step, and every word that is said of it. Pure.

Knows no rule and no limit: whoever decides a step writes it here, and out come a record, a word for
web, a count and a duration.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any, Final

from actors.messages.commands import Accepted, StatusChanged
from actors.sender.command_index import CommandIndex
from actors.sender.commands import (
    RETRY_AFTER_MS,
    Action,
    Code,
    Command,
    CommandStep,
    Record,
    Refusal,
    ReportOutcome,
    webhook_body,
)
from actors.sender.latency import Latency

COUNTED: Final = (
    "accepted", "repeated", "key_bound", "resumed", "validated", "forced", "admitted",
    "sent", "retried", "unanswered", "acknowledged", "pending",
    "refused", "confirmed", "unconfirmed", "unknown",
    "timeouts", "lost_with_line", "not_sent", "negative", "rate_limited",
    "late", "duplicate", "stray",
    *(f"refused_{code.name.lower()}" for code in Code),
)  # fmt: skip
"""The names in `ActiveCommands.counts`. late, duplicate, stray: answers that changed nothing."""


CLOCKS_APART_MOST_S: Final = 1.0
"""Two clocks that are read one after the other; more than that, and the wall clock was set."""


class Stage(Enum):
    """What a command waits for. Finer than its step, and not kept: a restart makes it anew."""

    VALIDATING = auto()
    QUEUED = auto()  # both permits
    LINELESS = auto()  # a line
    SENT = auto()  # its acknowledgement
    SETTLING = auto()  # the next try, and meanwhile the stream
    CONFIRMING = auto()  # the stream


@dataclass(slots=True, eq=False)
class Flight:
    """An unsettled command, and what is known of it beyond what is kept."""

    command: Command
    give_up_s: float  # counts from its acceptance, once it is sent from its first send
    stage: Stage = Stage.VALIDATING
    is_patient: bool = False  # it was admitted or resumed: its permits may take long
    is_in_doubt: bool = False  # a try went unanswered
    was_in_doubt: bool = False  # before the last try
    line: int | None = None  # that the last try went over, as long as that is unanswered
    last: str = ""  # what became of the last try, or why it is not confirmed
    first_sent_s: float | None = None  # in this life; a clock that is set does not touch it
    is_timed: bool = True  # the gateway applies it as soon as it can
    question: int | None = None  # its time to be confirmed is over, and its shard is asked

    @property
    def id(self) -> str:
        return self.command.id

    @property
    def is_out(self) -> bool:
        """Something of it left. What is validated again after a restart is certainly not
        applied."""
        return self.command.tries > 0 and self.stage is not Stage.VALIDATING

    @property
    def step_between(self) -> CommandStep:
        """Of a command that is to be sent again."""
        return CommandStep.UNANSWERED if self.is_in_doubt else CommandStep.ADMITTED


class ActiveCommands:
    """`on_end` is called with the id of each command that comes to its end."""

    def __init__(self, on_end: Callable[[str], None]) -> None:
        self._on_end = on_end
        self._actions: list[Action] = []
        self.flights: dict[str, Flight] = {}
        self._pending: set[str] = set()
        self.register = CommandIndex()
        self.counts = dict.fromkeys(COUNTED, 0)
        self.to_acknowledgement = Latency()
        self.to_confirmation = Latency()
        self.now_s, self.now_us = 0.0, 0

    @property
    def pending(self) -> int:
        """So many the gateway has accepted to apply them later."""
        return len(self._pending)

    def open(self, command: Command, give_up_s: float) -> Flight:
        assert not command.step.is_end, command
        assert command.id not in self.flights, command
        flight = self.flights[command.id] = Flight(command, give_up_s)
        self._note_pending(command)
        self.register.put(command)
        return flight

    def accept(self, command: Command, order: int, give_up_s: float) -> Flight:
        """Taken is said when it is durable, and before anything else is said of it."""
        flight = self.open(command, give_up_s)
        self.act(Record(command, command.step, self.now_us, "", None))
        self.act(ReportOutcome(Accepted(order, command.id, False)))
        self.tell(command)
        self.counts["accepted"] += 1
        return flight

    def step(self, flight: Flight, step: CommandStep, detail: str = "", **changes: Any) -> None:
        """`changes`: fields of the command."""
        self._write(flight, step, detail, changes)

    def acknowledge(self, flight: Flight, detail: str) -> None:
        """WFM is told of it in the same transaction."""
        command = replace(flight.command, acknowledged_us=self.now_us)
        body = webhook_body(command)
        changes = {"acknowledged_us": self.now_us}
        self._write(flight, CommandStep.ACKNOWLEDGED, detail, changes, webhook=body)
        if flight.is_timed:
            self.to_acknowledgement.add(self._since_first_send_ms(command))

    def end(self, flight: Flight, step: CommandStep, detail: str) -> None:
        """As it is now it stays."""
        assert step.is_end, step
        changes: dict[str, Any] = {"ended_us": self.now_us}
        if step is CommandStep.CONFIRMED:
            changes["confirmed_us"] = self.now_us
            if flight.is_timed:
                self.to_confirmation.add(self._since_first_send_ms(flight.command))
        self._end(flight, step, detail, changes)

    def refuse(self, flight: Flight, refusal: Refusal, retry_after_ms: int | None = None) -> None:
        """What has nothing to do with the command itself leaves its key free for another try."""
        code = refusal.code
        self.counts[f"refused_{code.name.lower()}"] += 1
        changes: dict[str, Any] = {"ended_us": self.now_us, "code": code.value}
        if code in RETRY_AFTER_MS:
            changes["key"] = None
        self._end(flight, CommandStep.REFUSED, refusal.detail, changes, retry_after_ms)

    def tell(self, command: Command, retry_after_ms: int | None = None) -> None:
        after_ms = retry_after_ms or RETRY_AFTER_MS.get(command.code)
        told = StatusChanged(command.id, command.step, command.code, command.detail, after_ms)
        self.act(ReportOutcome(told))

    def act(self, action: Action) -> None:
        self._actions.append(action)

    def take(self) -> list[Action]:
        taken, self._actions = self._actions, []
        return taken

    def age_s(self, at_us: int | None) -> float:
        """By the wall clock, because a predecessor wrote it; one that was set back makes it 0."""
        assert at_us is not None, "it happened"
        return max(0.0, (self.now_us - at_us) / 1e6)

    def by_this_clock(self, flight: Flight) -> Command:
        """With the time of its first send by the wall clock as it is now: it may have been set."""
        command = flight.command
        if flight.first_sent_s is None or command.first_sent_us is None:
            return command
        first_us = self.now_us - round((self.now_s - flight.first_sent_s) * 1e6)
        if abs(first_us - command.first_sent_us) <= CLOCKS_APART_MOST_S * 1e6:
            return command
        return replace(command, first_sent_us=first_us)

    def _end(
        self,
        flight: Flight,
        step: CommandStep,
        detail: str,
        changes: dict[str, Any],
        retry_after_ms: int | None = None,
    ) -> None:
        self._write(flight, step, detail, changes, retry_after_ms=retry_after_ms)
        del self.flights[flight.id]
        self._on_end(flight.id)

    def _write(
        self,
        flight: Flight,
        step: CommandStep,
        detail: str,
        changes: dict[str, Any],
        *,
        webhook: bytes | None = None,
        retry_after_ms: int | None = None,
    ) -> None:
        command = replace(flight.command, step=step, detail=detail, **changes)
        flight.command = command
        self._note_pending(command)
        self.register.put(command)
        self.counts[step] += 1
        self.act(Record(command, step, self.now_us, detail, webhook))
        self.tell(command, retry_after_ms)

    def _note_pending(self, command: Command) -> None:
        if command.step is CommandStep.PENDING:
            self._pending.add(command.id)
        else:
            self._pending.discard(command.id)

    def _since_first_send_ms(self, command: Command) -> float:
        return (self.now_us - (command.first_sent_us or self.now_us)) / 1e3
