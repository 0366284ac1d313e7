"""LoopbackServer: HTTP and WebSockets as raw bytes, so that a test can also say what no library
would. Knows no dialect.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson

DEADLINE_S = 10.0
TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA


def frame(payload: bytes, opcode: int = TEXT, *, fin: bool = True, rsv: int = 0) -> bytes:
    """One server frame, unmasked."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    size = len(payload)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 1 << 16:
        return bytes((first, 126)) + struct.pack(">H", size) + payload
    return bytes((first, 127)) + struct.pack(">Q", size) + payload


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """A whole HTTP response."""
    more = "".join(f"{name.replace('_', '-')}: {text}\r\n" for name, text in headers.items())
    head = f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


@dataclass
class Request:
    method: str
    target: str
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def token(self) -> str:
        """Of a header, or else of the query."""
        if "authorization" in self.headers:
            return self.headers["authorization"].removeprefix("Bearer ")
        return dict(self.query).get("access_token", "")


@dataclass
class Socket:
    """One accepted WebSocket."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    token: str
    subscription: dict[str, Any] = field(default_factory=dict)

    def send(self, *payloads: bytes) -> None:
        self.writer.write(b"".join(frame(payload) for payload in payloads))

    def send_raw(self, raw: bytes) -> None:
        self.writer.write(raw)

    async def flood_with_pings(self, count: int) -> int:
        """Sends so many and reads nothing meanwhile; how many of them were answered."""
        self.writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18
        )
        self.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(count // 1_000):
            self.send_raw(frame(b"p" * 125, PING) * 1_000)
            await self.writer.drain()
        self.send_raw(frame(b"the last", PING))
        await asyncio.sleep(0.5)  # for what is on its way; too little only hides a fault
        self.writer.transport.resume_reading()  # type: ignore[attr-defined]
        received = 0
        while True:
            try:
                async with asyncio.timeout(1.0):
                    received += len(await self.reader.read(1 << 20))
            except TimeoutError:
                return received // (2 + 4 + 125)  # head, mask, payload

    def close(self, code: int | None) -> None:
        self.send_raw(frame(b"" if code is None else struct.pack(">H", code), CLOSE))

    def drop(self) -> None:
        self.writer.transport.abort()

    async def receive(self) -> tuple[int, bytes]:
        """Opcode and payload of one client frame; (CLOSE, b"") when the connection has ended."""
        try:
            first, second = await self.reader.readexactly(2)
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack(">H", await self.reader.readexactly(2))
            mask = await self.reader.readexactly(4)
            masked = await self.reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError):
            return CLOSE, b""
        return first & 0xF, bytes(c ^ mask[i % 4] for i, c in enumerate(masked))

    async def acknowledge(self, newest: int, epoch: str = "e1") -> None:
        """Read the subscription and answer it."""
        opcode, payload = await self.receive()
        assert opcode == TEXT, (opcode, payload)
        self.subscription = orjson.loads(payload)
        told = {"type": "subscription", "status": "subscribed", "sequence": newest, "epoch": epoch}
        self.send(orjson.dumps(told))


Script = Callable[[Socket], Awaitable[None]]


class LoopbackServer:
    """Answers each request of a connection with `reply`, until that is closed."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.port = 0
        self.connections = 0
        self._hung_up = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def until_hung_up(self) -> None:
        """By the other side."""
        async with asyncio.timeout(DEADLINE_S):
            await self._hung_up.wait()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                request, *lines = head.split("\r\n")
                pairs = (line.partition(":") for line in lines if line)
                headers = {name.lower(): text.strip() for name, _, text in pairs}
                method, target, _ = request.split(" ", 2)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                if not await self.handle(Request(method, target, headers, body), reader, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            self._hung_up.set()
            writer.close()

    async def handle(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Whether the connection is read on. By default each request has one whole answer."""
        del reader
        if not (reply := await self.reply(request)):
            await asyncio.Event().wait()
        if request.method == "HEAD":
            reply = reply[: reply.index(b"\r\n\r\n") + 4]
        writer.write(reply)
        await writer.drain()
        return True

    async def reply(self, request: Request) -> bytes:
        """Nothing: never."""
        raise NotImplementedError


def accept(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Socket:
    """The handshake of a WebSocket, answered."""
    key = request.headers["sec-websocket-key"].encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    said = base64.b64encode(hashlib.sha1(key).digest()).decode()
    writer.write(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {said}\r\n\r\n".encode()
    )
    return Socket(reader, writer, request.token)
