"""TopicViews: who is watched on which channel, who is not, and which topics were refused.

Reads the files of planner and receivers, whether they run or not. Knows no gateway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from actors.app.data_files import channel_files
from actors.cli import tables
from actors.genesys.channel_plan import Slot
from actors.genesys.cloud import subscribed_user
from actors.genesys.times import utc
from actors.planner.store import Roster, read_roster, roster_path
from actors.receiver import channel_store
from actors.receiver.channel_store import RefusedTopic
from actors.storage.data_dir import read_meta
from runtime.errors import ConfigurationError

_SLOT_COLUMNS: Final = ("scope", "OAuth client", "agents", "channels", "refused")
_AGENT_COLUMNS: Final = ("agent", "name")
_REFUSED_COLUMNS: Final = (
    "agent", "name", "scope", "missing permissions", "reason", "since", "topic"
)  # fmt: skip


class _Known(NamedTuple):
    """What the files say, each as of a moment of its own."""

    roster: Roster
    channels: Counter[Slot]  # that are recorded; during a rotation two of one slot
    refused: tuple[RefusedTopic, ...]

    def name(self, user: str | None) -> str:
        return self.roster.names.get(user or "", "")


def show(path: Path, *, limit: int, as_json: bool) -> None:
    """At most `limit` agents of each kind (0: all). Raises ConfigurationError where the dialect has
    no topics, or no planner has planned yet."""
    known = _read(path)
    if as_json:
        tables.show_json(_json(known))
        return
    roster, plan = known.roster, known.roster.plan
    tables.show("topics", ("what", "value"), _rows(known))
    print()
    tables.show("channels", _SLOT_COLUMNS, _slot_rows(known))
    if unmonitored := sorted(plan.unmonitored):
        print()
        shown = unmonitored[:limit] if limit else unmonitored
        rows = [(user, roster.names[user]) for user in shown]
        tables.show(_title("not monitored", len(shown), len(unmonitored)), _AGENT_COLUMNS, rows)
    if known.refused:
        print()
        refused = known.refused[:limit] if limit else known.refused
        title = _title("refused topics", len(refused), len(known.refused))
        tables.show(title, _REFUSED_COLUMNS, [_refused_row(known, each) for each in refused])
    for told in _advice(known):
        print(told)


def _read(path: Path) -> _Known:
    if (dialect := read_meta(path).dialect) != "cloud":
        raise ConfigurationError(
            f"{path} uses dialect {dialect}, which has a single subscription and no topics"
        )
    if not roster_path(path).exists():
        raise ConfigurationError(f"{path}: no planner has run yet; start the runtime first")
    roster = read_roster(roster_path(path))
    reports = [channel_store.read_report(each) for each in channel_files(path)]
    return _Known(
        roster,
        sum((Counter(report.channels) for report in reports), Counter()),
        tuple(
            each
            for report in reports
            for each in report.refused
            # What a client that is gone was refused says nothing of today.
            if each.slot in roster.plan.slots
        ),
    )


def _rows(known: _Known) -> Iterator[tuple[str, object]]:
    roster, plan = known.roster, known.roster.plan
    yield "agents to monitor", len(roster.names)
    yield "monitored on channels", len(roster.names) - len(plan.unmonitored)
    yield "not monitored", len(plan.unmonitored)
    yield "refused topics", len(known.refused)
    yield "OAuth clients needed", plan.clients_needed
    yield "roster read", utc(roster.read_us) or "never"
    yield "plan changed", utc(roster.planned_us) or "never"


def _slot_rows(known: _Known) -> Iterator[tuple[object, ...]]:
    refused = Counter(each.slot for each in known.refused)
    for slot, users in known.roster.plan.slots.items():
        yield slot.scope, slot.client + 1, len(users), known.channels[slot], refused[slot]


def _refused_row(known: _Known, refused: RefusedTopic) -> tuple[object, ...]:
    user = subscribed_user(refused.topic)
    return (
        user,
        known.name(user),
        refused.slot.scope,
        ", ".join(refused.permissions),
        refused.reason,
        utc(refused.since_us),
        refused.topic,
    )


def _advice(known: _Known) -> Iterator[str]:
    plan = known.roster.plan
    if plan.unmonitored:
        yield (
            f"{len(plan.unmonitored)} agents are not monitored: {plan.clients_needed} OAuth "
            "clients are needed; add the missing ones to the settings as [[clients]]"
        )
    if missing := _missing(known):
        names = ", ".join(missing)
        yield f"missing permissions: {names}; assign the OAuth clients a role with them"


def _missing(known: _Known) -> Sequence[str]:
    return sorted({name for each in known.refused for name in each.permissions})


def _title(what: str, shown: int, total: int) -> str:
    return f"{what}: {total:,}" + (f", the first {shown:,}" if shown < total else "")


def _json(known: _Known) -> dict[str, Any]:
    roster, plan = known.roster, known.roster.plan
    refused = Counter(each.slot for each in known.refused)
    return {
        "agents": len(roster.names),
        "clients_needed": plan.clients_needed,
        "roster_read": utc(roster.read_us),
        "plan": {"version": roster.version, "changed": utc(roster.planned_us)},
        "channels": [
            {
                "scope": slot.scope,
                "client": slot.client + 1,
                "agents": len(users),
                "channels": known.channels[slot],
                "refused": refused[slot],
            }
            for slot, users in plan.slots.items()
        ],
        "unmonitored": [
            {"user_id": user, "name": roster.names[user]} for user in sorted(plan.unmonitored)
        ],
        "refused": [
            {
                "user_id": subscribed_user(each.topic),
                "name": known.name(subscribed_user(each.topic)),
                "scope": each.slot.scope,
                "topic": each.topic,
                "reason": each.reason,
                "missing_permissions": each.permissions,
                "since": utc(each.since_us),
            }
            for each in known.refused
        ],
        "missing_permissions": _missing(known),
    }
