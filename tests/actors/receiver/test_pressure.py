"""A receiver whose rings are full: it pauses, sheds, spills in order and is woken. Real sockets."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from actors.messages.control import HistoryEnds, SessionBegins, SessionEnds, Shed, decode_control
from actors.receiver.connection import Connection
from actors.receiver.line import ReceiverPolicy
from actors.receiver.ring_writer import SPILL_BYTES_MAX
from runtime.ring import KIND_CONTROL, KIND_EVENT, KIND_REJECTED
from tests.actors.receiver.rig import Record, Rig, in_loop, until
from tests.gateway.loopback import CLOSE, Socket
from tests.gateway.scripted import NEWEST, ScriptedGateway, event, history_complete, stay

SMALL_RING = 1 << 16


def appointment(sequence: int, user: str = "A") -> bytes:
    data = {"userId": user, "start": "2026-11-23T08:00:00.000Z", "end": "2026-11-23T09:00:00.000Z"}
    data["timestamp"] = "2026-11-21T22:00:00.000Z"
    return orjson.dumps({"type": "routing.agents.apptent", "sequence": sequence, "data": data})


async def until_closed(socket: Socket) -> None:
    while (await socket.receive())[0] != CLOSE:
        pass


def controls(taken: list[Record]) -> list[object]:
    return [decode_control(each.payload) for each in taken if each.kind == KIND_CONTROL]


@pytest.fixture
def late_to_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transport that still brings whatever is sent: picows was seen to bring 46,000 frames."""
    monkeypatch.setattr(Connection, "pause", lambda _: None)


def watched(monkeypatch: pytest.MonkeyPatch, dead_after_s: float) -> None:
    """Lines are declared dead soon, and nobody asks them before."""

    def hasty(*, attempts_max: int, **_: object) -> ReceiverPolicy:
        return ReceiverPolicy(
            attempts_max=attempts_max,
            backoff_first_s=0.001,
            backoff_most_s=0.002,
            dead_after_s=dead_after_s,
            ping_after_s=(),
            tick_most_s=0.25,  # a stall of the machine is not taken for silence
        )

    monkeypatch.setattr("actors.receiver.loop.ReceiverPolicy", hasty)


@pytest.mark.usefixtures("late_to_pause")
def test_under_pressure_appointments_are_shed_and_counted_and_no_change_of_state_is() -> None:
    pairs = range(NEWEST + 1, NEWEST + 6_001, 2)
    states = [event(n, "A") for n in pairs]

    async def script(socket: Socket) -> None:
        await socket.acknowledge(NEWEST)
        socket.send(history_complete(NEWEST))
        for n, state in zip(pairs, states, strict=True):
            socket.send(state, appointment(n + 1))
        await until_closed(socket)

    async def test() -> None:
        async with ScriptedGateway(script) as gateway:
            rig = Rig(gateway.url, shards=1, capacity=SMALL_RING, appointments=True)
            async with rig.living():
                await until(lambda: rig.counters.get("shed") > 0)
                await until(lambda: rig.watermark(0) >= NEWEST + 5_999)
            asked = gateway.sockets[0].subscription["events"]
            assert [each["type"] for each in asked] == [
                "routing.agents.state",
                "routing.agents.apptent",
            ]
        events = [each for each in rig.read()[0] if each.kind == KIND_EVENT]
        shed = rig.counters.get("shed")
        assert [each.payload for each in events if b"apptent" not in each.payload] == states
        assert sum(b"apptent" in each.payload for each in events) == len(states) - shed
        told = [record.events for record in controls(rig.taken[0]) if isinstance(record, Shed)]
        assert sum(told) == shed > 0
        assert len(events) == rig.counters.get("events_routed")

    in_loop(test)


@pytest.mark.usefixtures("late_to_pause")
def test_46_000_frames_after_a_pause_and_control_records_without_room_keep_their_order() -> None:
    tiny = 23_000  # frames of three bytes: picows brings them all in one read

    async def script(socket: Socket) -> None:
        await socket.acknowledge(NEWEST)
        socket.send(*[b"1"] * tiny, history_complete(NEWEST), *[b"2"] * tiny)
        socket.close(1012)
        await asyncio.Event().wait()

    async def test() -> None:
        async with ScriptedGateway(script, stay) as gateway:
            rig = Rig(gateway.url, shards=2, capacity=SMALL_RING)
            async with rig.living():
                await until(lambda: rig.counters.get("python_path") >= 2 * tiny + 2)
                assert rig.counters.get("spilled") > 40_000
                await until(lambda: sum(r.kind == KIND_REJECTED for r in rig.read()[0]) >= 2 * tiny)
                await until(lambda: rig.counters.get("session") == 2)
        story = [
            each.payload[-1:] if each.kind == KIND_REJECTED else type(each.control)
            for each in rig.taken[0]
        ]
        rest = [one for one in story if isinstance(one, bytes) or one in (HistoryEnds, SessionEnds)]
        ends = rest.index(SessionEnds, 1)
        assert rest[: ends + 1] == [
            SessionEnds,  # a receiver starts
            *[b"1"] * tiny,
            HistoryEnds,
            *[b"2"] * tiny,
            SessionEnds,
        ]

    in_loop(test)


