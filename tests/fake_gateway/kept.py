"""Kept: a small run by hand: a gateway's ledger, and journals of a runtime that kept it perfectly.

Tests break one thing in them and see it found.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import apsw
import orjson

from tools.fake_gateway.findings import KINDS
from tools.fake_gateway.ledger import Ledger
from tools.fake_gateway.script import LEAN, PRESENCES, STATES, ScriptSettings
from tools.fake_gateway.verify import verify
from tools.fake_gateway.wsp.expectation import Expectation
from tools.fake_gateway.wsp.organisation import OrderSettings, Organisation

EVENTS = 100
ORIGIN_MS = 1_795_300_000_000
SENT_US = (ORIGIN_MS + 5_000) * 1000
SCHEMA = """
CREATE TABLE agents(id INTEGER PRIMARY KEY, user_id TEXT UNIQUE);
CREATE TABLE transitions(id INTEGER PRIMARY KEY, agent INTEGER, previous INTEGER, from_state TEXT,
  to_state TEXT, at_us INTEGER, received_us INTEGER, epoch INTEGER, sequence INTEGER, queue TEXT,
  presence TEXT, correlation TEXT, cause TEXT);
CREATE TABLE gaps(row INTEGER PRIMARY KEY, scope TEXT, epoch INTEGER, first_sequence INTEGER,
  last_sequence INTEGER, at_us INTEGER, reason TEXT);
CREATE TABLE commits(last_row INTEGER PRIMARY KEY, committed_us INTEGER);
CREATE TABLE pages(page INTEGER PRIMARY KEY, upto INTEGER, data BLOB);
CREATE TABLE progress(counts TEXT, mark_epoch INTEGER, mark_sequence INTEGER);
CREATE TABLE quarantine(hash INTEGER PRIMARY KEY, reason TEXT, frame BLOB, bytes INTEGER,
  count INTEGER, first_us INTEGER, last_us INTEGER);
