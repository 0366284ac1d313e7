"""Owns the reconnect machine: when to connect, what to ask for, whom to believe, when to give up.
Pure.

It knows no socket, clock, file or ring: signals and time in, actions out; the table of protocol.md
§1.2. Delays run on the clock. Whatever waits for the gateway (acknowledgement, history, signs of
life) counts only time in which we read, in steps of a tick: while a full ring keeps us from
reading, silence is our own, and a suspended machine has heard nothing in its sleep.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from actors.genesys.reconnect import CLOSED_WITHOUT_CODE, CLOSED_WITHOUT_FRAME, refusal_of
from actors.genesys.retry_after import wait_s
from actors.messages.control import (
    END_EXHAUSTED,
    SCOPE_ALL,
    Gap,
    HistoryEnds,
    SessionBegins,
    SessionEnds,
)
from actors.receiver import signals
from actors.receiver.line import (
    GAPS_MAX,
    ReceiverConnection,
    ReceiverPhase,
    ReceiverPolicy,
    SilenceVerdict,
    lowest_mark,
    resume_behind,
)
from actors.receiver.numbering import Numbering, PendingGap
from actors.receiver.poison import Poison
from actors.receiver.signals import Abort, Action, Close, Signal, Tell
from runtime.errors import EXIT_CONFIGURATION, EXIT_TEMPORARY

_FRAMES = (signals.EventSeen, signals.GapSeen, signals.HistorySeen)


class SessionMachine:
    """Feed it every signal; carry out what it returns, in order, before the next one.

    `session`, `epoch` and `epoch_name` are what the last receiver kept, and `heard_us` when it
    heard its last frame (0: never); `is_known`: the gateway has acknowledged this configuration
    before.
    """

    def __init__(
        self,
        policy: ReceiverPolicy,
        rng: random.Random,
        *,
        session: int = 0,
        epoch: int = 0,
        epoch_name: str = "",
        is_known: bool = False,
        heard_us: int = 0,
    ) -> None:
        self._policy = policy
        self.heard_us = heard_us
        self._rng = rng
        self._session = session
        self._numbering = Numbering(epoch, epoch_name, epoch)
        self._is_known = is_known
        self._primary: ReceiverConnection | None = None
        self._retiring: ReceiverConnection | None = (
            None  # streams on until the primary's history has ended
        )
        self._lines = 0
        self._tries = 0
        self._retry_at_s: float | None = None
        self._fresh_token = False
        self._token_doubted = False
        self._token_awaited = False  # that is what the next try waits for
        self._unheard = 0
        self._is_renumbered = False  # the last acknowledgement began an epoch, and no session
        self._poison = Poison()
        self._replace: str | None = None  # why the session is to be replaced
        self._began_s = float("-inf")
        self._is_reading = True
        self._ticked_s = 0.0
        self.is_finished = False
        self._actions: list[Action] = []
        self._now_s, self._at_us = 0.0, 0

    @property
    def is_up(self) -> bool:
        """A session delivers."""
        return any(line.is_streaming for line in self._open_lines())

    @property
    def quiet_s(self) -> float:
        """For how long we have read and heard nothing; 0: no session is up."""
        return min((line.quiet_s for line in self._open_lines() if line.is_streaming), default=0.0)

    @property
    def has_history(self) -> bool:
        """The newest session's history is still running."""
        return self._primary is not None and self._primary.has_history

    @property
    def due_s(self) -> float | None:
        """When a tick would connect."""
        return self._retry_at_s

    def start(self, now_s: float, at_us: int) -> list[Action]:
        """A receiver starts: no session of its predecessor's is up any more."""
        self._now_s, self._at_us, self._ticked_s = now_s, at_us, now_s
        heard_us = min(self.heard_us or at_us, at_us)
        self._write(SessionEnds(0, SCOPE_ALL, "receiver starts", heard_us))
        self._connect()
        return self._taken()

    def handle(self, signal: Signal, now_s: float, at_us: int) -> list[Action]:
        """What is to be done now that this has happened."""
        if self.is_finished:
            return []
        self._now_s, self._at_us = now_s, at_us
        match signal:
            case signals.Tick():
                self._tick(signal)
            case signals.TokenRenewed():
                self._replace = "token"
                if self._token_awaited:
                    self._retry_at_s = now_s
            case signals.HistoryWanted():
                self._replace = self._replace or "history requested"
            case signals.Overflowed():
                self._overflowed(signal)
            case signals.StopAsked():
                self._stop()
            case _:
                line = next((x for x in self._open_lines() if x.number == signal.line), None)
                if line is not None:
                    self._happened(line, signal)
        if self._is_reading and self._retry_at_s is not None and now_s >= self._retry_at_s:
            self._connect()
        return self._taken()

    def _happened(self, line: ReceiverConnection, signal: Signal) -> None:
        self._hear_in(line, signal)
        match signal:
            case signals.Opened(marks=marks):
                self._opened(line, marks)
            case signals.Refused():
                self._refused(line, signal)
            case signals.Unreachable(reason=reason):
                self._let_go(line, reason)
                self._retry(reason)
            case signals.TokenMissing(reason=reason):
                self._let_go(line, reason)
                self._retry(reason, signal.retry_s, counts=not signal.is_refused)
                self._token_awaited = True
            case signals.Acknowledged() if line.phase is ReceiverPhase.SUBSCRIBING:
                self._acknowledged(line, signal)
            case signals.NotAcknowledged():
                self._end(
                    line, "the first frame is not an acknowledgement", Close(line.number, 1002)
                )
            case signals.EventSeen(sequence=sequence) if line.is_streaming and sequence:
                # An old one out of turn says nothing of a replay.
                if signal.is_history or sequence > (line.resume_after or 0):
                    self._understood(line, line.missed_before(sequence, signal.is_history))
            case signals.GapSeen(first=first, last=last) if line.is_streaming:
                self._gap_seen(line, first, last)
            case signals.HistorySeen() if line.is_streaming:
                self._understood(line, line.missed_up_to(line.newest))
                if line.has_history:
                    self._end_history(line, signal.sequence)
            case signals.Lost():
                self._lost(line, signal)

    # From the first try to the session

    def _connect(self) -> None:
        self._lines += 1
        if self._primary is not None:
            assert self._retiring is None, "a third connection"
            self._retiring = self._primary
        self._primary = ReceiverConnection(self._lines)
        self._retry_at_s = None
        self._token_awaited = False
        self._replace = None  # the new session has a token and a history of its own
        self._act(signals.Connect(self._lines, self._fresh_token))
        self._fresh_token = False

    def _opened(self, line: ReceiverConnection, marks: Sequence[signals.Mark]) -> None:
        line.phase = ReceiverPhase.SUBSCRIBING
        numbering = self._numbering
        if numbering.number > 0:
            line.mark = lowest_mark(marks, numbering.number)
            line.resume_after = max(resume_behind(line.mark), self._poison.behind)
        self._act(signals.Subscribe(line.number, line.resume_after, numbering.name))

    def _acknowledged(self, line: ReceiverConnection, signal: signals.Acknowledged) -> None:
        self._is_known, self._unheard, self._token_doubted = True, 0, False
        handled = max(signal.watermark, line.mark)  # a gap moves marks, but no watermark
        if self._numbering.is_new(signal.epoch_name, signal.newest, handled):
            self._renumber(line, signal)
            return
        self._numbering.confirm(signal.epoch_name)
        self._is_renumbered = False
        self._begin(line, signal.newest)

    def _renumber(self, line: ReceiverConnection, signal: signals.Acknowledged) -> None:
        """We asked this line for an old number, so another one asks for everything since 0."""
        self._numbering.start_next(signal.epoch_name, signal.watermark)
        self._poison = Poison()
        epoch = self._numbering.number
        self._tell("session.renumbered", level="warning", epoch=epoch, newest=signal.newest)
        self._act(Close(line.number, 1000))
        self._let_go(line, "renumbered")
        # At once; but a gateway that does it at every acknowledgement is not to be hammered.
        delay_s = None if self._is_renumbered else 0.0
        self._retry("the gateway numbers anew", delay_s, counts=self._is_renumbered)
        self._is_renumbered = True

    def _begin(self, line: ReceiverConnection, newest: int) -> None:
        self._session += 1
        self._began_s = self._now_s
        numbering = self._numbering
        retiring = self._retiring
        if retiring is not None and retiring.is_streaming and retiring.epoch != numbering.number:
            # Its sequences would count as routed in the numbering that begins.
            self._act(Close(retiring.number, 1000))
            self._let_go(retiring, "renumbered")
        line.begin(self._session, numbering.number, newest, self._now_s)
        self._hear(line)
        told = (numbering.number, numbering.name, newest)
        after = line.resume_after
        self._act(signals.Number(self._session))
        # Gaps first: once a journal knows the new numbering, nobody would tell them again.
        for missed in numbering.take_missed():
            self._gap(line, missed)
        self._write(SessionBegins(self._session, SCOPE_ALL, *told, after, self._at_us))
        watermark = None if numbering.number == numbering.kept else 0
        if after is None:
            watermark = newest  # what came before us is not ours to ask for
        numbering.kept = numbering.number
        self._act(signals.Stream(line.number, *told, watermark))
        self._tell("session.begins", session=self._session, newest=newest, resumed_after=after)

    def _understood(self, line: ReceiverConnection, missed: tuple[int, int] | None) -> None:
        """What came first has shown whether the gateway replays what we asked for."""
        if missed is not None:
            self._gap(line, PendingGap(line.epoch, *missed, "not replayed by the gateway"))
        if not line.is_understood:
            line.is_understood = True
            self._act(signals.GoFast(line.number))

    def _gap_seen(self, line: ReceiverConnection, first: int, last: int) -> None:
        """Rows are for what nobody knows yet; a gateway that goes on and on is not heard out."""
        new = line.new_gap(first, last)
        if new is not None and len(line.gaps) > GAPS_MAX:
            reason = f"more than {GAPS_MAX} gaps in one session"
            self._end(line, reason, Close(line.number, 1002))
            return
        if new is not None:
            self._gap(line, PendingGap(line.epoch, *new, "not retained by the gateway"))
        self._understood(line, None)
        line.replays_behind(last)

    def _end_history(self, line: ReceiverConnection, sequence: int) -> None:
        line.has_history = False
        self._write(HistoryEnds(line.session, SCOPE_ALL, True, self._at_us))
        # What it names beyond the acknowledgement was not sent before it: that would be lost.
        self._act(signals.StopHistory(line.number, min(sequence, line.newest)))
        took_s = round(line.age_s(self._now_s), 3)
        self._tell("history.complete", session=line.session, took_s=took_s)
        retiring = self._retiring
        if retiring is not None and line is self._primary:
            self._act(Close(retiring.number, 1000))
            self._let_go(retiring, "replaced")

    # The ways in which a line ends

    def _refused(self, line: ReceiverConnection, signal: signals.Refused) -> None:
        reason = refusal_of(signal.status, signal.at)
        self._let_go(line, reason)
        match signal.status:
            case 401:
                delay_s = None if self._token_doubted else 0.0
                counts = self._token_doubted
                self._token_doubted = self._fresh_token = True
                self._retry(reason, delay_s, counts=counts)
            case 403:
                self._tell("session.scope_missing", level="error", status=403)
                self._retry(reason, self._policy.backoff_most_s)
            case _:
                self._retry(reason, asked_s=signal.retry_after_s)

    def _lost(self, line: ReceiverConnection, signal: signals.Lost) -> None:
        reason = f"closed with {signal.code}" + (" by us" if signal.is_ours else "")
        phase, was_primary = line.phase, line is self._primary
        is_proven = line.is_streaming and line.age_s(self._now_s) >= self._policy.proven_after_s
        if line.is_streaming:
            self._judge_poison(line, signal)
        self._let_go(line, reason)
        if not was_primary:
            return
        if signal.code == CLOSED_WITHOUT_FRAME and phase is ReceiverPhase.SUBSCRIBING:
            self._not_heard()
        elif signal.code == CLOSED_WITHOUT_CODE:
            self._fresh_token = True  # so ends a session whose token has expired
            self._retry(reason, 0.0 if is_proven else None, counts=not is_proven)
        else:
            self._retry(reason)

    def _judge_poison(self, line: ReceiverConnection, signal: signals.Lost) -> None:
        if not signal.is_ours:
            self._poison.clear()
        elif skipped := self._poison.add(line, signal, self._policy.poison_sessions):
            missed = PendingGap(line.epoch, *skipped, "a frame that breaks the protocol")
            self._numbering.missed.append(missed)

    def _not_heard(self) -> None:
        """Ended at our subscription without a word, as a gateway does that finds it malformed."""
        self._unheard += 1
        if not self._is_known and self._unheard >= self._policy.unheard_most:
            reason = (
                f"the gateway closed {self._unheard} connections on our subscription without an "
                "answer, and does not accept it; check the setting `resource`"
            )
            self._give_up(EXIT_CONFIGURATION, reason)
            return
        self._retry("closed on our subscription without an answer; possibly it is not accepted")

    def _overflowed(self, signal: signals.Overflowed) -> None:
        self._act(signals.DropSpill(lowest_mark(signal.marks, self._numbering.kept)))
        self._is_reading = False  # until a tick says that there is room again
        for line in self._open_lines():
            self._act(Close(line.number, 1001))
            self._let_go(line, "the spill limit is exceeded")
        self._retry("the spill limit is exceeded")

    def _stop(self) -> None:
        for line in self._open_lines():
            self._act(Close(line.number, 1000))
            self._let_go(line, "stopped")
        self._retry_at_s = None
        self.is_finished = True

    def _end(self, line: ReceiverConnection, reason: str, action: Action) -> None:
        """We end the line ourselves, and try again if it was the newest."""
        was_primary = line is self._primary
        self._act(action)
        self._let_go(line, reason)
        if was_primary:
            self._retry(reason)

    def _let_go(self, line: ReceiverConnection, reason: str) -> None:
        """The line is not ours any more; the one it was to replace is the newest again."""
        if line is self._retiring:
            self._retiring = None
        else:
            assert line is self._primary, line
            self._primary, self._retiring = self._retiring, None
        if not line.is_streaming:
            return
        self._forgive(line)
        # Until then its states were confirmed; a clock may have been set back since.
        heard_us = min(line.heard_us, self._at_us)
        self._write(SessionEnds(line.session, SCOPE_ALL, reason, heard_us))
        lived_s = round(line.age_s(self._now_s), 3)
        self._tell("session.ends", session=line.session, reason=reason, lived_s=lived_s)

    # Trying again

    def _retry(
        self,
        reason: str,
        delay_s: float | None = None,
        *,
        counts: bool = True,
        asked_s: float | None = None,
    ) -> None:
        """Plan the next try; `delay_s` None: back off, and for as long as the gateway asks."""
        policy = self._policy
        self._tries += counts
        if 0 < policy.attempts_max <= self._tries and not self.is_up:
            self._write(SessionEnds(self._session, SCOPE_ALL, END_EXHAUSTED, self._at_us))
            self._give_up(
                EXIT_TEMPORARY, f"{self._tries} consecutive attempts failed; last error: {reason}"
            )
            return
        if delay_s is None:
            first_s, most_s = policy.backoff_first_s, policy.backoff_most_s
            delay_s = wait_s(self._tries, self._rng, asked_s, first_s=first_s, most_s=most_s)
        self._retry_at_s = self._now_s + delay_s
        self._tell("session.retry", reason=reason, delay_s=round(delay_s, 3), tries=self._tries)

    def _give_up(self, exit_code: int, reason: str) -> None:
        self.is_finished = True
        self._retry_at_s = None
        self._act(signals.GiveUp(exit_code, reason))

    def _forgive(self, line: ReceiverConnection) -> None:
        if line.age_s(self._now_s) >= self._policy.proven_after_s:
            self._tries = 0

    # Time

    def _tick(self, tick: signals.Tick) -> None:
        elapsed_s, self._ticked_s = self._now_s - self._ticked_s, self._now_s
        self._is_reading = tick.is_reading
        read_s = min(elapsed_s, self._policy.tick_most_s) if tick.is_reading else 0.0
        for line in self._open_lines():
            self._watch(line, tick.signs.get(line.number, line.signs), read_s)
        self._replace_if_wanted()

    def _watch(self, line: ReceiverConnection, signs: signals.Signs, read_s: float) -> None:
        if line.is_streaming and line is self._primary and self._retry_at_s is None:
            self._forgive(line)
        if line.has_heard(signs):
            self._hear(line)
        match line.observe(signs, read_s, self._policy):
            case SilenceVerdict.UNACKNOWLEDGED:
                reason = f"no acknowledgement within {self._policy.ack_timeout_s:g} s"
                self._end(line, reason, Close(line.number, 1002))
            case SilenceVerdict.DEAD:
                reason = f"no frame and no pong for {self._policy.dead_after_s:g} s"
                self._end(line, reason, Abort(line.number))
            case SilenceVerdict.END_HISTORY:
                self._end_history(line, 0)
            case SilenceVerdict.PING:
                self._act(signals.Ping(line.number))

    def _replace_if_wanted(self) -> None:
        """A controlled reconnect: the new line first, then the old one is let go."""
        line = self._primary
        if self._replace is None or line is None or not line.is_streaming or line.has_history:
            return
        is_early = self._now_s < self._began_s + self._policy.replace_gap_s
        if self._retiring is None and self._retry_at_s is None and not is_early:
            self._tell("session.replaced", reason=self._replace, session=line.session)
            self._retry_at_s = self._now_s

    # Actions

    def _open_lines(self) -> list[ReceiverConnection]:
        return [line for line in (self._primary, self._retiring) if line is not None]

    def _hear_in(self, line: ReceiverConnection, signal: Signal) -> None:
        is_close = isinstance(signal, signals.Lost) and signal.code != CLOSED_WITHOUT_FRAME
        if is_close or isinstance(signal, _FRAMES):
            self._hear(line)

    def _hear(self, line: ReceiverConnection) -> None:
        """A frame of this line is at hand."""
        line.heard_us = self.heard_us = self._at_us

    def _gap(self, line: ReceiverConnection, missed: PendingGap) -> None:
        self._write(Gap(line.session, SCOPE_ALL, *missed, self._at_us))
        self._tell("session.gap", level="warning", **missed._asdict())

    def _write(self, record: SessionBegins | HistoryEnds | SessionEnds | Gap) -> None:
        self._act(signals.Write(record))

    def _tell(self, event: str, *, level: str = "info", **fields: object) -> None:
        self._act(Tell(event, tuple(fields.items()), level))

    def _act(self, action: Action) -> None:
        self._actions.append(action)

    def _taken(self) -> list[Action]:
        taken, self._actions = self._actions, []
        return taken
