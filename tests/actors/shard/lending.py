"""Batches for tests: what a ring would lend, without a ring."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from actors.messages.control import STATE_EVENT, ControlRecord, encode_control
from runtime.ring import KIND_CONTROL, KIND_EVENT, KIND_REJECTED

RECEIVED_NS = 1_795_000_000_000_000_000
A, B, C = ("00000000-0000-4000-8000-00000000000" + digit for digit in "abc")
QUEUE = "11111111-0000-4000-8000-000000000001"


class Record(NamedTuple):
    payload: bytes
    kind: int = KIND_EVENT
    epoch: int = 1
    sequence: int = 0
    flags: int = 0


def event(
    sequence: Any,
    user_id: str = A,
    state: str = "Available",
    timestamp: str = "2026-11-21T22:00:00.000Z",
    *,
    epoch: int = 1,
    history: bool = False,
    **data: Any,
) -> Record:
    value: dict[str, Any] = {"type": STATE_EVENT, "sequence": sequence}
    value["data"] = {"userId": user_id, "state": state, "timestamp": timestamp, **data}
    if history:
        value["history"] = True
    told = sequence if sequence.__class__ is int and abs(sequence) < 1 << 63 else 0
    return Record(orjson.dumps(value), epoch=epoch, sequence=told)


def control(record: ControlRecord) -> Record:
    return Record(encode_control(record), KIND_CONTROL)


def rejected(reason: str, frame: bytes) -> Record:
    return Record(reason.encode() + b"\0" + frame, KIND_REJECTED)


@dataclass
class FakeBatch:
    records: Sequence[Record]
    ring: int = 0
    cursor_to: int = 0
    received_ns: Sequence[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.count = len(self.records)
        self.kinds = bytes(record.kind for record in self.records)
        self.flags = bytes(record.flags for record in self.records)
        self.epochs = [record.epoch for record in self.records]
        self.sequences = [record.sequence for record in self.records]
        self.received_ns = [RECEIVED_NS + 1_000 * i for i in range(self.count)]

    def frame(self, i: int, /) -> bytes:
        return self.records[i].payload

    def joined(self, first: int, last: int, separator: bytes, /) -> bytes:
        return b"[" + separator.join(r.payload for r in self.records[first:last]) + b"]"


def batch(records: Iterable[Record], cursor_to: int = 0) -> FakeBatch:
    return FakeBatch(list(records), cursor_to=cursor_to)
