"""The names of all faults, and of all steps at which a child can be killed. Not what they do."""

from __future__ import annotations

from typing import Final

HANDSHAKES: Final = ("401", "403", "429", "500", "hang", "unreachable", "no token")
"""What becomes of the next try to connect."""
SUBSCRIPTIONS: Final = ("dropped at subscription", "no acknowledgement", "event first")
"""What answers the next subscription instead of an acknowledgement."""
SESSIONS: Final = ("sequence ignored", "no history.complete")
"""What is wrong with the next session."""
CLOSES: Final = {
    "close 1000": 1000,
    "close 1001": 1001,
    "close 1005": 1005,
    "close 1012": 1012,
    "connection reset": 1006,
}
LINES: Final = ("half-open", "sending pauses", "token ends")
GATEWAY: Final = ("new epoch", "sequence reset", "retention shrinks", "agent leaves")
FRAMES: Final = ("odd frames", "poison frame")
RECEIVER: Final = ("token renewed", "spill overflows", "receiver stops")
SHARDS: Final = ("shard stops", "disk full")

FAULTS: Final = (
    *HANDSHAKES,
    *SUBSCRIPTIONS,
    *SESSIONS,
    *CLOSES,
    *LINES,
    *GATEWAY,
    *FRAMES,
    *RECEIVER,
    *SHARDS,
)

RECEIVER_POINTS: Final = (
    "before-publish",
    "between-publishes",
    "after-publish",
    "after-end-staged",
    "after-session-number",
    "after-begins-staged",
    "after-gap-staged",
    "after-stream",
    "after-history-end-staged",
    "after-watermark-staged",
)
SHARD_POINTS: Final = (
    "after-load",
    "after-peek",
    "after-parse",
    "after-merge",
    "after-prepare",
    "in-transaction",
    "after-commit",
    "after-feed",
    "after-show",
    "after-release",
)
STOP_POINTS: Final = ("before-last-commit", "after-last-commit")
OFTEN_PASSED: Final = frozenset(RECEIVER_POINTS[:3] + SHARD_POINTS[1:])
"""The others are passed once a life or session."""
POINTS: Final = (*RECEIVER_POINTS, *SHARD_POINTS, *STOP_POINTS)
"""The steps that the product itself names."""
ANYWHERE: Final = ("receiver killed", "shard killed", "runtime killed", "runtime stopped")
CRASHES: Final = (*POINTS, *ANYWHERE)
