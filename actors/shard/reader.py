"""Reads journals from outside, while their shards run or after: states, histories, summaries.

Knows no actor. Never a full scan: current states are the checkpoint's pages and the rows behind
it, a history is walked back along its rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import orjson

from actors.messages.transition import GapRow, JournalRow, Transition
from actors.shard.agent_table import Agent, Appointment
from actors.shard.checkpoint import decode_page, page_of
from actors.shard.cloud_sessions import stale_since
from actors.shard.journal import KIND, dialect_of, gap_rows, watched_in
from actors.shard.native import Native, native_of
from actors.shard.sessions import scope_of
from actors.storage import sqlite
from runtime.errors import LocalError

GAPS_SHOWN_MAX = 100
_QUARANTINE_SELECT = "SELECT hash, reason, frame, bytes, count, first_us, last_us FROM quarantine"


class AgentState(NamedTuple):
    """One agent as its journal has it."""

    user_id: str
    state: str
    at_us: int
    queue: str | None
    presence: str | None
    epoch: int
    sequence: int
    stale_since_us: int | None
    """Not confirmed since then; 0: never was; None: confirmed now."""
    appointment: Appointment | None = None
    native: Native | None = None
    """Cloud: what the platform says itself; its scope is where the agent is watched."""


class HistoryPage(NamedTuple):
    """A part of an agent's history, newest first."""

    is_known: bool  # whether any journal knows the agent
    rows: list[JournalRow]
    following: str | None
    """What to give as `before` for the next part; None: there is none."""


class QuarantinedFrame(NamedTuple):
    """A frame that nobody could use, as its journal keeps it."""

    shard: int
    key: str
    reason: str
    frame: bytes
    """Its first bytes: `actors.shard.quarantine.FRAME_BYTES_MAX` at most."""
    size: int  # as it was
    times: int  # that it came
    first_us: int
    last_us: int


class ShardSummary(NamedTuple):
    """Where one shard's journal stands."""

    path: Path
    mark_epoch: int
    mark_sequence: int
    counts: dict[str, int]
    scopes: dict[str, Any]
    agents: int
    transitions: int
    quarantined_kinds: int
    gaps: tuple[GapRow, ...]


def journal_paths(data_dir: Path) -> list[Path]:
    """The journals of the present shard count; LocalError where there are none."""
    paths = sorted(data_dir.glob("shard-[0-9][0-9].db"))
    if not paths:
        raise LocalError(f"no journal in {data_dir}")
    return paths


def archived_paths(data_dir: Path) -> list[Path]:
    """Journals of earlier shard counts, the newest first."""
    folders = sorted(data_dir.glob("archive-*"), reverse=True)
    return [path for folder in folders for path in sorted(folder.glob("shard-[0-9][0-9].db"))]


def read_states(data_dir: Path) -> Iterator[AgentState]:
    """Every agent, shard by shard."""
    for path in journal_paths(data_dir):
        with _reading(path) as connection:
            stale_of = _stale_of(connection)
            for agent in _current(connection).values():
                if agent.state is not None:
                    yield _state(agent, stale_of(agent))


def read_state(data_dir: Path, user_id: str) -> AgentState | None:
    """One agent, or None if no journal knows it."""
    for path in journal_paths(data_dir):
        with _reading(path) as connection:
            agent = _find(connection, user_id)
            if agent is not None and agent.state is not None:
                return _state(agent, _stale_of(connection)(agent))
    return None


def holds(data_dir: Path, user_id: str) -> bool:
    """Whether any journal knows the agent, archives included."""
    for path in [*journal_paths(data_dir), *archived_paths(data_dir)]:
        with _reading(path) as connection:
            query = "SELECT 1 FROM agents WHERE user_id = ?"
            if connection.execute(query, (user_id,)).get is not None:
                return True
    return False


def read_ids(data_dir: Path) -> set[str]:
    """Of all agents that any journal knows, archives included."""
    found: set[str] = set()
    for path in [*journal_paths(data_dir), *archived_paths(data_dir)]:
        with _reading(path) as connection:
            found.update(user for (user,) in connection.execute("SELECT user_id FROM agents"))
    return found


