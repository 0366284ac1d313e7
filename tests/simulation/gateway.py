"""A pure model of the gateway's side of the notification socket (protocol.md §1.2).

Frames in, frames out, no clock; written without the product's code, and lying about nothing that it
told: `unavailable` is what a client could not have, for the oracle.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import orjson

from tests.simulation.faults import CLOSES
from tests.simulation.organisation import Epoch, Event, Organisation

CUT: Final = "dropped at subscription"
CUTS_MOST: Final = 2
POISON: Final = b"\x00poison"
"""Stands for a frame that breaks the protocol: whoever reads it must close the connection."""


class Frame(NamedTuple):
    payload: bytes
    event: Event | None = None  # live or replayed: may change places with its neighbours
    named: str | None = None  # whom this frame of a history names


class Span(NamedTuple):
    """Sequences of an epoch that a client could not have, and why."""

    epoch: int
    first: int
    last: int
    why: str


@dataclass(slots=True, eq=False)
class Socket:
    """The gateway's end of one connection."""

    token: int
    queue: list[Frame] = field(default_factory=list)
    is_subscribed: bool = False
    stalled_until_s: float = 0.0  # sends nothing, answers nothing
    epoch: int = 0
    head: int = 0  # events that had happened at the acknowledgement
    code: int | None = None  # of the close that follows what is queued
    ignored_sequence: bool = False
    is_complete: bool = False  # its history was queued with its end


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What this gateway is like."""

    retention: int  # events that can be replayed
    reorder: int  # how far neighbours change places
    duplicates: float  # share of events that come twice


class Gateway:
    def __init__(self, rng: random.Random, organisation: Organisation, habits: Habits) -> None:
        self._rng = rng
        self.organisation = organisation
        self.habits = habits
        self.sockets: list[Socket] = []
        self.handshakes: deque[str] = deque()  # faults of the next ones
        self.subscriptions: deque[str] = deque()
        self.sessions: deque[str] = deque()
        self.tokens_issued = 0
        self.tokens_ended = 0
        self.retained_from = 0  # the first event that can be replayed
        self.unavailable: list[Span] = []
        self.poisoned: set[int] = set()  # numbers of events that nobody can receive
        self.done: Counter[str] = Counter()  # faults that somebody met

    # Tokens and handshakes

    def issue_token(self) -> int:
        self.tokens_issued += 1
        return self.tokens_issued

    def end_tokens(self) -> None:
        """All tokens of now; whoever is connected with one is cut without a code."""
        self.tokens_ended = self.tokens_issued
        self.close_all(1005)

    def accept(self, token: int) -> Socket | str:
        """A socket, or how the handshake fails."""
        if self.handshakes:
            fault = self.handshakes.popleft()
            self.done[fault] += 1
            return fault
        if token <= self.tokens_ended:
            return "401"
        socket = Socket(token)
        self.sockets.append(socket)
        return socket

    def spare_a_start(self) -> None:
        """Nobody has acknowledged anything to a runtime that starts: the third of its subscriptions
        to be cut would rightly end it as a mistake in its settings."""
        while self.subscriptions.count(CUT) > CUTS_MOST:
            self.subscriptions.remove(CUT)

    # What happens

    def happens(self, now_us: int) -> Event:
        event = self.organisation.happens(now_us)
        self.retained_from = max(
            self.retained_from, len(self.organisation.events) - self.habits.retention
        )
        for socket in self.sockets:
            if socket.is_subscribed and socket.code is None:
                self._enqueue(socket, event)
                if self._rng.random() < self.habits.duplicates:
                    self._repeat(socket)
        return event

    def _enqueue(self, socket: Socket, event: Event) -> None:
        """At the end, or a few places before it."""
        queue, place = socket.queue, len(socket.queue)
        if self.habits.reorder and self._rng.random() < 0.3:
            for _ in range(self._rng.randint(1, self.habits.reorder)):
                other = queue[place - 1].event if place > 0 else None
                if other is None or event.sequence - other.sequence > self.habits.reorder:
                    break
                place -= 1
        is_poison = event.number in self.poisoned
        queue.insert(place, Frame(POISON if is_poison else event.payload, event))

    def _repeat(self, socket: Socket) -> None:
        events = self.organisation.events
        event = events[-1 - self._rng.randrange(min(len(events), 16))]
        if event.epoch == socket.epoch and event.number not in self.poisoned:
            socket.queue.append(Frame(event.payload, event))

    def odd_frames(self, payloads: list[bytes]) -> None:
        """Additional frames, anywhere behind the acknowledgement."""
        for socket in self.sockets:
            if socket.is_subscribed and socket.code is None:
                place = self._rng.randint(min(1, len(socket.queue)), len(socket.queue))
                socket.queue[place:place] = [Frame(payload) for payload in payloads]

    def number_anew(self, epoch: Epoch) -> None:
        """A gateway that restarts: nothing of the old numbering can be had any more."""
        organisation = self.organisation
        self.unavailable.append(Span(organisation.epoch, 0, 1 << 62, "numbered anew"))
        organisation.begin_epoch(epoch)
        self.retained_from = len(organisation.events)
        self.close_all(1012)

    def close_all(self, code: int) -> None:
        for socket in list(self.sockets):
            self.close(socket, code)

    def close(self, socket: Socket, code: int) -> None:
        """What is queued may still arrive, or a part of it."""
        kept = self._rng.randint(0, len(socket.queue)) if code != CLOSES["close 1000"] else None
        if kept is not None:
            del socket.queue[kept:]
        socket.code = code
        self.forget(socket)

    def forget(self, socket: Socket) -> None:
        """No event goes there any more."""
        socket.is_subscribed = False
        if socket in self.sockets:
            self.sockets.remove(socket)

    # A subscription

    def subscribe(self, socket: Socket, payload: bytes) -> None:
        if self.subscriptions:
            fault = self.subscriptions.popleft()
            self.done[fault] += 1
            if fault == CUT:
                self.close(socket, 1006)
                return
            if fault == "no acknowledgement":
                return
            socket.queue.append(Frame(b'{"type":"routing.agents.state","sequence":1,"data":{}}'))
        asked = orjson.loads(payload)
        organisation = self.organisation
        socket.is_subscribed, socket.epoch = True, organisation.epoch
        socket.head = len(organisation.events)
        name = organisation.epochs[-1].name
        acknowledgement = {"type": "subscription", "status": "subscribed"}
        epoch = {"epoch": name} if name else {}
        self._send(socket, {**acknowledgement, "sequence": organisation.newest, **epoch})
        fault = self.sessions.popleft() if self.sessions else ""
        self.done[fault] += bool(fault)
        is_ours = asked.get("epoch", name) == name or not name
        if asked.get("sequence") is not None and is_ours:
            self._replay(socket, asked["sequence"], is_ignored=fault == "sequence ignored")
        self._tell_history(socket, is_ended=fault != "no history.complete")

    def _replay(self, socket: Socket, after: int, *, is_ignored: bool) -> None:
        organisation = self.organisation
        newest, epoch = organisation.newest, organisation.epoch
        if is_ignored:
            socket.ignored_sequence = True
            self.unavailable.append(Span(epoch, after + 1, newest, "ignored"))
            return
        first_sequence = organisation.epochs[-1].first_sequence
        began = len(organisation.events) - (organisation.next_sequence - first_sequence)
        retained = first_sequence + max(0, self.retained_from - began)
        if after + 1 < retained and after < newest:
            last = min(retained - 1, newest)
            self._send(socket, {"type": "gap", "from": after + 1, "to": last})
            self.unavailable.append(Span(epoch, after + 1, last, "not retained"))
        for sequence in range(max(after + 1, retained), newest + 1):
            self._enqueue(socket, organisation.events[began + sequence - first_sequence])

    def _tell_history(self, socket: Socket, *, is_ended: bool) -> None:
        told = list(self.organisation.truth.values())
        self._rng.shuffle(told)
        socket.queue += [Frame(event.history, named=event.user) for event in told]
        socket.is_complete = is_ended
        if is_ended:
            complete = {"type": "history.complete", "sequence": self.organisation.newest}
            self._send(socket, complete)

    def _send(self, socket: Socket, frame: dict[str, object]) -> None:
        socket.queue.append(Frame(orjson.dumps(frame)))
