"""SharedMemory: the rings, doorbells and pages of one runtime, laid out before any child starts.

Knows no process. Every ring has one producer and one consumer, every page one writer: the child
that it is named after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Final, NamedTuple

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
RECEIVER: Final = "receiver"
SHARD: Final = "shard"
COMMAND_RING_BYTES: Final = 1 << 20
"""Of orders and of outcomes: some 2,000 with a reason of usual length."""
QUESTION_RING_BYTES: Final = 256 << 10
"""Of questions and of answers: over 2,000, of a thousand callers at once."""
ROSTER_RING_BYTES: Final = 1 << 20
"""Of what the roster shows: some 3,000 users, six pages."""


class Link(NamedTuple):
    """A ring from every child of one role to every child of another."""

    name: str
    producer: str
    consumer: str
    capacity: int | None
    """In bytes; None: what the setting ring_bytes says."""

    def rings(self, children: Mapping[str, tuple[str, ...]], default: int) -> list[list[Block]]:
        """Of each producer one to each consumer."""
        capacity = default if self.capacity is None else self.capacity
        return [
            [_ring(producer, consumer, capacity) for consumer in children[self.consumer]]
            for producer in children[self.producer]
        ]


LINKS: Final = (
    Link("events", RECEIVER, SHARD, None),
    Link("orders", WEB, SENDER, COMMAND_RING_BYTES),
    Link("outcomes", SENDER, WEB, COMMAND_RING_BYTES),
    Link("questions", SENDER, SHARD, QUESTION_RING_BYTES),
    Link("answers", SHARD, SENDER, QUESTION_RING_BYTES),
    Link("feeds", SHARD, WEB, FEED_RING_BYTES),
    Link("wants", WEB, SHARD, WANTS_RING_BYTES),
    Link("rosters", PLANNER, SHARD, ROSTER_RING_BYTES),
)
ASKING: Final = frozenset({"questions", "answers"})
"""Links that there are only with a sender."""
PLANNED: Final = frozenset({"rosters"})
"""Links that there are only with a planner."""


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
    rosters: tuple[Block, ...]  # planner → shard; none without a planner

    @classmethod
    def create(cls, settings: Settings) -> SharedMemory:
        shards = _pages(SHARD, settings.shards, SHARD_WORDS)
        words = RECEIVER_WORDS if settings.dialect == "wsp" else CLOUD_RECEIVER_WORDS
        receivers = _pages(RECEIVER, settings.receivers, words)
        children = {
            WEB: (WEB,),
            SENDER: (SENDER,),
            PLANNER: (PLANNER,),
            SHARD: tuple(page.name for page in shards),
            RECEIVER: tuple(page.name for page in receivers),
        }
        absent = frozenset() if settings.sender.enabled else ASKING
        absent |= frozenset() if settings.dialect == "cloud" else PLANNED
        rings = {
            link.name: [] if link.name in absent else link.rings(children, settings.ring_bytes)
            for link in LINKS
        }
        flat = {name: tuple(chain.from_iterable(rows)) for name, rows in rings.items()}
        return cls(
            supervisor=Counters.create(SUPERVISOR, SUPERVISOR_WORDS),
            web=Counters.create(WEB, WEB_WORDS),
            sender=Counters.create(SENDER, SENDER_WORDS),
            planner=Counters.create(PLANNER, PLANNER_WORDS),
            sinks=Counters.create(SINKS, SINKS_WORDS),
            shards=shards,
            receivers=receivers,
            doorbells={
                name: Doorbell.create(name)
                for name in chain.from_iterable(children.values())
                if name != PLANNER  # nobody rings it
            },
            events=tuple(map(tuple, rings["events"])),
            orders=flat["orders"][0],
            outcomes=flat["outcomes"][0],
            questions=flat["questions"],
            answers=flat["answers"],
            feeds=flat["feeds"],
            wants=flat["wants"],
            rosters=flat["rosters"],
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
        return (*events, *commands, *self.feeds, *self.wants, *self.rosters)

    def events_to(self, shard: int) -> tuple[Block, ...]:
        """One ring per receiver."""
        return tuple(rings[shard] for rings in self.events)


def _pages(role: str, count: int, words: tuple[str, ...]) -> tuple[Counters, ...]:
    return tuple(Counters.create(f"{role}-{index}", words) for index in range(count))


def _ring(producer: str, consumer: str, capacity: int) -> Block:
    return Block.create(f"{producer} to {consumer}", ring_bytes(capacity))
