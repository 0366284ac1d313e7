"""Pruning: takes what is past its retention out of a journal, in the beats of its shard.

In slices, and for a bounded time a beat. By age nothing is deleted as long as the wall clock has
moved of late: what it deletes is gone.
"""

from __future__ import annotations

from typing import Any, Final

from actors.shard.dedup import WINDOW_WIDTH
from actors.shard.journal import DamagedJournalError, Journal
from actors.storage.sqlite import DISK_DAMAGE_ERRORS, TRANSIENT_ERRORS
from runtime.clock import Clock
from runtime.settled_wall import SettledWall

PRUNE_EVERY_S, PRUNE_ROWS = 60.0, 5_000
PRUNE_FOR_S: Final = 0.05
"""Of each beat at most: some 40,000 rows, more than a shard can write in that time."""


class Pruning:
    """Of one life of a shard. `age_us`, `bytes_max`: the retention."""

    def __init__(self, *, age_us: int, bytes_max: int, clock: Clock, log: Any) -> None:
        self._age_us = age_us
        self._bytes_max = bytes_max
        self._clock = clock
        self._log = log
        now_s = clock.now_s()
        self._due_s = now_s + PRUNE_EVERY_S
        self._windows_from: int | None = None  # of a pruning that goes on
        self._wall = SettledWall(now_s, clock.wall_us())
        self._moved_told_s = 0.0

    def start(self, journal: Journal) -> None:
        """Once the journal is read: its last commit says whether the clock has moved since."""
        last_us = journal.last_commit_us()
        self._wall = SettledWall(self._clock.now_s(), self._clock.wall_us(), last_us)

    def is_due(self, now_s: float) -> bool:
        return now_s >= self._due_s

    def prune(self, journal: Journal, replay_from: int, now_s: float) -> int:
        """Some slices, in a bounded time; more at the next beat. How many rows. Raises
        DamagedJournalError."""
        if self._windows_from is None:  # once for all slices: it takes up to 30 ms, and only grows
            self._windows_from = journal.behind_newest_events(WINDOW_WIDTH)
        pruned = 0
        try:
            while self._clock.now_s() < now_s + PRUNE_FOR_S:
                deleted = journal.prune(
                    older_than_us=self._older_than_us(now_s),
                    bytes_max=self._bytes_max,
                    keep_from=min(replay_from, self._windows_from),
                    slice_rows=PRUNE_ROWS,
                )
                pruned += deleted
                if not deleted:
                    self._due_s = now_s + PRUNE_EVERY_S
                    break
        except TRANSIENT_ERRORS as error:
            self._log.warning("journal.prune_failed", cause=str(error))
            self._due_s = now_s + PRUNE_EVERY_S
        except DISK_DAMAGE_ERRORS as error:
            raise DamagedJournalError(journal.path, error) from None
        if not self.is_due(now_s):
            self._windows_from = None
        return pruned

    def _older_than_us(self, now_s: float) -> int:
        """0: nothing is too old."""
        wall_us = self._clock.wall_us()
        if self._wall.is_settled(now_s, wall_us):
            return wall_us - self._age_us
        if self._moved_told_s != self._wall.moved_s:
            self._moved_told_s = self._wall.moved_s
            self._log.warning("journal.clock_moved", seconds=round(self._wall.moved_s))
        return 0
