"""Owns what the shards are told of one slot: sessions, who belongs to it, how far its snapshot is.
Pure.

Pure, and a part of the slot's machine, which tells it when lines begin and end. It knows no line,
channel or retry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from actors.messages.control import Gap, HistoryEnds, SessionBegins, SessionEnds, Unwatches, Watches
from actors.receiver import channel_signals as signals
from actors.receiver.channel_signals import Action, Numbers
from actors.receiver.signals import Number, Tell, Write

EPOCH = 1  # the cloud numbers nothing: one numbering for ever


class ChannelSession:
    """The newest session of a scope. `act` takes the actions, in order.

    `missed`: why there is something that nobody can know, to be told as a gap by the next session.
    """

    def __init__(
        self, scope: str, numbers: Numbers, act: Callable[[Action], None], missed: str | None
    ) -> None:
        self.scope = scope
        self.number = 0
        self.is_up = False
        self.has_history = False  # the snapshot is not whole
        self.watched: frozenset[str] = frozenset()  # as the shards were told
        self.moved: frozenset[str] = frozenset()  # to another scope, which tells of them
        self.pending: dict[str, None] = {}  # of the snapshot, in order
        self.heard_us = 0  # the wall time of the last frame of any of its lines
        self._numbers = numbers
        self._act = act
        self._missed = missed

    def begin(
        self, line: int, heard: frozenset[str], refused: Mapping[str, str], at_us: int
    ) -> None:
        """Everything that the line brings from now on belongs to it, and a snapshot is due."""
        self.number = number = self._numbers.next_session()
        self.is_up = self.has_history = True
        self.hear(at_us)
        self._act(Number(number))
        # The gap first: once a shard knows the new session, nobody would tell it again.
        if self._missed is not None:
            self._act(Write(Gap(number, self.scope, EPOCH, 0, 0, self._missed, at_us)))
            self._missed = None
        self._act(Write(SessionBegins(number, self.scope, EPOCH, "", 0, None, at_us)))
        self.watch(heard, refused, at_us, is_anew=True)
        self._act(signals.Stream(line, number))
        self.pending = dict.fromkeys(sorted(heard))
        self._ask()
        self._tell("session.begins", agents=len(heard))

    def watch(
        self,
        heard: frozenset[str],
        refused: Mapping[str, str],
        at_us: int,
        *,
        is_anew: bool = False,
    ) -> None:
        """Tells the shards who belongs to this scope; whoever is new is asked for."""
        for user in sorted(self.watched - heard):
            self.pending.pop(user, None)
            if user not in self.moved:
                reason = refused.get(user)
                why = "no longer in the plan" if reason is None else f"topic refused: {reason}"
                self._act(signals.WriteOf(Unwatches(self.scope, user, why, at_us)))
        joined = heard - self.watched
        for user in sorted(heard if is_anew else joined):
            self._act(signals.WriteOf(Watches(self.scope, user)))
        is_changed = heard != self.watched
        self.watched = heard
        if self.is_up and is_changed and not is_anew:
            self.pending.update(dict.fromkeys(sorted(joined)))
            self._ask()

    def _ask(self) -> None:
        """For all that are pending, and for nobody else any more."""
        if self.pending:
            self._act(signals.Snapshot(self.number, tuple(self.pending)))
        else:
            self._act(signals.StopSnapshot())

    def named(self, users: Iterable[str]) -> None:
        """These were answered for."""
        for user in users:
            self.pending.pop(user, None)

    def end_history(self, at_us: int) -> None:
        self.has_history = False
        self._act(Write(HistoryEnds(self.number, self.scope, True, at_us)))
        self._tell("snapshot.whole")

    def hear(self, at_us: int) -> None:
        """A frame has come."""
        self.heard_us = at_us

    def end(self, reason: str, at_us: int) -> None:
        """No line streams any more. Its states were confirmed until the last frame, not until that
        was noticed; a clock may have been set back since."""
        if not self.is_up:
            return
        self.is_up = self.has_history = False
        self.pending = {}
        self._act(signals.StopSnapshot())
        self._missed = reason
        heard_us = min(self.heard_us, at_us)
        self._act(Write(SessionEnds(self.number, self.scope, reason, heard_us)))
        self._tell("session.ends", reason=reason)

    def missed_some(self, reason: str) -> None:
        """It is up, and yet did not bring all: the next one tells so."""
        self._missed = self._missed or reason

    def forget(self) -> None:
        """The scope is given up: nothing of it was missed."""
        self._missed = None

    def _tell(self, event: str, **fields: object) -> None:
        told = (("scope", self.scope), ("session", self.number), *fields.items())
        self._act(Tell(event, told))
