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
        "WebSocket frames received.",
        Word("receiver", "frames"),
    ),
    counter(
        "presence_receiver_frame_bytes",
        "Payload bytes of the frames received.",
        Word("receiver", "bytes"),
    ),
    counter(
        "presence_receiver_frames_slow",
        "Frames decoded by the slow path because they are not common events.",
        Word("receiver", "python_path"),
    ),
    counter(
        "presence_receiver_records",
        "Records decoded from frames, by type: event, control or rejected.",
        Word("receiver", "events_routed", "event"),
        Word("receiver", "control_frames", "control"),
        Word("receiver", "rejected", "rejected"),
        label="type",
    ),
    counter(
        "presence_receiver_dropped",
        "Events without a state change that were dropped under backpressure, by type.",
        Word("receiver", "shed_appointments", "appointment"),
        Word("receiver", "shed_others", "other"),
        label="type",
    ),
    counter(
        "presence_receiver_pauses",
        "Times that reading from the socket was paused because a ring was over 80 % full.",
        Word("receiver", "pauses"),
    ),
    counter(
        "presence_receiver_spilled",
        "Records buffered outside of a full ring.",
        Word("receiver", "spilled"),
    ),
    gauge(
        "presence_receiver_spill_bytes",
        "Bytes currently buffered outside of full rings.",
        Word("receiver", "spill_bytes"),
    ),
    counter(
        "presence_receiver_spill_dropped",
        "Buffered records that were dropped because the buffer was full; they are requested again.",
        Word("receiver", "spill_dropped"),
    ),
    gauge(
        "presence_receiver_connected",
        "1: a session is up; cloud: at least one channel is connected.",
        Word("receiver", "connected"),
    ),
    gauge(
        "presence_receiver_history_running",
        "1: a history or snapshot is being received.",
        Word("receiver", "history_running"),
    ),
    counter(
        "presence_receiver_sessions",
        "Sessions started, planned replacements included.",
        Word("receiver", "sessions_begun"),
    ),
    counter(
        "presence_receiver_reconnects",
        "Connections after the first one, planned replacements included.",
        Word("receiver", "reconnects"),
    ),
    counter(
        "presence_receiver_handshake_refusals",
        "Handshakes refused by the gateway.",
        Word("receiver", "handshake_refusals"),
    ),
    gauge(
        "presence_receiver_quiet_seconds",
        "Seconds of reading since the last frame; cloud: of the quietest channel.",
        Word("receiver", "quiet_s"),
    ),
    gauge(
        "presence_receiver_exhausted",
        "1: all attempts to connect have failed; attempts continue after a pause.",
        Word("receiver", "exhausted"),
    ),
)
_CHANNELS: Final = (
    gauge(
        "presence_receiver_channels",
        "Cloud: channels by stage: planned, connected, current (snapshot complete).",
        Word("receiver", "channels_planned", "planned"),
        Word("receiver", "channels_connected", "connected"),
        Word("receiver", "channels_current", "current"),
        label="stage",
    ),
    counter(
        "presence_receiver_channels_made",
        "Cloud: channels created, or reused after a restart.",
        Word("receiver", "channels_created", "created"),
        Word("receiver", "channels_reused", "reused"),
        label="how",
    ),
    counter(
        "presence_receiver_channels_lost",
        "Cloud: channels removed by the gateway.",
        Word("receiver", "channels_lost"),
    ),
    gauge(
        "presence_receiver_channels_foreign",
        "Cloud: channels of the configured OAuth clients that this runtime did not create.",
        Word("receiver", "channels_foreign"),
    ),
    counter(
        "presence_receiver_rotations",
        "Cloud: channels replaced before they expire.",
        Word("receiver", "rotations"),
    ),
    gauge(
        "presence_receiver_topics_refused",
        "Cloud: topics refused by the gateway.",
        Word("receiver", "topics_refused"),
    ),
    gauge(
        "presence_receiver_topics_partly_refused",
        "Cloud: parts of combined topics refused by the gateway; their agents are watched.",
        Word("receiver", "topics_partly_refused"),
    ),
    counter(
        "presence_receiver_parts_untold",
        "Cloud: presences or routing statuses of agents that no request returned.",
        Word("receiver", "parts_untold"),
    ),
    counter(
        "presence_receiver_snapshots",
        "Cloud: channel snapshots completed.",
        Word("receiver", "snapshots"),
    ),
    gauge(
        "presence_receiver_snapshots_waiting",
        "Cloud: snapshots waiting for the request budget.",
        Word("receiver", "snapshots_waiting"),
    ),
)
_GATEWAY: Final = (
    counter(
        "presence_token_refreshes",
        "Access tokens obtained.",
        *(Word(role, "token_refreshes") for role in ("receiver", "sender", "planner")),
    ),
    counter(
        "presence_token_failures",
        "Requests for an access token that failed.",
        *(Word(role, "token_failures") for role in ("receiver", "sender", "planner")),
    ),
    gauge(
        "presence_token_remaining_seconds",
        "Seconds until the first access token expires.",
        *(Word(role, "token_seconds_left") for role in ("receiver", "sender", "planner")),
    ),
    counter(
        "presence_gateway_requests",
        "Requests to the platform API.",
        *(Word(role, "requests") for role in ("receiver", "sender", "planner")),
    ),
    counter(
        "presence_gateway_requests_limited",
        "Requests to the platform API answered with 429.",
        *(Word(role, "requests_refused") for role in ("receiver", "sender", "planner")),
    ),
)
_SHARD: Final = (
    counter(
        "presence_shard_events_received",
        "Events received by a shard: the sum of all outcomes.",
        Word("shard", "received"),
    ),
    counter(
        "presence_shard_events",
        "Events processed by a shard, by outcome.",
        *each("shard", (outcome for outcome in OUTCOMES if outcome != "received")),
        label="outcome",
    ),
    counter(
        "presence_shard_unreadable_parts",
        "Cloud: parts of events that could not be read; the other parts were applied.",
        Word("shard", "unreadable_parts"),
    ),
    counter(
        "presence_shard_transitions",
        "Rows written to the journal: transitions and gaps.",
        Word("shard", "transitions"),
    ),
    counter(
        "presence_shard_gaps",
        "Gaps recorded: time spans whose events were not received.",
        Word("shard", "gaps"),
    ),
    counter(
        "presence_shard_corrections",
        "Cloud: transitions that the roster showed and no event had told.",
        Word("shard", "corrections"),
    ),
    gauge("presence_shard_agents", "Agents of a shard.", Word("shard", "agents")),
    gauge(
        "presence_shard_session_up",
        "1: a session delivers events to this shard.",
        Word("shard", "session_up"),
    ),
    gauge(
        "presence_shard_history_running",
        "1: a history or snapshot is being received.",
        Word("shard", "history_running"),
    ),
    counter("presence_shard_batches", "Batches read from rings.", Word("shard", "batches")),
    counter(
        "presence_journal_failures",
        "Transactions that failed on the disk; each is retried.",
        *(Word(role, "commit_failures") for role in ("shard", "sender", "planner", "receiver")),
    ),
    counter(
        "presence_shard_rows_pruned",
        "Rows deleted by retention.",
        Word("shard", "rows_pruned"),
    ),
    counter(
        "presence_shard_answers",
        "Answers to queries of the sender, by outcome: sent, or dropped because the ring was full.",
        Word("shard", "answers", "sent"),
        Word("shard", "answers_dropped", "dropped"),
        label="outcome",
    ),
)
_PLANNER: Final = (
    gauge(
        "presence_planner_agents",
        "Cloud: agents with a place on a channel (watched) and without (unmonitored).",
        Word("planner", "agents_watched", "watched"),
        Word("planner", "agents_unmonitored", "unmonitored"),
        label="state",
    ),
    gauge(
        "presence_planner_clients_needed",
        "Cloud: OAuth clients needed for all agents.",
        Word("planner", "clients_needed"),
    ),
    counter(
        "presence_planner_roster_reads",
        "Cloud: reads of the roster, by outcome.",
        Word("planner", "roster_reads", "whole"),
        Word("planner", "roster_failures", "failed"),
        label="outcome",
    ),
    gauge(
        "presence_planner_roster_seconds",
        "Cloud: duration of the last complete read of the roster, in seconds.",
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
        "Time from the receipt of an event at the socket to its commit, in seconds.",
        "event",
    ),
    _of_a_shard(
        "presence_shard_commit_seconds", "Duration of a journal transaction, in seconds.", "commit"
    ),
)
