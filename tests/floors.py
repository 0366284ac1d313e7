"""Floors: which module of the product may know which, and which files touch nothing.

Data only; the rules that read it stand in `tidiness`.
"""

from __future__ import annotations

# Imports go down only. A floor is a set of rooms, a room a set of modules that may know each other;
# rooms of one floor do not.
FLOORS: tuple[tuple[tuple[str, ...], ...], ...] = (
    (("runtime",),),
    (("actors.tagged",), ("actors.sqlite", "actors.data_file"), ("actors.times",), ("actors.log",)),
    (
        ("actors.events",),
        ("actors.questions",),
        ("actors.orders",),
        ("actors.feed",),
        ("actors.partition",),
        ("actors.credentials",),
        ("actors.genesys.regions",),
        ("actors.genesys.proxy",),
        ("actors.genesys.channel_plan",),
        ("actors.genesys.rate_budget",),
    ),
    (("actors.presences",),),
    (
        ("actors.sender_settings", "actors.sinks_settings"),
        ("actors.disk_wait",),
        ("actors.genesys.cloud",),
    ),
    (
        ("actors.genesys",),
        (
            "actors.settings", "actors.settings_layers", "actors.cloud_settings",
            "actors.web_settings", "actors.settings_table",
        ),
        ("actors.data_dir",),
    ),
    (("actors.planner.store", "actors.planner.arguments"),),  # receivers read the plan
    (
        ("actors.planner",),
        ("actors.receiver",),
        ("actors.state",),
        ("actors.sender",),
        ("actors.child_setup",),
    ),
    (("actors.web",), ("actors.sinks",)),  # read what shards and sender have written
    (
        (
            "actors.topology", "actors.preparation", "actors.shared_memory", "actors.data_files",
        ),
    ),
    (
        (
            "actors.cli", "actors.cli_options", "actors.cli_sender", "actors.service",
            "actors.reload", "actors.cli_operations", "actors.status", "actors.status_view",
            "actors.export", "actors.export_formats", "actors.pseudonyms", "actors.forget",
            "actors.sink_views",
            "actors.journal_views", "actors.tables", "actors.command_views",
            "actors.online", "actors.settings_views", "actors.topic_views",
            "actors.api_client", "actors.send", "actors.send_file", "actors.command_file",
            "actors.file_run",
            "actors.demo", "actors.demo_gateway", "actors.demo_view", "actors.demo_report",
            "actors.demo_plan", "actors.demo_commands", "actors.demo_run", "actors.demo_kills",
            "actors.demo_memory", "actors.demo_progress",
        ),
    ),
)  # fmt: skip
# The front door that the command line needs.
FRONT_DOOR = ("runtime.__main__", "actors.cli")

# These decide; whoever calls them has the clock, the socket, the file and the thread.
PURE = (
    "runtime/child_spec.py",
    "runtime/restart_plan.py",
    "runtime/standing.py",
    "actors/events.py",
    "actors/file_run.py",
    "actors/partition.py",
    "actors/status_view.py",
    "actors/presences.py",
    "actors/times.py",
    "actors/genesys/channel_plan.py",
    "actors/genesys/cloud.py",
    "actors/genesys/cloud_answers.py",
    "actors/genesys/cloud_errors.py",
    "actors/genesys/definitions.py",
    "actors/genesys/presence.py",
    "actors/genesys/rate_budget.py",
    "actors/genesys/reconnect.py",
    "actors/receiver/channel.py",
    "actors/receiver/channel_line.py",
    "actors/receiver/channel_session.py",
    "actors/receiver/channel_signals.py",
    "actors/receiver/snapshot_desk.py",
    "actors/receiver/session.py",
    "actors/sinks/envelope.py",
    "actors/sinks/patience.py",
    "actors/sinks/places.py",
    "actors/sinks/source.py",
    "actors/sender/line.py",
    "actors/sender/line_signals.py",
    "actors/sender/audit.py",
    "actors/sender/outbox.py",
    "actors/sender/admission.py",
    "actors/sender/book.py",
    "actors/sender/capacity.py",
    "actors/sender/commands.py",
    "actors/sender/cloud_dialect.py",
    "actors/sender/deadlines.py",
    "actors/sender/dialect.py",
    "actors/sender/latency.py",
    "actors/sender/machine.py",
    "actors/sender/watching.py",
    "actors/sender/register.py",
    "actors/sender/sending.py",
    "actors/sender/settling.py",
    "actors/sender/transitions.py",
    "actors/sender/validation.py",
    "actors/sender/words.py",
    "actors/feed.py",
    "actors/web/access.py",
    "actors/web/agent_list.py",
    "actors/web/forwarding.py",
    "actors/web/hosts.py",
    "actors/web/identity.py",
    "actors/web/limits.py",
    "actors/web/changes.py",
    "actors/web/encoding.py",
    "actors/web/hub.py",
    "actors/web/paging.py",
    "actors/web/showing.py",
    "actors/web/read_model.py",
    "actors/state/cloud_decode.py",
    "actors/web/rates.py",
    "actors/state/cloud_merge.py",
    "actors/state/cloud_sessions.py",
    "actors/state/native.py",
    "actors/state/dedup.py",
    "actors/state/merge.py",
    "tools/fake_gateway/course.py",
    "tools/fake_gateway/reception.py",
    "tools/fake_gateway/script.py",
    "tools/fake_gateway/updates.py",
)
IMPURE = {"asyncio", "os", "select", "socket", "subprocess", "threading", "time"}
