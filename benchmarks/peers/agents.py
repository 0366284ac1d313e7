"""Agents: what every peer in Python knows of them, and makes durable if it is to. Knows no socket.

The same work as ours: each event is looked up among the payload hashes of the last five minutes
(two generations, as bounded as ours), compared with what is held of its agent, applied, counted.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import apsw
from xxhash import xxh3_64_intdigest

from actors.shard.dedup import HASH_AGE_S, HASHES_MAX
from actors.storage.sqlite import make_durable

ROWS_MAX = 512
TEND_S = 0.005


class Agents:
    """Per user id: state, timestamp, queue, sequence."""

    def __init__(self, journal: Path | None) -> None:
        self.held: dict[str, tuple[str, str, str | None, int]] = {}
        self.events = self.transitions = self.newest = 0
        self._younger: set[int] = set()
        self._older: set[int] = set()
        self._born_s = time.monotonic()
        self._rows: list[tuple[object, ...]] | None = None
        if journal is not None:
            self._rows = []
            self._connection = apsw.Connection(str(journal))
            make_durable(self._connection)  # log, fsyncs and checkpoints as in ours
            self._connection.execute(
                "CREATE TABLE transitions(id INTEGER PRIMARY KEY, user TEXT, was TEXT, state TEXT,"
                " at TEXT, received_us INTEGER, sequence INTEGER, queue TEXT)"
            ).fetchall()

    def take(self, event: dict[str, Any]) -> None:
        """One parsed event."""
        data, sequence = event["data"], event["sequence"]
        self.events += 1
        if sequence > self.newest:  # noqa: PLR1730  max() would cost 60 ns
            self.newest = sequence
        user, state, stamp = data["userId"], data["state"], data["timestamp"]
        queue = data.get("queueId")
        digest = xxh3_64_intdigest(f"{stamp}{user}{state}{queue}".encode())
        if digest in self._younger or digest in self._older:
            return
        self._younger.add(digest)
        held = self.held.get(user)
        if held is not None and (
            sequence <= held[3] or (held[0] == state and held[1] == stamp and held[2] == queue)
        ):
            return
        self.held[user] = (state, stamp, queue, sequence)
        self.transitions += 1
        if self._rows is not None:
            was = None if held is None else held[0]
            now_us = time.time_ns() // 1000
            self._rows.append((user, was, state, stamp, now_us, sequence, queue))
            if len(self._rows) >= ROWS_MAX:
                self.flush()

    def tend(self) -> None:
        """To be called every TEND_S: a full or old generation of hashes ends, and what was applied
        becomes durable."""
        self.flush()
        now_s = time.monotonic()
        if len(self._younger) >= HASHES_MAX or now_s - self._born_s >= HASH_AGE_S:
            self._older, self._younger, self._born_s = self._younger, set(), now_s

    def flush(self) -> None:
        """What was applied is durable, if there is a journal."""
        if self._rows:
            self._connection.execute("BEGIN")
            self._connection.executemany(
                "INSERT INTO transitions(user, was, state, at, received_us, sequence, queue)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                self._rows,
            )
            self._connection.execute("COMMIT")
            self._rows.clear()

    @property
    def states(self) -> dict[str, tuple[str, str]]:
        return {user: (held[0], held[1]) for user, held in self.held.items()}
