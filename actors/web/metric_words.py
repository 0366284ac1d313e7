"""MetricWords: which words of which pages are shown to Prometheus, under what name, with what help.

Data only. A page belongs to a role: `shard-0` and `shard-1` to `shard`. Names follow Prometheus'
conventions: base units, and `_total` is appended to what only grows. All that a label may say
stands here, so that nothing from outside ever becomes one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

from actors.sender.commands import Code
from actors.sender.latency import BOUNDS_MS
from actors.sender.page import LATENCIES
from actors.sender.page import bucket_words as latency_words
from actors.state.durations import BOUNDS_US, bucket_words
from actors.state.merge import OUTCOMES

POWERS: Final = 4
"""Of the sender's bounds, which grow by a fifth each, every fourth is shown: a factor of two."""


class Word(NamedTuple):
    role: str
    word: str
    said: str = ""
    """What the metric's own label says of it."""


class Metric(NamedTuple):
    """One or several words; each sample is labelled with the child that its page belongs to."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    words: tuple[Word, ...]
    label: str = ""


class Histogram(NamedTuple):
    """`buckets`: words that are not cumulated yet, each with its upper bound in seconds."""

    name: str
    help: str
    role: str
    buckets: tuple[tuple[str, float], ...]
    sum_us: str  # a word


def _counter(name: str, told: str, *words: Word, label: str = "") -> Metric:
    return Metric(name, "counter", told, words, label)


def _gauge(name: str, told: str, *words: Word, label: str = "") -> Metric:
    return Metric(name, "gauge", told, words, label)


def _each(role: str, words: Iterable[str], prefix: str = "") -> Iterable[Word]:
    """Words that say themselves what they are."""
    return (Word(role, prefix + word, word) for word in words)


_RECEIVER: Final = (
    _counter(
        "presence_receiver_frames",
        "WebSocket frames that were received.",
        Word("receiver", "frames"),
    ),
    _counter(
        "presence_receiver_frame_bytes",
        "Payload of the frames that were received.",
        Word("receiver", "bytes"),
    ),
    _counter(
        "presence_receiver_frames_slow",
        "Frames that were no usual event and took the slow path.",
        Word("receiver", "python_path"),
    ),
    _counter(
        "presence_receiver_records",
        "What frames turned out to be: an event of an agent, a control frame, or rejected.",
        Word("receiver", "events_routed", "event"),
        Word("receiver", "control_frames", "control"),
        Word("receiver", "rejected", "rejected"),
        label="type",
    ),
    _counter(
        "presence_receiver_dropped",
        "Events that are no state changes and were dropped under pressure, by type.",
        Word("receiver", "shed_appointments", "appointment"),
        Word("receiver", "shed_others", "other"),
        label="type",
    ),
    _counter(
        "presence_receiver_pauses",
        "How often the socket was not read because a ring was over 80 % full.",
        Word("receiver", "pauses"),
    ),
    _counter(
        "presence_receiver_spilled",
        "Records that waited outside of a full ring.",
        Word("receiver", "spilled"),
    ),
    _gauge(
        "presence_receiver_spill_bytes",
        "What waits outside of full rings now.",
        Word("receiver", "spill_bytes"),
    ),
    _counter(
        "presence_receiver_spill_dropped",
        "Records of a spill that grew too large: they are asked for again.",
        Word("receiver", "spill_dropped"),
    ),
    _gauge(
        "presence_receiver_connected",
        "1: a session is up; in the cloud dialect, at least one channel is connected.",
        Word("receiver", "connected"),
    ),
    _gauge(
        "presence_receiver_history_running",
        "1: agents' states are being told anew.",
        Word("receiver", "history_running"),
    ),
    _counter(
        "presence_receiver_sessions",
        "Sessions that began; a planned replacement counts as well.",
        Word("receiver", "sessions_begun"),
    ),
    _counter(
        "presence_receiver_reconnects",
        "Connections after the first one, planned replacements among them.",
        Word("receiver", "reconnects"),
    ),
    _counter(
        "presence_receiver_handshake_refusals",
        "Handshakes that the gateway refused.",
        Word("receiver", "handshake_refusals"),
    ),
    _gauge(
        "presence_receiver_exhausted",
        "1: the tries to connect are spent; they begin anew after a while.",
        Word("receiver", "exhausted"),
    ),
)
_CHANNELS: Final = (
    _gauge(
        "presence_receiver_channels",
        "Cloud: channels that are planned, whose socket is open, whose snapshot is whole.",
        Word("receiver", "channels_planned", "planned"),
        Word("receiver", "channels_connected", "connected"),
        Word("receiver", "channels_current", "current"),
        label="stage",
    ),
    _counter(
        "presence_receiver_channels_made",
        "Cloud: channels that were created, or found again after a restart.",
        Word("receiver", "channels_created", "created"),
        Word("receiver", "channels_reused", "reused"),
        label="how",
    ),
    _counter(
        "presence_receiver_channels_lost",
        "Cloud: channels that the gateway took away.",
        Word("receiver", "channels_lost"),
    ),
    _gauge(
        "presence_receiver_channels_foreign",
        "Cloud: channels of our OAuth clients that somebody else has made.",
        Word("receiver", "channels_foreign"),
    ),
    _counter(
        "presence_receiver_rotations",
        "Cloud: channels that were replaced in time.",
        Word("receiver", "rotations"),
    ),
    _gauge(
        "presence_receiver_topics_refused",
        "Cloud: topics that the gateway does not permit.",
        Word("receiver", "topics_refused"),
    ),
    _counter(
        "presence_receiver_snapshots",
        "Cloud: snapshots of channels that became whole.",
        Word("receiver", "snapshots"),
    ),
    _gauge(
        "presence_receiver_snapshots_waiting",
        "Cloud: snapshots that wait for their part of the request budget.",
        Word("receiver", "snapshots_waiting"),
    ),
)
_GATEWAY: Final = (
    _counter(
        "presence_token_refreshes",
        "Access tokens that were obtained.",
        *(Word(role, "token_refreshes") for role in ("receiver", "sender", "planner")),
    ),
    _counter(
        "presence_token_failures",
        "Access tokens that were refused, or not to be had.",
        *(Word(role, "token_failures") for role in ("receiver", "sender", "planner")),
    ),
    _gauge(
        "presence_token_remaining_seconds",
        "How long the access token that ends first is still valid.",
        *(Word(role, "token_seconds_left") for role in ("receiver", "sender", "planner")),
    ),
    _counter(
        "presence_gateway_requests",
        "Requests to the platform's API.",
        *(Word(role, "requests") for role in ("receiver", "sender", "planner")),
    ),
    _counter(
        "presence_gateway_requests_limited",
        "Requests that the platform answered with 429.",
        *(Word(role, "requests_refused") for role in ("receiver", "sender", "planner")),
    ),
)
_SHARD: Final = (
    _counter(
        "presence_shard_events_received",
        "Events that a shard took from its rings: the sum of all outcomes.",
        Word("shard", "received"),
    ),
    _counter(
        "presence_shard_events",
        "Events that a shard judged, by outcome.",
        *_each("shard", (outcome for outcome in OUTCOMES if outcome != "received")),
        label="outcome",
    ),
    _counter(
        "presence_shard_transitions",
        "Rows of the journal: transitions, and gaps.",
        Word("shard", "transitions"),
    ),
    _counter(
        "presence_shard_gaps",
        "Spans of which it is not known what happened in them.",
        Word("shard", "gaps"),
    ),
    _gauge("presence_shard_agents", "Agents that a shard holds.", Word("shard", "agents")),
    _gauge(
        "presence_shard_session_up",
        "1: some session feeds this shard.",
        Word("shard", "session_up"),
    ),
    _gauge(
        "presence_shard_history_running",
        "1: agents' states are being told anew.",
        Word("shard", "history_running"),
    ),
    _counter(
        "presence_shard_batches", "Batches that were taken from rings.", Word("shard", "batches")
    ),
    _counter(
        "presence_journal_failures",
        "Transactions that the disk refused; each is tried again.",
        *(Word(role, "commit_failures") for role in ("shard", "sender", "planner", "receiver")),
    ),
    _counter(
        "presence_shard_rows_pruned",
        "Rows that were older, or more, than retention keeps.",
        Word("shard", "rows_pruned"),
    ),
    _counter(
        "presence_shard_answers",
        "The sender's questions that were answered, or whose answer found no room.",
        Word("shard", "answers", "sent"),
        Word("shard", "answers_dropped", "dropped"),
        label="outcome",
    ),
)
_SENDER: Final = (
    _counter(
        "presence_commands_accepted",
        "Commands that became durable.",
        Word("sender", "accepted"),
    ),
    _counter(
        "presence_commands_ended",
        "Commands by the one end that each of them comes to.",
        *_each("sender", ("confirmed", "unconfirmed", "refused", "unknown")),
        label="outcome",
    ),
    _counter(
        "presence_commands_refused",
        "Refused commands, by the reason.",
        *(Word("sender", f"refused_{code.name.lower()}", code.value) for code in Code),
        label="code",
    ),
    _counter(
        "presence_command_sends",
        "What was sent, repetitions included, and what was not answered.",
        *_each("sender", ("sent", "retried", "unanswered")),
        label="what",
    ),
    _gauge(
        "presence_commands_unsettled",
        "Commands without an end.",
        Word("sender", "unsettled"),
    ),
    _gauge(
        "presence_sender_connected",
        "1: presences can be sent.",
        Word("sender", "connected"),
    ),
    _counter(
        "presence_sender_handshake_refusals",
        "Handshakes of the presence socket that the gateway refused.",
        Word("sender", "handshake_refusals"),
    ),
    _counter(
        "presence_webhook_deliveries",
        "Attempts to deliver a message, by outcome.",
        Word("sender", "webhooks_delivered", "delivered"),
        Word("sender", "webhooks_failed", "failed"),
        label="outcome",
    ),
    _gauge(
        "presence_webhook_messages",
        "Messages that wait, and those that were given up.",
        Word("sender", "webhooks_waiting", "waiting"),
        Word("sender", "webhooks_dead", "dead"),
        label="state",
    ),
)
_PLANNER: Final = (
    _gauge(
        "presence_planner_agents",
        "Cloud: agents that have a place on a channel, and those that have none.",
        Word("planner", "agents_watched", "watched"),
        Word("planner", "agents_unmonitored", "unmonitored"),
        label="state",
    ),
    _gauge(
        "presence_planner_clients_needed",
        "Cloud: OAuth clients that all agents need.",
        Word("planner", "clients_needed"),
    ),
    _counter(
        "presence_planner_roster_reads",
        "Cloud: how often the roster was read, or could not be.",
        Word("planner", "roster_reads", "whole"),
        Word("planner", "roster_failures", "failed"),
        label="outcome",
    ),
    _gauge(
        "presence_planner_roster_seconds",
        "Cloud: how long the last whole read of the roster took.",
        Word("planner", "roster_seconds"),
    ),
)
_WEB: Final = (
    _gauge("presence_web_connections", "Connections that are open.", Word("web", "connections")),
    _counter("presence_web_requests", "Requests that were served.", Word("web", "requests")),
    _counter(
        "presence_web_refused",
        "Requests without a token or too many of one client, and connections beyond the limit.",
        Word("web", "requests_refused", "unauthorised"),
        Word("web", "requests_limited", "too-many"),
        Word("web", "connections_refused", "connections"),
        label="reason",
    ),
)

METRICS: Final = (*_RECEIVER, *_CHANNELS, *_GATEWAY, *_SHARD, *_SENDER, *_PLANNER, *_WEB)


def _of_a_shard(name: str, told: str, prefix: str) -> Histogram:
    bounds = (*(bound / 1e6 for bound in BOUNDS_US), float("inf"))
    buckets = zip(bucket_words(prefix), bounds, strict=True)
    return Histogram(name, told, "shard", tuple(buckets), f"{prefix}_sum_us")


def _of_the_sender(prefix: str) -> Histogram:
    # Bounds of 1, 2, 4 … ms; what lies between two of them belongs to the next. The last word of
    # the page holds whatever took longer as well.
    words, last = latency_words(prefix), len(BOUNDS_MS) - 1
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


HISTOGRAMS: Final = (
    _of_a_shard(
        "presence_shard_event_seconds",
        "From the receipt of an event at the socket until it is committed.",
        "event",
    ),
    _of_a_shard("presence_shard_commit_seconds", "A transaction of the journal.", "commit"),
    *(_of_the_sender(prefix) for prefix in LATENCIES),
)
