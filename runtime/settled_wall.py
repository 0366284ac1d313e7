"""SettledWall: whether the wall clock may be believed where a mistake cannot be undone. Pure.

A clock that was set goes on from where it was put: only beside monotonic time, or what was written
before, is it seen that it moved.
"""

from __future__ import annotations

from typing import Final

JUMP_US: Final = 60_000_000
"""A clock that is slewed, or a machine that was suspended for moments, moves less."""
SETTLE_S: Final = 3_600.0
"""So long nothing is deleted by age after it moved: time to see it, and to set it right."""
ABSENT_US: Final = 86_400_000_000
"""Between two lives a day may pass without a doubt; backwards, nothing may."""


class SettledWall:
    """For one process; asked often."""

    def __init__(self, now_s: float, wall_us: int, last_us: int = 0) -> None:
        """`last_us`: when something was written before this life; 0: nothing was."""
        self._now_s, self._wall_us = now_s, wall_us
        is_doubtful = last_us and not -JUMP_US <= wall_us - last_us <= ABSENT_US
        self._settles_s = now_s + SETTLE_S if is_doubtful else now_s
        self.moved_s = (wall_us - last_us) / 1e6 if is_doubtful else 0.0
        """By how much it moved the last time."""

    def is_settled(self, now_s: float, wall_us: int) -> bool:
        moved_us = wall_us - self._wall_us - round((now_s - self._now_s) * 1e6)
        self._now_s, self._wall_us = now_s, wall_us
        if abs(moved_us) > JUMP_US:
            self.moved_s = moved_us / 1e6
            self._settles_s = now_s + SETTLE_S
        return now_s >= self._settles_s
