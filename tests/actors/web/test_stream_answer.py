"""A stream as an ASGI answer: it says what there is, ends when it must, and leaves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path

import pytest
from starlette.types import Message

from actors.web import hub
from actors.web.hub import EVERYTHING
from actors.web.stream import StreamAnswer
from actors.web.stream_places import StreamOwner
from tests.actors.web.serving import READERS_MAX, Reading
from tests.actors.web.telling import Event, Told, entry, events_in

PATIENCE_S = 30.0


class Client:
    """At the other end of an answer. It may stop reading, or go."""

    def __init__(self, told: Told, last_id: str | None = None) -> None:
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._gone = asyncio.Event()
        self.reads = asyncio.Event()
        self.reads.set()
        self.answer = StreamAnswer(told.hub, EVERYTHING, last_id, told.board.hello())
        self.serving = asyncio.create_task(self.answer({}, self._receive, self._send))

    async def _receive(self) -> Message:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        self._messages.put_nowait(message)
        await self.reads.wait()

    def go(self) -> None:
        self._gone.set()

    async def next(self) -> Message:
        return await asyncio.wait_for(self._messages.get(), PATIENCE_S)

    async def events(self) -> list[Event]:
        return list(events_in((await self.next())["body"]))


def play(scene: Awaitable[None]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(scene, PATIENCE_S)

    asyncio.run(bounded())


@pytest.fixture
def told() -> Told:
    told = Told()
    told.hold(entry(1, "ann", "Available", "north"), entry(2, "bob", "Talking"))
    told.session()
    told.tick()
    return told


def test_a_stream_says_where_it_begins_and_then_what_happens(told: Told) -> None:
    async def scene() -> None:
        client = Client(told)
        start = await client.next()
        headers = dict(start["headers"])
        assert headers[b"content-type"].startswith(b"text/event-stream")
        assert b"content-length" not in headers
        assert [each.kind for each in await client.events()] == ["health"]
        told.move("ann", "Talking")
        told.tick()
        [event] = await client.events()
        assert (event.kind, event.id) == ("changes", told.hub.newest_id)
        client.go()
        await client.serving
        assert told.hub.readers == 0

    play(scene())


def test_what_happened_while_nobody_was_there_is_said_first(told: Told) -> None:
    async def scene() -> None:
        known = told.hub.newest_id
        told.move("ann", "Talking")
        told.tick()
        client = Client(told, known)
        await client.next()
        assert [each.kind for each in await client.events()] == ["changes", "health"]
        client.go()
        await client.serving

    play(scene())


def test_a_client_that_does_not_read_is_told_to_begin_anew_when_it_does(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "READER_BYTES_MAX", 1_000)

    async def scene() -> None:
        client = Client(told)
        await client.next()
        await client.events()
        client.reads.clear()
        for state in ("Available", "Talking") * 5:
            told.move("bob", state)
            told.tick()
            await asyncio.sleep(0)  # so that the first of them is in its hands
        assert told.hub.readers == 0
        client.reads.set()
        said = [*await client.events(), *await client.events()]
        assert [each.kind for each in said] == ["changes", "resync"]
        last = await client.next()
        assert not last.get("more_body", False)
        await client.serving

    play(scene())


def test_a_stream_ends_with_the_child(told: Told) -> None:
    async def scene() -> None:
        client = Client(told)
        await client.next()
        await client.events()
        told.hub.close()
        assert (await client.next())["body"] == b""
        await client.serving

    play(scene())


def test_so_many_readers_and_filters_and_no_more(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "FILTERS_MAX", 1)
    reading = Reading(told, tmp_path)
    told.hub.attach(EVERYTHING, None, lambda: None, b"{}")
    answer = reading.get("/api/stream?queue=north")
    assert (answer.status_code, answer.json()["code"]) == (429, "too-many-filters")
    for number in range(READERS_MAX):
        reading.places.enter(StreamOwner(f"token:{number}", has_token=True), lambda: None)
    answer = reading.get("/api/stream")
    assert (answer.status_code, answer.json()["code"]) == (503, "too-many-readers")
    assert answer.headers["retry-after"] == "5"
    reading.close()


def test_the_header_says_more_than_the_address(told: Told, tmp_path: Path) -> None:
    """A browser comes back to the address of its first visit."""
    reading = Reading(told, tmp_path)
    answer = reading.get(
        f"/api/stream?last_event_id={told.hub.newest_id}", headers={"Last-Event-ID": "of another"}
    )
    assert [each.kind for each in events_in(answer.content)] == ["resync"]
    reading.close()


def test_a_filtered_stream_says_who_left_and_nobody_else(told: Told) -> None:
    known = told.hub.newest_id
    told.move("ann", "Talking", "south")
    told.move("bob", "Available")
    told.tick()
    wanted = hub.StreamFilter(queues=frozenset({"north"}))
    reader = told.hub.attach(wanted, known, lambda: None, b"{}")
    changes = next(events_in(reader.take())).data
    assert [each[0] for each in changes["changes"]] == ["ann"]
    assert changes["by_state"] == {"Available": 1, "Talking": 1}
    assert changes["last"] == []
