"""Rig: journals with the rows that a test wants, written as a shard writes them, and read back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import apsw

from actors.messages.transition import GapRow
from actors.settings.sinks import SinkSettings
from actors.shard import journal
from actors.shard.agent_table import Agent, AgentTable
from actors.shard.journal import Journal, ShardProgress, Transaction
from actors.sinks.envelope import EventEnvelope, SinkEvent, SinkFilter
from actors.sinks.journals import JournalFile, JournalReader, find
from actors.sinks.preparation import prepare as prepare_sinks
from actors.sinks.sink import SinkBatch, UndeliveredError
from actors.sinks.source import Source
from actors.sinks.store import SinkStore, sinks_path
from actors.storage.data_dir import shard_path

SOURCE = "//api.example/presence-runtime/test"
BEGAN_US = 1_780_000_000_000_000
STATES = ("Available", "Talking", "Not Available")


class FakeShard:
    """Writes rows into one journal; a row's `received_us` tells which one it is."""

    def __init__(self, path: Path, run: str = "run") -> None:
        self.path = path
        journal.prepare(path, run)
        self._journal = Journal(path, run)
        self._agent_table = AgentTable()
        stored = self._journal.stored().progress
        self._agent_table.next_row = stored.next_row
        for number, user in self._journal.agents():
            self._agent_table.restore(Agent(number, user))

    def write(self, *users: str, cause: str = "live", **fields: Any) -> list[int]:
        """One row for each; their ids."""
        first = self._agent_table.next_row
        for user in users:
            agent = self._agent_table.by_user.get(user) or self._agent_table.admit(user)
            row = self._agent_table.next_row
            given: dict[str, Any] = {
                "at_us": BEGAN_US + row * 1_000,
                "received_us": BEGAN_US + row * 1_000 + 7,
                "epoch": 1,
                "sequence": row,
                "queue": "q1",
                "presence": None,
            } | fields
            state = STATES[row % len(STATES)]
            self._agent_table.write(agent, given.pop("to_state", state), cause=cause, **given)
            agent.state = state
        self._commit()
        return list(range(first, self._agent_table.next_row))

    def gap(self, reason: str = "nobody will send it") -> int:
        row = self._agent_table.next_row
        gap = GapRow(row, "all", 1, 5, 9, BEGAN_US + row * 1_000, reason, BEGAN_US)
        self._agent_table.write_gap(gap, BEGAN_US + row * 1_000 + 7)
        self._commit()
        return row

    def prune(self, before: int) -> None:
        """As retention does."""
        self._execute("DELETE FROM transitions WHERE id < ?", (before,))
        self._execute("DELETE FROM gaps WHERE row < ?", (before,))

    def close(self) -> None:
        self._journal.close()

    def _commit(self) -> None:
        progress = ShardProgress((), 1, 0, self._agent_table.next_row, {}, {}, 0)
        self._journal.commit(Transaction(self._agent_table.take(), progress))

    def _execute(self, statement: str, values: Sequence[Any] = ()) -> None:
        connection = apsw.Connection(str(self.path))
        connection.execute(statement, values)
        connection.close()


def shards(data_dir: Path, count: int = 1, run: str = "run") -> list[FakeShard]:
    data_dir.mkdir(exist_ok=True)
    return [FakeShard(shard_path(data_dir, index), run) for index in range(count)]


def lines_sink(name: str = "lines", **fields: Any) -> SinkSettings:
    return SinkSettings.model_validate({"name": name, "kind": "jsonl", "path": "x.jsonl"} | fields)


def prepared(data_dir: Path, *sinks: SinkSettings, run: str = "run") -> None:
    prepare_sinks(data_dir, run, sinks or (lines_sink(),))


def source_for(
    data_dir: Path, sink: SinkSettings | None = None, *, rows_max: int = 100, run: str = "run"
) -> tuple[Source, SinkStore]:
    settings = sink or lines_sink()
    store = SinkStore(sinks_path(data_dir), run, settings.name)
    source = Source(
        find(data_dir),
        store.places,
        EventEnvelope(SOURCE),
        SinkFilter(settings),
        rows_max=rows_max,
        wall_us=lambda: BEGAN_US,
        open_reader=JournalReader,
    )
    return source, store


def drain(source: Source, store: SinkStore) -> list[SinkEvent]:
    """Everything that comes, each delivered and written down."""
    events: list[SinkEvent] = []
    while True:
        pulled = source.pull()
        events += pulled.events
        store.commit(pulled.places, len(pulled.events))
        source.delivered(pulled)
        if not pulled.has_more:
            return events


def all_events(data_dir: Path) -> list[SinkEvent]:
    """Of every row that the journals hold, by the journals alone."""
    envelope, events = EventEnvelope(SOURCE), []
    for file in find(data_dir):
        reader = JournalReader(file)
        events += [envelope.row(row) for row in reader.behind(0, 1_000_000).rows]
        reader.close()
    return events


def file_of(data_dir: Path, name: str) -> JournalFile:
    return next(file for file in find(data_dir) if file.name == name)


def by_subject(events: Iterable[SinkEvent]) -> dict[str | None, list[str]]:
    """The first time that each event came, in order, by agent."""
    seen: set[str] = set()
    order: dict[str | None, list[str]] = {}
    for event in events:
        if event.id not in seen:
            seen.add(event.id)
            order.setdefault(event.subject, []).append(event.id)
    return order


class Other:
    """The other side of a sink: it takes what it is not told to refuse."""

    def __init__(self, *answers: UndeliveredError | None) -> None:
        self.answers = list(answers)
        self.taken: list[SinkEvent] = []
        self.opened = 0
        self.is_closed = False

    async def open(self) -> None:
        self.opened += 1

    async def deliver(self, batch: SinkBatch) -> None:
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        self.taken += batch.events

    async def close(self) -> None:
        self.is_closed = True
