"""Owns the file that remembers how many rows each journal had: a lower bound, a second old at most.

So a journal that somebody puts back is known to be older than what was committed, whatever ended
the last run. Knows no table.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from actors.storage import new_file
from runtime.counters import Counters


class CommittedRows:
    """Of the shards with these pages; called once a second, by one process."""

    FILE: Final = "committed"
    _ROW: Final = struct.Struct("<q")

    def __init__(self, path: Path, pages: Sequence[Counters]) -> None:
        """After `write`, which says how many there are before any child starts."""
        self._pages = pages
        self._told = self.read(path)
        self._fd = os.open(path / self.FILE, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)

    def __call__(self) -> None:
        now = [page.get("transitions") for page in self._pages]
        rows = [max(pair) for pair in zip(self._told, now, strict=True)]
        if rows != self._told:
            with suppress(OSError):  # a full disk is told by those who need it
                os.pwrite(self._fd, self._packed(rows), 0)
                self._told = rows

    @classmethod
    def _packed(cls, rows: Sequence[int]) -> bytes:
        return b"".join(map(cls._ROW.pack, rows))

    @classmethod
    def write(cls, path: Path, rows: Sequence[int]) -> None:
        """What is there now counts."""
        new_file.replace(path / cls.FILE, cls._packed(rows))

    @classmethod
    def forget(cls, path: Path) -> None:
        (path / cls.FILE).unlink(missing_ok=True)

    @classmethod
    def read(cls, path: Path) -> list[int]:
        """By shard; none where nothing is remembered."""
        try:
            content = (path / cls.FILE).read_bytes()
        except OSError:
            return []
        whole = len(content) - len(content) % cls._ROW.size
        return [row for (row,) in cls._ROW.iter_unpack(content[:whole])]
