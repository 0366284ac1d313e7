"""Facts about picows that the receiver leans on: a new version that breaks one fails here."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import picows
import pytest
from picows import WSFrame, WSListener, WSTransport

from tests.actors.receiver.rig import in_loop, until
from tests.gateway.loopback import BINARY, CLOSE, CONTINUATION, PING, Socket, frame
from tests.gateway.scripted import HANG, ScriptedGateway

MESSAGE_MOST = 1000


class Notes(WSListener):
    """Writes down what it is given."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, bytes, bool]] = []
        self.closed_before: list[bool] = []
        self.order: list[str] = []
        self.raises: Exception | None = None
        self.pause_at = -1

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.order.append("connected")

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.order.append("frame")
        self.closed_before.append(bool(transport.is_close_frame_sent))
        number: Any = frame.msg_type
        self.frames.append((int(number), frame.get_payload_as_bytes(), bool(frame.last_in_buffer)))
        if len(self.frames) == self.pause_at:
            transport.underlying_transport.pause_reading()
        if self.raises is not None:
            raise self.raises

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.order.append("disconnected")

    @property
    def payloads(self) -> list[bytes]:
        return [payload for _, payload, _ in self.frames]


def close_code(transport: WSTransport, side: str) -> int:
    """picows' stub says that a code is no number."""
    told: Any = getattr(transport.close_handshake, side)
    return int(told.code)


def against(
    script: Callable[[Socket], Awaitable[None]],
    test: Callable[[WSTransport, Notes], Awaitable[None]],
    notes: Notes | None = None,
    **options: Any,
) -> None:
    """Connects as the receiver does, and runs the test with what came of it."""

    async def run() -> None:
        async with ScriptedGateway(script) as gateway:
            listener = notes or Notes()
            transport, _ = await picows.ws_connect(
                lambda _request, _response: listener,
                gateway.websocket_url,
                enable_auto_pong=False,
                max_frame_size=MESSAGE_MOST,
                max_redirects=0,
                **options,
            )
            async with asyncio.timeout(10.0):
                await test(transport, listener)
            transport.underlying_transport.abort()

    in_loop(run)


async def hold(socket: Socket) -> None:
    while (await socket.receive())[0] != CLOSE:
        pass


def test_connected_comes_before_the_frames_of_the_same_read() -> None:
    async def script(socket: Socket) -> None:
        socket.send(b"a", b"b")
        await hold(socket)

    async def test(_: WSTransport, notes: Notes) -> None:
        await until(lambda: len(notes.frames) == 2)
        assert notes.order == ["connected", "frame", "frame"]

    against(script, test)


def test_only_the_last_frame_of_a_read_is_marked() -> None:
    async def script(socket: Socket) -> None:
        socket.send(b"a", b"b", b"c")
        await hold(socket)

    async def test(_: WSTransport, notes: Notes) -> None:
        await until(lambda: len(notes.frames) == 3)
        marks = [last for _, _, last in notes.frames]
        assert marks[-1]
        assert sum(marks) <= 3

    against(script, test)


def test_without_auto_pong_a_ping_is_delivered() -> None:
    async def script(socket: Socket) -> None:
        socket.send_raw(frame(b"a") + frame(b"p", PING))
        await hold(socket)

    async def test(_: WSTransport, notes: Notes) -> None:
        await until(lambda: notes.payloads == [b"a", b"p"])
        assert notes.frames[-1][2], "and may bear the mark"

    against(script, test)


def test_fragments_and_reserved_bits_are_delivered_unchecked() -> None:
    async def script(socket: Socket) -> None:
        socket.send_raw(frame(b"a", CONTINUATION) + frame(b"b", fin=False) + frame(b"c", BINARY))
        socket.send_raw(frame(b"d", rsv=7) + frame(b"\xff"))
        await hold(socket)

    async def test(_: WSTransport, notes: Notes) -> None:
        await until(lambda: notes.payloads == [b"a", b"b", b"c", b"d", b"\xff"])

    against(script, test)


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (frame(b"x" * (MESSAGE_MOST + 1)), 1009),
        (b"\x83\x00", 1002),
        (b"\x81\x80abcd", 1002),
        (b"\x09\x00", 1002),
        (frame(struct.pack(">H", 2999), CLOSE), 1002),
    ],
)
def test_behind_the_close_for_a_bad_frame_comes_one_good_frame_that_was_before_it(
    bad: bytes, code: int
) -> None:
    async def script(socket: Socket) -> None:
        socket.send_raw(frame(b"good") + bad)
        await hold(socket)

    async def test(transport: WSTransport, notes: Notes) -> None:
        with pytest.raises(picows.WSProtocolError) as caught:
            await transport.wait_disconnected()
        assert int(caught.value.code) == code
        assert notes.frames[0][1] == b"good"
        assert close_code(transport, "sent") == code

    against(script, test)


