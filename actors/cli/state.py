"""State: what the commands `state` and `history` show. Knows no table of a journal."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from actors.cli import tables
from actors.genesys.times import utc
from actors.messages.control import SEQUENCE_END
from actors.messages.queues import former_queue, queues_of
from actors.messages.transition import GapRow, JournalRow
from actors.shard import reader
from actors.shard.native import TIMELESS_US, Native, native_json, native_of, presence_json
from actors.shard.reader import AgentState, ShardSummary

SHOWN_GAPS_MAX = 50
_AGENT_COLUMNS = ("agent", "state", "since", "presence", "queues", "confirmed", "sequence")
_HISTORY_COLUMNS = (
    "at", "received", "from", "to", "presence", "queues", "cause", "sequence", "correlation",
)  # fmt: skip
_NATIVE_COLUMNS = (
    "system presence", "routing status", "routing since", "active queues", "out of office",
    "message",
)  # fmt: skip
_COUNTS = ("applied", "unchanged", "duplicates", "late", "shed", "quarantined")
_SHARD_COLUMNS = (
    "shard", "agents", "rows", "mark", "session", "history", "confirmed", *_COUNTS, "gaps",
)  # fmt: skip
_GAP_COLUMNS = ("shard", "since", "until", "epoch", "first", "last", "why")


def show_all(path: Path, *, limit: int, as_json: bool) -> None:
    """The agents whose last change is the latest (limit 0: all), and the shards."""
    summaries = reader.summary(path)
    known = sum(each.agents for each in summaries)
    states = reader.read_states(path)
    if as_json:
        all_states = sorted(states, key=_at, reverse=True)
        newest = all_states[:limit] if limit else all_states
        known = max(known, len(all_states))
        tables.show_json(
            {
                "shards": [_shard_json(each) for each in summaries],
                "agents_total": known,
                "agents_without_state": known - len(all_states),  # of whom no state was told yet
                "is_complete": len(newest) == len(all_states),
                "agents": [_agent_json(each) for each in newest],
            }
        )
        return
    newest = heapq.nlargest(limit, states, key=_at) if limit else sorted(states, key=_at)[::-1]
    title = f"{known:,} agents" + (f", the {limit:,} latest" if 0 < limit < known else "")
    _show_agents(title, newest)
    print()
    tables.show("shards", _SHARD_COLUMNS, map(_shard_row, summaries))
    gaps = [(shard.path.stem, gap) for shard in summaries for gap in shard.gaps]
    if gaps:
        print()
        rows = (_gap_row(name, gap) for name, gap in gaps[:SHOWN_GAPS_MAX])
        tables.show("gaps: events that will never arrive", _GAP_COLUMNS, rows)


def show_one(path: Path, user: str, *, as_json: bool) -> bool:
    """One agent; False if no journal knows it."""
    agent = reader.read_state(path, user)
    if agent is None:
        return False
    if as_json:
        tables.show_json(_agent_json(agent))
    else:
        _show_agents("", [agent])
    return True


def _show_agents(title: str, agents: Sequence[AgentState]) -> None:
    """With the native values, if any has them."""
    if any(agent.native is not None for agent in agents):
        columns = (*_AGENT_COLUMNS, *_NATIVE_COLUMNS)
        tables.show(
            title, columns, ((*_agent_row(each), *_native_row(each.native)) for each in agents)
        )
    else:
        tables.show(title, _AGENT_COLUMNS, map(_agent_row, agents))


def show_history(path: Path, user: str, *, limit: int, as_json: bool) -> bool:
    """An agent's latest transitions; False if no journal knows it."""
    rows = list(reader.read_history(path, user, limit))
    if not rows and reader.read_state(path, user) is None:
        return False
    if as_json:
        tables.show_json([_transition_json(each) for each in rows])
    else:
        _show_transitions(tables.cell(user), rows)
    return True


def _show_transitions(title: str, rows: Sequence[JournalRow]) -> None:
    if any(row.native is not None for row in rows):
        columns = (*_HISTORY_COLUMNS, *_NATIVE_COLUMNS)
        shown = ((*_transition_row(each), *_native_row(_native(each))) for each in rows)
        tables.show(title, columns, shown)
    else:
        tables.show(title, _HISTORY_COLUMNS, map(_transition_row, rows))


def _at(agent: AgentState) -> int:
    return agent.at_us


def _confirmed(stale_since_us: int | None) -> str:
    if stale_since_us is None:
        return "now"
    return f"not since {utc(stale_since_us)}" if stale_since_us else "never"


def _stale_json(stale_since_us: int | None) -> dict[str, Any]:
    return {"stale": stale_since_us is not None, "stale_since": utc(stale_since_us)}


