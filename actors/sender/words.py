"""Words: of the page of the sender's counters; data only. Pure.

Apart from those who write them, so that whoever reads the page need not load a sender.
"""

from __future__ import annotations

from typing import Final

from actors.genesys.token_gauges import TOKEN_WORDS
from actors.sender.active_commands import COUNTED
from actors.sender.latency import BOUNDS_MS

LOOP_WORDS: Final = (  # in both dialects
    "connected",
    "lines_bound",
    "lines_ended",
    "handshake_refusals",
    "malformed_frames",
    "updates_sent",
    "updates_not_sent",
    "acknowledgements",
    "users_asked",
    "users_spared",
    "webhook_posts",
    "definitions",
    "requests",
    "requests_refused",
    "budget_used",
    "budget_used_ns",
    "budget_waiting",  # requests that wait for their place in the share
    *TOKEN_WORDS,
)
LATENCIES: Final = ("acknowledgement", "confirmation")
"""Each since the first send."""
PERCENTILES: Final = (50, 90, 99)


def bucket_words(name: str) -> tuple[str, ...]:
    """So many took that long at most, and longer than the bound before."""
    return tuple(f"{name}_le_{round(bound * 1000)}_us" for bound in BOUNDS_MS)


BUCKETS: Final = {name: bucket_words(name) for name in LATENCIES}
"""Of each latency, in the order of the bounds."""

SENDER_WORDS: Final = (
    *COUNTED,
    "success_permille",  # of all that have their end: those that the gateway took
    *LOOP_WORDS,
    "unsettled",
    "validating",
    "waiting",
    "in_flight",
    "pending_now",
    "departures",
    *(f"{name}_{what}_us" for name in LATENCIES for what in ("sum", "average")),
    *(f"{name}_p{percent}_us" for name in LATENCIES for percent in PERCENTILES),
    *(word for words in BUCKETS.values() for word in words),
    "questions_dropped",
    "outcomes_dropped",
    "records_malformed",
    "webhooks_delivered",
    "webhooks_failed",
    "webhooks_waiting",
    "webhooks_dead",
    "webhooks_oldest_us",  # since when the oldest waits, UTC; 0: none does
    "commits",
    "commit_ns",
    "commit_failures",
)
