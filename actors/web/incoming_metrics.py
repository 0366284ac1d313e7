"""IncomingMetrics: the words of receivers, shards and the planner that Prometheus is shown.

Data only. A page belongs to a role: `shard-0` and `shard-1` to `shard`.
"""

from __future__ import annotations

from typing import Final

from actors.shard.durations import BOUNDS_US, bucket_words
from actors.shard.merge import OUTCOMES
from actors.web.metric_kinds import Histogram, Word, counter, each, gauge

_RECEIVER: Final = (
    counter(
        "presence_receiver_frames",
        "WebSocket frames that were received.",
        Word("receiver", "frames"),
    ),
    counter(
        "presence_receiver_frame_bytes",
        "Payload of the frames that were received.",
        Word("receiver", "bytes"),
    ),
    counter(
        "presence_receiver_frames_slow",
        "Frames that were no usual event and took the slow path.",
        Word("receiver", "python_path"),
    ),
    counter(
        "presence_receiver_records",
        "What frames turned out to be: an event of an agent, a control frame, or rejected.",
        Word("receiver", "events_routed", "event"),
        Word("receiver", "control_frames", "control"),
        Word("receiver", "rejected", "rejected"),
        label="type",
    ),
    counter(
        "presence_receiver_dropped",
        "Events that are no state changes and were dropped under pressure, by type.",
        Word("receiver", "shed_appointments", "appointment"),
        Word("receiver", "shed_others", "other"),
        label="type",
    ),
    counter(
        "presence_receiver_pauses",
        "How often the socket was not read because a ring was over 80 % full.",
        Word("receiver", "pauses"),
    ),
    counter(
        "presence_receiver_spilled",
        "Records that waited outside of a full ring.",
        Word("receiver", "spilled"),
    ),
    gauge(
        "presence_receiver_spill_bytes",
        "What waits outside of full rings now.",
        Word("receiver", "spill_bytes"),
    ),
    counter(
        "presence_receiver_spill_dropped",
        "Records of a spill that grew too large: they are asked for again.",
        Word("receiver", "spill_dropped"),
    ),
    gauge(
        "presence_receiver_connected",
        "1: a session is up; in the cloud dialect, at least one channel is connected.",
        Word("receiver", "connected"),
    ),
    gauge(
        "presence_receiver_history_running",
        "1: agents' states are being told anew.",
        Word("receiver", "history_running"),
    ),
    counter(
        "presence_receiver_sessions",
        "Sessions that began; a planned replacement counts as well.",
        Word("receiver", "sessions_begun"),
    ),
    counter(
        "presence_receiver_reconnects",
        "Connections after the first one, planned replacements among them.",
        Word("receiver", "reconnects"),
    ),
    counter(
        "presence_receiver_handshake_refusals",
        "Handshakes that the gateway refused.",
        Word("receiver", "handshake_refusals"),
    ),
    gauge(
        "presence_receiver_exhausted",
        "1: the tries to connect are spent; they begin anew after a while.",
        Word("receiver", "exhausted"),
    ),
)
_CHANNELS: Final = (
    gauge(
        "presence_receiver_channels",
        "Cloud: channels that are planned, whose socket is open, whose snapshot is whole.",
        Word("receiver", "channels_planned", "planned"),
        Word("receiver", "channels_connected", "connected"),
        Word("receiver", "channels_current", "current"),
        label="stage",
    ),
    counter(
        "presence_receiver_channels_made",
        "Cloud: channels that were created, or found again after a restart.",
        Word("receiver", "channels_created", "created"),
        Word("receiver", "channels_reused", "reused"),
        label="how",
    ),
    counter(
        "presence_receiver_channels_lost",
        "Cloud: channels that the gateway took away.",
        Word("receiver", "channels_lost"),
    ),
    gauge(
        "presence_receiver_channels_foreign",
        "Cloud: channels of our OAuth clients that somebody else has made.",
        Word("receiver", "channels_foreign"),
    ),
    counter(
        "presence_receiver_rotations",
        "Cloud: channels that were replaced in time.",
        Word("receiver", "rotations"),
    ),
    gauge(
        "presence_receiver_topics_refused",
        "Cloud: topics that the gateway does not permit.",
        Word("receiver", "topics_refused"),
    ),
    counter(
        "presence_receiver_snapshots",
        "Cloud: snapshots of channels that became whole.",
        Word("receiver", "snapshots"),
    ),
    gauge(
        "presence_receiver_snapshots_waiting",
        "Cloud: snapshots that wait for their part of the request budget.",
        Word("receiver", "snapshots_waiting"),
    ),
)
_GATEWAY: Final = (
    counter(
        "presence_token_refreshes",
        "Access tokens that were obtained.",
        *(Word(role, "token_refreshes") for role in ("receiver", "sender", "planner")),
    ),
    counter(
        "presence_token_failures",
        "Access tokens that were refused, or not to be had.",
        *(Word(role, "token_failures") for role in ("receiver", "sender", "planner")),
    ),
    gauge(
        "presence_token_remaining_seconds",
        "How long the access token that ends first is still valid.",
        *(Word(role, "token_seconds_left") for role in ("receiver", "sender", "planner")),
    ),
    counter(
        "presence_gateway_requests",
        "Requests to the platform's API.",
        *(Word(role, "requests") for role in ("receiver", "sender", "planner")),
    ),
    counter(
        "presence_gateway_requests_limited",
        "Requests that the platform answered with 429.",
        *(Word(role, "requests_refused") for role in ("receiver", "sender", "planner")),
    ),
)
_SHARD: Final = (
    counter(
        "presence_shard_events_received",
        "Events that a shard took from its rings: the sum of all outcomes.",
        Word("shard", "received"),
    ),
    counter(
        "presence_shard_events",
        "Events that a shard judged, by outcome.",
        *each("shard", (outcome for outcome in OUTCOMES if outcome != "received")),
        label="outcome",
    ),
    counter(
        "presence_shard_transitions",
        "Rows of the journal: transitions, and gaps.",
        Word("shard", "transitions"),
    ),
    counter(
        "presence_shard_gaps",
        "Spans of which it is not known what happened in them.",
        Word("shard", "gaps"),
    ),
    gauge("presence_shard_agents", "Agents that a shard holds.", Word("shard", "agents")),
    gauge(
        "presence_shard_session_up",
        "1: some session feeds this shard.",
        Word("shard", "session_up"),
    ),
    gauge(
        "presence_shard_history_running",
        "1: agents' states are being told anew.",
        Word("shard", "history_running"),
    ),
    counter(
        "presence_shard_batches", "Batches that were taken from rings.", Word("shard", "batches")
    ),
    counter(
        "presence_journal_failures",
        "Transactions that the disk refused; each is tried again.",
        *(Word(role, "commit_failures") for role in ("shard", "sender", "planner", "receiver")),
    ),
    counter(
        "presence_shard_rows_pruned",
        "Rows that were older, or more, than retention keeps.",
        Word("shard", "rows_pruned"),
    ),
    counter(
        "presence_shard_answers",
        "The sender's questions that were answered, or whose answer found no room.",
        Word("shard", "answers", "sent"),
        Word("shard", "answers_dropped", "dropped"),
        label="outcome",
    ),
)
_PLANNER: Final = (
    gauge(
        "presence_planner_agents",
        "Cloud: agents that have a place on a channel, and those that have none.",
        Word("planner", "agents_watched", "watched"),
        Word("planner", "agents_unmonitored", "unmonitored"),
        label="state",
    ),
    gauge(
        "presence_planner_clients_needed",
        "Cloud: OAuth clients that all agents need.",
        Word("planner", "clients_needed"),
    ),
    counter(
        "presence_planner_roster_reads",
        "Cloud: how often the roster was read, or could not be.",
        Word("planner", "roster_reads", "whole"),
        Word("planner", "roster_failures", "failed"),
        label="outcome",
    ),
    gauge(
        "presence_planner_roster_seconds",
        "Cloud: how long the last whole read of the roster took.",
        Word("planner", "roster_seconds"),
    ),
)

INCOMING: Final = (*_RECEIVER, *_CHANNELS, *_GATEWAY, *_SHARD, *_PLANNER)


def _of_a_shard(name: str, told: str, prefix: str) -> Histogram:
    bounds = (*(bound / 1e6 for bound in BOUNDS_US), float("inf"))
    buckets = zip(bucket_words(prefix), bounds, strict=True)
    return Histogram(name, told, "shard", tuple(buckets), f"{prefix}_sum_us")


INCOMING_HISTOGRAMS: Final = (
    _of_a_shard(
        "presence_shard_event_seconds",
        "From the receipt of an event at the socket until it is committed.",
        "event",
    ),
    _of_a_shard("presence_shard_commit_seconds", "A transaction of the journal.", "commit"),
)
