"""Owns the life of the presence socket: when to connect, whether it is bound, when it is dead.
Pure.

It knows no socket, clock or command: signals and time in, actions out (protocol.md §1.2, §1.3).
Delays run on the clock; silence counts in steps of a tick, since a suspended machine has heard
nothing in its sleep. It never gives up: without a line, commands are refused and say why.

At most one line is *carrying*: bound, and the newest that was. Another may be on its way, to become
the first one or to replace the carrying one; a replaced line stays a moment for what it still owes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import Final

from actors.genesys import reconnect
from actors.genesys.presence import SCOPE_TO_WRITE
from actors.sender import line_signals as words
from actors.sender.line_signals import Abort, Action, Close, Signal, Tell
from actors.sender.signals import LineDown, LineUp

CLOSED_NORMALLY: Final = 1000
CLOSED_OVER_PROTOCOL: Final = 1002


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderPolicy:
    """The numbers of protocol.md §1.3, and of §1.2 where it refers to that."""

    even_attempts: int = 5  # this many follow each other evenly, before the back-off begins
    even_gap_s: float = 1.0
    backoff_first_s: float = reconnect.BACKOFF_FIRST_S
    backoff_most_s: float = reconnect.BACKOFF_MOST_S
    proven_after_s: float = reconnect.PROVEN_AFTER_S
    bind_timeout_s: float = reconnect.ANSWER_TIMEOUT_S
    ping_after_s: tuple[float, ...] = reconnect.PING_AFTER_S
    dead_after_s: float = reconnect.DEAD_AFTER_S
    tick_most_s: float = reconnect.TICK_MOST_S
    replace_gap_s: float = reconnect.REPLACE_GAP_S
    linger_s: float = 1.0  # a replaced line may still be given what was on its way to it
    answers_s: float = 5.0  # it waits that long for answers


class SenderPhase(Enum):
    CONNECTING = "connecting"
    BINDING = "binding"
    BOUND = "bound"


@dataclass(slots=True)
class SenderConnection:
    """One connection, from the first try to its end."""

    number: int
    phase: SenderPhase = SenderPhase.CONNECTING
    bound_s: float = 0.0
    retired_s: float = 0.0
    frames: int = 0
    quiet_s: float = 0.0  # without a frame, or without the binding
    pings: int = 0
    awaited: dict[str, float] = field(default_factory=dict)  # correlation id: when it was sent

    def hear(self, frames: int, read_s: float) -> None:
        """We have read for `read_s` more seconds, and so many frames came since it opened."""
        if frames != self.frames and self.phase is SenderPhase.BOUND:
            self.frames, self.quiet_s, self.pings = frames, 0.0, 0
        else:
            self.quiet_s += read_s

    def is_ping_due(self, policy: SenderPolicy) -> bool:
        due = policy.ping_after_s[self.pings : self.pings + 1]
        if not due or self.quiet_s < due[0]:
            return False
        self.pings += 1
        return True

    def forget_before(self, sent_s: float) -> None:
        """Answers that late are not waited for any more."""
        for correlation in [each for each, at_s in self.awaited.items() if at_s < sent_s]:
            del self.awaited[correlation]


class ConnectionMachine:
    """Feed it every signal; carry out what it returns, in order, before the next one."""

    def __init__(self, policy: SenderPolicy, rng: random.Random) -> None:
        self._policy = policy
        self._rng = rng
        self._lines = 0
        self._coming: SenderConnection | None = None
        self._carrying: SenderConnection | None = None
        self._retiring: SenderConnection | None = None
        self._tries = 0  # that failed in a row
        self._retry_at_s: float | None = None
        self._fresh_token = False
        self._token_doubted = False
        self._replace: str | None = None  # why the carrying line is to be replaced
        self._ticked_s = 0.0
        self._now_s = 0.0
        self._is_finished = False
        self._actions: list[Action] = []

    @property
    def is_up(self) -> bool:
        """A line carries updates."""
        return self._carrying is not None

    @property
    def due_s(self) -> float | None:
        """When a tick would connect."""
        return self._retry_at_s

    def start(self, now_s: float) -> list[Action]:
        self._now_s = self._ticked_s = now_s
        self._connect()
        return self._taken()

    def handle(self, signal: Signal, now_s: float) -> list[Action]:
        """What is to be done now that this has happened."""
        if self._is_finished:
            return []
        self._now_s = now_s
        match signal:
            case words.Tick(frames=frames):
                self._tick(frames)
            case words.TokenRenewed():
                self._replace = "token"
            case words.StopAsked():
                self._stop()
            case _:
                line = next((x for x in self._open_lines() if x.number == signal.line), None)
                if line is not None:
                    self._happened(line, signal)
        if self._retry_at_s is not None and now_s >= self._retry_at_s:
            self._connect()
        return self._taken()

    def _happened(self, line: SenderConnection, signal: Signal) -> None:
        match signal:
            case words.Opened() if line.phase is SenderPhase.CONNECTING:
                line.phase, line.quiet_s = SenderPhase.BINDING, 0.0
                self._act(words.Bind(line.number))
            case words.Refused():
                self._refused(line, signal)
            case words.Unreachable(reason=reason):
                self._end(line, reason)
            case words.TokenMissing(reason=reason):
                self._let_go(line, reason)
                self._retry(reason, signal.retry_s, counts=False)
            case words.ChannelBound() if line.phase is SenderPhase.BINDING:
                self._bound(line)
            case words.NotBound(reason=reason) if line.phase is SenderPhase.BINDING:
                self._end(line, f"not bound: {reason}", Close(line.number, CLOSED_OVER_PROTOCOL))
            case words.Lost():
                self._lost(line, signal)
            case words.Sent(correlation=correlation):
                line.awaited[correlation] = self._now_s
            case words.Answered(correlation=correlation):
                for each in self._open_lines():  # it may have been sent over another one before
                    each.awaited.pop(correlation, None)
            case words.TokenDoubted() if line is self._carrying and self._is_proven(line):
                # A younger line has a token as fresh as it gets.
                self._replace, self._fresh_token = "an update was answered with 401", True

    # From the first try to the binding

    def _connect(self) -> None:
        assert self._coming is None, "two lines on their way"
        self._lines += 1
        self._coming = SenderConnection(self._lines)
        self._retry_at_s = None
        self._replace = None
        self._act(words.Connect(self._lines, self._fresh_token))
        self._fresh_token = False

    def _bound(self, line: SenderConnection) -> None:
        """Make before break: what was carrying is only now let go."""
        assert line is self._coming, line
        if self._carrying is not None:
            assert self._retiring is None, "replaced before its predecessor was gone"
            self._retiring, self._carrying.retired_s = self._carrying, self._now_s
        self._carrying, self._coming = line, None
        line.phase, line.bound_s, line.quiet_s = SenderPhase.BOUND, self._now_s, 0.0
        self._token_doubted = False
        self._act(LineUp(line.number))
        self._tell("line.up", line=line.number)

    # The ways in which a line ends

    def _refused(self, line: SenderConnection, signal: words.Refused) -> None:
        reason = reconnect.refusal_of(signal.status, signal.at)
        match signal.status:
            case HTTPStatus.UNAUTHORIZED:
                is_first, self._token_doubted = not self._token_doubted, True
                self._fresh_token = True
                self._let_go(line, reason)
                self._retry(reason, 0.0 if is_first else None, counts=not is_first)
            case HTTPStatus.FORBIDDEN:
                reason = f"{reason}: the client lacks the scope {SCOPE_TO_WRITE}"
                self._let_go(line, reason, level="error")
                self._retry(reason, self._policy.backoff_most_s)
            case HTTPStatus.TOO_MANY_REQUESTS:
                self._let_go(line, reason)
                self._retry(reason, asked_s=signal.retry_after_s)
            case _:
                self._end(line, reason, asked_s=signal.retry_after_s)

    def _lost(self, line: SenderConnection, signal: words.Lost) -> None:
        reason = f"closed with {signal.code}" + (" by the runtime" if signal.is_ours else "")
        if signal.code == reconnect.CLOSED_WITHOUT_CODE and line is not self._retiring:
            self._fresh_token = True  # so ends a line whose token has expired
        self._end(line, reason)

    def _end(
        self,
        line: SenderConnection,
        reason: str,
        action: Action | None = None,
        *,
        asked_s: float | None = None,
    ) -> None:
        """The line is over, and another try follows; a replaced one has its successor."""
        if action is not None:
            self._act(action)
        needs_successor = line is not self._retiring
        counts = not self._is_proven(line)
        self._let_go(line, reason)
        if needs_successor:
            self._retry(reason, counts=counts, asked_s=asked_s)

    def _let_go(self, line: SenderConnection, reason: str, *, level: str = "info") -> None:
        """The line is not ours any more, and brings no answer."""
        self._forgive(line)
        if line is self._coming:
            self._coming = None
        elif line is self._carrying:
            self._carrying = None
        else:
            assert line is self._retiring, line
            self._retiring = None
        self._act(LineDown(line.number, reason))
        self._tell("line.down", level=level, line=line.number, reason=reason)

    def _close(self, line: SenderConnection, reason: str) -> None:
        self._act(Close(line.number, CLOSED_NORMALLY))
        self._let_go(line, reason)

    def _stop(self) -> None:
        for line in tuple(self._open_lines()):
            self._close(line, "stopped")
        self._retry_at_s = None
        self._is_finished = True

    # Trying again

    def _retry(
        self,
        reason: str,
        delay_s: float | None = None,
        *,
        counts: bool = True,
        asked_s: float | None = None,
    ) -> None:
        """Plan the next try, unless one is planned or on its way; not before the gateway asks."""
        if self._coming is not None or self._retry_at_s is not None:
            return
        self._tries += counts
        delay_s = max(self._delay_s(), asked_s or 0.0) if delay_s is None else delay_s
        self._retry_at_s = self._now_s + delay_s
        self._tell("line.retry", reason=reason, delay_s=round(delay_s, 3), tries=self._tries)

    def _delay_s(self) -> float:
        """At once behind a line that was proven; evenly a few times; then the back-off."""
        policy = self._policy
        if self._tries < policy.even_attempts:
            return policy.even_gap_s if self._tries else 0.0
        return reconnect.backoff_s(
            self._tries - policy.even_attempts + 1,
            self._rng,
            first_s=policy.backoff_first_s,
            most_s=policy.backoff_most_s,
        )

    def _is_proven(self, line: SenderConnection) -> bool:
        age_s = self._now_s - line.bound_s
        return line.phase is SenderPhase.BOUND and age_s >= self._policy.proven_after_s

    def _forgive(self, line: SenderConnection) -> None:
        if line is self._carrying and self._is_proven(line):
            self._tries = 0

    # Time

    def _tick(self, frames: Mapping[int, int]) -> None:
        read_s = min(self._now_s - self._ticked_s, self._policy.tick_most_s)
        self._ticked_s = self._now_s
        for line in tuple(self._open_lines()):
            line.hear(frames.get(line.number, line.frames), read_s)
            line.forget_before(self._now_s - self._policy.answers_s)
            self._watch(line)
        retiring = self._retiring
        if retiring is not None and self._is_over(retiring):
            self._close(retiring, "replaced")
        self._replace_if_wanted()

    def _watch(self, line: SenderConnection) -> None:
        policy = self._policy
        if line.phase is SenderPhase.BINDING and line.quiet_s >= policy.bind_timeout_s:
            reason = f"not bound within {policy.bind_timeout_s:g} s"
            self._end(line, reason, Close(line.number, CLOSED_OVER_PROTOCOL))
        elif line.phase is SenderPhase.BOUND and line.quiet_s >= policy.dead_after_s:
            reason = f"no frame and no pong for {policy.dead_after_s:g} s"
            self._end(line, reason, Abort(line.number))
        elif line.phase is SenderPhase.BOUND and line.is_ping_due(policy):
            self._act(words.Ping(line.number))

    def _is_over(self, line: SenderConnection) -> bool:
        waited_s = self._now_s - line.retired_s
        if waited_s >= self._policy.answers_s:
            return True
        return waited_s >= self._policy.linger_s and not line.awaited

    def _replace_if_wanted(self) -> None:
        """A controlled reconnect: the new line first."""
        line = self._carrying
        if self._replace is None or line is None or self._retiring is not None:
            return
        is_early = self._now_s < line.bound_s + self._policy.replace_gap_s
        if self._coming is None and self._retry_at_s is None and not is_early:
            self._forgive(line)
            self._tell("line.replaced", reason=self._replace, line=line.number)
            self._retry_at_s = self._now_s

    # Actions

    def _open_lines(self) -> Iterator[SenderConnection]:
        lines = (self._coming, self._carrying, self._retiring)
        return (line for line in lines if line is not None)

    def _tell(self, event: str, *, level: str = "info", **fields: object) -> None:
        self._act(Tell(event, tuple(fields.items()), level))

    def _act(self, action: Action) -> None:
        self._actions.append(action)

    def _taken(self) -> list[Action]:
        taken, self._actions = self._actions, []
        return taken
