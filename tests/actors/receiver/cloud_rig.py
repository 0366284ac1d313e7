"""A receiver of channels without processes: rings, pages, a plan, the gateway in the same loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from actors.genesys.channel_plan import EMPTY, ChannelPlan, Limits, plan
from actors.genesys.http import GatewayAddress
from actors.messages.control import ControlRecord, HistoryEnds
from actors.planner import store as planner_store
from actors.planner.arguments import PLANNER_WORDS
from actors.receiver import channel_store
from actors.receiver.channel_line import ChannelPolicy
from actors.receiver.cloud_arguments import (
    CLOUD_RECEIVER_WORDS,
    CloudClientArguments,
    CloudReceiverArguments,
)
from actors.receiver.cloud_loop import live
from runtime.block import Block
from runtime.child import Child
from runtime.clock import SystemClock
from runtime.counters import Counters
from runtime.doorbell import Doorbell
from runtime.ring import KIND_CONTROL, KIND_EVENT, Consumer, ring_bytes
from tests.actors.receiver.rig import DEADLINE_S, SHARD_WORDS, Record, until
from tests.gateway.bundled import CloudServed

RUN = "run-1"
HASTY = ChannelPolicy(backoff_first_s=0.001, backoff_most_s=0.01)


class Credentials:
    """Picklable, as those of the settings are."""

    def __init__(self, client: dict[str, str]) -> None:
        self.client = client

    def __call__(self) -> tuple[str, str]:
        return self.client["client_id"], self.client["client_secret"]


@dataclass
class CloudRig:
    """`shards` rings with their consumers, the files of planner and receiver, and their pages."""

    gateway: CloudServed
    directory: Path
    shards: int = 2
    capacity: int = 1 << 20
    limits: Limits = field(default_factory=lambda: Limits(topics_per_channel_max=20))
    policy: ChannelPolicy = HASTY
    calls_per_minute: int = 3_000
    generation: int = 0
    plan: ChannelPlan = EMPTY

    def __post_init__(self) -> None:
        count = range(self.shards)
        self.rings = tuple(Block.create(f"ring-{i}", ring_bytes(self.capacity)) for i in count)
        self.doorbells = tuple(Doorbell.create(f"shard-{i}") for i in count)
        self.own_doorbell = Doorbell.create("receiver")
        self.pages = tuple(Counters.create(f"shard-{i}", SHARD_WORDS) for i in count)
        self.counters = Counters.create("receiver-0", CLOUD_RECEIVER_WORDS)
        self.planner_page = Counters.create("planner", PLANNER_WORDS)
        self.consumers = [
            Consumer(ring, generation=1, producer_doorbell=self.own_doorbell) for ring in self.rings
        ]
        self.taken: list[list[Record]] = [[] for _ in count]
        self.path = self.directory / "channels-0.db"
        self.roster_path = self.directory / "cloud.db"
        planner_store.prepare(self.roster_path, RUN)
        self.planner = planner_store.RosterStore(self.roster_path, RUN)
        channel_store.prepare(self.path, RUN)
        self.child = Child("receiver-0", 1, self.counters)

    @property
    def arguments(self) -> CloudReceiverArguments:
        base_url = self.gateway.ready["base_url"]
        return CloudReceiverArguments(
            clients=tuple(
                CloudClientArguments(
                    number=number,
                    address=GatewayAddress(
                        api_url=base_url,
                        credentials=Credentials(client),
                        token_url=f"{base_url}/oauth/token",
                    ),
                )
                for number, client in enumerate(self.gateway.ready["clients"])
            ),
            path=self.path,
            run=RUN,
            roster_path=self.roster_path,
            planner_counters=self.planner_page,
            rings=self.rings,
            shard_doorbells=self.doorbells,
            own_doorbell=self.own_doorbell,
            shard_counters=self.pages,
            requests_per_minute=self.calls_per_minute,
        )

    def watch(self, users: Sequence[str]) -> ChannelPlan:
        """What the planner does: the plan for these users, told to the receiver."""
        clients = len(self.gateway.ready["clients"])
        self.plan = plan(self.plan, users, clients, 1, self.limits)
        self.planner.commit(self.plan, dict.fromkeys(users, "Somebody"), 1)
        self.planner_page.set("plan_version", self.planner.roster.version)
        self.own_doorbell.ring_always()
        return self.plan

    @contextlib.asynccontextmanager
    async def living(self) -> AsyncIterator[asyncio.Task[None]]:
        """A receiver lives for as long as the block lasts, then it is asked to stop."""
        self.generation += 1
        self.child = Child("receiver-0", self.generation, self.counters)
        life = asyncio.ensure_future(live(self.child, self.arguments, SystemClock(), self.policy))
        try:
            yield life
        finally:
            self.child.stop()
            async with asyncio.timeout(DEADLINE_S):
                await asyncio.wait([life])
        life.result()

    async def until_current(self) -> None:
        """All channels of the plan are connected, and their snapshots whole."""
        channels = len(self.plan.slots)
        await until(
            lambda: (
                self.counters.get("plan_version") == self.planner.roster.version
                and self.counters.get("channels_planned") == channels
                and self.counters.get("channels_current") == channels
            )
        )

    async def until_healed(self, gaps: int = 1) -> None:
        """So many gaps were told at least, and the snapshot of the newest session is whole."""
        await until(
            lambda: (
                self.counters.get("gaps") >= gaps
                and self.of(HistoryEnds)[-1].session == self.counters.get("session")
            )
        )

    def read(self) -> list[list[Record]]:
        """Everything that every ring has brought so far."""
        for taken, consumer in zip(self.taken, self.consumers, strict=True):
            while (batch := consumer.peek()) is not None:
                taken += [
                    Record(
                        batch.kinds[i],
                        batch.flags[i],
                        batch.epochs[i],
                        batch.sequences[i],
                        batch.received_ns[i],
                        batch.frame(i),
                    )
                    for i in range(batch.count)
                ]
                consumer.commit(batch.cursor_to)
        return self.taken

    def controls(self, shard: int = 0) -> list[ControlRecord]:
        return [each.control for each in self.read()[shard] if each.kind == KIND_CONTROL]

    def of(self, kind: type[ControlRecord], shard: int = 0) -> list[Any]:
        return [record for record in self.controls(shard) if isinstance(record, kind)]

    def everywhere(self, kind: type[ControlRecord]) -> list[Any]:
        """Of all rings: for records that go to one agent's owner."""
        return [record for shard in range(self.shards) for record in self.of(kind, shard)]

    def events(self) -> list[dict[str, Any]]:
        """In the order of each ring."""
        taken = self.read()
        return [
            orjson.loads(each.payload) for ring in taken for each in ring if each.kind == KIND_EVENT
        ]

    def snapshots(self) -> Counter[str]:
        """How many of each user."""
        topics = [event["topicName"].split(".") for event in self.events()]
        return Counter(topic[2] for topic in topics if topic[3] == "snapshot")
