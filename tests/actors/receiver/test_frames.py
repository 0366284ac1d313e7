"""Frames that are not the usual ones: each is routed, rejected, answered, or ends the line."""

from __future__ import annotations

import asyncio
import struct

import pytest

from actors.messages.control import (
    FLAG_TRUNCATED,
    Gap,
    SessionEnds,
)
from actors.messages.partition import shard_of
from runtime.ring import KIND_EVENT, KIND_REJECTED
from tests.actors.receiver.rig import Rig, in_loop, until
from tests.gateway.loopback import BINARY, CLOSE, CONTINUATION, PING, PONG, Socket, frame
from tests.gateway.scripted import NEWEST, ScriptedGateway, event, history_complete, stay

PINGS = 60_000  # their PONGs are 8 MB: more than the kernel holds
ODD = [
    (b"no json", b"not JSON\0no json"),
    (b"[]", b"no owner\0[]"),
    (b'{"type":"routing.agents.state","sequence":101,"data":{}}', None),
    (b'{"type":"gap","from":9,"to":2}', b'gap without a range\0{"type":"gap","from":9,"to":2}'),
    (b'{"type":"gap","from":9,"to":4611686018427387903}', None),
    (b"\xff\xfe", b"not JSON\0\xff\xfe"),
]


def test_what_has_no_owner_goes_to_shard_0_and_the_sum_stays_exact() -> None:
    unusual = b'{"sequence": 101, "type": "routing.agents.state", "data": {"userId": "\\u0041"}}'
    hostile = (
        b'{"type":"routing.agents.state","sequence":4611686018427387904,"data":{"userId":"A"}}'
    )
    far = event(5_000_000, "A")
    other = b'{"type":"routing.agents.apptent","sequence":102,"data":{"userId":"A"}}'

    async def script(socket: Socket) -> None:
        await socket.acknowledge(NEWEST)
        socket.send(history_complete(NEWEST), *(odd for odd, _ in ODD))
        socket.send_raw(frame(b"text", BINARY))
        socket.send(unusual, hostile, far, other)
        socket.send_raw(frame(unusual[:10], fin=False) + frame(b"", PING))
        socket.send_raw(frame(unusual[10:20], CONTINUATION, fin=False))
        socket.send_raw(frame(unusual[20:], CONTINUATION))
        socket.send(b"x" * 500_000, event(103, "A", pad="y" * 600_000))
        while (await socket.receive())[0] != CLOSE:
            pass

    async def test() -> None:
        async with ScriptedGateway(script) as gateway:
            rig = Rig(gateway.url)
            async with rig.living():
                await until(lambda: rig.counters.get("python_path") == 15)
                await until(lambda: rig.watermark(0) == 102)
        rejected = [each for each in rig.taken[0] if each.kind == KIND_REJECTED]
        reasons = [each.payload.partition(b"\0")[0] for each in rejected]
        assert reasons == [
            b"not JSON",
            b"no owner",
            b"no owner",
            b"gap without a range",
            b"gap without a range",
            b"not JSON",
            b"binary frame",
            b"not JSON",
            b"longer than half a ring",
        ]
        for (_, record), each in zip(ODD, rejected, strict=False):
            assert record is None or each.payload == record
        assert [each.flags for each in rejected[-2:]] == [FLAG_TRUNCATED] * 2
        assert len(rejected[-1].payload.partition(b"\0")[2]) == 4096
        events = [each for each in rig.taken[shard_of("A", 2)] if each.kind == KIND_EVENT]
        assert [(each.sequence, each.payload) for each in events] == [
            (101, unusual),
            (0, hostile),
            (5_000_000, far),
            (102, other),
            (101, unusual),
        ]
        counters = rig.counters.snapshot()
        records = len(rig.payloads(KIND_EVENT)) + len(rig.payloads(KIND_REJECTED))
        assert counters["events_routed"] + counters["rejected"] == records == 14

    in_loop(test)


@pytest.mark.parametrize("code", [0, 1006, 5000, 65_535])
def test_a_close_code_that_may_not_be_sent_breaks_the_protocol(code: int) -> None:
    replies: list[tuple[int, bytes]] = []

    async def script(socket: Socket) -> None:
        await socket.acknowledge(NEWEST)
        socket.send(history_complete(NEWEST))
        socket.send_raw(frame(struct.pack(">H", code) + b"why", CLOSE))
        replies.append(await socket.receive())

    async def test() -> None:
        async with ScriptedGateway(script, stay) as gateway:
            rig = Rig(gateway.url)
            async with rig.living():
                await until(lambda: rig.counters.get("session") == 2)
        assert replies == [(CLOSE, struct.pack(">H", 1002))]
        ends = rig.controls()[3]
        assert isinstance(ends, SessionEnds)
        assert ends.reason == "closed with 1002"

    in_loop(test)


