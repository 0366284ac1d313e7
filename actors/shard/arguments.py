"""Owns what the supervisor hands to a shard's process, and the words of its page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from actors.messages.control import Dialect
from actors.messages.doubts import DOUBT_WORDS
from actors.shard.answering import ANSWERING_WORDS, AnsweringArguments
from actors.shard.durations import duration_words
from actors.shard.feed import FEED_WORDS, FeedArguments
from actors.shard.merge import OUTCOMES
from actors.shard.suspicion import HAND_WORDS, SUSPICION_WORDS
from runtime.block import Block
from runtime.counters import Counters
from runtime.doorbell import Doorbell

SHARD_WORDS: Final = (
    "mark_epoch",
    "mark_sequence",
    "wants_history",
    "session",
    *OUTCOMES,
    "unreadable_parts",  # cloud: of events whose other parts were applied
    "transitions",
    "agents",
    "stale_since_us",
    "session_up",
    "history_running",
    "gaps",
    "commits",
    "commit_ns",
    "commit_failures",
    "rows_pruned",
    "batches",
    *HAND_WORDS,
    *SUSPICION_WORDS,
    *ANSWERING_WORDS,
    *FEED_WORDS,
    "corrections",  # transitions that the roster told, because no event did
    *DOUBT_WORDS,
    *duration_words("commit"),
    *duration_words("event"),  # from its receipt until it is committed
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardArguments:
    """What a shard's process is given."""

    index: int
    shards: int
    path: Path
    run: str
    journalled: bool
    rings: tuple[Block, ...]
    """One per receiver."""
    doorbell: Doorbell
    producer_doorbells: tuple[Doorbell, ...]
    retention_days: float
    retention_bytes: int
    answering: AnsweringArguments | None = None
    """None: there is no sender, and nobody asks."""
    feed: FeedArguments | None = None
    """None: nobody reads along."""
    roster: Block | None = None
    """From the planner: what the roster shows of everybody's state. None: there is no planner."""
    roster_path: Path | None = None
    """Of the planner's file, which says who is a member of which queue. None: there is no planner.
    """
    planner_counters: Counters | None = None
    dialect: Dialect = "wsp"
