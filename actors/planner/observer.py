"""Owns how what a roster read shows of users goes to the shards that own them.

It decides nothing: a shard compares it with what it holds. Nobody is waited for: what finds no room
in a ring is dropped, because the next read shows it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from actors.genesys.cloud_answers import Entity
from actors.genesys.observation import observed
from actors.messages.partition import shard_of
from runtime.block import Block
from runtime.doorbell import Doorbell
from runtime.ring import KIND_EVENT, Producer


FRAME_BYTES_MAX: Final = 16_384


class Observer:
    """The planner's ends of the rings, one a shard. `seen`: whom the present read has shown."""

    def __init__(
        self, rings: Sequence[Block], doorbells: Sequence[Doorbell], generation: int
    ) -> None:
        self._producers = [
            Producer(ring, generation=generation, doorbell=doorbell)
            for ring, doorbell in zip(rings, doorbells, strict=True)
        ]
        self.seen: set[str] = set()

    def see(self, users: Iterable[Entity], asked_us: int, ahead_us: int) -> None:
        """One answer, asked for at that time of ours; `ahead_us`: of the gateway's clock."""
        for user in users:
            frame = observed(user)
            if frame is None or len(frame) > FRAME_BYTES_MAX:
                continue
            self.seen.add(user["id"])
            if self._producers:
                producer = self._producers[shard_of(user["id"], len(self._producers))]
                producer.stage(
                    frame,
                    KIND_EVENT,
                    sequence=asked_us + ahead_us,
                    received_ns=asked_us * 1_000,
                )
        for producer in self._producers:
            if producer.staged:
                producer.publish()
