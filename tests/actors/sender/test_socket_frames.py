"""What arrives at one line's socket: every frame that keeps the protocol, and some that do not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import picows
import pytest
from picows.picows import _make_test_ws_frame

from actors.genesys import presence
from actors.genesys.presence import InvalidPresenceFrame, UpdateAcknowledgement
from actors.sender import line_signals as words
from actors.sender.socket import MESSAGE_BYTES_MAX, Heard
from tests.actors.receiver.rig import in_loop
from tests.actors.sender.socket_line import Line, open_line, then
from tests.gateway.loopback import BINARY, CLOSE, CONTINUATION, PING, PONG, Script, Socket, frame
from tests.gateway.scripted import BOUND, ack, bind


def ends(script: Script, expected: words.Signal, *heard: Heard) -> None:
    """Against this script a bound line ends so, and heard that."""

    async def test() -> None:
        async with open_line(script) as (line, _):
            assert await line.end() == expected
            assert line.heard == list(heard)

    in_loop(test)


# What arrives


def test_what_is_malformed_is_told_and_ends_nothing() -> None:
    ends(
        then(
            frame(b"{"),
            frame(ack("c1"), BINARY),
            frame(b"\xff\xfe"),
            frame(b'{"type":"presence.ack"}'),
            frame(BOUND),
            frame(ack("c2")),
            frame((1012).to_bytes(2, "big"), CLOSE),
        ),
        words.Lost(7, 1012),
        InvalidPresenceFrame(presence.REASON_NOT_JSON),
        InvalidPresenceFrame(presence.REASON_BINARY),
        InvalidPresenceFrame(presence.REASON_NOT_JSON),
        InvalidPresenceFrame(presence.REASON_NO_CORRELATION),
        UpdateAcknowledgement("c2", True, 200, "", "", None),
    )


def test_a_message_in_fragments_is_one_and_a_ping_may_stand_between() -> None:
    whole = ack("c1")
    ends(
        then(
            frame(whole[:9], fin=False),
            frame(b"p", PING),
            frame(whole[9:20], CONTINUATION, fin=False),
            frame(whole[20:], CONTINUATION),
            frame(b"", CLOSE),
        ),
        words.Lost(7, 1005),
        UpdateAcknowledgement("c1", True, 200, "", "", None),
    )


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (frame(b"x", rsv=4), 1002),
        (frame(b"x", CONTINUATION), 1002),
        (frame(b"x", fin=False) + frame(b"y"), 1002),
        (frame(b"x" * (MESSAGE_BYTES_MAX + 1)), 1009),
        (frame(b"x" * 40_000, fin=False) + frame(b"x" * 40_000, CONTINUATION), 1009),
        (b"\x83\x00", 1002),
        (b"\x81\x80abcd", 1002),
    ],
)
def test_a_frame_that_breaks_the_protocol_ends_the_line_behind_what_came_before(
    bad: bytes, code: int
) -> None:
    ends(
        then(frame(ack("c1")) + bad + frame(ack("c2")) + frame(ack("c3"))),
        words.Lost(7, code, is_ours=True),
        UpdateAcknowledgement("c1", True, 200, "", "", None),
    )


def test_of_a_line_that_has_sent_its_close_frame_one_more_message_is_taken() -> None:
    """picows parses one frame ahead: it closes over a bad one before it delivers the good one."""
    transport: Any = SimpleNamespace(is_close_frame_sent=False)
    line = Line("http://127.0.0.1:9")

    def read(payload: bytes) -> None:
        text = _make_test_ws_frame(picows.WSMsgType.TEXT, payload, True, False)
        line.socket.on_ws_frame(transport, text)

    read(BOUND)
    transport.is_close_frame_sent = True
    read(ack("before"))
    read(ack("behind"))
    heard = UpdateAcknowledgement("before", True, 200, "", "", None)
    assert line.told == [words.ChannelBound(7), heard]


def test_pings_of_a_peer_that_does_not_read_are_dropped() -> None:
    """Each PONG would wait in our memory."""
    pings, answered = 60_000, list[int]()

    async def script(socket: Socket) -> None:
        await bind(socket)
        answered.append(await socket.flood_with_pings(pings))
        socket.drop()

    async def test() -> None:
        async with open_line(script) as (line, _):
            assert await line.end() == words.Lost(7, 1006)
            assert 0 < answered[0] < pings * 3 // 4

    in_loop(test)


def test_a_ping_is_answered_with_its_own_words_and_counts_as_life() -> None:
    received: list[tuple[int, bytes]] = []

    async def script(socket: Socket) -> None:
        await bind(socket)
        socket.send_raw(frame(b"are you there", PING))
        received.append(await socket.receive())
        socket.drop()

    async def test() -> None:
        async with open_line(script) as (line, _):
            assert await line.end() == words.Lost(7, 1006)
            assert line.socket.frames == 2, "the binding and the ping"
            assert received == [(PONG, b"are you there")]

    in_loop(test)


@pytest.mark.parametrize(
    ("payload", "code", "answered"),
    [
        (b"", 1005, 1000),
        (b"\x03\xe9", 1001, 1001),
        (b"\x0f\xa1why", 4001, 4001),
        (b"\x00\x00", 1002, 1002),  # codes that no close frame may bear
        (b"\x03\xee", 1002, 1002),
        (b"\x13\x88why", 1002, 1002),
        (b"\xff\xff", 1002, 1002),
    ],
)
def test_a_close_frame_is_answered(payload: bytes, code: int, answered: int) -> None:
    received: list[tuple[int, bytes]] = []

    async def script(socket: Socket) -> None:
        await bind(socket)
        socket.send_raw(frame(payload, CLOSE) + frame(ack("too late")))
        received.append(await socket.receive())

    ends(script, words.Lost(7, code))
    assert received == [(CLOSE, answered.to_bytes(2, "big"))]


def test_what_the_listener_of_signals_raises_ends_the_line_and_is_not_swallowed() -> None:
    async def test() -> None:
        async with open_line(then(frame(ack("c1")), frame(ack("c2")))) as (line, _):
            told = line._tell

            def careless(number: int, heard: Heard) -> None:
                told(number, heard)
                if isinstance(heard, UpdateAcknowledgement):
                    raise KeyError("ours")

            line.socket._tell = careless
            with pytest.raises(KeyError, match="ours"):
                await line.end()
            assert len(line.heard) == 1

    in_loop(test)
