"""OutgoingMetrics: the words of sender, sinks, web and supervisor that Prometheus is shown.

Data only, as `incoming_metrics`.
"""

from __future__ import annotations

from typing import Final

from actors.sender.commands import Code
from actors.sender.latency import BOUNDS_MS
from actors.sender.words import LATENCIES, bucket_words
from actors.web.metric_kinds import Histogram, Word, counter, each, gauge

POWERS: Final = 4
"""Of the sender's bounds, which grow by a fifth each, every fourth is shown: a factor of two."""

_SENDER: Final = (
    counter(
        "presence_commands_accepted",
        "Commands accepted and stored.",
        Word("sender", "accepted"),
    ),
    counter(
        "presence_commands_ended",
        "Commands ended, by outcome.",
        *each("sender", ("confirmed", "unconfirmed", "refused", "unknown")),
        label="outcome",
    ),
    counter(
        "presence_commands_refused",
        "Commands refused, by reason.",
        *(Word("sender", f"refused_{code.name.lower()}", code.value) for code in Code),
        label="code",
    ),
    counter(
        "presence_command_sends",
        "Attempts to send commands: sent, retried, unanswered, pending (applied later).",
        *each("sender", ("sent", "retried", "unanswered", "pending")),
        label="what",
    ),
    gauge(
        "presence_commands_unsettled",
        "Commands that have not ended yet.",
        Word("sender", "unsettled"),
    ),
    gauge(
        "presence_commands_pending",
        "Commands that the gateway applies when the agent's interaction ends.",
        Word("sender", "pending_now"),
    ),
    gauge(
        "presence_sender_connected",
        "1: presences can be sent.",
        Word("sender", "connected"),
    ),
    counter(
        "presence_sender_handshake_refusals",
        "Handshakes of the presence socket refused by the gateway.",
        Word("sender", "handshake_refusals"),
    ),
    counter(
        "presence_webhook_deliveries",
        "Attempts to deliver a webhook message, by outcome.",
        Word("sender", "webhooks_delivered", "delivered"),
        Word("sender", "webhooks_failed", "failed"),
        label="outcome",
    ),
    gauge(
        "presence_webhook_messages",
        "Webhook messages, by state: waiting, or dead (no more attempts).",
        Word("sender", "webhooks_waiting", "waiting"),
        Word("sender", "webhooks_dead", "dead"),
        label="state",
    ),
)
_SINKS: Final = (
    gauge(
        "presence_sinks",
        "Sinks, by state: all, failing (last attempt failed), paused (refused by the target).",
        Word("sinks", "sinks", "all"),
        Word("sinks", "sinks_failing", "failing"),
        Word("sinks", "sinks_paused", "paused"),
        label="state",
    ),
    counter(
        "presence_sink_events",
        "Events delivered by all sinks.",
        Word("sinks", "delivered"),
    ),
    counter(
        "presence_sink_attempts_failed",
        "Attempts to deliver that failed; each is retried.",
        Word("sinks", "failed"),
    ),
    counter(
        "presence_sink_rows_missed",
        "Rows that were lost for a sink; a lost journal counts as 1.",
        Word("sinks", "rows_missed"),
    ),
    gauge(
        "presence_sink_behind_rows",
        "Undelivered rows of the sink with the largest backlog.",
        Word("sinks", "behind_rows"),
    ),
    gauge(
        "presence_sink_behind_seconds",
        "Age of the oldest undelivered row, in seconds.",
        Word("sinks", "behind_ms"),
        scale=1e-3,
    ),
)
_WEB: Final = (
    gauge("presence_web_connections", "Open connections.", Word("web", "connections")),
    gauge(
        "presence_stream_readers",
        "Clients connected to the stream.",
        Word("web", "stream_readers"),
    ),
    counter(
        "presence_stream_resyncs",
        "Stream clients that had to load a new snapshot.",
        Word("web", "stream_resyncs"),
    ),
    counter("presence_web_requests", "Requests served.", Word("web", "requests")),
    counter(
        "presence_web_refused",
        "Requests and connections refused, by reason: missing token, rate limit, connection "
        "limit; displaced: idle connections without a token, closed to make room.",
        Word("web", "requests_refused", "unauthorised"),
        Word("web", "requests_limited", "too-many"),
        Word("web", "connections_refused", "connections"),
        Word("web", "connections_displaced", "displaced"),
        label="reason",
    ),
)
_FEED: Final = (
    counter(
        "presence_feed_losses",
        "Times that the page had to read a shard again: after each start or drop.",
        Word("shard", "feed_losses"),
    ),
    counter(
        "presence_feed_snapshots",
        "Snapshots that a shard has completed for the page.",
        Word("shard", "feed_snapshots"),
    ),
    gauge(
        "presence_feed_shards_lagging",
        "Shards whose snapshot the page is still reading.",
        Word("web", "feed_lagging"),
    ),
    gauge(
        "presence_agents_queues_unknown",
        "Agents whose queues are not known yet; until it is 0, counts of queues are too low.",
        Word("web", "queues_unknown"),
    ),
)
_SUPERVISOR: Final = (
    gauge(
        "presence_start_time_seconds",
        "Start time of this runtime, in seconds since 1970.",
        Word("supervisor", "started_us"),
        scale=1e-6,
    ),
    counter(
        "presence_reloads",
        "Reloads of the settings, by outcome.",
        Word("supervisor", "reloads", "done"),
        Word("supervisor", "reload_failures", "failed"),
        label="outcome",
    ),
)

OUTGOING: Final = (*_SENDER, *_SINKS, *_WEB, *_FEED, *_SUPERVISOR)


def _of_the_sender(prefix: str) -> Histogram:
    # Bounds of 1, 2, 4 … ms; what lies between two of them belongs to the next. The last word of
    # the page holds whatever took longer as well.
    words, last = bucket_words(prefix), len(BOUNDS_MS) - 1
    bounds = [
        float("inf")
        if (above := -(-place // POWERS) * POWERS) >= last
        else round(BOUNDS_MS[above] / 1e3, 6)
        for place in range(len(BOUNDS_MS))
    ]
    told = f"Time from the first send of a command to its {prefix}, in seconds."
    return Histogram(
        f"presence_command_{prefix}_seconds",
        told,
        "sender",
        tuple(zip(words, bounds, strict=True)),
        f"{prefix}_sum_us",
    )


OUTGOING_HISTOGRAMS: Final = tuple(map(_of_the_sender, LATENCIES))
