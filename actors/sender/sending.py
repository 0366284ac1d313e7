"""Owns what becomes of a valid command: permits, a line, its tries, and how it is settled. Pure.

Knows no order, agent or queue; time, answers and what the stream shows in, steps into the table of
active commands.
The one rule for everything unanswered is in the design, "A command, step by step".

*In doubt* is a command of which a try went unanswered: it may be applied or not, and only a
positive answer or the stream can tell, for the refusal of a later try says nothing of the earlier
one. What is not in doubt ends as refused, which means: certainly not applied.
"""

from __future__ import annotations

import math
import random
from typing import Any, Final, Literal, NamedTuple

from actors.messages.queries import AgentRecord, TransitionSeen
from actors.sender.active_commands import CLOCKS_APART_MOST_S, ActiveCommands, Flight, Stage
from actors.sender.admission import Admission, Granted, TimedOut
from actors.sender.commands import Code, CommandStep, Refusal
from actors.sender.deadlines import Deadlines
from actors.sender.dialect import Dialect
from actors.sender.settling import TOO_MANY, backoff_s, no_permit, retry_delay_s
from actors.sender.signals import Acknowledged, LineDown, NotSent, Pending, Unanswered
from actors.sender.watching import LOOK_S, Watching
from actors.settings.sender import SenderSettings

WATCH_AGAIN_S: Final = 1.0


class _Timer(NamedTuple):
    what: Literal["next", "give up", "watch"]
    command_id: str


