"""Owns what the supervisor hands to the web process. Knows no HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from actors.settings.web import WebSettings
from runtime.block import Block
from runtime.counters import Counters
from runtime.doorbell import Doorbell

WEB_WORDS: Final = (
    "orders",  # written, repetitions included
    "orders_repeated",
    "orders_without_room",  # the ring was full
    "orders_waiting",  # now
    "outcomes",
    "outcomes_odd",  # nothing that we understand
    "feed_records",
    "feed_odd",  # records that no shard writes: whatever it told is read anew
    "feed_snapshots",  # read to their end, of all shards
    "feed_lagging",  # shards of which we do not know everything now
    "feed_agents",  # shown
    "queues_unknown",  # cloud: of them, whose queues nobody has read yet
    "feed_tick_us",  # that the longest look of this life took
    "stream_readers",  # now
    "stream_resyncs",  # readers that were told to begin anew
    "connections",  # now
    "requests",
    "requests_refused",  # for want of a token
    "requests_limited",  # too many of one client
    "connections_refused",  # too many at once
    "connections_displaced",  # idle ones of strangers, that others needed the place of
    "port",  # of TCP that is bound; a successor of the kernel's choice takes the same
    "probes_port",  # likewise, of `web.probes_listen`
    "one_time_used",  # 1: the demo's address has signed a browser in
)
"""Of its page; here, because the supervisor needs them and no web framework."""


UNIX_ONLY: Final = WebSettings(listen="")
DEMO_WORDS: Final = ("is_over",)  # 1: nobody may order anything any more


@dataclass(frozen=True, slots=True, kw_only=True)
class OneTime:
    """An address that signs one browser in, once, so that it may write; of a demo."""

    token: str = field(repr=False)
    page: Counters  # the demo's own, with DEMO_WORDS


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEnds:
    """Ours, of the rings from and to one shard."""

    feed: Block  # shard → web
    wants: Block  # web → shard
    doorbell: Doorbell  # the shard's: rung for wants


@dataclass(frozen=True, slots=True, kw_only=True)
class WebArguments:
    """Pages are read only: each has its child as its one writer.

    Without a sender (`sender_enabled` is false) nobody stands at the other end of the rings, its
    page stays empty, and its database may be missing.
    """

    data_dir: Path
    sender_enabled: bool
    orders: Block  # web → sender
    outcomes: Block  # sender → web
    doorbell: Doorbell  # its own: rung for outcomes
    sender_doorbell: Doorbell  # rung for orders
    sender_counters: Counters
    shard_counters: tuple[Counters, ...]
    feeds: tuple[FeedEnds, ...] = ()  # in the order of the shards
    dialect: Literal["wsp", "cloud"] = "wsp"
    settings: WebSettings = UNIX_ONLY
    one_time: OneTime | None = None
    pages: tuple[Counters, ...] = ()  # of all children, our own included
    rings: tuple[Block, ...] = ()  # all there are, to look at: `RingGauge`
    supervisor: Counters | None = None  # the supervisor's own page
    name: str = ""  # of the whole runtime
