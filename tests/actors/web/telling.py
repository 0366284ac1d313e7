"""What shards could have told a read model, as values; and a page that reads the stream."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from actors.messages.control import Dialect
from actors.messages.feed import AgentEntry
from actors.messages.queues import queues_text
from actors.shard.sessions import Scope
from actors.web.board import Board
from actors.web.hub import EVERYTHING, RESYNC_ID, Hub, StreamFilter, Subscriber
from actors.web.read_model import ReadModel
from runtime.clock import ManualClock

START_US = ManualClock.WALL_START_US


def entry(
    number: int, user_id: str, state: str | None = "Available", queue: str | None = None,
    *, at_us: int = START_US, presence: str | None = None, scope: str = "", named: int = 0,
    native: tuple[object, ...] | None = None,
) -> AgentEntry:  # fmt: skip
    return AgentEntry(
        number, user_id, state, at_us, queue, presence, 1, number, scope, named, native
    )


class Told:
    """A model of some shards, a board and its hub, all in step."""

    def __init__(self, *, shards: int = 1, dialect: Dialect = "wsp", life: str = "life") -> None:
        self.clock = ManualClock()
        self.model = ReadModel(shards, dialect)
        self.rows = 0
        self.begin_life(life)

    def begin_life(self, life: str) -> None:
        """Whoever knew an id of the life before knows nothing."""
        self.hub = Hub(life)
        self.board = Board(self.model, self.hub, self.clock, name="test")
        self.board.publish(list(self.model.agents.values()), self.health())

    def health(self) -> Any:
        return self.model.health(self.clock.wall_us())

    def hold(self, *entries: AgentEntry, shard: int = 0) -> None:
        """A whole snapshot: nobody else is known."""
        self.model.begin_snapshot(shard)
        self.model.tell_agents(shard, entries)
        self.model.end_snapshot(shard)

    def session(self, stale_since_us: int | None = None, *, shard: int = 0) -> None:
        scope = Scope(session=1, is_up=stale_since_us is None, stale_since_us=stale_since_us)
        self.model.tell_scopes(shard, {"all": scope.to_json()})

    def move(self, user_id: str, state: str, queue: str | None = None) -> None:
        """A transition of somebody who is held."""
        self.rows += 1
        at_us = self.clock.wall_us()
        view = self.model.agents[user_id]
        row = (
            self.rows, view.number, 0, view.state, state, at_us, at_us, 1, self.rows,
            queue, None, None, "live",
        )  # fmt: skip
        self.model.tell_rows(view.shard, [row])

    def tick(self, seconds: float = 0.1) -> None:
        self.clock.advance(seconds)
        self.model.pass_minute(self.clock.wall_us())
        self.board.publish(self.model.take_changes(), self.health())

    def snapshot(self) -> dict[str, Any]:
        made = self.board.snapshot()
        return dict(orjson.loads(made.head + made.tail(may_write=False, who=None)))


class Event(NamedTuple):
    id: str
    kind: str
    data: dict[str, Any]


def events_in(stream: bytes) -> Iterator[Event]:
    *whole, rest = stream.split(b"\n\n")
    assert rest == b"", rest
    for each in whole:
        fields = dict(line.split(b": ", 1) for line in each.split(b"\n"))
        yield Event(
            fields[b"id"].decode(), fields[b"event"].decode(), orjson.loads(fields[b"data"])
        )


class Page:
    """Reads the stream as `docs/design.md` says that a page does."""

    def __init__(self, told: Told, wanted: StreamFilter = EVERYTHING) -> None:
        self.told = told
        self.wanted = wanted
        self.agents: dict[str, list[Any]] = {}
        self.last_id = ""
        self.resyncs = 0
        self.reader: Subscriber | None = None
        self.begin()

    def begin(self) -> None:
        """With a snapshot."""
        snapshot = self.told.snapshot()
        states, queues = snapshot["states"], snapshot["queues"]
        self.agents = {}
        for user_id, name, state, since, former, presence, stale, places in snapshot["agents"]:
            within = [queues[place][0] for place in places]
            assert former == (places[0] if places else -1)
            self.take([user_id, name, states[state], since, None, presence, stale, within])
        self.last_id = snapshot["id"]
        self.connect()

    def connect(self) -> None:
        self.reader = self.told.hub.attach(
            self.wanted, self.last_id, lambda: None, self.told.board.hello()
        )

    def drop(self) -> None:
        """What was not read is lost."""
        if self.reader is not None:
            self.told.hub.detach(self.reader)
            self.reader = None

    def read(self) -> list[Event]:
        """All that there is; comes back after a resync, as long as it takes."""
        assert self.reader is not None
        events = list(events_in(self.reader.take()))
        for event in events:
            if event.kind == "resync":
                assert event.id == RESYNC_ID
                assert self.reader.is_over
                self.resyncs += 1
                self.drop()
                self.begin()
                return events + self.read()
            if event.kind == "changes":
                self.apply(event.data)
            self.last_id = event.id
        return events

    def apply(self, data: dict[str, Any]) -> None:
        if "stale" in data:
            for agent in self.agents.values():
                agent[6] = data["stale"]
        for told in data["changes"]:
            self.take(told)

    def take(self, told: list[Any]) -> None:
        *shown, queues = told
        if queues is None:  # as they were
            queues = self.agents[told[0]][4]
        shown[4] = queues
        if self.wanted.takes(told[2], queues_text(queues)):
            self.agents[told[0]] = shown
        else:
            self.agents.pop(told[0], None)


def shown_of(told: Told, wanted: StreamFilter = EVERYTHING) -> dict[str, list[Any]]:
    """What a page must show, by the model alone."""
    return {
        view.user_id: [
            view.user_id,
            told.board.names.user(view.user_id),
            view.state,
            view.since_us // 1_000,
            list(view.queues),
            view.presence,
            int(told.model.stale_since_us(view) is not None),
        ]
        for view in told.model.agents.values()
        if wanted.takes(view.state, view.queue)
    }
