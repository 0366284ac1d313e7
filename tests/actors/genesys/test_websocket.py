"""Sockets, opened against raw servers: real answers open one, and whatever fails is named."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import ssl
from collections.abc import Callable

import picows
import pytest

from actors.genesys.http import Route
from actors.genesys.secret import Secret
from actors.genesys.websocket import (
    HandshakeRefusedError,
    UnreachableError,
    close_code,
    open_socket,
)

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
SECRET = Secret("streaming-0-abc")
FRAME = b"\x81\x02{}"


def switched(request: bytes, *, interim: bytes = b"", more: bytes = b"") -> bytes:
    (key,) = (
        line.split(b":", 1)[1].strip()
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key:")
    )
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    return (
        interim + b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        b"Connection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n" + more
        + b"\r\n"
    )  # fmt: skip


class Notes(picows.WSListener):
    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        self.frames.append(frame.get_payload_as_bytes())


async def attempt(
    answer: Callable[[bytes], bytes], *, through_proxy: bool = False, host: str = "127.0.0.1"
) -> tuple[Notes, int]:
    """What was heard, and how it ended; the server closes once it has answered."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if through_proxy:
            assert request.startswith(b"CONNECT gw.example:80 ")
            writer.write(b"HTTP/1.1 200\r\n\r\n")
            request = await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(request))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = "ws://gw.example/channels/streaming-0-abc"
    direct = f"ws://{host}:{port}/channels/streaming-0-abc"
    proxy = f"http://me:hunter2@127.0.0.1:{port}" if through_proxy else None
    route = Route(ssl_context=ssl.create_default_context(), proxy=proxy)
    notes = Notes()
    try:
        transport = await open_socket(
            notes, url if proxy else direct, route, token=SECRET, frame_bytes_max=1 << 20
        )
        await transport.wait_disconnected()
        return notes, close_code(transport)
    finally:
        server.close()


@pytest.mark.parametrize("through_proxy", [False, True])
@pytest.mark.parametrize(
    "around",
    [
        {},
        {"interim": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"},
        {"more": b"Set-Cookie: " + b"x" * 30_000 + b"\r\n"},
    ],
)
def test_frames_that_come_with_the_answer_are_heard(
    around: dict[str, bytes], through_proxy: bool
) -> None:
    def answer(request: bytes) -> bytes:
        return switched(request, **around) + FRAME * 5_000

    notes, code = asyncio.run(attempt(answer, through_proxy=through_proxy))
    assert (len(notes.frames), set(notes.frames), code) == (5_000, {b"{}"}, 1006)


def test_a_host_may_end_with_a_dot() -> None:
    notes, _ = asyncio.run(attempt(lambda request: switched(request) + FRAME, host="localhost."))
    assert notes.frames == [b"{}"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "closed before the handshake was answered"),
        (b"\x15\x03\x01\x00\x02\x02\x28", "response is not HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\n<html>", "handshake answered with 200"),
        (b"HTTP/1.1 302 Found\r\nLocation: ws://x/streaming-0-abc\r\n\r\n", "answered with 302"),
        (b"HTTP/1.1 999 What\r\n\r\n", "handshake answered with 999"),
    ],
)
@pytest.mark.parametrize("through_proxy", [False, True])
def test_what_is_no_socket_names_host_and_proxy_and_no_secret(
    answer: bytes, said: str, through_proxy: bool
) -> None:
    with pytest.raises(UnreachableError, match=said) as caught:
        asyncio.run(attempt(lambda _: answer, through_proxy=through_proxy))
    place = "gw.example through the proxy http://********@127.0.0.1:"
    assert caught.value.reason.startswith(place if through_proxy else "127.0.0.1:")
    assert "streaming-0-abc" not in caught.value.reason
    assert "hunter2" not in caught.value.reason


@pytest.mark.parametrize(("status", "after"), [(429, "7"), (503, "Thu, 01 Jan 1970 00:00:00 GMT")])
def test_a_refusal_bears_its_status_and_what_it_asks_for(status: int, after: str) -> None:
    answer = f"HTTP/1.1 {status} X\r\nRetry-After: {after}\r\n\r\n".encode()
    with pytest.raises(HandshakeRefusedError) as caught:
        asyncio.run(attempt(lambda _: answer))
    assert caught.value.status == status
    assert caught.value.retry_after_s == (7.0 if after == "7" else 0.0)
    assert re.fullmatch(rf"127.0.0.1:[0-9]+: handshake refused with {status}", str(caught.value))
