"""A server of raw bytes on loopback, and a WebSocket client that notes what became of it.

It knows no dialect: a test says byte for byte what is answered to the first request of a
connection.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Self

import picows
from picows import WSFrame, WSListener, WSTransport

from actors.genesys.http import Route
from actors.genesys.secret import Secret
from actors.genesys.websocket import (
    HandshakeRefusedError,
    UnreachableError,
    close_code,
    open_socket,
)
from tests.gateway.loopback import frame

CHANNEL = "streaming-0-abc"
HEARTBEAT = frame(b'{"topicName":"channel.metadata","eventBody":{"message":"WebSocket Heartbeat"}}')
DEADLINE_S = 10.0

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Answer = Callable[[bytes], bytes | Sequence[bytes]]
"""From the head of a request to what is answered, in one piece or in several."""


class RawServer:
    """`async with RawServer(serve) as server:` serves each connection so, until the block ends."""

    def __init__(self, serve: Serve, host: str = "127.0.0.1") -> None:
        self._serve = serve
        self._host = host
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self._host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        task = asyncio.get_running_loop().create_task(self._play(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the client has gone


async def send(writer: asyncio.StreamWriter, answer: bytes | Sequence[bytes]) -> None:
    for part in [answer] if isinstance(answer, bytes) else answer:
        writer.write(part)
        await writer.drain()


def answering(answer: Answer) -> Serve:
    """Answers the first request of each connection, ends its half, and reads until the other's."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await send(writer, answer(await reader.readuntil(b"\r\n\r\n")))
        writer.write_eof()
        await reader.read()
        writer.close()

    return serve


# -- handshakes ------------------------------------------------------------------------------------


def accept_of(request: bytes) -> bytes:
    """The `Sec-WebSocket-Accept` that belongs to a request."""
    [key] = (
        line.partition(b":")[2].strip()
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key:")
    )
    digest = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    return base64.b64encode(digest)


def switching(
    request: bytes,
    *,
    status: bytes = b"HTTP/1.1 101 Switching Protocols",
    upgrade: bytes = b"Upgrade: websocket",
    connection: bytes = b"Connection: Upgrade",
    more: bytes = b"",
    accept: bytes | None = None,
    then: bytes = HEARTBEAT,
) -> bytes:
    """A handshake that takes the request, in one piece with the frames after it."""
    key = b"Sec-WebSocket-Accept: " + (accept or accept_of(request))
    return b"\r\n".join((status, upgrade, connection, key, more + b"\r\n")) + then


class Notes(WSListener):
    """Writes down what it is given; a close frame is answered, and ends it."""

    def __init__(self) -> None:
        self.is_connected = False
        self.payloads: list[bytes] = []

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.is_connected = True

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.payloads.append(frame.get_payload_as_bytes())
        if frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(picows.WSCloseCode.OK)
            transport.disconnect()


@dataclass
class Opening:
    """What became of one try to open a socket."""

    payloads: list[bytes] = field(default_factory=list)
    is_open: bool = False
    code: int | None = None  # of its end
    refusal: str = ""  # why it is not open
    status: int | None = None
    retry_after_s: float | None = None

    @property
    def has_heartbeat(self) -> bool:
        return any(b"WebSocket Heartbeat" in payload for payload in self.payloads)


@cache
def tls() -> ssl.SSLContext:
    """One for all: the certificates of the system take a while to read."""
    return ssl.create_default_context()


async def opened(url: str, proxy: str | None = None) -> Opening:
    """Opens a socket as the product does and reads it to its end. Raises whatever the product does
    not name as a refusal or as unreachable."""
    notes = Notes()
    route = Route(ssl_context=tls(), proxy=proxy)
    opening = Opening(notes.payloads)
    try:
        async with asyncio.timeout(DEADLINE_S):
            transport = await open_socket(
                notes, url, route, token=Secret(CHANNEL), frame_bytes_max=1 << 20
            )
            try:
                await transport.wait_disconnected()
            except picows.WSProtocolError:
                pass
    except HandshakeRefusedError as error:
        opening.refusal, opening.status = str(error), error.status
        opening.retry_after_s = error.retry_after_s
        return opening
    except UnreachableError as error:
        opening.refusal = str(error)
        return opening
    opening.is_open, opening.code = notes.is_connected, close_code(transport)
    return opening


def opening_of(answer: Answer, host: str = "127.0.0.1", listens: str = "127.0.0.1") -> Opening:
    """What becomes of a socket whose handshake is answered so."""

    async def run() -> Opening:
        async with RawServer(answering(answer), listens) as server:
            return await opened(f"ws://{host}:{server.port}/channels/{CHANNEL}")

    return asyncio.run(run())


# -- requests with a body ----------------------------------------------------------------------


class Endpoint:
    """Answers every request of a kept connection with the nth reply, the last one again and
    again."""

    def __init__(self, *replies: bytes) -> None:
        self._replies = replies
        self.requests = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            sizes = [
                int(line.partition(b":")[2])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length:")
            ]
            await reader.readexactly(sum(sizes))
            self.requests += 1
            writer.write(self._replies[min(self.requests, len(self._replies)) - 1])
            await writer.drain()


def reply(status: int, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()) -> bytes:
    """A whole HTTP answer."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body
