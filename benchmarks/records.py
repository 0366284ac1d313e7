"""Records: what the contestants send, and what must arrive; knows no way to send it.

A producer sends for some seconds, then one end record: how many it sent and what CPU that took. The
consumer digests every byte that arrives, in order, and both must agree with the seed.
"""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import xxhash

from benchmarks.harness import verify

RECORD_BYTES = 256
GROUP = 64
"""A reader of a socket meets about so many frames in one read, and shows them in one go."""
GROUPS = 16
END = struct.Struct("<qq")


@dataclass(frozen=True, slots=True)
class Records:
    """The same groups of records over and over, from one seed."""

    groups: tuple[tuple[bytes, ...], ...]

    @classmethod
    def of(cls, seed: int) -> Records:
        draw = random.Random(seed).randbytes
        groups = tuple(tuple(draw(RECORD_BYTES) for _ in range(GROUP)) for _ in range(GROUPS))
        return cls(groups)

    def for_seconds(self, seconds: float, departure: Departure) -> Iterator[tuple[bytes, ...]]:
        """One group after the other, until the time is over."""
        deadline_s = time.perf_counter() + seconds
        while True:
            for group in self.groups:
                yield group
                departure.count += len(group)
                if time.perf_counter() >= deadline_s:
                    return

    def digest(self, count: int) -> str:
        """Of the first `count` records."""
        digest = xxhash.xxh3_128()
        stream = b"".join(b"".join(group) for group in self.groups)
        rounds, rest = divmod(count * RECORD_BYTES, len(stream))
        for _ in range(rounds):
            digest.update(stream)
        digest.update(stream[:rest])
        return digest.hexdigest()


@dataclass(slots=True)
class Departure:
    """What a producer can say at its end."""

    count: int = 0
    cpu_before_ns: int = field(default_factory=time.process_time_ns)

    def end(self) -> bytes:
        return END.pack(self.count, time.process_time_ns() - self.cpu_before_ns)


@dataclass(slots=True)
class Arrival:
    """What a consumer measures, from its first record on."""

    digest: xxhash.xxh3_128 = field(default_factory=xxhash.xxh3_128)
    started_s: float = field(default_factory=time.perf_counter)
    cpu_before_ns: int = field(default_factory=time.process_time_ns)

    def verified(self, what: str, count: int, end: bytes, records: Records) -> dict[str, float]:
        took_s = time.perf_counter() - self.started_s
        cpu_ns = time.process_time_ns() - self.cpu_before_ns
        sent, producer_cpu_ns = END.unpack(end)
        verify(f"{what}: records", count, sent)
        verify(f"{what}: checksum", self.digest.hexdigest(), records.digest(sent))
        return {
            "records/s": count / took_s,
            "CPU ns/record": (cpu_ns + producer_cpu_ns) / count,
        }