def read_history(data_dir: Path, user_id: str, limit: int) -> Iterator[JournalRow]:
    """An agent's rows, newest first, at most `limit`; goes on in the archives."""
    return islice((row for _, row in _walked(data_dir, user_id, (0, None)) if row), limit)


def read_history_page(
    data_dir: Path, user_id: str, *, limit: int, before: str | None
) -> HistoryPage:
    """The part behind `before`, at most `limit` rows. ValueError if that is none of ours."""
    begin = (0, None) if before is None else _place(before)
    is_known, places, rows = False, [], []
    for place, row in _walked(data_dir, user_id, begin):
        is_known = True
        if row is not None:
            places.append(f"{place}.{row.row}")
            rows.append(row)
        if len(rows) > limit:
            return HistoryPage(True, rows[:limit], places[limit - 1])
    return HistoryPage(is_known, rows, None)


def _place(text: str) -> tuple[int, int]:
    """Which journal, and the row in it: rows of different journals may bear the same number."""
    parts = text.split(".")
    if len(parts) != 2 or not all(re.fullmatch(r"[0-9]{1,18}", part) for part in parts):
        raise ValueError(f"{text!r} is not a position in a history")
    return int(parts[0]), int(parts[1])


def _walked(
    data_dir: Path, user_id: str, begin: tuple[int, int | None]
) -> Iterator[tuple[int, JournalRow | None]]:
    """Rows behind that place, with the number of their journal; first of each journal that knows
    the agent a None."""
    journal, before = begin
    paths = [*journal_paths(data_dir), *archived_paths(data_dir)]
    for place, path in enumerate(paths[journal:], journal):
        with _reading(path) as connection:
            agent = _find(connection, user_id)
            if agent is None:
                continue
            yield place, None
            row_id = agent.row
            if before is not None and place == journal:
                row_id = _previous(connection, agent.id, before)
            dialect = dialect_of(connection)
            while row_id:
                found = connection.execute("SELECT * FROM transitions WHERE id = ?", (row_id,)).get
                if found is None:  # past its retention
                    break
                row = Transition._make(found)
                native = _native_text(connection, row.id) if dialect == "cloud" else None
                yield place, JournalRow(path.stem, row.id, user_id, *row[3:], native)
                row_id = row.previous


def _previous(connection: apsw.Connection, agent: int, row: int) -> int:
    """0 also if that row is gone, or somebody else's."""
    query = "SELECT previous FROM transitions WHERE id = ? AND agent = ?"
    return connection.execute(query, (row, agent)).get or 0


def read_quarantine(data_dir: Path, *, limit: int) -> list[QuarantinedFrame]:
    """Of all shards, what came last first."""
    frames = []
    for path in journal_paths(data_dir):
        with _reading(path) as connection:
            query = f"{_QUARANTINE_SELECT} ORDER BY last_us DESC, hash LIMIT ?"
            frames += [_quarantined(path, row) for row in connection.execute(query, (limit,))]
    return sorted(frames, key=lambda each: -each.last_us)[:limit]


def read_quarantined(data_dir: Path, shard: int, key: str) -> QuarantinedFrame | None:
    """One frame; None if that shard has none of this key (any more)."""
    path = data_dir / f"shard-{shard:02}.db"
    if not re.fullmatch(r"[0-9a-f]{16}", key) or path not in journal_paths(data_dir):
        return None
    with _reading(path) as connection:
        query = f"{_QUARANTINE_SELECT} WHERE hash = ?"
        found = connection.execute(query, (hash_of(key),)).get
        return None if found is None else _quarantined(path, found)


def key_of(digest: int) -> str:
    """How people name a frame of the quarantine: its hash, 16 hexadecimal digits."""
    return f"{digest + (1 << 63):016x}"


def hash_of(key: str) -> int:
    """The opposite of `key_of`."""
    return int(key, 16) - (1 << 63)


def _quarantined(path: Path, row: Sequence[Any]) -> QuarantinedFrame:
    digest, *rest = row
    return QuarantinedFrame(int(path.stem.removeprefix("shard-")), key_of(digest), *rest)


def summary(data_dir: Path) -> list[ShardSummary]:
    """One entry per shard."""
    return [_summarise(path) for path in journal_paths(data_dir)]


def _reading(path: Path) -> sqlite.reading:
    return sqlite.reading(path, KIND)


