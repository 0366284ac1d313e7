"""The organisation of a simulated gateway: agents, what happens to them, and how it is numbered.

It is the truth that the oracle holds the journals against. Knows no socket and no client.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

import orjson

from actors.genesys.times import iso_ms
from actors.messages.control import STATE_EVENT

STATES: Final = ("Available", "Not Available", "Talking", "Wrapped Up", "Reserved")
CLOCK_SET: Final = 0.03
"""How often the wall clock is set before a change, rightly or to one of these."""
CLOCK_OFF_US: Final = (0, 0, -20_000_000, 90_000_000, -3_600_000_000, 3_600_000_000)


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """One change of an agent; or, in another epoch, the restatement of one."""

    epoch: int  # index of its gateway epoch
    sequence: int
    user: str
    state: str
    at_us: int
    queue: str | None
    number: int  # how many events had happened before; -1: not an event, only told by histories
    payload: bytes
    history: bytes
    """The frame in which a history tells it."""


@dataclass(frozen=True, slots=True)
class Epoch:
    """One numbering of sequences by the gateway."""

    name: str  # "" if this gateway names none
    first_sequence: int


class Organisation:
    def __init__(
        self, rng: random.Random, *, agents: int, epoch: Epoch, now_us: int, is_coarse: bool
    ) -> None:
        self._rng = rng
        self._is_coarse = is_coarse  # times of a whole second: several changes share one
        self._clock_off_us = 0
        self._told: set[tuple[str, int]] = set()  # who changed when, by that clock
        self.epochs = [epoch]
        self.events: list[Event] = []
        self.next_sequence = epoch.first_sequence
        self.truth: dict[str, Event] = {}
        """Everybody's newest state, as the present epoch tells it."""
        self.gone: dict[str, Event] = {}
        self.initial: list[Event] = []
        for place in range(agents):
            user = f"{rng.getrandbits(32):08x}-0000-4000-8000-{place:012d}"
            at_us = now_us - 1_000_000 * rng.randrange(10, 10_000)
            self._restate(place + 1, user, rng.choice(STATES), at_us, self._queue())
        self.newcomers = [f"{rng.getrandbits(32):08x}-0000-4000-8000-{n:012x}" for n in range(2)]

    @property
    def epoch(self) -> int:
        return len(self.epochs) - 1

    @property
    def newest(self) -> int:
        return self.next_sequence - 1

    def happens(self, now_us: int) -> Event:
        """Somebody changes. What the wall clock says of it may be wrong, by an hour either way;
        only two changes of an agent never bear the same time, unless times are coarse."""
        rng = self._rng
        if self.newcomers and rng.random() < 0.01:
            user, before = self.newcomers.pop(), None
        else:
            user = rng.choice(list(self.truth))
            before = self.truth[user]
        state = rng.choice([s for s in STATES if before is None or s != before.state])
        if rng.random() < CLOCK_SET:
            self._clock_off_us = rng.choice(CLOCK_OFF_US)
        at_us = now_us // 1000 * 1000
        if self._is_coarse:
            at_us = at_us // 1_000_000 * 1_000_000
        else:
            at_us += self._clock_off_us
            while (user, at_us) in self._told:
                at_us += 1000
            self._told.add((user, at_us))
        event = _event(
            self.epoch, self.next_sequence, user, state, at_us, self._queue(), len(self.events)
        )
        self.next_sequence += 1
        self.events.append(event)
        self.truth[user] = event
        return event

    def leaves(self) -> str | None:
        """Somebody is deleted: no event says so, but no history names them any more."""
        if len(self.truth) < 3:
            return None
        user = self._rng.choice(list(self.truth))
        self.gone[user] = self.truth.pop(user)
        return user

    def begin_epoch(self, epoch: Epoch) -> None:
        """What everybody is keeps its time, and gets a sequence below the first."""
        self.epochs.append(epoch)
        self.next_sequence = epoch.first_sequence
        for place, (user, event) in enumerate(list(self.truth.items())):
            self._restate(place + 1, user, event.state, event.at_us, event.queue)

    def _restate(self, sequence: int, user: str, state: str, at_us: int, queue: str | None) -> None:
        event = _event(self.epoch, sequence, user, state, at_us, queue, -1)
        self.truth[user] = event
        self.initial.append(event)

    def _queue(self) -> str | None:
        rng = self._rng.random()
        return None if rng < 0.2 else f"queue-{int(rng * 5)}"


def _event(  # noqa: PLR0917  they are the fields
    epoch: int, sequence: int, user: str, state: str, at_us: int, queue: str | None, number: int
) -> Event:
    data = {"userId": user, "state": state, "timestamp": iso_ms(at_us)}
    if queue is not None:
        data["queueId"] = queue
    if sequence % 7 == 3:  # an unusual one: the exact way of the merge
        data["presence"] = "busy"
    frame = {"type": STATE_EVENT, "sequence": sequence, "data": data}
    payload = orjson.dumps(frame)
    history = orjson.dumps({**frame, "history": True})
    return Event(epoch, sequence, user, state, at_us, queue, number, payload, history)
