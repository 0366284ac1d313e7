"""Snapshots over REST whose answers leave parts out: what is asked for, told and given up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
import structlog

from actors.genesys.channel_plan import Slot
from actors.genesys.cloud_rest import CloudRest
from actors.genesys.pacer import Pacer
from actors.genesys.rate_budget import Budget
from actors.receiver import channel_signals as signals
from actors.receiver import snapshot_scheduler
from actors.receiver.channel_line import ChannelPolicy
from actors.receiver.cloud_arguments import CLOUD_RECEIVER_WORDS
from actors.receiver.ring_writer import RingWriter
from actors.receiver.snapshots import Snapshots, lacking_parts
from actors.receiver.task_group import TaskGroup
from runtime.block import Block
from runtime.child import Child
from runtime.clock import SystemClock
from runtime.counters import Counters
from runtime.doorbell import Doorbell
from runtime.ring import Consumer, Producer, ring_bytes
from tests.actors.receiver.rig import until
from tests.gateway.loopback import Request
from tests.gateway.scripted_cloud import ScriptedCloud, Trouble, with_cloud

SLOT = Slot(0, 0)
STAMP = "2026-11-30T20:00:00.000Z"
BULK = "/api/v2/users/presences/purecloud/bulk"


def presence(system: str = "On Queue") -> dict[str, Any]:
    return {
        "presenceDefinition": {"id": "d", "systemPresence": system},
        "modifiedDate": STAMP,
    }


ROUTING = {"status": "IDLE", "startTime": STAMP}


class Bench:
    """Snapshots of one client; what they tell, and what stands in the ring."""

    def __init__(self, rest: CloudRest) -> None:
        clock, log = SystemClock(), structlog.get_logger()
        self.counters = Counters.create("receiver-0", CLOUD_RECEIVER_WORDS)
        block = Block.create("ring", ring_bytes(1 << 20))
        producer = Producer(block, generation=1, doorbell=Doorbell.create("shard-0"))
        self.consumer = Consumer(block, generation=1)
        loop = asyncio.get_running_loop()
        self.writer = RingWriter(
            [producer], self.counters, loop.call_soon, lambda _: None, lambda: None
        )
        self.tasks = TaskGroup(Child("receiver-0", 1, self.counters), clock, log)
        self.named: set[str] = set()
        self.snapshots = Snapshots(
            tasks=self.tasks,
            ring_writer=self.writer,
            clock=clock,
            rng=random.Random(1),
            policy=ChannelPolicy(backoff_first_s=0.001, backoff_most_s=0.01),
            tell=self.tell,
            counters=self.counters,
            log=log,
        )
        self.snapshots.serve(0, rest, Pacer(Budget(200), clock))

    def tell(self, slot: Slot, signal: signals.Signal) -> None:
        assert slot == SLOT
        assert isinstance(signal, signals.Named)
        self.named.update(signal.users)

    async def take(self, *users: str) -> dict[str, dict[str, Any]]:
        """Until nothing more is asked for: what the ring was told of each, part by part."""
        self.snapshots.scheduler.watch(frozenset(users))
        self.snapshots.want(SLOT, 1, users)
        await until(lambda: not self.snapshots.scheduler.waiting)
        assert self.named == set(users)
        self.writer.publish()
        told: dict[str, dict[str, Any]] = {}
        while (batch := self.consumer.peek()) is not None:
            for i in range(batch.count):
                body = orjson.loads(batch.frame(i))["eventBody"]
                told.setdefault(body["id"], {}).update(body)
            self.consumer.commit(batch.cursor_to)
        await self.tasks.end_tasks()
        return told


def with_snapshots(
    monkeypatch: pytest.MonkeyPatch, test: Callable[[ScriptedCloud, Bench], Awaitable[None]]
) -> None:
    monkeypatch.setattr(snapshot_scheduler, "AGAIN_FIRST_S", 0.001)
    monkeypatch.setattr(snapshot_scheduler, "AGAIN_MOST_S", 0.01)

    async def run(cloud: ScriptedCloud, rest: CloudRest) -> None:
        await test(cloud, Bench(rest))

    with_cloud(run)


def routing_path(user: str) -> str:
    return f"/api/v2/users/{user}/routingstatus"


def test_what_expand_leaves_out_is_told_by_the_calls_for_that_part(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test(cloud: ScriptedCloud, bench: Bench) -> None:
        cloud.add("whole", "silent", "idle", "bare")
        cloud.users["whole"] |= {"presence": presence(), "routingStatus": ROUTING}
        cloud.users["silent"] |= {"presence": None, "routingStatus": ROUTING}
        cloud.users["idle"] |= {"presence": presence()}

        def bulk(request: Request) -> Any:
            ids = dict(request.query)["id"].split(",")
            return [{"userId": each.upper(), **presence("Meal")} for each in ids]

        cloud.answers["GET", BULK] = bulk
        for user in ("idle", "bare"):
            cloud.answers["GET", routing_path(user)] = lambda _: {**ROUTING, "userId": "x"}
        told = await bench.take("whole", "silent", "idle", "bare")
        for user in told:
            assert told[user]["routingStatus"]["status"] == "IDLE"
        systems = {u: told[u]["presence"]["presenceDefinition"]["systemPresence"] for u in told}
        assert systems == {
            "whole": "On Queue", "idle": "On Queue", "silent": "Meal", "bare": "Meal",
        }  # fmt: skip
        assert bench.counters.get("parts_untold") == 0

    with_snapshots(monkeypatch, test)


def test_who_is_off_queue_and_has_no_routing_status_is_not_asked_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def test(cloud: ScriptedCloud, bench: Bench) -> None:
        cloud.add("a")
        cloud.users["a"] |= {"presence": presence("Available")}
        told = await bench.take("a")
        assert told["a"]["routingStatus"] == {"status": "OFF_QUEUE"}
        assert cloud.paths(routing_path("a")) == 1

    with_snapshots(monkeypatch, test)


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_what_nobody_tells_is_given_up_counted_and_made_up_by_nobody(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    async def test(cloud: ScriptedCloud, bench: Bench) -> None:
        cloud.add("on queue", "nothing")
        cloud.users["on-queue"] = {**cloud.users.pop("on queue"), "id": "on-queue"}
        cloud.users["on-queue"] |= {"presence": presence()}
        for path in (BULK, routing_path("on-queue"), routing_path("nothing")):
            cloud.troubles.extend(Trouble(path, status) for _ in range(20))
        told = await bench.take("on-queue", "nothing")
        assert "routingStatus" not in told["on-queue"]
        assert told["nothing"].keys() == {"id"}
        assert bench.counters.get("parts_untold") == 3
        assert len(cloud.asked) <= 2 * snapshot_scheduler.TRIES_MAX

    with_snapshots(monkeypatch, test)


@pytest.mark.parametrize(
    "odd", [None, 7, "x", [], {}, {"status": ""}, {"status": None}, {"presenceDefinition": "x"}]
)
def test_a_part_of_which_a_shard_could_make_nothing_is_not_told(odd: Any) -> None:
    user = {"id": "a", "presence": odd, "routingStatus": odd}
    assert lacking_parts({"a": user}) == {"a": ["presence", "routingStatus"]}
    assert lacking_parts({"a": user | {"presence": presence(), "routingStatus": ROUTING}}) == {}