def test_pings_of_a_peer_that_does_not_read_are_dropped_and_the_line_goes_on() -> None:
    """Each PONG would wait in our memory."""
    answered: list[int] = []

    async def script(socket: Socket) -> None:
        await socket.acknowledge(NEWEST)
        socket.send(history_complete(NEWEST))
        answered.append(await socket.flood_with_pings(PINGS))
        socket.send(event(101, "A"))
        while (await socket.receive())[0] != CLOSE:
            pass

    async def test() -> None:
        async with ScriptedGateway(script) as gateway:
            rig = Rig(gateway.url)
            async with rig.living():
                await until(lambda: rig.watermark(0) == 101)
        assert 0 < answered[0] < PINGS * 3 // 4

    in_loop(test)


def test_pings_are_answered_and_closes_returned() -> None:
    replies: list[tuple[int, bytes]] = []

    async def script(socket: Socket) -> None:
        await socket.acknowledge(NEWEST)
        socket.send(history_complete(NEWEST))
        socket.send_raw(frame(b"are you there", PING))
        replies.append(await socket.receive())
        socket.close(4001)
        replies.append(await socket.receive())

    async def test() -> None:
        async with ScriptedGateway(script, stay) as gateway:
            rig = Rig(gateway.url)
            async with rig.living():
                await until(lambda: rig.counters.get("session") == 2)
        assert replies == [(PONG, b"are you there"), (CLOSE, struct.pack(">H", 4001))]
        ends = rig.controls()[3]
        assert isinstance(ends, SessionEnds)
        assert ends.reason == "closed with 4001"

    in_loop(test)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (frame(b"x", rsv=4), 1002),
        (frame(b"x", CONTINUATION), 1002),
        (frame(b"x", fin=False) + frame(b"y"), 1002),
        (frame(b"x" * ((1 << 20) + 1)), 1009),
        (frame(b"x" * (1 << 20), fin=False) + frame(b"y", CONTINUATION), 1009),
        (b"\x83\x01x", 1002),
        (frame(struct.pack(">H", 999), CLOSE), 1002),
    ],
)  # fmt: skip
def test_a_frame_that_breaks_the_protocol_ends_the_line_with_its_code(
    raw: bytes, code: int
) -> None:
    async def script(socket: Socket) -> None:
        await socket.acknowledge(NEWEST)
        socket.send_raw(
            frame(history_complete(NEWEST)) + frame(event(101, "A")) + raw + frame(event(102, "A"))
        )
        await asyncio.Event().wait()

    async def test() -> None:
        async with ScriptedGateway(script, stay) as gateway:
            rig = Rig(gateway.url)
            async with rig.living():
                await until(lambda: rig.counters.get("session") == 2)
        ends = rig.controls()[3]
        assert isinstance(ends, SessionEnds)
        assert ends.reason == f"closed with {code} by us"
        assert rig.payloads(KIND_EVENT) == [event(101, "A")]

    in_loop(test)


@pytest.mark.parametrize("before", [b"", event(1 << 61, "A"), event((1 << 62) - 1, "\u0001")])
def test_a_frame_that_always_breaks_the_protocol_is_left_behind_with_a_gap(before: bytes) -> None:
    """Wherever a forged sequence before it claims that we are."""

    async def script(socket: Socket) -> None:
        await socket.acknowledge(NEWEST)
        after = socket.subscription.get("sequence", 98)
        for sequence in range(after + 1, NEWEST + 1):
            if sequence == 99 and before:
                socket.send(before)
            socket.send_raw(frame(event(sequence, "A"), rsv=sequence == 99))
        socket.send(history_complete(NEWEST))
        while (await socket.receive())[0] != CLOSE:
            pass

    async def test() -> None:
        async with ScriptedGateway(script) as gateway:
            rig = Rig(gateway.url)
            rig.counters.set("gateway_epoch", 1)
            rig.counters.note = "e1"
            rig.set_mark(1, 98)
            async with rig.living():
                await until(lambda: rig.watermark(0) == NEWEST)
            asked = [socket.subscription["sequence"] for socket in gateway.sockets]
        assert asked == [0, 0, 0, 99]
        gaps = [record for record in rig.controls() if isinstance(record, Gap)]
        assert [(gap.first, gap.last) for gap in gaps] == [(99, 99)]

    in_loop(test)