def test_the_good_frame_sees_the_close_frame_already_sent() -> None:
    async def script(socket: Socket) -> None:
        socket.send_raw(frame(b"first"))
        await asyncio.Event().wait()

    async def test(transport: WSTransport, notes: Notes) -> None:
        await until(lambda: notes.payloads == [b"first"])
        assert notes.closed_before == [False]
        transport.send_close(picows.WSCloseCode.OK)
        assert transport.is_close_frame_sent

    against(script, test)


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (frame(struct.pack(">H", 4001), CLOSE), 4001),
        (frame(struct.pack(">H", 1012) + b"why", CLOSE), 1012),
        (frame(b"", CLOSE), 0),
        (frame(struct.pack(">H", 1006), CLOSE), 1006),
    ],
)
def test_a_close_frame_is_delivered_and_its_code_kept(raw: bytes, code: int) -> None:
    async def script(socket: Socket) -> None:
        socket.send_raw(raw)
        await hold(socket)

    async def test(transport: WSTransport, notes: Notes) -> None:
        await until(lambda: notes.frames)
        assert notes.frames[0][0] == CLOSE
        assert not transport.is_disconnected, "the reply is ours to send"
        assert close_code(transport, "recv") == code
        assert transport.close_handshake.recv_then_sent
        transport.disconnect()
        await transport.wait_disconnected()

    against(script, test)


def test_a_dropped_connection_has_no_handshake_and_raises_nothing() -> None:
    async def script(socket: Socket) -> None:
        socket.drop()

    async def test(transport: WSTransport, notes: Notes) -> None:
        await transport.wait_disconnected()
        assert transport.close_handshake is None
        assert notes.order == ["connected", "disconnected"]

    against(script, test)


def test_what_we_raise_ends_the_line_but_the_rest_of_the_read_still_comes() -> None:
    notes = Notes()
    notes.raises = picows.WSProtocolError(picows.WSCloseCode.PROTOCOL_ERROR, "no")

    async def script(socket: Socket) -> None:
        socket.send(b"a", b"b", b"c")
        await hold(socket)

    async def test(transport: WSTransport, notes: Notes) -> None:
        with pytest.raises(picows.WSProtocolError, match="no"):
            await transport.wait_disconnected()
        assert notes.payloads == [b"a", b"b", b"c"]

    against(script, test, notes)


def test_frames_still_arrive_after_pause_reading_and_all_come_after_resume() -> None:
    sent = [b"%05d" % n for n in range(5000)]
    notes = Notes()
    notes.pause_at = 1

    async def script(socket: Socket) -> None:
        socket.send(*sent)
        await hold(socket)

    async def test(transport: WSTransport, notes: Notes) -> None:
        await until(lambda: len(notes.frames) > 1)
        transport.underlying_transport.resume_reading()
        await until(lambda: len(notes.frames) == 5000)
        assert notes.payloads == sent

    against(script, test, notes)


def test_a_refused_handshake_carries_status_and_headers() -> None:
    async def run() -> None:
        async with ScriptedGateway(hold) as gateway:
            gateway.statuses = [429, 302]
            gateway.retry_after = "7"
            for status in (429, 302):
                with pytest.raises(picows.WSInvalidStatusError) as caught:
                    await picows.ws_connect(
                        lambda *_: Notes(),
                        gateway.websocket_url + "geheim",
                        max_redirects=0,
                    )
                response = caught.value.response
                assert response is not None
                assert int(response.status) == status
                assert response.headers.get("retry-after") == "7"
                assert "geheim" not in str(caught.value)

    in_loop(run)


def test_a_handshake_that_hangs_times_out() -> None:
    async def run() -> None:
        async with ScriptedGateway(hold) as gateway:
            gateway.statuses = [HANG]
            with pytest.raises(TimeoutError):
                await picows.ws_connect(
                    lambda *_: Notes(), gateway.websocket_url, websocket_handshake_timeout=0.05
                )

    in_loop(run)
