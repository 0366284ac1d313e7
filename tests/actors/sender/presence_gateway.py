"""A gateway of a page for the sender: presence sockets, tokens, users and webhooks, on loopback."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote, unquote

import orjson

from actors.genesys.presence import BIND_FRAME
from tests.actors.receiver.rig import DEADLINE_S
from tests.actors.receiver.small_gateway import (
    BINARY,
    CLOSE,
    HANG,
    TEXT,
    Script,
    SmallGateway,
    Socket,
)

BOUND = b'{"type":"subscribed","channel":"presence"}'


def ack(correlation: str, **fields: Any) -> bytes:
    frame = {"type": "presence.ack", "correlationId": correlation, "success": True}
    return orjson.dumps(frame | fields)


def refusal(correlation: str, status: int, **fields: Any) -> bytes:
    return ack(correlation, success=False, status=status, code="no", message="No.", **fields)


async def bind(socket: Socket) -> None:
    """Read the binding and answer it; a client that is stopped before has said goodbye."""
    opcode, payload = await socket.receive()
    if opcode != CLOSE:
        assert (opcode, payload) == (TEXT, BIND_FRAME)
        socket.send(BOUND)


async def next_update(socket: Socket) -> tuple[dict[str, Any], str]:
    """The next one and its correlation id."""
    opcode, payload = await socket.receive()
    assert opcode == BINARY, (opcode, payload)
    body, _, correlation = payload.rpartition(b"|corr:")
    return orjson.loads(body), correlation.decode()


async def silent(socket: Socket) -> None:
    """Reads whatever comes and says nothing, not even a pong."""
    while (await socket.receive())[0] != CLOSE:
        pass


async def obliging(socket: Socket) -> None:
    """Takes every update until the socket ends."""
    await bind(socket)
    while True:
        opcode, payload = await socket.receive()
        if opcode == CLOSE:
            return
        if opcode == BINARY:
            socket.send(ack(payload.rpartition(b"|corr:")[2].decode()))


class PresenceGateway(SmallGateway):
    """The sockets of SmallGateway behind a header, and users by their ids."""

    def __init__(self, *scripts: Script) -> None:
        super().__init__(*(scripts or (obliging,)))
        self.authorizations: list[str] = []
        self.targets: list[str] = []  # of the handshakes
        self.users: dict[str, int] = {}  # the status of each that is not 200; HANG: none at all
        self.asked: list[str] = []
        self.user_body = b'{"id":"x"}'

    async def _upgrade(
        self,
        request: str,
        headers: dict[str, str],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        target = request.split(" ")[1]
        authorization = headers["authorization"]
        token = authorization.removeprefix("Bearer ")
        if target.startswith("/api/v2/users/"):
            await self._user(unquote(target.removeprefix("/api/v2/users/")), token, writer)
            return
        self.targets.append(target)
        self.authorizations.append(authorization)
        request = f"GET /?access_token={quote(token, safe='')} HTTP/1.1"
        await super()._upgrade(request, headers, reader, writer)

    async def _user(self, user_id: str, token: str, writer: asyncio.StreamWriter) -> None:
        self.asked.append(user_id)
        status = 401 if token in self.rejected else self.users.get(user_id, 200)
        if status == HANG:
            await asyncio.Event().wait()
        writer.write(self._reply(status, self.user_body))
        await writer.drain()
        writer.close()


@dataclass
class Post:
    """One request that a webhook received."""

    headers: dict[str, str]
    body: bytes


class WebhookReceiver:
    """Answers each POST with its next raw reply, and the last of them again and again."""

    def __init__(self, *replies: bytes) -> None:
        self.replies = list(replies)
        self.posts: list[Post] = []
        self.connections = 0
        self.hangs_up = False  # behind its answer
        self._hung_up = asyncio.Event()
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                lines = head.split("\r\n")[1:]
                headers = {k.lower(): v.strip() for k, _, v in (x.partition(":") for x in lines)}
                body = await reader.readexactly(int(headers["content-length"]))
                self.posts.append(Post(headers, body))
                reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                if reply == b"":  # never
                    await asyncio.Event().wait()
                writer.write(reply)
                if self.hangs_up:
                    await writer.drain()
                    return
                while reply.endswith(b"~"):  # for ever, a little at a time
                    writer.write(b"y")
                    await asyncio.sleep(0.02)
                while reply.endswith(b"..."):  # for ever
                    writer.write(b"x" * 65_536)
                    await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self._hung_up.set()
        finally:
            writer.close()

    async def until_hung_up(self) -> None:
        """By the other side."""
        async with asyncio.timeout(DEADLINE_S):
            await self._hung_up.wait()


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    more = "".join(f"{name.replace('_', '-')}: {text}\r\n" for name, text in headers.items())
    head = f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body
