"""Owns the way of each command from its order to its one end, and who on it decides what. Pure.

Knows no ring, socket, clock, thread or file: orders, answers, signals and time in, actions out.
Whoever carries them out commits all records of a batch first, and then does the rest in order.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Final

from actors.messages.commands import Accepted, CommandRequest, Rejected
from actors.messages.queries import AgentRecord, Answer, QueueRecord, TransitionSeen
from actors.sender import signals
from actors.sender.active_commands import ActiveCommands
from actors.sender.capacity import CapacityAnalyzer, LimitsAnalyzer
from actors.sender.commands import (
    KEY_BOUND,
    Action,
    Code,
    Command,
    CommandStep,
    Refusal,
    ReportOutcome,
)
from actors.sender.deadlines import NEVER_S
from actors.sender.dialect import Dialect, WspDialect
from actors.sender.latency import Latency
from actors.sender.sending import Sending
from actors.sender.validation import Passed, Validation, Verdict
from actors.settings.sender import SenderSettings

_FIRST_QUESTION_BITS: Final = 40  # a random start: a predecessor's answers may still be under way


class CommandMachine:
    """`restore` comes first, once."""

    def __init__(
        self,
        settings: SenderSettings,
        shards: int,
        rng: random.Random,
        analyzer: CapacityAnalyzer | None = None,
        *,
        dialect: Dialect | None = None,
    ) -> None:
        self._settings = settings
        self._dialect = dialect or WspDialect(settings)
        self._active = ActiveCommands(on_end=self._ended)
        self._sending = Sending(settings, self._dialect, shards, rng, self._active)
        self._validation = Validation(
            settings,
            self._dialect,
            shards=shards,
            analyzer=analyzer or LimitsAnalyzer(),
            act=self._active.act,
            first_question=rng.getrandbits(_FIRST_QUESTION_BITS),
        )

    # What shows

    @property
    def due_s(self) -> float | None:
        """When it wants to hear `Due`."""
        due_s = min(self._validation.due_s, self._sending.due_s)
        return None if due_s == NEVER_S else due_s

    @property
    def counts(self) -> dict[str, int]:
        """By the names of `active_commands.COUNTED`."""
        counts = self._active.counts
        return {**counts, "stray": counts["stray"] + self._validation.strays}

    @property
    def to_acknowledgement(self) -> Latency:
        """Since the first send."""
        return self._active.to_acknowledgement

    @property
    def to_confirmation(self) -> Latency:
        """Since the first send."""
        return self._active.to_confirmation

    @property
    def unsettled(self) -> int:
        return len(self._active.flights)

    @property
    def validating(self) -> int:
        return len(self._validation)

    @property
    def waiting(self) -> int:
        """For permits or a line."""
        return self._sending.waiting

    @property
    def in_flight(self) -> int:
        return self._sending.in_flight

    @property
    def pending(self) -> int:
        """Commands that the gateway applies later."""
        return self._active.pending

    @property
    def departures(self) -> int:
        """Agents that are about to leave their queue."""
        return self._validation.departures

    # What comes in

    def restore(self, commands: Iterable[Command], now_s: float, now_us: int) -> list[Action]:
        """What a predecessor left without an end. The bucket of the rate is empty."""
        self._at(now_s, now_us)
        self._sending.start()
        for command in commands:
            self._resume(command)
        return self._decided()

    def order(
        self, order: CommandRequest, bound: Command | None, now_s: float, now_us: int
    ) -> list[Action]:
        """`bound`: the command that the store has under this key or this id, if any."""
        self._at(now_s, now_us)
        order = order._replace(user_id=self._dialect.spelt(order.user_id))
        known = self._active.register.find(order, bound)
        if known is None:
            self._accept(order)
        else:
            self._repeat(order, known)
        return self._decided()

    def answer(self, shard: int, answer: Answer, now_s: float, now_us: int) -> list[Action]:
        self._at(now_s, now_us)
        match answer:
            case AgentRecord() if self._sending.agent_told(answer):
                pass
            case AgentRecord() | QueueRecord():
                self._judged(self._validation.answer(shard, answer, now_s))
            case TransitionSeen():
                self._sending.shown(answer)
        return self._decided()

    def signal(self, signal: signals.Signal, now_s: float, now_us: int) -> list[Action]:
        self._at(now_s, now_us)
        match signal:
            case signals.LineUp(line=line):
                self._sending.line_up(line)
            case signals.LineDown():
                self._sending.line_down(signal)
            case signals.StatesKnown():
                self._dialect.learn(signal)
                self._validation.learned(now_s)
            case signals.Acknowledged() | signals.Pending():
                self._sending.answered(signal)
            case signals.Unanswered():
                self._sending.unanswered(signal)
            case signals.NotSent():
                self._sending.not_sent(signal)
            case signals.UserChecked():
                self._judged(self._validation.user_checked(signal, now_s))
            case signals.Due():
                self._judged(self._validation.due(now_s))
                self._sending.due()
            case signals.Delivered():
                raise AssertionError("a webhook is not a command's business")
        return self._decided()

    def carried_out(self, now_s: float) -> None:
        """What was returned so far is durable and goes out now: the disk took its time, and the
        second of the rate counts from here. To be called before `due_s` is read."""
        self._sending.carried_out(now_s)

    # From the order to the permits

    def _repeat(self, order: CommandRequest, known: Command) -> None:
        """The same id is the same order: our answer was lost. Another id is another caller's."""
        if _content(order) != _content(known):
            detail = f"this idempotency key belongs to command {known.id} with a different request"
            self._active.act(ReportOutcome(Rejected(order.order, KEY_BOUND, detail)))
            self._active.counts["key_bound"] += 1
            return
        self._active.counts["repeated"] += 1
        is_repeated = order.command_id != known.id
        self._active.act(ReportOutcome(Accepted(order.order, known.id, is_repeated)))
        self._active.tell(known)

    def _accept(self, order: CommandRequest) -> None:
        command = _command(order, self._active.now_us)
        give_up_s = self._active.now_s + self._settings.give_up_after_s
        flight = self._active.accept(command, order.order, give_up_s)
        if refusal := self._dialect.malformed(command):
            self._active.refuse(flight, refusal)
        else:
            self._validation.begin(command, self._active.now_s)

    def _resume(self, command: Command) -> None:
        """What was never sent, or certainly not applied, is validated again: much may have changed.
        It may take its time, because nobody waits at the other end any more."""
        self._active.counts["resumed"] += 1
        age_s = self._active.age_s(command.first_sent_us or command.accepted_us)
        give_up_s = self._active.now_s + self._settings.give_up_after_s - age_s
        flight = self._active.open(command, give_up_s)
        flight.is_patient = True
        if command.step not in {CommandStep.ACCEPTED, CommandStep.VALIDATED, CommandStep.ADMITTED}:
            self._validation.reserve(command)
            self._sending.resume(flight)
        elif give_up_s > self._active.now_s:
            self._validation.begin(command, self._active.now_s, give_up_s)
        else:
            detail = (
                f"the sender was down; the command was accepted {age_s:.0f} s ago and has expired"
            )
            self._active.refuse(flight, Refusal(Code.UNAVAILABLE, detail))

    def _judged(self, verdicts: list[Verdict]) -> None:
        for verdict in verdicts:
            flight = self._active.flights[verdict.command_id]
            if not isinstance(verdict, Passed):
                self._active.refuse(flight, verdict.refusal)
                continue
            presence, queue, overridden, _ = verdict.standing
            detail = f"forced: {'; '.join(overridden)}" if overridden else ""
            self._active.counts["forced"] += bool(overridden)
            self._active.step(flight, CommandStep.VALIDATED, detail, held=presence, queue=queue)
            self._sending.queue(flight)

    def _ended(self, command_id: str) -> None:
        """Its agent is not about to leave a queue any more."""
        self._validation.ended(command_id)

    def _at(self, now_s: float, now_us: int) -> None:
        self._active.now_s, self._active.now_us = now_s, now_us

    def _decided(self) -> list[Action]:
        self._sending.decide()
        return self._active.take()


def _content(wanted: CommandRequest | Command) -> tuple[object, ...]:
    """What two orders under one key must have in common."""
    return (wanted.user_id, wanted.to_state, wanted.reason, wanted.expected, wanted.forced)


def _command(order: CommandRequest, now_us: int) -> Command:
    return Command(
        id=order.command_id,
        key=order.key,
        who=order.who,
        user_id=order.user_id,
        to_state=order.to_state,
        reason=order.reason,
        expected=order.expected,
        forced=order.forced,
        step=CommandStep.ACCEPTED,
        code="",
        detail="",
        held=None,
        queue=None,
        tries=0,
        accepted_us=now_us,
        first_sent_us=None,
        last_sent_us=None,
        acknowledged_us=None,
        confirmed_us=None,
        ended_us=None,
    )
