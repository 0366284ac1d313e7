"""Owns what shards and the web child say to each other: the feed up, wants down. Pure.

Knows no ring and no actor. A record of the feed is a JSON value; what it is stands in the flags of
its ring record (`Tag`), so that a batch of rows is encoded in one call and copied by nobody. Wants
are told again until they are carried out.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple, TypeAlias

from actors.messages.codec import Vocabulary

FEED_RING_BYTES: Final = 4 << 20
"""Of each shard, shared memory: some 30,000 transitions, 12 s of 5,000 a second over two shards, or
25,000 agents of a snapshot. What finds no room is not waited for."""
WANTS_RING_BYTES: Final = 64 << 10
RECORD_BYTES_MAX: Final = 256 << 10
"""A record of the feed is split above it: far below half a ring, and a few ms to read."""
SNAPSHOT_EVERY_S: Final = 2.0
"""A shard begins at most one snapshot in that time."""


class Tag(IntEnum):
    """What a record of the feed is."""

    ROWS = 1
    """[[row], …]: transitions as they were committed, in the order of their numbers. In the cloud
    dialect each has a field more, the native values behind it, or null."""
    AGENTS = 2
    """[[`AgentEntry`], …]: agents as they are now."""
    SCOPES = 3
    """{name: {field: value}}: the sessions of the shard, as its journal has them."""
    SNAPSHOT_BEGINS = 4
    """[losses]: the shard's word `feed_losses` at this moment; sequence: the number wanted. Agents
    follow, between whatever else happens, and every agent that the shard holds is among them."""
    SNAPSHOT_ENDS = 5
    """null; sequence: the number wanted."""
    FED = 6
    """[outcome, reason]: what became of a frame that was fed again; sequence: the want's number."""


class AgentEntry(NamedTuple):
    """An agent as its shard holds it. Hot code builds and reads the plain tuple in this order."""

    number: int
    user_id: str
    state: str | None
    """None: watched, and nothing was told yet."""
    at_us: int
    queue: str | None
    """The text of its queues (`actors.messages.queues`)."""
    presence: str | None
    epoch: int
    sequence: int
    scope: str
    """Cloud: where the agent is watched; "": nowhere."""
    named: int
    """Cloud: the session of that scope in which its whole state was told last."""
    native: tuple[object, ...] | None
    """Cloud: `Native.packed`."""
    is_placed: bool = True
    """Its queues are known. Cloud: the planner has read them."""


class SnapshotWanted(NamedTuple):
    """Tell every agent. Numbers only grow; one that was carried out is not carried out again."""

    number: int


class FrameWanted(NamedTuple):
    """Feed a frame of the quarantine again."""

    number: int  # the answer bears the same one
    key: int  # its hash


Want: TypeAlias = SnapshotWanted | FrameWanted

_WANTS: Vocabulary[Want] = Vocabulary({SnapshotWanted: "snapshot", FrameWanted: "frame"})
encode_want, decode_want = _WANTS.encode, _WANTS.decode
