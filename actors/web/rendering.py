"""Showing: agents, queues, health and the whole as JSON has them in answers to requests.

Pure: knows no request. Times are ISO-8601 in UTC; a name is null where nobody told one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from actors.genesys.agent_profile import PROFILE_FIELDS
from actors.genesys.times import utc
from actors.messages.queues import former_queue, queues_of
from actors.messages.transition import JournalRow
from actors.web.names import Names
from actors.web.read_model import AgentView, Health, Minute


def agent_shown(
    view: AgentView, names: Names, stale_since_us: int | None, now_us: int
) -> dict[str, Any]:
    """All but who it is, which stands in a file: `profile_shown`."""
    return {
        "id": view.user_id,
        "name": names.user(view.user_id),
        "state": view.state,
        "since": utc(view.since_us),
        "seconds_in_state": max(0, (now_us - view.since_us) // 1_000_000),
        **queues_told(view.queue, names),
        "queues_known": view.is_placed,
        "presence": view.presence,
        "stale": stale_since_us is not None,
        "stale_since": utc(stale_since_us),
        "native": view.native,
        "profile": None,
    }


def profile_shown(agent: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Who an agent is, as the planner's file has it."""
    return None if agent is None else {field: agent[field] for field in PROFILE_FIELDS}


def position_shown(view: AgentView) -> dict[str, int] | None:
    if not view.sequence:
        return None
    return {"epoch": view.epoch, "sequence": view.sequence}


def transition_shown(row: JournalRow, names: Names) -> dict[str, Any]:
    return {
        "row": row.row,
        "from": row.from_state,
        "to": row.to_state,
        "at": utc(row.at_us),
        "received_at": utc(row.received_us),
        **queues_told(row.queue, names),
        "presence": row.presence,
        "cause": row.cause,
        "correlation": row.correlation,
    }


def queues_told(text: str | None, names: Names) -> dict[str, Any]:
    """All queues that a text names, beside what 0.1 told of one."""
    former, queues = former_queue(text), queues_of(text)
    return {
        "queues": list(queues),
        "queue_names": [names.queue(each) for each in queues],
        "queue": former,
        "queue_name": None if former is None else names.queue(former),
    }


def queues_shown(by_queue: Mapping[str, Mapping[str, int]], names: Names) -> list[dict[str, Any]]:
    """Sorted by what people call them. An agent counts in each of its queues."""
    shown = [
        {
            "id": queue,
            "name": names.queue(queue),
            "agents": sum(by_state.values()),
            "by_state": counts_shown(by_state),
        }
        for queue, by_state in by_queue.items()
    ]
    return sorted(shown, key=lambda each: (str(each["name"] or each["id"]).casefold(), each["id"]))


def counts_shown(by_state: Mapping[str, int]) -> dict[str, int]:
    return {state: n for state, n in by_state.items() if n}


def health_shown(health: Health) -> dict[str, Any]:
    return {
        "live": health.is_live,
        "lagging": health.is_lagging,
        "stale_since": utc(health.stale_since_us),
        "stale_agents": health.stale_agents,
        "reasons": [*health.reasons, *health.warnings],
    }


def health_told(health: Health) -> dict[str, Any]:
    """The same in the stream: ms since 1970; 0: it was never live."""
    since_us = health.stale_since_us
    return {
        **health_shown(health),
        "stale_since": None if since_us is None else since_us // 1_000,
    }


def history_shown(history: Iterable[Minute]) -> list[dict[str, Any]]:
    return [{"at": utc(each.at_us), "by_state": counts_shown(each.by_state)} for each in history]