class Sending:
    """`start` comes first, once."""

    def __init__(
        self,
        settings: SenderSettings,
        dialect: Dialect,
        shards: int,
        rng: random.Random,
        active: ActiveCommands,
    ) -> None:
        self._settings = settings
        self._dialect = dialect
        self._rng = rng
        self._active = active
        self._admission = Admission(settings.updates_per_s, settings.in_flight_max)
        self._deadlines: Deadlines[_Timer] = Deadlines()
        self._lines: dict[int, None] = {}  # the newest last
        self._line_reason = "no connection yet"
        self._lineless: dict[str, None] = {}  # in the order of arrival
        self._watching = Watching(settings, dialect, shards, active)

    @property
    def due_s(self) -> float:
        return min(self._deadlines.due_s, self._admission.due_s)

    @property
    def in_flight(self) -> int:
        return self._admission.in_flight

    @property
    def waiting(self) -> int:
        """For permits or a line."""
        return self._admission.waiting + len(self._lineless)

    def start(self) -> None:
        self._admission.start(self._active.now_s)

    def resume(self, flight: Flight) -> None:
        """A predecessor sent it. It counts as in flight until it has had time to settle."""
        command, age_s, settings = flight.command, self._active.age_s, self._settings
        if command.step in {CommandStep.ACKNOWLEDGED, CommandStep.PENDING}:
            flight.is_timed = command.step is CommandStep.ACKNOWLEDGED
            within_s = self._dialect.confirm_within_s(command)
            self._confirm(flight, max(within_s - self._watching.waited_s(command), LOOK_S))
        else:
            self._admission.occupy(flight.id)
            flight.is_in_doubt = True
            flight.last = "the sender was restarted"
            if command.step is CommandStep.SENT:
                self._active.step(flight, CommandStep.UNANSWERED, flight.last)
            left_s = settings.give_up_after_s - age_s(command.first_sent_us)
            flight.give_up_s = self._active.now_s + max(left_s, LOOK_S)
            self._settle(flight, max(settings.settle_s - age_s(command.last_sent_us), LOOK_S))
        self._watch(flight)

    def carried_out(self, now_s: float) -> None:
        self._admission.used(now_s)

    # Permits and lines

    def queue(self, flight: Flight) -> None:
        """Wait for both permits; whoever was admitted before waits until it is given up."""
        flight.stage = Stage.QUEUED
        if flight.is_patient:
            self._admission.enter(flight.id)
            self._set("give up", flight, flight.give_up_s)
        else:
            self._admission.enter(flight.id, self._active.now_s + self._settings.permit_wait_s)

    def decide(self) -> None:
        """Hand out what permits there are."""
        for verdict in self._admission.decide(self._active.now_s):
            flight = self._active.flights[verdict.holder]
            match verdict:
                case Granted():
                    self._granted(flight)
                case TimedOut(missing=missing):
                    self._refuse_permit(flight, Code(missing), self._settings.permit_wait_s)

    def line_up(self, line: int) -> None:
        self._lines[line] = None
        lineless, self._lineless = self._lineless, {}
        for command_id in lineless:
            self.queue(self._active.flights[command_id])

    def line_down(self, signal: LineDown) -> None:
        self._line_reason = signal.reason
        self._drop_line(signal.line)
        for flight in self._flights(self._admission.holders):
            if flight.stage is Stage.SENT and flight.line == signal.line:
                self._active.counts["lost_with_line"] += 1
                self._unanswered(flight, f"the connection was lost: {signal.reason}")

    def _drop_line(self, line: int) -> None:
        self._lines.pop(line, None)
        if self._lines:
            return
        for flight in self._flights(self._admission.queue):
            if flight.is_patient:
                self._admission.withdraw(flight.id)
                self._await_line(flight)

    def _granted(self, flight: Flight) -> None:
        flight.is_patient = True
        if flight.command.step is CommandStep.VALIDATED:
            self._active.step(flight, CommandStep.ADMITTED)
        if self._lines:
            self._send(flight)
        else:  # the permit in flight is for what was sent; that of the rate is lost
            self._admission.give_back(flight.id)
            self._await_line(flight)

    def _await_line(self, flight: Flight) -> None:
        flight.stage = Stage.LINELESS
        self._lineless[flight.id] = None
        self._set("give up", flight, flight.give_up_s)

    def _queue_again(self, flight: Flight) -> None:
        flight.is_patient = True
        if self._lines:
            self.queue(flight)
        else:
            self._await_line(flight)

    # A try

    def _send(self, flight: Flight) -> None:
        command, active, settings = flight.command, self._active, self._settings
        if command.first_sent_us is None:
            flight.first_sent_s = active.now_s
            flight.give_up_s = active.now_s + settings.give_up_after_s
        active.counts["retried"] += command.tries > 0
        active.step(
            flight,
            CommandStep.SENT,
            f"attempt {command.tries + 1} of {settings.tries_max}",
            tries=command.tries + 1,
            first_sent_us=command.first_sent_us or active.now_us,
            last_sent_us=active.now_us,
        )
        flight.stage, flight.line = Stage.SENT, next(reversed(self._lines))
        flight.was_in_doubt = flight.is_in_doubt
        command = active.by_this_clock(flight)
        active.act(self._dialect.change(command, flight.line, is_in_doubt=flight.is_in_doubt))
        self._watch(flight)
        self._set("next", flight, active.now_s + settings.ack_timeout_s)
        self._drop("give up", flight)  # its acknowledgement is awaited in any case

    def not_sent(self, signal: NotSent) -> None:
        """The last try never left this process: it is as if it had not been."""
        flight = self._active.flights.get(signal.correlation)
        if flight is None or flight.line is None:
            self._active.counts["stray"] += 1
            return
        self._active.counts["not_sent"] += 1
        self._stop_waiting(flight)
        why = "the connection was lost before it was sent"
        if signal.spent_until_s is None:
            self._drop_line(flight.line)
        else:
            self._admission.close_until(signal.spent_until_s)
            why = "the request budget was used up before it was sent"
        flight.line, flight.is_in_doubt = None, flight.was_in_doubt
        changes: dict[str, Any] = {"tries": flight.command.tries - 1}
        if changes["tries"] == 0:
            flight.first_sent_s = None
            changes |= {"first_sent_us": None, "last_sent_us": None}
            age_s = self._active.age_s(flight.command.accepted_us)
            flight.give_up_s = self._active.now_s + self._settings.give_up_after_s - age_s
        self._active.step(flight, flight.step_between, why, **changes)
        self._queue_again(flight)

    def unanswered(self, signal: Unanswered) -> None:
        flight = self._active.flights.get(signal.correlation)
        if flight is None or flight.stage is not Stage.SENT:
            self._active.counts["stray"] += 1
        else:
            self._unanswered(flight, signal.reason)

    def _unanswered(self, flight: Flight, why: str) -> None:
        """The stream may show it for a while, then it is sent again."""
        self._give_back(flight)
        flight.is_in_doubt, flight.last = True, why
        self._active.step(flight, CommandStep.UNANSWERED, why)
        backed_off_s = backoff_s(flight.command.tries, self._rng)
        self._settle(flight, self._settings.settle_s + backed_off_s)

    def _settle(self, flight: Flight, delay_s: float) -> None:
        flight.stage = Stage.SETTLING
        self._set("next", flight, self._active.now_s + delay_s)
        self._set("give up", flight, flight.give_up_s)

    def _try_again(self, flight: Flight) -> None:
        """If its tries are spent, it waits for the stream until it is given up."""
        self._give_back(flight)  # it may hold one since a restart
        if flight.command.tries < self._settings.tries_max:
            self._queue_again(flight)

    # Answers

    def answered(self, answer: Acknowledged | Pending) -> None:
        flight = self._active.flights.get(answer.correlation)
        counts = self._active.counts
        if flight is None or not flight.is_out:
            counts["stray"] += 1
        elif flight.stage is Stage.CONFIRMING:
            counts["duplicate"] += 1
        elif isinstance(answer, Pending):
            counts["late"] += flight.stage is not Stage.SENT
            self._pending(flight, answer.shown_as)
        elif answer.success:
            counts["late"] += flight.stage is not Stage.SENT
            self._acknowledged(flight, answer.shown_as)
        elif flight.stage is Stage.SENT or self._answers_the_only_try(flight):
            self._declined(flight, answer)
        else:
            counts["late"] += 1

    def _answers_the_only_try(self, flight: Flight) -> bool:
        """A negative answer that comes late settles the doubt if nothing else was ever sent."""
        if flight.command.tries != 1 or flight.line is None:
            return False
        flight.is_in_doubt = False
        return True

    def _declined(self, flight: Flight, answer: Acknowledged) -> None:
        active, tries, refusal = (
            self._active,
            flight.command.tries,
            self._dialect.refusal_of(answer),
        )
        active.counts["negative"] += 1
        active.counts["rate_limited"] += answer.status == TOO_MANY
        self._stop_waiting(flight)
        flight.line, flight.last = None, refusal.detail
        is_final = answer.status != TOO_MANY or tries >= self._settings.tries_max
        is_certain = not flight.is_in_doubt or refusal.code is Code.NOT_PRIMARY
        if is_final and is_certain:
            self._refuse(flight, refusal)
            return
        active.step(flight, flight.step_between, refusal.detail)
        self._settle(flight, retry_delay_s(answer, tries, self._rng))

    def _acknowledged(self, flight: Flight, detail: str) -> None:
        self._stop_waiting(flight)
        flight.line = None
        is_watched = self._dialect.awaited(flight.command) is not None
        self._active.acknowledge(flight, detail)
        self._confirm(flight, self._dialect.confirm_within_s(flight.command))
        if not is_watched:
            self._watch(flight)

    def _pending(self, flight: Flight, detail: str) -> None:
        """The gateway applies it later: nobody is told that it took, and the stream is awaited."""
        self._stop_waiting(flight)
        flight.line, flight.is_in_doubt, flight.is_timed = None, False, False
        self._active.step(flight, CommandStep.PENDING, detail)
        self._confirm(flight, self._dialect.confirm_within_s(flight.command))
        self._watch(flight)

    def _confirm(self, flight: Flight, within_s: float) -> None:
        flight.stage = Stage.CONFIRMING
        self._set("next", flight, self._active.now_s + within_s)

    def shown(self, shown: TransitionSeen) -> None:
        """A transition shows it: nothing else confirms, above all no equal state."""
        awaiting = [flight for flight in self._watching.named(shown) if flight.is_out]
        for flight in awaiting:
            if flight.command.step is CommandStep.PENDING:
                self._acknowledged(flight, f"{shown.correlation} confirmed by the event stream")
            elif flight.stage is not Stage.CONFIRMING:
                self._acknowledged(flight, "confirmed by the event stream")
            self._end(flight, CommandStep.CONFIRMED, "")
        self._active.counts["stray"] += not awaiting

    def agent_told(self, told: AgentRecord) -> bool:
        """Whether it was asked for here. What a shard has to show it shows before it answers."""
        if not self._watching.is_ours(told):
            return False
        if flight := self._watching.told(told):
            self._end(flight, CommandStep.UNCONFIRMED, flight.last)
        return True

    # Time

    def due(self) -> None:
        while (timer := self._deadlines.take(self._active.now_s)) is not None:
            flight = self._active.flights[timer.command_id]
            match timer.what:
                case "next":
                    self._next(flight)
                case "give up":
                    self._give_up(flight)
                case "watch":
                    self._watch(flight)

    def _next(self, flight: Flight) -> None:
        settings = self._settings
        match flight.stage:
            case Stage.SENT:
                self._active.counts["timeouts"] += 1
                why = f"no acknowledgement within {settings.ack_timeout_s:g} s"
                self._unanswered(flight, why)
            case Stage.SETTLING:
                self._try_again(flight)
            case Stage.CONFIRMING:
                self._not_confirmed(flight)
            case _:
                raise AssertionError(f"nothing is next in {flight.stage}")

    def _not_confirmed(self, flight: Flight) -> None:
        within_s = self._watching.overdue(flight)
        if within_s is None:
            self._end(flight, CommandStep.UNCONFIRMED, flight.last)
        else:
            self._confirm(flight, within_s)
            self._watch(flight)

    def _give_up(self, flight: Flight) -> None:
        most_s, tries = self._settings.give_up_after_s, flight.command.tries
        within = f"{most_s:g} s"
        if flight.is_in_doubt:
            # Two clocks, read one after the other: by the kept times it must be spent as well.
            left_s = most_s - self._active.age_s(flight.command.first_sent_us)
            if 0.0 < left_s <= CLOCKS_APART_MOST_S:
                self._set("give up", flight, self._active.now_s + left_s)
                return
            why = f"neither acknowledged nor confirmed within {within}, {tries} attempts"
            self._end(flight, CommandStep.UNKNOWN, f"{why}; {flight.last}")
        elif flight.stage is Stage.LINELESS:
            why = f"no connection to the gateway within {within}: {self._line_reason}"
            self._refuse(flight, Refusal(Code.UNAVAILABLE, why))
        elif tries:
            why = f"not accepted within {within}, {tries} attempts; {flight.last}"
            self._refuse(flight, Refusal(Code.GATEWAY_RATE, why))
        else:
            self._refuse_permit(flight, Code(self._admission.missing(self._active.now_s)), most_s)

    def _watch(self, flight: Flight) -> None:
        if self._watching.ask(flight):
            self._set("watch", flight, self._active.now_s + WATCH_AGAIN_S)

    # Ends

    def _refuse_permit(self, flight: Flight, missing: Code, waited_s: float) -> None:
        refusal = no_permit(missing, waited_s, self._settings)
        left_s = max(0.0, self._admission.rate_free_at_s - self._active.now_s)
        is_rate = missing is Code.RATE
        self._refuse(flight, refusal, math.ceil(left_s * 1e3) + 1 if is_rate else None)

    def _refuse(self, flight: Flight, refusal: Refusal, retry_after_ms: int | None = None) -> None:
        self._let_go(flight)
        self._active.refuse(flight, refusal, retry_after_ms)

    def _end(self, flight: Flight, step: CommandStep, detail: str) -> None:
        self._let_go(flight)
        self._active.end(flight, step, detail)

    def _let_go(self, flight: Flight) -> None:
        self._stop_waiting(flight)
        self._drop("watch", flight)
        self._watching.end(flight)

    def _stop_waiting(self, flight: Flight) -> None:
        """For whatever it is: nothing of it may come any more."""
        self._give_back(flight)
        self._admission.withdraw(flight.id)
        self._lineless.pop(flight.id, None)
        self._drop("next", flight)
        self._drop("give up", flight)

    def _give_back(self, flight: Flight) -> None:
        if self._admission.holds(flight.id):
            self._admission.give_back(flight.id)

    def _flights(self, command_ids: tuple[str, ...]) -> list[Flight]:
        return [self._active.flights[command_id] for command_id in command_ids]

    def _set(self, what: Literal["next", "give up", "watch"], flight: Flight, at_s: float) -> None:
        self._deadlines.set(_Timer(what, flight.id), at_s)

    def _drop(self, what: Literal["next", "give up", "watch"], flight: Flight) -> None:
        self._deadlines.drop(_Timer(what, flight.id))
