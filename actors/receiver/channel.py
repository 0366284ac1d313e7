"""Owns the machine of one slot of the plan: its channel, its sockets, its sessions, its snapshots.
Pure.

It knows no socket, call, file or ring: signals and time in, actions out. What it wants is compared
with what it has after every signal, so that whatever is lost in whatever order is made anew.

Theory. Subscribe, connect, then snapshot, then only what is newer (protocol.md §2.3). At most three
lines: the one that streams, one that is to replace it, and one that was replaced and streams on
until the snapshot behind its successor is whole. A session begins with each line that streams; a
gap is told with the first one after a time in which no line did.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from actors.genesys.channel_plan import Slot
from actors.genesys.reconnect import CLOSED_WITHOUT_FRAME, refusal_of
from actors.receiver import channel_signals as signals
from actors.receiver import signals as lines
from actors.receiver.channel_line import (
    ChannelConnection,
    ChannelPolicy,
    ManagedChannel,
    Silence,
    Tries,
    Trust,
)
from actors.receiver.channel_session import ChannelSession
from actors.receiver.channel_signals import Action, Numbers, Signal

_FRAMES = (signals.ClosingAnnounced, signals.TopicsChanged, signals.ChannelGone)
CUT_CODE = 1000  # of a socket whose channel has another one
DEAF = "the roster shows changes that the channel did not bring"
TOPICS_CHANGED = "the topics of the channel were changed by somebody else"
GONE_STATUSES = (400, 401, 403, 404, 410)  # a channel's id is all that its socket is asked for


class ChannelMachine:
    """Feed it every signal; carry out what it returns, in order, before the next one.

    `is_known`: there were sessions before this process, so that something was missed since.
    """

    def __init__(
        self,
        slot: Slot,
        policy: ChannelPolicy,
        rng: random.Random,
        numbers: Numbers,
        *,
        is_known: bool = False,
    ) -> None:
        self.slot = slot
        self.scope = slot.scope
        self._policy = policy
        self._rng = rng
        self._numbers = numbers
        self._actions: list[Action] = []
        self._wanted: frozenset[str] = frozenset()
        self._current: ManagedChannel | None = None
        self._next: ManagedChannel | None = None  # a rotation is under way
        self._old: ManagedChannel | None = None  # let go once the snapshot is whole
        self._streaming: ChannelConnection | None = None
        self._coming: ChannelConnection | None = None
        self._retiring: ChannelConnection | None = None
        missed = "the receiver starts" if is_known else None
        self._session = ChannelSession(slot.scope, numbers, self._act, missed)
        self._tries = Tries(policy, rng)
        self._is_reading = True
        self._ticked_s = float("-inf")
        self._recheck_at_s = float("inf")
        self._trust = Trust(policy)
        self.is_finished = False
        self._now_s, self._at_us = 0.0, 0

    @property
    def is_up(self) -> bool:
        """A session delivers."""
        return self._streaming is not None

    @property
    def heard_us(self) -> int:
        """When the last frame came, by the wall clock; 0: none has."""
        return self._session.heard_us

    @property
    def quiet_s(self) -> float:
        """For how long we have read and heard nothing; 0: no session is up."""
        lines = [line for line in (self._streaming, self._retiring) if line is not None]
        return min((line.quiet_s for line in lines), default=0.0)

    @property
    def is_current(self) -> bool:
        """… and its snapshot is whole."""
        return self.is_up and not self._session.has_history

    @property
    def refused(self) -> Mapping[str, str]:
        """Users whose topic the gateway does not permit, and why."""
        return {} if self._current is None else self._current.refused

    @property
    def is_rotating(self) -> bool:
        return self._next is not None or self._old is not None

    @property
    def is_empty(self) -> bool:
        """Nobody is wanted here, and nothing is held."""
        return not self._wanted and self._current is None

    def wants_rotation(self, now_s: float) -> bool:
        return (
            self._streaming is not None
            and not self.is_rotating
            and not self._session.has_history
            and self._current is not None
            and now_s >= self._current.rotate_at_s
        )

    def adopt(self, age_s: float, left_s: float | None, now_s: float) -> int:
        """Before all else: a channel of our predecessor's. The number by which it goes."""
        assert self._current is None, self.scope
        self._now_s = now_s
        channel = ManagedChannel(self._numbers.next_channel(), is_made=True, is_proven=True)
        self._date(channel, age_s, left_s)
        self._current = channel
        return channel.number

    def handle(self, signal: Signal, now_s: float, at_us: int) -> list[Action]:
        """What is to be done now that this has happened."""
        if self.is_finished:
            return []
        self._now_s, self._at_us = now_s, at_us
        if isinstance(signal, signals.CallSignal):
            self._called(signal)
        elif isinstance(signal, signals.LineSignal):
            self._on_line(signal)
        else:
            self._on_slot(signal)
        if not self.is_finished:
            self._advance()
        return self._taken()

    def _on_slot(self, signal: signals.SlotSignal) -> None:
        match signal:
            case signals.Tick():
                self._tick(signal)
            case signals.Planned(users=users, moved=moved):
                self._wanted, self._session.moved = users, moved
            case lines.HistoryWanted() if self._streaming is not None:
                self._begin(self._streaming)
            case signals.RotateAsked() if self._current is not None and not self.is_rotating:
                self._next = ManagedChannel(self._numbers.next_channel())
            case signals.RosterRead() if self._current is not None and self._current.invalid:
                self._current.is_doubted = True
            case signals.Doubted(session=session):
                if session == self._session.number and self._streaming is not None:
                    self._doubt(self._streaming.channel, DEAF)
            case signals.Overflowed():
                self._overflowed()
            case lines.StopAsked():
                self._stop()
            case signals.Named(session=session, users=users):
                if session == self._session.number and self._session.is_up:
                    self._session.named(users)

    # What is wanted, compared with what there is

    def _advance(self) -> None:
        if not self._wanted:
            self._release()
            return
        if self._current is None:
            self._current, self._next = self._next or self._new_channel(), None
        for channel in (self._current, self._next):
            if channel is not None and not channel.is_busy and self._now_s >= channel.retry_at_s:
                self._drive(channel)
        session = self._session
        if session.has_history and not session.pending and self._streaming is not None:
            self._end_history()

    def _drive(self, channel: ManagedChannel) -> None:
        if not channel.is_made:
            channel.is_busy = True
            self._act(signals.Create(channel.number))
        elif channel.is_doubted or channel.users != self._wanted:
            channel.is_busy = True
            self._act(signals.Subscribe(channel.number, self._wanted))
        elif self._coming is None and self._is_reading and self._needs_line(channel):
            self._coming = ChannelConnection(self._numbers.next_line(), channel)
            self._act(signals.Connect(self._coming.number, channel.number))

    def _needs_line(self, channel: ManagedChannel) -> bool:
        line = self._streaming
        if channel is self._next:
            return line is not None
        return line is None or line.channel is not channel or line.is_told_closing

    def _new_channel(self) -> ManagedChannel:
        """Not at once if the last one has just failed."""
        channel = ManagedChannel(self._numbers.next_channel())
        if self._tries.count:
            channel.retry_at_s = self._tries.wait_until_s(self._now_s)
        return channel

    def _release(self) -> None:
        """Nobody belongs here any more."""
        self._session.watch(frozenset(), self.refused, self._at_us)
        for line in self._lines():
            self._act(lines.Close(line.number, 1000))
        self._streaming = self._coming = self._retiring = None
        self._session.end("no agent is monitored on this channel", self._at_us)
        self._session.forget()
        for channel in (self._current, self._next, self._old):
            if channel is not None:
                self._act(signals.LetGo(channel.number))
        self._current = self._next = self._old = None

    # What calls have come to

    def _called(self, signal: signals.CallSignal) -> None:
        channels = (self._current, self._next)
        channel = next((each for each in channels if each and each.number == signal.channel), None)
        if channel is None:
            if isinstance(signal, signals.Created):  # it is not wanted any more
                self._act(signals.LetGo(signal.channel))
            return
        channel.is_busy = False
        match signal:
            case signals.Created(left_s=left_s):
                channel.is_made = True
                self._date(channel, 0.0, left_s)
            case signals.Subscribed():
                self._subscribed(channel, signal)
            case signals.CallFailed() if channel.is_made and (
                signal.is_gone or (signal.is_refused and channel.is_proven)
            ):
                self._channel_gone(channel, signal.reason)
            case signals.CallFailed():
                channel.retry_at_s = self._tries.failed(self._now_s, signal.retry_after_s)
                self._tell_retry("channel.call_failed", signal.reason, channel.retry_at_s)

    def _subscribed(self, channel: ManagedChannel, signal: signals.Subscribed) -> None:
        if signal.refused.keys() != channel.refused.keys():
            refused = len(signal.refused)
            self._tell("channel.topics_refused", level="warning", refused=refused)
        channel.users, channel.refused = signal.users, signal.refused
        channel.invalid = signal.invalid
        channel.is_doubted, channel.is_proven = False, True
        channel.subscribed_s = self._now_s
        if channel is self._current:
            wait_s = self._policy.refused_retry_s
            self._recheck_at_s = self._now_s + wait_s if signal.refused else float("inf")
        if self._streaming is not None and channel is self._streaming.channel:
            self._session.watch(channel.heard, self.refused, self._at_us)

    def _date(self, channel: ManagedChannel, age_s: float, left_s: float | None) -> None:
        channel.date(self._policy, self._rng, self._now_s, age_s, left_s)

    def _doubt(self, channel: ManagedChannel, reason: str) -> None:
        """It is replaced as soon as it is its turn; what it did not bring nobody knows."""
        is_ours = channel is self._current and self._next is None and not channel.is_doubtful
        if is_ours and self._trust.may_doubt(self._now_s):
            channel.is_doubtful = True
            channel.rotate_at_s = self._now_s
            self._session.missed_some(reason)
            self._tell("channel.doubtful", level="warning", reason=reason)

    # What happens on lines

    def _on_line(self, signal: signals.LineSignal) -> None:
        """What a line says that is not ours any more changes nothing."""
        line = next((each for each in self._lines() if each.number == signal.line), None)
        if line is None:
            return
        if line is not self._coming and (
            isinstance(signal, _FRAMES)
            or (isinstance(signal, signals.LineLost) and signal.code != CLOSED_WITHOUT_FRAME)
        ):
            self._session.hear(self._at_us)
        match signal:
            case signals.Opened() if line is self._coming:
                self._opened(line)
            case lines.Refused(status=status) if status in GONE_STATUSES:
                self._channel_gone(line.channel, refusal_of(status, signal.at))
            case lines.Refused(status=status):
                self._line_lost(line, refusal_of(status, signal.at), signal.retry_after_s)
            case lines.Unreachable(reason=reason):
                self._line_lost(line, reason)
            case signals.ClosingAnnounced() if not line.is_told_closing:
                self._closing(line)
            case signals.TopicsChanged():
                is_ours = self._now_s < line.channel.subscribed_s + self._policy.own_change_s
                if not is_ours and not line.channel.is_busy:  # it may come before our answer
                    self._doubt(line.channel, TOPICS_CHANGED)
            case signals.ChannelGone(reason=reason):
                self._act(lines.Close(line.number, 1000))
                self._channel_gone(line.channel, reason)
            case signals.LineLost(code=code) if code == CUT_CODE and self._is_handed_over(line):
                self._streaming = None  # until the other one is open, or lost as well
            case signals.LineLost(code=code):
                self._line_lost(line, f"closed with {code}")

    def _closing(self, line: ChannelConnection) -> None:
        """Another line at once; but a gateway that says it on each new one is not hammered."""
        line.is_told_closing = True
        self._tell("channel.closing")
        if self._now_s < line.opened_s + self._policy.proven_after_s:
            line.channel.retry_at_s = self._tries.failed(self._now_s, None)

    def _opened(self, line: ChannelConnection) -> None:
        """Make before break: what streamed so far goes on until the snapshot is whole."""
        line.opened_s = self._now_s
        line.channel.handshakes_failed = 0
        if line.channel is self._next:
            if self._old is not None:
                self._act(signals.LetGo(self._old.number))
            self._current, self._next, self._old = self._next, None, self._current
            self._tell("channel.rotated")
        if self._streaming is not None:
            if self._retiring is not None:
                self._act(lines.Close(self._retiring.number, 1000))
            self._retiring = self._streaming
        self._streaming, self._coming = line, None
        self._begin(line)

    def _line_lost(
        self, line: ChannelConnection, reason: str, retry_after_s: float | None = None
    ) -> None:
        """The line is not ours any more."""
        channel = line.channel
        if line is self._retiring:
            self._retiring = None
            return
        if line is self._coming:
            self._coming = None
            channel.handshakes_failed += 1
            if channel.handshakes_failed >= self._policy.doubted_after:
                channel.is_doubted = True  # a subscription will tell whether it is still there
        else:
            assert line is self._streaming, line
            self._tries.forgive(line, self._now_s)
            self._promote()
        if self._streaming is None:
            self._session.end(reason, self._at_us)
        channel.retry_at_s = self._tries.failed(self._now_s, retry_after_s)
        self._tell_retry("channel.retry", reason, channel.retry_at_s)

    def _is_handed_over(self, line: ChannelConnection) -> bool:
        """The gateway cuts the old socket of a channel when it has the new one; which of the two we
        hear of first is chance."""
        coming = self._coming
        is_same = coming is not None and coming.channel is line.channel
        return line is self._streaming and is_same and line.is_told_closing

    def _promote(self) -> None:
        """The line that streamed is lost. The one that it had replaced may still be there."""
        self._streaming, self._retiring = self._retiring, None
        if self._streaming is None:
            return
        if self._streaming.channel is self._old:
            self._current, self._next, self._old = self._old, self._current, None
        self._begin(self._streaming)

    def _channel_gone(self, channel: ManagedChannel, reason: str) -> None:
        self._tries.count += 1
        level = "warning" if self._tries.is_news(reason) else "debug"
        self._tell("channel.gone", level=level, reason=reason)
        self._act(signals.Forget(channel.number))
        if channel is self._current:
            self._current, self._next = self._next, None
        elif channel is self._next:
            self._next = None
        else:
            self._old = None
        for line in self._lines():
            if line.channel is channel:
                self._act(lines.Abort(line.number))
        if self._retiring is not None and self._retiring.channel is channel:
            self._retiring = None
        if self._coming is not None and self._coming.channel is channel:
            self._coming = None
        if self._streaming is not None and self._streaming.channel is channel:
            self._promote()
        if self._streaming is None:
            self._session.end(reason, self._at_us)

    # Sessions

    def _begin(self, line: ChannelConnection) -> None:
        """A session and its snapshot: with each new line, and when a shard has lost its way."""
        self._session.begin(line.number, line.channel.heard, self.refused, self._at_us)

    def _end_history(self) -> None:
        """Only now nothing hangs on the line and the channel that were replaced."""
        self._session.end_history(self._at_us)
        if self._retiring is not None:
            self._act(lines.Close(self._retiring.number, 1000))
            self._retiring = None
        if self._old is not None:
            self._act(signals.LetGo(self._old.number))
            self._old = None

    def _overflowed(self) -> None:
        for line in self._lines():
            self._act(lines.Close(line.number, 1001))
        self._streaming = self._coming = self._retiring = None
        self._is_reading = False  # until a tick says that there is room again
        self._session.end("the spill limit is exceeded", self._at_us)

    def _stop(self) -> None:
        for line in self._lines():
            self._act(lines.Close(line.number, 1000))
        self._streaming = self._coming = self._retiring = None
        self._session.end("stopped", self._at_us)
        self.is_finished = True

    # Time

    def _tick(self, tick: signals.Tick) -> None:
        elapsed_s = max(self._now_s - self._ticked_s, 0.0)
        self._ticked_s = self._now_s
        self._is_reading = tick.is_reading
        read_s = min(elapsed_s, self._policy.tick_most_s) if tick.is_reading else 0.0
        for line in self._lines():
            if line is not self._coming:
                self._observe(line, tick.frames.get(line.number, line.frames), read_s)
        if self._streaming is not None:
            self._tries.forgive(self._streaming, self._now_s)
        if self._now_s >= self._recheck_at_s and self._current is not None:
            self._current.is_doubted = True
            self._recheck_at_s = float("inf")

    def _observe(self, line: ChannelConnection, frames: int, read_s: float) -> None:
        if frames != line.frames:
            self._session.hear(self._at_us)
        match line.observe(frames, read_s, self._policy):
            case Silence.PING:
                self._act(lines.Ping(line.number))
            case Silence.DEAD:
                self._act(lines.Abort(line.number))
                reason = f"no frame and no pong for {self._policy.dead_after_s:g} s"
                self._line_lost(line, reason)

    # Actions

    def _lines(self) -> list[ChannelConnection]:
        lines = (self._streaming, self._coming, self._retiring)
        return [line for line in lines if line is not None]

    def _tell_retry(self, event: str, reason: str, until_s: float) -> None:
        level = "warning" if self._tries.is_news(reason) else "debug"
        wait_s = round(until_s - self._now_s, 3)
        self._tell(event, level=level, reason=reason, wait_s=wait_s, tries=self._tries.count)

    def _tell(self, event: str, *, level: str = "info", **fields: object) -> None:
        self._act(lines.Tell(event, (("scope", self.scope), *fields.items()), level))

    def _act(self, action: Action) -> None:
        self._actions.append(action)

    def _taken(self) -> list[Action]:
        taken, self._actions = self._actions, []
        return taken
