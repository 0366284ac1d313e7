"""ScriptedGateway: a gateway of the wsp dialect that plays for each socket what a test has written:
notification and presence sockets, tokens and users; and the webhook receiver behind it.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import orjson

from tests.gateway.loopback import (
    BINARY,
    CLOSE,
    TEXT,
    LoopbackServer,
    Request,
    Script,
    Socket,
    accept,
    answer,
)

HANG = 0  # a status: none at all
NEWEST = 100
USERS = "/api/v2/users/"
BIND = {"type": "subscribe", "channel": "presence"}
BOUND = b'{"type":"subscribed","channel":"presence"}'


def event(sequence: int, user: str, state: str = "Talking", **more: Any) -> bytes:
    data = {"userId": user, "state": state, "timestamp": "2026-11-21T22:00:00.000Z"}
    return orjson.dumps({"type": "routing.agents.state", "sequence": sequence, "data": data} | more)


def history_complete(sequence: int) -> bytes:
    return orjson.dumps({"type": "history.complete", "sequence": sequence})


def ack(correlation: str, **fields: Any) -> bytes:
    told = {"type": "presence.ack", "correlationId": correlation, "success": True}
    return orjson.dumps(told | fields)


def refusal(correlation: str, status: int, **fields: Any) -> bytes:
    return ack(correlation, success=False, status=status, code="no", message="No.", **fields)


# Scripts, and parts of them.


async def silent(socket: Socket) -> None:
    """Reads whatever comes and says nothing, not even a pong."""
    while (await socket.receive())[0] != CLOSE:
        pass


async def stay(socket: Socket) -> None:
    await socket.acknowledge(NEWEST)
    socket.send(history_complete(NEWEST))
    await silent(socket)


async def bind(socket: Socket) -> None:
    """Read the binding and answer it; a client that is stopped before has said goodbye."""
    opcode, payload = await socket.receive()
    if opcode != CLOSE:
        assert (opcode, orjson.loads(payload)) == (TEXT, BIND)
        socket.send(BOUND)


async def next_update(socket: Socket) -> tuple[dict[str, Any], str]:
    """The next one and its correlation id."""
    opcode, payload = await socket.receive()
    assert opcode == BINARY, (opcode, payload)
    body, _, correlation = payload.rpartition(b"|corr:")
    return orjson.loads(body), correlation.decode()


async def obliging(socket: Socket) -> None:
    """Takes every update until the socket ends."""
    await bind(socket)
    while True:
        opcode, payload = await socket.receive()
        if opcode == CLOSE:
            return
        if opcode == BINARY:
            socket.send(ack(payload.rpartition(b"|corr:")[2].decode()))


class ScriptedGateway(LoopbackServer):
    """Plays for the nth socket the nth script (the last one again and again)."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls=tls)
        self.scripts = list(scripts or (obliging,))
        self.sockets: list[Socket] = []
        self.statuses: list[int] = []  # of the next handshakes, before any 101
        self.token_statuses: list[int] = []
        self.tokens = 0
        self.expires_in = 3600.0
        self.retry_after: str | None = None
        self.rejected: set[str] = set()
        self.authorizations: list[str] = []  # of the handshakes
        self.targets: list[str] = []
        self.users: dict[str, int] = {}  # the status of each that is not 200; HANG: none at all
        self.asked: list[str] = []
        self.user_body = b'{"id":"x"}'

    @property
    def websocket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/?access_token=t"

    async def handle(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        is_handshake = "sec-websocket-key" in request.headers
        status, body = self._handshake(request) if is_handshake else self._answer(request)
        if status == HANG:
            await asyncio.Event().wait()
        if status == 101:
            socket = accept(request, reader, writer)
            self.sockets.append(socket)
            await self.scripts[min(len(self.sockets), len(self.scripts)) - 1](socket)
            return False
        after = {} if self.retry_after is None else {"Retry_After": self.retry_after}
        writer.write(answer(status, body, Connection="close", **after))
        await writer.drain()
        writer.close()
        return False

    def _handshake(self, request: Request) -> tuple[int, bytes]:
        self.targets.append(request.target)
        self.authorizations.append(request.headers.get("authorization", ""))
        if request.token in self.rejected:
            return 401, b""
        return self.statuses.pop(0) if self.statuses else 101, b""

    def _answer(self, request: Request) -> tuple[int, bytes]:
        if request.method == "POST":
            status = self.token_statuses.pop(0) if self.token_statuses else 200
            self.tokens += status == 200
            grant = {"access_token": f"tok/{self.tokens}+", "expires_in": self.expires_in}
            return status, orjson.dumps(grant)
        user = request.path.removeprefix(USERS)
        self.asked.append(user)
        status = 401 if request.token in self.rejected else self.users.get(user, 200)
        return status, self.user_body


class WebhookReceiver(LoopbackServer):
    """Answers each POST with its next raw reply, and the last of them again and again."""

    def __init__(self, *replies: bytes) -> None:
        super().__init__()
        self.replies = list(replies)
        self.posts: list[Request] = []
        self.hangs_up = False  # after its answer

    @property
    def url(self) -> str:
        return f"{super().url}/hook"

    async def handle(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        self.posts.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if reply == b"":  # never
            await asyncio.Event().wait()
        writer.write(reply)
        if self.hangs_up:
            await writer.drain()
            writer.close()
            return False
        while reply.endswith(b"~"):  # for ever, a little at a time
            writer.write(b"y")
            await asyncio.sleep(0.02)
        while reply.endswith(b"..."):  # for ever
            writer.write(b"x" * 65_536)
            await writer.drain()
        return True
