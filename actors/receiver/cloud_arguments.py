"""Owns what the supervisor hands to a receiver of the cloud dialect, and the words of its page.

Knows no loop and no channel. One receiver serves some OAuth clients, each with up to 18 channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from actors.genesys.cloud import TopicsSetting
from actors.genesys.http import GatewayAddress
from actors.genesys.pacer import Neighbour
from actors.genesys.rate_budget import REQUESTS_PER_MINUTE
from actors.receiver.gauges import RECEIVER_WORDS
from runtime.block import Block
from runtime.counters import Counters
from runtime.doorbell import Doorbell

CLIENTS_MAX: Final = 16  # of one receiver: each has two words of the page
ROTATE_AFTER_S: Final = 82_800.0  # 23 of the 24 h that a channel lives
BACKOFF_MOST_S: Final = 30.0


def budget_words(place: int) -> tuple[str, str]:
    """Of the page: what is used of the client at that place, and when that was."""
    return f"budget_used_{place}", f"budget_used_ns_{place}"


CLOUD_RECEIVER_WORDS: Final = (
    *RECEIVER_WORDS,
    "plan_version",  # that the channels follow
    "channels_planned",
    "channels_connected",  # whose socket is open
    "channels_current",  # … and whose snapshot is whole
    "channels_created",
    "channels_reused",
    "channels_lost",  # that the gateway took from us
    "channels_foreign",  # of our OAuth clients, made by somebody else
    "rotations",
    "gaps",
    "topics_refused",
    "topics_partly_refused",  # parts of combined ones, whose agents are watched all the same
    "snapshots",  # that became whole
    "snapshots_waiting",
    "parts_untold",  # of agents, that nobody told in whatever way they were asked for
    "requests",
    "requests_refused",  # by 429
    "commit_failures",
    *(f"budget_used_{place}" for place in range(CLIENTS_MAX)),
    *(f"budget_used_ns_{place}" for place in range(CLIENTS_MAX)),  # when that was
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudClientArguments:
    """One OAuth client of the receiver; `number`: its place in the plan. `planner`, `sender`: where
    these show what they use of it."""

    number: int
    address: GatewayAddress
    planner: Neighbour | None = None
    sender: Neighbour | None = None  # None: it does not use this client


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudReceiverArguments:
    """One ring, doorbell and page per shard. Client k belongs to receiver k mod the number of
    receivers, always at the same place of `clients`."""

    clients: tuple[CloudClientArguments, ...]
    path: Path  # of its own file of channels, handed to `run` by `channel_store.prepare`
    run: str
    roster_path: Path  # of the planner's file
    planner_counters: Counters  # with the word `plan_version`
    rings: tuple[Block, ...]
    shard_doorbells: tuple[Doorbell, ...]
    own_doorbell: Doorbell  # rung by shards when room is awaited, by the planner for a new plan
    shard_counters: tuple[Counters, ...]
    topics: TopicsSetting = "activity"
    requests_per_minute: int = REQUESTS_PER_MINUTE  # of a client; the receiver takes its share
    rotate_after_s: float = ROTATE_AFTER_S
    backoff_most_s: float = BACKOFF_MOST_S