def _stale_of(connection: apsw.Connection) -> Callable[[Agent], int | None]:
    """Since when an agent is not confirmed: in the wsp dialect the same for all."""
    scopes = orjson.loads(connection.execute("SELECT sessions FROM progress").get)
    since = [scope["stale_since_us"] for scope in scopes.values()]
    if dialect_of(connection) == "wsp":
        earliest = min((us for us in since if us is not None), default=None if since else 0)
        return lambda _: earliest
    known = {name: scope_of(fields) for name, fields in scopes.items()}
    watched = watched_in(connection)

    def stale_of(agent: Agent) -> int | None:
        scope, named = watched.get(agent.id, ("", 0))
        if agent.native is not None:
            agent.native.scope, agent.native.named = scope, named
        return stale_since(known.get(scope), named, agent.at_us)

    return stale_of


def _native_text(connection: apsw.Connection, row: int) -> str | None:
    text: str | None = connection.execute("SELECT data FROM natives WHERE row = ?", (row,)).get
    return text


def _replay_from(connection: apsw.Connection) -> int:
    return int(connection.execute("SELECT replay_from FROM progress").get)


def _current(connection: apsw.Connection) -> dict[int, Agent]:
    """The agents by number: the pages, and the rows behind them."""
    agents = {
        agent.id: agent
        for (data,) in connection.execute("SELECT data FROM pages")
        for agent in decode_page(data)
    }
    rows = connection.execute(
        "SELECT * FROM transitions WHERE id > ? AND agent > 0 ORDER BY id",
        (_replay_from(connection),),
    )
    for row in map(Transition._make, rows):
        agent = agents.get(row.agent)
        if agent is None:
            user_id = connection.execute(
                "SELECT user_id FROM agents WHERE id = ?", (row.agent,)
            ).get
            agent = agents[row.agent] = Agent(row.agent, user_id)
        agent.replay(row)
    if dialect_of(connection) == "cloud":
        rows_with_natives = connection.execute(
            "SELECT agent, data FROM natives JOIN transitions ON id = row WHERE row > ?"
            " ORDER BY row",
            (_replay_from(connection),),
        )
        for agent_id, data in dict(rows_with_natives).items():
            agents[agent_id].native = native_of(data) or agents[agent_id].native
    return agents


def _find(connection: apsw.Connection, user_id: str) -> Agent | None:
    """One agent: its page, and its rows among those behind the checkpoint (at most a cycle's)."""
    agent_id = connection.execute("SELECT id FROM agents WHERE user_id = ?", (user_id,)).get
    if agent_id is None:
        return None
    agent = Agent(agent_id, user_id)
    page = connection.execute("SELECT data FROM pages WHERE page = ?", (page_of(agent_id),)).get
    for paged in decode_page(page) if page is not None else ():
        if paged.id == agent_id:
            agent = paged
    rows = connection.execute(
        "SELECT * FROM transitions WHERE id > ? AND agent = ? ORDER BY id",
        (_replay_from(connection), agent_id),
    )
    dialect = dialect_of(connection)
    for row in map(Transition._make, rows):
        agent.replay(row)
        if dialect == "cloud":
            text = _native_text(connection, row.id)
            agent.native = native_of(text) or agent.native
    return agent


def _state(agent: Agent, stale_since_us: int | None) -> AgentState:
    assert agent.state is not None
    return AgentState(
        agent.user_id,
        agent.state,
        agent.at_us,
        agent.queue,
        agent.presence,
        agent.epoch,
        agent.sequence,
        stale_since_us,
        agent.appointment,
        agent.native,
    )


def _summarise(path: Path) -> ShardSummary:
    with _reading(path) as connection:
        mark_epoch, mark_sequence, counts, sessions, next_row = connection.execute(
            "SELECT mark_epoch, mark_sequence, counts, sessions, next_row FROM progress"
        ).get
        return ShardSummary(
            path,
            mark_epoch,
            mark_sequence,
            orjson.loads(counts),
            orjson.loads(sessions),
            connection.execute("SELECT count(*) FROM agents").get,
            next_row - 1,
            connection.execute("SELECT count(*) FROM quarantine").get,
            tuple(gap for _, gap in zip(range(GAPS_SHOWN_MAX), gap_rows(connection), strict=False)),
        )
