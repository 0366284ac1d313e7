"""Owns the places where sessions end by a frame that breaks the protocol, and when to give one up.

We close over such a frame (too large, reserved bits, a fragment in the wrong place), and the resume
brings it again, for ever. After three sessions in a row at one place it is left behind, with a gap.
It knows no session machine: ends go in, the sequences to skip come out (protocol.md §1.2).
"""

from __future__ import annotations

from dataclasses import dataclass

from actors.messages.control import RESUME_MARGIN
from actors.receiver.line import ReceiverConnection
from actors.receiver.signals import Lost

NEAR_FACTOR = 2
"""So many times the sessions, where each brings the neighbours of the frame in another order: one
that is met by chance in the same thousand events, but not again, is not to be mistaken for it."""


@dataclass(slots=True)
class Poison:
    behind: int = 0  # resume here, at least: what lies before cannot be received
    _place: int = -1
    _sessions: int = 0  # in a row, at this place
    _near: int = 0  # in a row, within the margin of the lowest one
    _lowest: int = -1
    _skips: int = 0

    def clear(self) -> None:
        """A session ended in another way."""
        self._sessions = self._near = 0

    def add(
        self, line: ReceiverConnection, lost: Lost, sessions_most: int
    ) -> tuple[int, int] | None:
        """A session ended by such a frame; (first, last) to skip.

        A place in a history cannot be skipped: it is told anew each time.
        """
        resumed_after = line.resume_after or 0
        place = max(lost.highest, resumed_after)
        is_near = abs(place - self._lowest) <= RESUME_MARGIN
        self._sessions = self._sessions + 1 if place == self._place else 1
        self._near, self._lowest = (
            (self._near + 1, min(place, self._lowest)) if self._near and is_near else (1, place)
        )
        self._place = place
        is_known = self._sessions >= sessions_most
        is_about = self._near >= NEAR_FACTOR * sessions_most
        is_in_history = line.has_history and place >= line.newest
        if not (is_known or is_about) or line.resume_after is None or is_in_history:
            return None
        if place > self.behind + RESUME_MARGIN:
            self._skips = 0  # another frame, and not a neighbour of the last one
        # One sequence at first. If that was not it, neighbours had changed places: all of them.
        # None beyond the newest: what has not happened yet is not skipped.
        is_first = is_known and self._skips == 0
        most = place + 1 if is_first else self._lowest + RESUME_MARGIN + 1
        # What the place has overtaken stands behind the frame, and is left behind with it.
        first = max(resumed_after, place - RESUME_MARGIN - 1, min(lost.unbroken, place)) + 1
        self.behind = max(self.behind + 1, first, min(most, line.newest))
        self._skips += 1
        self._sessions = self._near = 0
        return first, self.behind
