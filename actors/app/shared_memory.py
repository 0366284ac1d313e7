"""SharedMemory: the rings, doorbells and pages of one runtime, laid out before any child starts.

Knows no process. Every ring has one producer and one consumer, every page one writer: the child
that it is named after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from actors.messages.feed import FEED_RING_BYTES, WANTS_RING_BYTES
from actors.planner.arguments import PLANNER_WORDS
from actors.receiver.cloud_arguments import CLOUD_RECEIVER_WORDS
from actors.receiver.gauges import RECEIVER_WORDS
from actors.sender.words import SENDER_WORDS
from actors.settings.model import Settings
from actors.shard.arguments import SHARD_WORDS
from actors.sinks.arguments import SINKS, SINKS_WORDS
from actors.web.arguments import WEB_WORDS
from runtime.block import Block
from runtime.counters import Counters
from runtime.doorbell import Doorbell
from runtime.ring import ring_bytes
from runtime.supervisor import PAGE_WORDS

SUPERVISOR: Final = "supervisor"
SUPERVISOR_WORDS: Final = (
    *PAGE_WORDS,
    "log_level",  # as the standard library numbers them; 0: as it was started
    "reloads",
    "reload_failures",
)
WEB: Final = "web"
SENDER: Final = "sender"
PLANNER: Final = "planner"
COMMAND_RING_BYTES: Final = 1 << 20
"""Of orders and of outcomes: some 2,000 with a reason of usual length."""
QUESTION_RING_BYTES: Final = 256 << 10
"""Of questions and of answers: over 2,000, of a thousand callers at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedMemory:
    """What several children have in common."""

    supervisor: Counters
    web: Counters
    sender: Counters
    planner: Counters
    sinks: Counters
    shards: tuple[Counters, ...]
    receivers: tuple[Counters, ...]
    doorbells: Mapping[str, Doorbell]  # by the name of the child that sleeps on it
    events: tuple[tuple[Block, ...], ...]  # receiver → shard: of each receiver one to each shard
    orders: Block  # web → sender
    outcomes: Block  # sender → web
    questions: tuple[Block, ...]  # sender → shard; none without a sender
    answers: tuple[Block, ...]  # shard → sender
    feeds: tuple[Block, ...]  # shard → web
    wants: tuple[Block, ...]  # web → shard

    @classmethod
    def create(cls, settings: Settings) -> SharedMemory:
        shards = _pages("shard", settings.shards, SHARD_WORDS)
        words = RECEIVER_WORDS if settings.dialect == "wsp" else CLOUD_RECEIVER_WORDS
        receivers = _pages("receiver", settings.receivers, words)
        asked = [page.name for page in shards] if settings.sender.enabled else []
        sleepers = (WEB, SENDER, *(page.name for page in (*shards, *receivers)))
        return cls(
            supervisor=Counters.create(SUPERVISOR, SUPERVISOR_WORDS),
            web=Counters.create(WEB, WEB_WORDS),
            sender=Counters.create(SENDER, SENDER_WORDS),
            planner=Counters.create(PLANNER, PLANNER_WORDS),
            sinks=Counters.create(SINKS, SINKS_WORDS),
            shards=shards,
            receivers=receivers,
            doorbells={name: Doorbell.create(name) for name in sleepers},
            events=tuple(
                tuple(_ring(receiver.name, page.name, settings.ring_bytes) for page in shards)
                for receiver in receivers
            ),
            orders=_ring(WEB, SENDER, COMMAND_RING_BYTES),
            outcomes=_ring(SENDER, WEB, COMMAND_RING_BYTES),
            questions=tuple(_ring(SENDER, name, QUESTION_RING_BYTES) for name in asked),
            answers=tuple(_ring(name, SENDER, QUESTION_RING_BYTES) for name in asked),
            feeds=tuple(_ring(page.name, WEB, FEED_RING_BYTES) for page in shards),
            wants=tuple(_ring(WEB, page.name, WANTS_RING_BYTES) for page in shards),
        )

    @property
    def shard_doorbells(self) -> tuple[Doorbell, ...]:
        return tuple(self.doorbells[page.name] for page in self.shards)

    @property
    def receiver_doorbells(self) -> tuple[Doorbell, ...]:
        return tuple(self.doorbells[page.name] for page in self.receivers)

    def pages(self, settings: Settings) -> tuple[Counters, ...]:
        """Of every child that these settings start."""
        sender = (self.sender,) if settings.sender.enabled else ()
        planner = (self.planner,) if settings.dialect == "cloud" else ()
        sinks = (self.sinks,) if settings.sinks else ()
        return (self.web, *sinks, *sender, *self.shards, *planner, *self.receivers)

    @property
    def rings(self) -> tuple[Block, ...]:
        """Every ring; its name says from whom to whom."""
        events = (ring for rings in self.events for ring in rings)
        commands = (self.orders, self.outcomes, *self.questions, *self.answers)
        return (*events, *commands, *self.feeds, *self.wants)

    def events_to(self, shard: int) -> tuple[Block, ...]:
        """One ring per receiver."""
        return tuple(rings[shard] for rings in self.events)


def _pages(role: str, count: int, words: tuple[str, ...]) -> tuple[Counters, ...]:
    return tuple(Counters.create(f"{role}-{index}", words) for index in range(count))


def _ring(producer: str, consumer: str, capacity: int) -> Block:
    return Block.create(f"{producer} to {consumer}", ring_bytes(capacity))
