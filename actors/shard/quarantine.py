"""The quarantine of one journal: frames that nobody could use, why, and how often they came.

Bounded by rows and bytes; what came longest ago goes first, and beyond that it is only counted
(the outcome count `quarantined` has every one).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import apsw
from xxhash import xxh3_64_intdigest

ROWS_MAX = 10_000
BYTES_MAX = 64 << 20
FRAME_BYTES_MAX = 4_096

_UPSERT = """
INSERT INTO quarantine VALUES (?, ?, ?, ?, 1, ?, ?)
ON CONFLICT(hash) DO UPDATE SET count = count + 1, last_us = excluded.last_us
"""


class Rejection(NamedTuple):
    """A frame to keep: why it was set aside, its first bytes, its size, when it came."""

    reason: str
    frame: bytes
    size: int
    received_us: int


def rejection(reason: str, frame: bytes, received_us: int) -> Rejection:
    return Rejection(reason, frame[:FRAME_BYTES_MAX], len(frame), received_us)


class Kept(NamedTuple):
    frame: bytes
    is_whole: bool


class Quarantine:
    """Adds rejections within the caller's transaction."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._rows = self._bytes = 0
        self.recount()

    def recount(self) -> None:
        """Counts what the file holds: at the start, and after a transaction was rolled back."""
        self._rows, self._bytes = self._connection.execute(
            "SELECT count(*), coalesce(sum(length(frame)), 0) FROM quarantine"
        ).get

    def add(self, rejections: Iterable[Rejection]) -> None:
        for one in rejections:
            digest = xxh3_64_intdigest(one.reason.encode() + b"\0" + one.frame) - (1 << 63)
            known = self._connection.execute(
                "SELECT 1 FROM quarantine WHERE hash = ?", (digest,)
            ).get
            self._connection.execute(
                _UPSERT,
                (digest, one.reason, one.frame, one.size, one.received_us, one.received_us),
            )
            if known is None:
                self._rows += 1
                self._bytes += len(one.frame)
        while self._rows > ROWS_MAX or self._bytes > BYTES_MAX:
            self._let_oldest_go()

    def kept(self, key: int) -> Kept | None:
        found: tuple[bytes, int] | None = self._connection.execute(
            "SELECT frame, bytes FROM quarantine WHERE hash = ?", (key,)
        ).fetchone()
        return None if found is None else Kept(found[0], is_whole=len(found[0]) == found[1])

    def release(self, keys: Iterable[int]) -> None:
        """They were used after all."""
        for key in keys:
            self._connection.execute("DELETE FROM quarantine WHERE hash = ?", (key,))
            self.recount()

    def _let_oldest_go(self) -> None:
        """A hundredth at a time, so that a flood of garbage does not sort the table every time."""
        oldest: list[tuple[int]] = self._connection.execute(
            "DELETE FROM quarantine WHERE hash IN"
            " (SELECT hash FROM quarantine ORDER BY last_us LIMIT ?) RETURNING length(frame)",
            (self._rows // 100 + 1,),
        ).fetchall()  # type: ignore[assignment]
        assert oldest, "the quarantine is over its bound but empty"
        self._rows -= len(oldest)
        self._bytes -= sum(size for (size,) in oldest)
