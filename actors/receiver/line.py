"""Owns one line: how far it has come, how long it was silent, and what its silence means.

A line is a connection from the first try to its end. It knows no other line and no clock: the time
in which we read is an argument, because only then is silence the gateway's (protocol.md §1.2).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from actors.genesys import reconnect
from actors.messages.control import RESUME_MARGIN
from actors.receiver.signals import Mark, Signs

GAPS_MAX: Final = 20
"""Of one session. A gateway that cannot replay says so once, at its beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverPolicy:
    """The numbers of protocol.md §1.2."""

    attempts_max: int = 10  # 0: never give up
    backoff_first_s: float = reconnect.BACKOFF_FIRST_S
    backoff_most_s: float = reconnect.BACKOFF_MOST_S
    proven_after_s: float = reconnect.PROVEN_AFTER_S
    ack_timeout_s: float = reconnect.ANSWER_TIMEOUT_S
    history_quiet_s: float = 5.0
    ping_after_s: tuple[float, ...] = reconnect.PING_AFTER_S
    dead_after_s: float = reconnect.DEAD_AFTER_S
    tick_most_s: float = reconnect.TICK_MOST_S
    replace_gap_s: float = reconnect.REPLACE_GAP_S
    poison_sessions: int = 3  # ended at the same place before it is left behind
    unheard_most: int = 3  # lines ended at our subscription before anybody acknowledged one


class ReceiverPhase(Enum):
    CONNECTING = "connecting"
    SUBSCRIBING = "subscribing"
    STREAMING = "streaming"


class SilenceVerdict(Enum):
    """What a line's silence calls for."""

    NOTHING = "nothing"
    PING = "ping"
    END_HISTORY = "end history"
    UNACKNOWLEDGED = "unacknowledged"
    DEAD = "dead"


@dataclass(slots=True)
class ReceiverConnection:
    """One connection; `session` and what follows it mean something once it streams."""

    number: int
    phase: ReceiverPhase = ReceiverPhase.CONNECTING
    resume_after: int | None = None
    mark: int = 0  # the lowest of the shards' marks when we subscribed
    session: int = 0
    epoch: int = 0
    newest: int = 0
    began_s: float = 0.0
    is_understood: bool = False  # it showed whether it replays
    has_history: bool = False  # still running
    heard_us: int = 0  # the wall time of the last frame, as far as ticks and signals show
    signs: Signs = Signs(0, 0)  # noqa: RUF009 - a tuple
    quiet_s: float = 0.0  # of reading: without an acknowledgement, later without any frame
    history_quiet_s: float = 0.0
    pings: int = 0
    asked_after: int = 0  # as `resume_after` when it began
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """What the gateway has said that it cannot replay."""

    @property
    def is_streaming(self) -> bool:
        return self.phase is ReceiverPhase.STREAMING

    def begin(self, session: int, epoch: int, newest: int, now_s: float) -> None:
        self.phase = ReceiverPhase.STREAMING
        self.session, self.epoch, self.newest, self.began_s = session, epoch, newest, now_s
        self.has_history = True
        self.quiet_s = 0.0
        self.asked_after = self.resume_after or 0

    def age_s(self, now_s: float) -> float:
        return now_s - self.began_s

    def missed_before(self, sequence: int, is_history: bool) -> tuple[int, int] | None:
        """What this event, the first that was heard, shows to be missing: (first, last)."""
        if is_history or sequence > self.newest:
            return self.missed_up_to(self.newest)
        if sequence > max(self.mark, self.resume_after or 0) + 1 + RESUME_MARGIN:
            return self.missed_up_to(sequence - 1)
        return None

    def missed_up_to(self, last: int) -> tuple[int, int] | None:
        """Whatever we asked for and should have got by now, if nothing was heard of it. Also where
        nothing has happened since: what a neighbour has overtaken is below our mark."""
        first = self.resume_after
        if first is None or self.is_understood or self.newest <= first:
            return None
        return first + 1, last

    def new_gap(self, first: int, last: int) -> tuple[int, int] | None:
        """What of this gap was not told yet; None: nothing. What we had when we asked is in none:
        each shard has applied what is below its mark."""
        first = max(first, self.asked_after + 1)
        if first > last or any(begin <= first and last <= end for begin, end in self.gaps):
            return None
        self.gaps.append((first, last))
        return first, last

    def replays_behind(self, sequence: int) -> None:
        """The gateway cannot replay what we asked for: whatever comes first stands behind this."""
        if self.resume_after is not None:
            self.resume_after = max(self.resume_after, sequence)

    def has_heard(self, signs: Signs) -> bool:
        """Since the last tick: before `observe` takes the signs."""
        return self.is_streaming and signs.frames != self.signs.frames

    def observe(self, signs: Signs, read_s: float, policy: ReceiverPolicy) -> SilenceVerdict:
        """We have read for `read_s` more seconds, and this is what came since the line opened."""
        if self.phase is ReceiverPhase.CONNECTING:
            return SilenceVerdict.NOTHING
        has_spoken = self.has_heard(signs)
        has_gone_on = signs.history_frames != self.signs.history_frames
        self.signs = signs
        if has_spoken:
            self.quiet_s, self.pings = 0.0, 0
        else:
            self.quiet_s += read_s
        self.history_quiet_s = 0.0 if has_gone_on else self.history_quiet_s + read_s
        if not self.is_streaming:
            is_late = self.quiet_s >= policy.ack_timeout_s
            return SilenceVerdict.UNACKNOWLEDGED if is_late else SilenceVerdict.NOTHING
        return self._verdict(policy)

    def _verdict(self, policy: ReceiverPolicy) -> SilenceVerdict:
        if self.quiet_s >= policy.dead_after_s:
            return SilenceVerdict.DEAD
        if self.has_history and self.history_quiet_s >= policy.history_quiet_s:
            return SilenceVerdict.END_HISTORY
        due = policy.ping_after_s[self.pings : self.pings + 1]
        if due and self.quiet_s >= due[0]:
            self.pings += 1
            return SilenceVerdict.PING
        return SilenceVerdict.NOTHING


def resume_behind(mark: int) -> int:
    """What is still to be asked for behind a mark: a neighbour may have been overtaken by as many
    as the margin, so the one that far below the mark is asked for as well."""
    return max(0, mark - RESUME_MARGIN - 1)


def lowest_mark(marks: Iterable[Mark], epoch: int) -> int:
    """What every shard has committed of this epoch; a shard of another one has nothing of it."""
    return min((sequence if of == epoch else 0 for of, sequence in marks), default=0)
