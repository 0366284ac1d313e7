"""What a roster read shows goes to the shard that owns the agent, and waits for nobody."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson

from actors.genesys.cloud_answers import ListingPage
from actors.messages.partition import shard_of
from actors.planner.observer import FRAME_BYTES_MAX, Observer
from runtime.block import Block
from runtime.doorbell import Doorbell
from runtime.ring import Consumer, ring_bytes

STAMP = "2026-11-30T20:00:00.000Z"


class Rest:
    """Of a gateway whose clock is 3 s ahead of ours."""

    gateway_ahead_us = 3_000_000


def user(user_id: str, message: str = "") -> dict[str, Any]:
    return {
        "id": user_id,
        "presence": {
            "presenceDefinition": {"id": "d", "systemPresence": "Busy"},
            "message": message,
            "modifiedDate": STAMP,
        },
        "routingStatus": {"status": "IDLE", "startTime": STAMP},
    }


class Bench:
    def __init__(self, capacity: int = 1 << 16) -> None:
        self.rings = [Block.create(f"planner to shard-{i}", ring_bytes(capacity)) for i in range(2)]
        bells = [Doorbell.create(f"shard-{i}") for i in range(2)]
        self.observer = Observer(self.rings, bells)
        self.consumers = [Consumer(ring, generation=1) for ring in self.rings]

    def see(self, *users: dict[str, Any]) -> None:
        async def page() -> ListingPage:
            return ListingPage(list(users), 1, 1, len(users))

        found = asyncio.run(self.observer.page(Rest(), page()))  # type: ignore[arg-type]
        assert found.entities == list(users)

    def taken(self, shard: int) -> list[tuple[str, int, int]]:
        """Whose, read when by the gateway's clock and by ours, in µs."""
        consumer, taken = self.consumers[shard], []
        while (batch := consumer.peek()) is not None:
            for i in range(batch.count):
                user_id = orjson.loads(batch.frame(i))["eventBody"]["id"]
                taken.append((user_id, batch.sequences[i], batch.received_ns[i] // 1_000))
            consumer.commit(batch.cursor_to)
        return taken


def test_everybody_shown_goes_to_the_owner_with_the_time_of_the_question() -> None:
    bench, people = Bench(), [f"u{number}" for number in range(20)]
    bench.see(*map(user, people))
    for shard in range(2):
        taken = bench.taken(shard)
        assert [who for who, _, _ in taken] == [u for u in people if shard_of(u, 2) == shard]
        assert {read_us - ours_us for _, read_us, ours_us in taken} == {Rest.gateway_ahead_us}
    assert bench.observer.seen == set(people)


def test_what_finds_no_room_is_dropped_and_who_is_too_large_as_well() -> None:
    bench = Bench(capacity=1 << 14)
    bench.see(user("large", "x" * FRAME_BYTES_MAX))
    assert bench.taken(shard_of("large", 2)) == []
    people = [f"u{number}" for number in range(500)]
    bench.see(*map(user, people))
    assert 0 < len(bench.taken(0)) + len(bench.taken(1)) < len(people)
    bench.see(user("u0"))
    assert [who for who, _, _ in bench.taken(shard_of("u0", 2))] == ["u0"]


def test_who_is_shown_in_part_is_to_be_looked_at_again() -> None:
    bench = Bench()
    bench.see(user("a"), {**user("b"), "presence": None}, {"id": "c"})
    assert bench.observer.seen == {"a"}
