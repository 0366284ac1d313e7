"""Owns the places where sessions end by a frame that breaks the protocol, and when to give one up.

We close over such a frame (too large, reserved bits, a fragment in the wrong place), and the resume
brings it again, for ever. After three sessions in a row at one place it is left behind, with a gap.
It knows no session machine: ends go in, the sequences to skip come out (protocol.md §1.2).
"""

from __future__ import annotations

from dataclasses import dataclass

from actors.events import RESUME_MARGIN
from actors.receiver.line import Line


@dataclass(slots=True)
class Poison:
    behind: int = 0  # resume here, at least: what lies before cannot be received
    _place: int = -1
    _sessions: int = 0
    _skips: int = 0

    def clear(self) -> None:
        """A session ended in another way."""
        self._sessions = 0

    def add(self, line: Line, highest: int, sessions_most: int) -> tuple[int, int] | None:
        """A session ended by such a frame behind the event `highest`; (first, last) to skip.

        A place in a history cannot be skipped: it is told anew each time.
        """
        place = max(highest, line.resume_after or 0)
        self._sessions = self._sessions + 1 if place == self._place else 1
        self._place = place
        is_in_history = line.has_history and place >= line.newest
        if self._sessions < sessions_most or line.resume_after is None or is_in_history:
            return None
        if place > self.behind + RESUME_MARGIN:
            self._skips = 0  # another frame, and not a neighbour of the last one
        # One sequence at first. If that was not it, neighbours had changed places: all of them.
        # None beyond the newest: what has not happened yet is not skipped.
        most = 1 if self._skips == 0 else RESUME_MARGIN
        self.behind = max(place + 1, min(place + most, line.newest))
        self._skips += 1
        self._sessions = 0
        return place + 1, self.behind
