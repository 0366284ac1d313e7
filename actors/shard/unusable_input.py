"""Owns when a shard's log tells of what it could not use: when it begins, never once per frame.

Knows no frame: the merge says why, the quarantine keeps what.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Final

from runtime.counters import Counters

QUIET_S: Final = 60.0
"""A quarantine that was silent for this long is a new one when it speaks again."""


class UnusableInput:
    """Of one life of a shard."""

    def __init__(self, counters: Counters, log: Any, path: Path) -> None:
        self._counters = counters
        self._log = log
        self._path = path
        self._quarantined_at_s = -QUIET_S
        self._reasons_told: set[str] = set()

    def quarantined(self, now_s: float) -> None:
        """Frames were set aside."""
        if now_s - self._quarantined_at_s >= QUIET_S:
            self._log.warning("quarantine.begins", path=str(self._path))
        self._quarantined_at_s = now_s

    def unreadable(self, parts: Counter[str]) -> None:
        """Parts of events whose other parts were applied; they are taken. One line a reason, of
        which there are few."""
        self._counters.add("unreadable_parts", parts.total())
        for reason in sorted(parts.keys() - self._reasons_told):
            self._log.warning("part.unreadable", reason=reason)
        self._reasons_told |= parts.keys()
        parts.clear()
