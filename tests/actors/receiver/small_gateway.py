"""A gateway of a page: raw bytes on loopback, so that a test can also say what no library would."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import orjson

HANG = 0  # a handshake status: none at all
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


def event(sequence: int, user: str, state: str = "Talking", **more: Any) -> bytes:
    data = {"userId": user, "state": state, "timestamp": "2026-11-21T22:00:00.000Z"}
    return orjson.dumps({"type": "routing.agents.state", "sequence": sequence, "data": data} | more)


def acknowledgement(newest: int, epoch: str = "e1") -> bytes:
    return orjson.dumps(
        {"type": "subscription", "status": "subscribed", "sequence": newest, "epoch": epoch}
    )


def history_complete(sequence: int) -> bytes:
    return orjson.dumps({"type": "history.complete", "sequence": sequence})


@dataclass
class Socket:
    """One accepted connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    token: str
    subscription: dict[str, Any] = field(default_factory=dict)

    def send(self, *payloads: bytes) -> None:
        self.writer.write(b"".join(frame(payload) for payload in payloads))

    def send_raw(self, raw: bytes) -> None:
        self.writer.write(raw)

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
        self.send(acknowledgement(newest, epoch))


Script = Callable[[Socket], Awaitable[None]]


class SmallGateway:
    """Gives tokens, and plays for the nth socket the nth script (the last one again and again)."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self.scripts = list(scripts)
        self.tls = tls
        self.sockets: list[Socket] = []
        self.statuses: list[int] = []  # of the next handshakes, before any 101
        self.token_statuses: list[int] = []
        self.tokens = 0
        self.expires_in = 3600.0
        self.retry_after: str | None = None
        self.rejected: set[str] = set()
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    @property
    def websocket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/?access_token=t"

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

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        request, *lines = head.split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (x.partition(":") for x in lines if x)}
        if request.startswith("POST"):
            await reader.readexactly(int(headers["content-length"]))
            writer.write(self._token())
            await writer.drain()
            writer.close()
        else:
            await self._upgrade(request, headers, reader, writer)

    def _token(self) -> bytes:
        status = self.token_statuses.pop(0) if self.token_statuses else 200
        self.tokens += status == 200
        grant = {"access_token": f"tok/{self.tokens}+", "expires_in": self.expires_in}
        return self._reply(status, orjson.dumps(grant))

    def _reply(self, status: int, body: bytes = b"") -> bytes:
        after = "" if self.retry_after is None else f"Retry-After: {self.retry_after}\r\n"
        head = f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n{after}"
        return head.encode() + b"Connection: close\r\n\r\n" + body

    async def _upgrade(
        self,
        request: str,
        headers: dict[str, str],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        token = parse_qs(urlsplit(request.split(" ")[1]).query)["access_token"][0]
        status = 401 if token in self.rejected else self.statuses.pop(0) if self.statuses else 101
        if status == HANG:
            await asyncio.Event().wait()
        if status != 101:
            writer.write(self._reply(status))
            await writer.drain()
            writer.close()
            return
        key = headers["sec-websocket-key"].encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key).digest()).decode()
        writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        socket = Socket(reader, writer, token)
        self.sockets.append(socket)
        script = self.scripts[min(len(self.sockets), len(self.scripts)) - 1]
        await script(socket)


NEWEST = 100


async def stay(socket: Socket) -> None:
    await socket.acknowledge(NEWEST)
    socket.send(history_complete(NEWEST))
    while (await socket.receive())[0] != CLOSE:
        pass