def _agent_row(agent: AgentState) -> tuple[object, ...]:
    return (
        agent.user_id,
        agent.state,
        utc(agent.at_us),
        agent.presence,
        " ".join(queues_of(agent.queue)),
        _confirmed(agent.stale_since_us),
        agent.sequence,
    )


def _agent_json(agent: AgentState) -> dict[str, Any]:
    return {
        "user_id": agent.user_id,
        "state": agent.state,
        "at": utc(agent.at_us),
        "presence": agent.presence,
        "queues": queues_of(agent.queue),
        "queue": former_queue(agent.queue),
        "epoch": agent.epoch,
        "sequence": agent.sequence,
        **_stale_json(agent.stale_since_us),
        **_native_json(agent.native),
        **({"scope": agent.native.scope or None} if agent.native else {}),
    }


def _native_row(native: Native | None) -> tuple[object, ...]:
    if native is None:
        return (None,) * len(_NATIVE_COLUMNS)
    return (
        native.system_presence,
        native.routing_status,
        _native_time(native.routing_us),
        " ".join(native.queues),
        "yes" if native.is_out_of_office else "",
        native.message,
    )


def _native_json(native: Native | None) -> dict[str, Any]:
    """Nothing in the wsp dialect."""
    if native is None:
        return {}
    apart = [
        {"source": source, **presence_json(presence)}
        for source, presence in (native.apart or {}).items()
    ]
    return {"native": {**native_json(native), "other_presences": apart}}


def _native_time(at_us: int) -> str | None:
    return utc(at_us) if at_us > TIMELESS_US else None


def _transition_row(row: JournalRow) -> tuple[object, ...]:
    return (
        utc(row.at_us),
        utc(row.received_us),
        row.from_state,
        row.to_state,
        row.presence,
        " ".join(queues_of(row.queue)),
        row.cause,
        row.sequence,
        row.correlation,
    )


def _native(row: JournalRow) -> Native | None:
    return native_of(row.native)


def _transition_json(row: JournalRow) -> dict[str, Any]:
    told = row._asdict()
    del told["journal"], told["native"], told["gap"]
    return {
        **told,
        **_native_json(_native(row)),
        "queues": queues_of(row.queue),
        "queue": former_queue(row.queue),
        "at": utc(row.at_us),
        "received": utc(row.received_us),
    }


def _stale_since_us(shard: ShardSummary) -> int | None:
    since = [scope["stale_since_us"] for scope in shard.scopes.values()]
    return min((us for us in since if us is not None), default=None) if since else 0


def _shard_row(shard: ShardSummary) -> tuple[object, ...]:
    counts = shard.counts
    return (
        shard.path.stem,
        shard.agents,
        shard.transitions,
        f"{shard.mark_epoch}:{shard.mark_sequence}",
        "up" if _any(shard, "is_up") else "down",
        _history(shard),
        _confirmed(_stale_since_us(shard)),
        *(counts.get(outcome, 0) for outcome in _COUNTS),
        len(shard.gaps),
    )


def _any(shard: ShardSummary, fact: str) -> bool:
    return any(scope.get(fact, False) for scope in shard.scopes.values())


def _history(shard: ShardSummary) -> str:
    """Of the newest session: whether one runs, or another one is wanted because its beginning was
    missed."""
    if _any(shard, "is_interrupted"):
        return "wanted"
    return "running" if _any(shard, "history_runs") else ""


def _gap_row(name: str, gap: GapRow) -> tuple[object, ...]:
    last = None if gap.last_sequence >= SEQUENCE_END - 1 else gap.last_sequence
    since = utc(gap.since_us)
    return (
        name, since, utc(gap.at_us), gap.epoch, gap.first_sequence, last, gap.reason
    )  # fmt: skip


def _gap_json(gap: GapRow) -> dict[str, Any]:
    times = {"since": utc(gap.since_us), "until": utc(gap.at_us)}
    return {**gap._asdict(), **times}


def _shard_json(shard: ShardSummary) -> dict[str, Any]:
    return {
        "shard": shard.path.stem,
        "agents": shard.agents,
        "rows": shard.transitions,
        "mark": {"epoch": shard.mark_epoch, "sequence": shard.mark_sequence},
        "counts": shard.counts,
        "quarantined_kinds": shard.quarantined_kinds,
        "session": {
            "number": max((scope["session"] for scope in shard.scopes.values()), default=0),
            "up": _any(shard, "is_up"),
        },
        "history_running": _any(shard, "history_runs"),
        "wants_history": _any(shard, "is_interrupted"),
        "gaps": [_gap_json(gap) for gap in shard.gaps],
        **_stale_json(_stale_since_us(shard)),
    }