"""


def settings(**changes: int) -> ScriptSettings:
    return replace(ScriptSettings(seed=7, agents=20, origin_ms=ORIGIN_MS, quiet_every=5), **changes)


class Run:
    """Writes a ledger as the server does, without sockets."""

    def __init__(
        self, directory: Path, script: ScriptSettings | None = None, *, window: int = 0
    ) -> None:
        self.ledger = Ledger(directory)
        order = OrderSettings(window=window)
        self.organisation = Organisation(
            script or settings(), order, self.ledger, first_sequence=1001
        )
        self.organisation.begin_stretch(0, (ORIGIN_MS + 1) * 1_000_000, 500_000)

    def subscribe(self, socket: int = 1, *, shape: int = LEAN, first: int = 0) -> None:
        """… and history, whole, unless the agents from `first` on is all that was sent."""
        organisation = self.organisation
        self.ledger.write(
            "subscribed",
            socket=socket,
            head=organisation.head,
            epoch=organisation.numbering.current.name,
            sequence=organisation.newest_sequence,
            shape=shape,
            history=True,
        )
        last = organisation.settings.agents - 1
        self.ledger.write(
            "history",
            socket=socket,
            first=first,
            last=last,
            head=organisation.head,
            complete=True,
            at_us=SENT_US,
        )

    def happen(self, events: int) -> None:
        self.organisation.advance(self.organisation.head + events)

    def update(self, agent: int, presence: int, correlation: str) -> int:
        now_ns = (ORIGIN_MS + 1) * 1_000_000
        return self.organisation.change(agent, presence, correlation, now_ns)

    def send(self, first: int, last: int, socket: int = 1) -> None:
        self.ledger.sent(socket, first, last, SENT_US)

    @property
    def epoch(self) -> str:
        return self.organisation.numbering.current.name

    def gap(self, first: int, last: int, socket: int = 2) -> None:
        self.ledger.write("gap", socket=socket, epoch=self.epoch, first=first, last=last)

    def close(self) -> Path:
        self.ledger.close()
        return self.ledger.directory


@dataclass
class Row:
    agent: int  # of the organisation
    to_state: str
    at_us: int
    epoch: int
    sequence: int
    queue: str | None
    presence: str | None = None
    correlation: str | None = None
    cause: str = "live"
    from_state: str | None = None
    previous: int = 0


@dataclass
class Kept:
    """The journals of a runtime: per shard its rows, in order. Numbers and chains come last."""

    expectation: Expectation
    shards: int = 2
    rows: list[list[Row]] = field(default_factory=list)
    gaps: list[tuple[int, int, int]] = field(default_factory=list)  # epoch, first, last
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rows = [[] for _ in range(self.shards)]
        self.mark = self.expectation.numbering.newest_sequence(self.expectation.head)

    def history(self, head: int, epoch: int = 1) -> None:
        for agent, number in enumerate(self.expectation.last_changes(head)):
            self.add(agent, number, epoch, "history")

    def events(self, numbers: range, epoch: int = 1, cause: str = "live") -> None:
        for number in numbers:
            self.add(self.expectation.agents[number], number, epoch, cause)

    def add(self, agent: int, number: int, epoch: int, cause: str) -> Row:
        script, expectation = self.expectation.script, self.expectation
        seen = expectation.seen_epochs[epoch - 1]
        is_initial = number < 0
        change = script.initial(agent) if is_initial else expectation.event_log.change(number)
        at_ms = expectation.event_times.at_ms(number) if number >= 0 else script.initial_ms(agent)
        row = Row(
            agent=agent,
            to_state=STATES[change.state],
            at_us=at_ms * 1000,
            epoch=epoch,
            sequence=expectation.numbering.position(seen, agent, number),
            queue=script.queues[change.queue],
            presence=PRESENCES[change.presence] if change.has_presence else None,
            correlation=change.correlation,
            cause=cause,
        )
        self.rows[agent % self.shards].append(row)
        return row

    def lose(self, agent: int) -> None:
        row = Row(agent, "Unknown", SENT_US, 1, 1, None, cause="lost")
        self.rows[agent % self.shards].append(row)

    def chain(self) -> Kept:
        """Fills in what each row must say of the one before it."""
        for rows in self.rows:
            last: dict[int, tuple[int, str | None]] = {}
            for row_id, row in enumerate(rows, start=1):
                row.previous, row.from_state = last.get(row.agent, (0, None))
                held = row.from_state if row.cause == "late" else row.to_state
                last[row.agent] = (row_id, held)
        return self

    def write(self, directory: Path) -> Path:
        directory.mkdir()
        for shard, rows in enumerate(self.rows):
            self._write(directory / f"shard-{shard:02d}.db", shard, rows)
        return directory

    def _write(self, path: Path, shard: int, rows: list[Row]) -> None:
        connection = apsw.Connection(str(path))
        connection.pragma("synchronous", "OFF")  # nothing of it must outlive the test
        connection.execute(SCHEMA)
        users = self.expectation.script.users
        mine = list(range(shard, len(users), self.shards))
        seen = self.expectation.seen_epochs
        ids = {agent: number for number, agent in enumerate(mine, start=1)}
        held: dict[int, tuple[int, Row]] = {}
        with connection:
            connection.executemany(
                "INSERT INTO agents VALUES (?, ?)", [(ids[agent], users[agent]) for agent in mine]
            )
            for row_id, row in enumerate(rows, start=1):
                connection.execute(
                    "INSERT INTO transitions VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
                    (
                        row_id, ids[row.agent], row.previous, row.from_state, row.to_state,
                        row.at_us, SENT_US + 1, row.epoch, row.sequence, row.queue, row.presence,
                        row.correlation, row.cause,
                    ),
                )  # fmt: skip
                held[row.agent] = (row_id, held[row.agent][1] if row.cause == "late" else row)
            for number, (epoch, first, last) in enumerate(self.gaps, start=len(rows) + 1):
                connection.execute(
                    "INSERT INTO transitions VALUES (?,0,0,NULL,'',0,0,?,?,NULL,NULL,NULL,'gap')",
                    (number, epoch, last),
                )
                connection.execute(
                    "INSERT INTO gaps VALUES (?, 'all', ?, ?, ?, 0, 'test')",
                    (number, epoch, first, last),
                )
            connection.execute("INSERT INTO commits VALUES (?, ?)", (len(rows), SENT_US + 3_000))
            page = [
                [ids[agent], users[agent], row.to_state, row.at_us, row.queue, row.presence,
                 row.epoch, row.sequence, row_id]
                for agent, (row_id, row) in held.items()
            ]  # fmt: skip
            connection.execute(
                "INSERT INTO pages VALUES (0, ?, ?)", (len(rows), orjson.dumps(page))
            )
            connection.execute(
                "INSERT INTO progress VALUES (?, ?, ?)",
                (orjson.dumps(self._counts(rows)).decode(), len(seen), self.mark),
            )
        connection.close()

    def _counts(self, rows: list[Row]) -> dict[str, int]:
        applied = sum(row.cause in ("live", "history") for row in rows)
        late = sum(row.cause == "late" for row in rows)
        counts = {"received": applied + late, "applied": applied, "late": late}
        return counts | self.counts


def steady(tmp_path: Path) -> Kept:
    """A run on one socket, kept perfectly."""
    run = Run(tmp_path / "ledger")
    run.subscribe()
    run.happen(EVENTS)
    run.send(0, 59)
    run.send(60, EVENTS - 1)
    run.ledger.write("fault", what="malformed", socket=1)
    kept = Kept(Expectation(run.close()))
    kept.history(0)
    kept.events(range(EVENTS))
    return kept.chain()


def drop_an_event(kept: Kept) -> None:
    """Not the last of its agent, so that the final state is right."""
    live = [row for row in kept.rows[0] if row.cause == "live"]
    last_of = {row.agent: row for row in live}
    kept.rows[0].remove(next(row for row in live if last_of[row.agent] != row))
    kept.chain()


def checked(kept: Kept, tmp_path: Path, **options: bool) -> dict[str, Any]:
    return verify(tmp_path / "ledger", kept.write(tmp_path / "data"), **options)


def found(result: dict[str, Any]) -> dict[str, int]:
    return {kind: result[kind] for kind in KINDS if result[kind]}