def test_a_paused_line_is_not_called_dead_and_reading_goes_on_when_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched(monkeypatch, dead_after_s=1.0)
    events = [event(n, "A") for n in range(NEWEST + 1, NEWEST + 5_001)]

    async def script(socket: Socket) -> None:
        await socket.acknowledge(NEWEST)
        socket.send(history_complete(NEWEST), *events)
        await until_closed(socket)

    async def test() -> None:
        async with ScriptedGateway(script) as gateway:
            rig = Rig(gateway.url, shards=1, capacity=SMALL_RING)
            async with rig.living():
                await until(lambda: rig.counters.get("pauses") == 1)
                await asyncio.sleep(2.0)  # the silence itself is the matter
                assert rig.counters.get("session") == 1
                await until(lambda: len(rig.payloads(KIND_EVENT)) == len(events))
        assert rig.payloads(KIND_EVENT) == events
        assert len(gateway.sockets) == 1

    in_loop(test)


def test_the_same_silence_of_a_line_that_is_read_is_its_death(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched(monkeypatch, dead_after_s=1.0)

    async def script(socket: Socket) -> None:
        await socket.acknowledge(NEWEST)
        socket.send(history_complete(NEWEST))
        await until_closed(socket)

    async def test() -> None:
        async with ScriptedGateway(script) as gateway:
            rig = Rig(gateway.url, shards=1)
            async with rig.living():
                await until(lambda: rig.counters.get("session") == 2)

    in_loop(test)


def test_a_paused_receiver_is_woken_by_the_shard_that_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("actors.receiver.loop.TICK_S", 60.0)  # no tick comes to its help
    events = [event(n, "A") for n in range(NEWEST + 1, NEWEST + 5_001)]

    async def script(socket: Socket) -> None:
        await socket.acknowledge(NEWEST)
        socket.send(history_complete(NEWEST), *events)
        await until_closed(socket)

    async def test() -> None:
        async with ScriptedGateway(script) as gateway:
            rig = Rig(gateway.url, shards=1, capacity=SMALL_RING)
            async with rig.living():
                await until(lambda: rig.counters.get("pauses") == 1)
                await until(lambda: len(rig.payloads(KIND_EVENT)) == len(events))
        assert rig.payloads(KIND_EVENT) == events

    in_loop(test)


@pytest.mark.usefixtures("late_to_pause")
def test_too_much_spill_ends_the_session_and_the_next_resumes_behind_the_mark() -> None:
    pad = "x" * 30_000
    needed = SPILL_BYTES_MAX // len(pad) + 100

    async def flood(socket: Socket) -> None:
        await socket.acknowledge(NEWEST)
        socket.send(history_complete(NEWEST))
        for n in range(NEWEST + 1, NEWEST + needed):
            socket.send(event(n, "A", pad=pad))
            await socket.writer.drain()
        await until_closed(socket)

    async def replay(socket: Socket) -> None:
        await socket.acknowledge(NEWEST + needed)
        after = socket.subscription["sequence"]
        assert after == 0  # the mark, less the margin
        socket.send(*(event(n, "A") for n in range(NEWEST + 1, NEWEST + needed + 1)))
        socket.send(history_complete(NEWEST + needed))
        await until_closed(socket)

    async def test() -> None:
        async with ScriptedGateway(flood, replay) as gateway:
            rig = Rig(gateway.url, shards=1, capacity=SMALL_RING)
            rig.set_mark(1, NEWEST)
            async with rig.living():
                await until(lambda: rig.counters.get("spill_dropped") > 0, deadline_s=60)
                assert rig.counters.get("spill_bytes") < SPILL_BYTES_MAX // 100
                await until(lambda: rig.watermark(0) == NEWEST + needed, deadline_s=60)
        sequences = [each.sequence for each in rig.taken[0] if each.kind == KIND_EVENT]
        assert set(sequences) == set(range(NEWEST + 1, NEWEST + needed + 1))
        told = controls(rig.taken[0])
        reasons = [record.reason for record in told if isinstance(record, SessionEnds)]
        assert "the spill limit is exceeded" in reasons
        assert sum(isinstance(record, SessionBegins) for record in told) == 2

    in_loop(test)
