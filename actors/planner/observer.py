"""Owns how what a roster read shows of users goes to the shards that own them.

It decides nothing: a shard compares it with what it holds. Nobody is waited for: what finds no room
in a ring is dropped, because the next read shows it again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from actors.genesys.cloud_answers import Entity, ListingPage
from actors.genesys.cloud_rest import CloudRest
from actors.genesys.observation import observed
from actors.messages.partition import shard_of
from runtime.block import Block
from runtime.clock import Clock, SystemClock
from runtime.doorbell import Doorbell
from runtime.ring import KIND_EVENT, Producer

FRAME_BYTES_MAX: Final = 16_384


class Observer:
    """The planner's ends of the rings, one a shard; without rings it only notes who was shown.
    `seen`: who was shown whole since it was cleared."""

    def __init__(
        self,
        rings: Sequence[Block] = (),
        doorbells: Sequence[Doorbell] = (),
        generation: int = 1,
        clock: Clock | None = None,
        note: Callable[[Iterable[Entity]], None] = lambda _: None,
    ) -> None:
        """`note` hears of all users that an answer lists."""
        self._producers = [
            Producer(ring, generation=generation, doorbell=doorbell)
            for ring, doorbell in zip(rings, doorbells, strict=True)
        ]
        self._clock = clock or SystemClock()
        self._note = note
        self.seen: set[str] = set()

    async def page(self, rest: CloudRest, call: Awaitable[ListingPage]) -> ListingPage:
        """The same page, once it was looked at."""
        asked_us = self._clock.wall_us()
        page = await call
        self._see(page.entities, asked_us, rest.gateway_ahead_us or 0)
        return page

    async def users(self, rest: CloudRest, call: Awaitable[list[Entity]]) -> list[Entity]:
        """The same users, once they were looked at."""
        asked_us = self._clock.wall_us()
        users = await call
        self._see(users, asked_us, rest.gateway_ahead_us or 0)
        return users

    def _see(self, users: Sequence[Entity], asked_us: int, ahead_us: int) -> None:
        """One answer, asked for at that time of ours; `ahead_us`: of the gateway's clock. With the
        call's wait for its budget, so that it is rather taken for older than it is."""
        self._note(users)
        for user in users:
            shown = observed(user)
            if shown is None or len(shown.frame) > FRAME_BYTES_MAX:
                continue
            if shown.is_whole:
                self.seen.add(user["id"])
            if self._producers:
                producer = self._producers[shard_of(user["id"], len(self._producers))]
                read_us, asked_ns = asked_us + ahead_us, asked_us * 1_000
                producer.stage(shown.frame, KIND_EVENT, sequence=read_us, received_ns=asked_ns)
        for producer in self._producers:
            if producer.staged:
                producer.publish()
