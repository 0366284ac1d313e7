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
        "Commands that became durable.",
        Word("sender", "accepted"),
    ),
    counter(
        "presence_commands_ended",
        "Commands by the one end that each of them comes to.",
        *each("sender", ("confirmed", "unconfirmed", "refused", "unknown")),
        label="outcome",
    ),
    counter(
        "presence_commands_refused",
        "Refused commands, by the reason.",
        *(Word("sender", f"refused_{code.name.lower()}", code.value) for code in Code),
        label="code",
    ),
    counter(
        "presence_command_sends",
        "What was sent, repetitions included, and what was not answered.",
        *each("sender", ("sent", "retried", "unanswered")),
        label="what",
    ),
    gauge(
        "presence_commands_unsettled",
        "Commands without an end.",
        Word("sender", "unsettled"),
    ),
    gauge(
        "presence_sender_connected",
        "1: presences can be sent.",
        Word("sender", "connected"),
    ),
    counter(
        "presence_sender_handshake_refusals",
        "Handshakes of the presence socket that the gateway refused.",
        Word("sender", "handshake_refusals"),
    ),
    counter(
        "presence_webhook_deliveries",
        "Attempts to deliver a message, by outcome.",
        Word("sender", "webhooks_delivered", "delivered"),
        Word("sender", "webhooks_failed", "failed"),
        label="outcome",
    ),
    gauge(
        "presence_webhook_messages",
        "Messages that wait, and those that were given up.",
        Word("sender", "webhooks_waiting", "waiting"),
        Word("sender", "webhooks_dead", "dead"),
        label="state",
    ),
)
_SINKS: Final = (
    gauge(
        "presence_sinks",
        "Sinks: all of them, those whose last attempt failed, those that were refused.",
        Word("sinks", "sinks", "all"),
        Word("sinks", "sinks_failing", "failing"),
        Word("sinks", "sinks_paused", "paused"),
        label="state",
    ),
    counter(
        "presence_sink_events",
        "Events that were delivered, by all sinks.",
        Word("sinks", "delivered"),
    ),
    counter(
        "presence_sink_attempts_failed",
        "Attempts to deliver that failed; each is repeated.",
        Word("sinks", "failed"),
    ),
    counter(
        "presence_sink_rows_missed",
        "Rows that a sink was told it will never be given; of a journal that is gone, 1.",
        Word("sinks", "rows_missed"),
    ),
    gauge(
        "presence_sink_behind_rows",
        "Rows that the sink which is furthest behind is to be given.",
        Word("sinks", "behind_rows"),
    ),
    gauge(
        "presence_sink_behind_seconds",
        "How long the oldest row has waited that a sink is to be given.",
        Word("sinks", "behind_ms"),
        scale=1e-3,
    ),
)
_WEB: Final = (
    gauge("presence_web_connections", "Connections that are open.", Word("web", "connections")),
    gauge(
        "presence_stream_readers",
        "Pages and programs that follow the stream.",
        Word("web", "stream_readers"),
    ),
    counter(
        "presence_stream_resyncs",
        "Readers of the stream that were told to begin anew.",
        Word("web", "stream_resyncs"),
    ),
    counter("presence_web_requests", "Requests that were served.", Word("web", "requests")),
    counter(
        "presence_web_refused",
        "Requests without a token or too many of one client, and connections beyond the limit.",
        Word("web", "requests_refused", "unauthorised"),
        Word("web", "requests_limited", "too-many"),
        Word("web", "connections_refused", "connections"),
        label="reason",
    ),
)
_FEED: Final = (
    counter(
        "presence_feed_losses",
        "How often the page was to read a shard anew: each life of the shard, and each drop.",
        Word("shard", "feed_losses"),
    ),
    counter(
        "presence_feed_snapshots",
        "Snapshots for the page that a shard told to their end.",
        Word("shard", "feed_snapshots"),
    ),
    gauge(
        "presence_feed_shards_lagging",
        "Shards of which the page does not know everything now.",
        Word("web", "feed_lagging"),
    ),
)
_SUPERVISOR: Final = (
    gauge(
        "presence_start_time_seconds",
        "When this runtime was started, since 1970.",
        Word("supervisor", "started_us"),
        scale=1e-6,
    ),
    counter(
        "presence_reloads",
        "How often settings were read again, or could not be.",
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
    told = f"From the first send of a command to its {prefix}."
    return Histogram(
        f"presence_command_{prefix}_seconds",
        told,
        "sender",
        tuple(zip(words, bounds, strict=True)),
        f"{prefix}_sum_us",
    )


OUTGOING_HISTOGRAMS: Final = tuple(map(_of_the_sender, LATENCIES))
