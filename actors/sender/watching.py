"""Watching: what the shards are asked about commands on their way, and what their answers mean.
Pure.

Knows no permit, line or deadline. That no transition names a command says something only if the
stream was up. So when its time is over (it is *overdue*) its shard is asked, and while the stream
is down it is waited for, up to a limit: what it brings when it is back perhaps names the command,
and a replay comes before the stream counts as confirmed again.
"""

from __future__ import annotations

from typing import Final

from actors.messages.partition import shard_of
from actors.messages.queries import AgentRecord, AskAgent, TransitionSeen, is_shown_by
from actors.sender.active_commands import ActiveCommands, Flight
from actors.sender.commands import Ask, Command, CommandStep
from actors.sender.dialect import Dialect
from actors.sender.transitions import not_confirmed
from actors.settings.sender import SenderSettings

LOOK_S: Final = 1.0  # so long a shard has at least to show what it has


class Watching:
    """Its questions about agents have numbers below 0: those of the validation are above."""

    def __init__(
        self, settings: SenderSettings, dialect: Dialect, shards: int, active: ActiveCommands
    ) -> None:
        self._settings = settings
        self._dialect = dialect
        self._shards = shards
        self._active = active
        self._question = 0
        self._overdue: dict[int, Flight] = {}  # by the question about its agent

    def ask(self, flight: Flight) -> bool:
        """To be repeated about once a second. False if nothing would name the command yet."""
        user_id = flight.command.user_id
        if self._dialect.awaited(flight.command) is None:
            return False
        shard = shard_of(user_id, self._shards)
        if (watch := self._dialect.watch(flight.command)) is not None:
            self._active.act(Ask(shard, watch))
        if flight.question is not None:  # behind the watch: what there is to show comes first
            self._active.act(Ask(shard, AskAgent(flight.question, user_id)))
        return True

    def named(self, shown: TransitionSeen) -> list[Flight]:
        """Several, if one and the same change is what they wait for."""
        flight = self._active.flights.get(shown.correlation)
        flights = [flight] if flight is not None else list(self._active.flights.values())
        return [
            each
            for each in flights
            if each.command.user_id == shown.user_id
            and (watch := self._dialect.watch(each.command)) is not None
            and is_shown_by(watch, shown)
        ]

    # Overdue

    def overdue(self, flight: Flight) -> float | None:
        """Nothing has named it in time: how much longer it is waited for; None: no longer, and
        `flight.last` says why. While it is, its shard is to be asked about the stream as well."""
        age_s = self.waited_s(flight.command)
        within_s = self._dialect.confirm_within_s(flight.command)
        if flight.question is not None:
            flight.last = f"{_nothing_within(round(age_s))}; {flight.last}"
            return None
        most_s = self._settings.confirm_stale_s
        if self._dialect.awaited(flight.command) is None:
            flight.last = _nothing_within(within_s)
            return None
        self._question -= 1
        self._overdue[self._question] = flight
        flight.question, flight.last = self._question, "the shard did not respond"
        return max(LOOK_S, min(within_s + most_s - age_s, most_s))

    def waited_s(self, command: Command) -> float:
        """Since the gateway has answered."""
        is_pending = command.step is CommandStep.PENDING
        return self._active.age_s(command.last_sent_us if is_pending else command.acknowledged_us)

    def is_ours(self, told: AgentRecord) -> bool:
        """Whether it was asked for here."""
        return told.question in self._overdue

    def told(self, told: AgentRecord) -> Flight | None:
        """The command that is unconfirmed by this answer, and `last` says why; None: the stream is
        down, and is waited for."""
        flight = self._overdue[told.question]
        if told.stale_since_us is None:
            flight.last = _nothing_within(self._dialect.confirm_within_s(flight.command))
            return flight
        flight.last = not_confirmed(told.stale_since_us)
        return None

    def end(self, flight: Flight) -> None:
        if flight.question is not None:
            del self._overdue[flight.question]


def _nothing_within(seconds: float) -> str:
    return f"no matching transition in the event stream within {seconds:g} s"
