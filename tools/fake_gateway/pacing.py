"""Load: how many events have happened by now. Pure: time is an argument; knows no agent or socket.

A load is an open loop: events happen whether or not anybody keeps up with them. Only at full speed
(`rate` None) the sockets set the pace, and the load says no more than when it ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

NS_PER_S = 1_000_000_000
RATE_MAX = 10_000_000


class Piece(NamedTuple):
    """Of a profile: this many seconds at `factor` times the rate."""

    seconds: float
    factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Pieces that repeat, with a mean factor of 1; at `drops_s` of each turn sockets are cut."""

    pieces: tuple[Piece, ...]
    drops_s: tuple[float, ...] = ()

    @property
    def turn_s(self) -> float:
        return sum(piece.seconds for piece in self.pieces)


PROFILES = {
    "steady": Profile(pieces=(Piece(3600.0, 1.0),)),
    # A shift begins: a second of five times the rate, then nine quieter ones.
    "shift-change": Profile(pieces=(Piece(1.0, 5.0), Piece(9.0, 5.0 / 9.0))),
    # A load balancer loses its mind: three cuts in four seconds, while the rate is doubled.
    "reconnect-storm": Profile(
        pieces=(Piece(5.0, 2.0), Piece(15.0, 10.0 / 15.0)), drops_s=(0.5, 2.0, 4.5)
    ),
}


class Pace(NamedTuple):
    """From event `first` of the load on, an event every `step_ns`, beginning at `offset_ns`."""

    first: int
    offset_ns: int
    step_ns: int
    end_ns: int


class Due(NamedTuple):
    events: int  # that have happened since the load began
    paces: tuple[Pace, ...]  # that began since the last question
    drops: int  # cuts of all sockets that are due since the last question
    is_over: bool


class Load:
    """One load, from its start to its end. `seconds` 0 = until it is stopped."""

    def __init__(self, rate: float | None, seconds: float, profile: str = "steady") -> None:
        if rate is not None and not 0 < rate <= RATE_MAX:
            raise ValueError(f'the rate must be "max" or above 0 and at most {RATE_MAX}: {rate}')
        if seconds < 0:
            raise ValueError(f"seconds must not be negative: {seconds}")
        if profile not in PROFILES:
            raise ValueError(f"Unknown profile {profile!r}; expected one of {', '.join(PROFILES)}")
        self.rate = rate
        self.seconds = seconds
        self._profile = PROFILES[profile]
        self._paces = self._unroll() if rate is not None else iter(())
        self._pace: Pace | None = None
        self._asked_ns = 0

    def due(self, elapsed_ns: int) -> Due:
        """Times may not fall from question to question."""
        end_ns = round(self.seconds * NS_PER_S)
        is_over = end_ns > 0 and elapsed_ns >= end_ns
        if is_over:
            elapsed_ns = end_ns - 1
        drops = self._drops(elapsed_ns) - self._drops(self._asked_ns)
        self._asked_ns = elapsed_ns
        if self.rate is None:
            return Due(0, (), drops, is_over)
        begun = []
        while self._pace is None or elapsed_ns >= self._pace.end_ns:
            self._pace = next(self._paces)
            begun.append(self._pace)
        events = self._pace.first + (elapsed_ns - self._pace.offset_ns) // self._pace.step_ns + 1
        return Due(events, tuple(begun), drops, is_over)

    def _unroll(self) -> Iterator[Pace]:
        assert self.rate is not None
        first, offset_ns = 0, 0
        while True:
            for piece in self._profile.pieces:
                step_ns = math.ceil(NS_PER_S / (self.rate * piece.factor))
                end_ns = offset_ns + round(piece.seconds * NS_PER_S)
                yield Pace(first, offset_ns, step_ns, end_ns)
                first += -(-(end_ns - offset_ns) // step_ns)
                offset_ns = end_ns

    def _drops(self, elapsed_ns: int) -> int:
        """Cuts before that time."""
        drops_s = self._profile.drops_s
        if not drops_s:
            return 0
        turns, rest_s = divmod(elapsed_ns / NS_PER_S, self._profile.turn_s)
        return int(turns) * len(drops_s) + sum(at_s <= rest_s for at_s in drops_s)
