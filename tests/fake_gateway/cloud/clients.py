"""Clients: a cloud gateway in the test's own loop, and the simplest client that can speak to it."""

from __future__ import annotations

import asyncio
import base64
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from tests.fake_gateway.clients import CLOSING, close_all
from tools.fake_gateway.cloud.server import CloudGateway, CloudSettings
from tools.fake_gateway.script import ScriptSettings

DEADLINE_S = 10.0
AGENTS = 60
ORIGIN_MS = 1_790_000_000_000


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    told: Any

    @property
    def entities(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.told["entities"]
        return found


@dataclass
class Client:
    """A socket, and every frame that came on it."""

    socket: aiohttp.ClientWebSocketResponse
    frames: list[dict[str, Any]] = field(default_factory=list)

    async def next(self) -> dict[str, Any]:
        """The next text frame."""
        message = await asyncio.wait_for(self.socket.receive(), DEADLINE_S)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        frame: dict[str, Any] = orjson.loads(message.data)
        self.frames.append(frame)
        return frame

    async def until(self, told: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            frame = await self.next()
            if told(frame):
                return frame

    async def end(self) -> int | None:
        """Reads to the end; the code of the close frame, or None without one."""
        while True:
            message = await asyncio.wait_for(self.socket.receive(), DEADLINE_S)
            if message.type is aiohttp.WSMsgType.TEXT:
                self.frames.append(orjson.loads(message.data))
            elif message.type is aiohttp.WSMsgType.CLOSE:
                await self.socket.close()  # answered: the gateway need not wait for it
                return int(message.data or 1005)
            elif message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                return None


@dataclass
class Served:
    """A running gateway and what it said when it was ready."""

    gateway: CloudGateway
    ready: dict[str, Any]
    http: aiohttp.ClientSession
    ledger: Path
    ssl: ssl.SSLContext | bool = True
    tokens: dict[int, str] = field(default_factory=dict)
    sockets: list[aiohttp.ClientWebSocketResponse] = field(default_factory=list)

    async def control(self, path: str, asked: Any = None, *, ok: bool = True) -> dict[str, Any]:
        reading = path.split("?", maxsplit=1)[0] in ("/status", "/users", "/truth", "/channels")
        method = "GET" if reading else "POST"
        url = self.ready["control_url"] + path
        async with self.http.request(method, url, json=asked) as answer:
            assert (answer.status == 200) is ok, await answer.text()
            found: dict[str, Any] = await answer.json()
            return found

    async def token(self, client: int = 0, *, secret: str | None = None) -> Answer:
        who = self.ready["clients"][client]
        basic = f"{who['client_id']}:{secret or who['client_secret']}".encode()
        async with self.http.post(
            self.ready["base_url"] + "/oauth/token",
            data={"grant_type": "client_credentials"},
            headers={"Authorization": "Basic " + base64.b64encode(basic).decode()},
            ssl=self.ssl,
        ) as answer:
            return Answer(answer.status, dict(answer.headers), await answer.json())

    async def call(
        self, method: str, path: str, asked: Any = None, *, client: int = 0, token: str = ""
    ) -> Answer:
        if not token and client not in self.tokens:
            self.tokens[client] = (await self.token(client)).told["access_token"]
        async with self.http.request(
            method,
            self.ready["base_url"] + path,
            json=asked,
            headers={"Authorization": f"Bearer {token or self.tokens[client]}"},
            ssl=self.ssl,
        ) as answer:
            body = await answer.read()
            return Answer(answer.status, dict(answer.headers), orjson.loads(body or b"null"))

    async def users(self) -> list[str]:
        found: list[str] = (await self.control("/users"))["users"]
        return found

    async def channel(self, client: int = 0) -> dict[str, Any]:
        answer = await self.call("POST", "/api/v2/notifications/channels", client=client)
        assert answer.status == 200, answer
        found: dict[str, Any] = answer.told
        return found

    async def subscribe(
        self, channel: dict[str, Any], topics: list[str], *, method: str = "PUT", more: str = ""
    ) -> Answer:
        path = f"/api/v2/notifications/channels/{channel['id']}/subscriptions{more}"
        client = int(channel["id"].split("-")[1])
        return await self.call(method, path, [{"id": topic} for topic in topics], client=client)

    async def connect(self, channel: dict[str, Any]) -> Client:
        socket = await self.http.ws_connect(
            channel["connectUri"],
            autoclose=False,
            autoping=False,
            max_msg_size=0,
            ssl=self.ssl,
            timeout=CLOSING,
        )
        self.sockets.append(socket)
        return Client(socket)

    async def hear(self, users: list[str], kind: str = "activity") -> tuple[dict[str, Any], Client]:
        """A channel that hears of these, and its socket."""
        channel = await self.channel()
        answer = await self.subscribe(channel, [f"v2.users.{user}.{kind}" for user in users])
        assert answer.status == 200, answer
        return channel, await self.connect(channel)

    async def eventually(self, fact: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The gateway's status, as soon as that is true of it."""
        deadline_s = time.monotonic() + DEADLINE_S
        while not fact(status := await self.control("/status")):
            assert time.monotonic() < deadline_s, status
            await asyncio.sleep(0.01)
        return status


@asynccontextmanager
async def served(directory: Path, *, agents: int = AGENTS, **more: Any) -> AsyncIterator[Served]:
    ledger = directory / "ledger"
    quiet_every = more.pop("quiet_every", 0)
    script = ScriptSettings(seed=7, agents=agents, origin_ms=ORIGIN_MS, quiet_every=quiet_every)
    gateway = CloudGateway(CloudSettings(script=script, ledger=ledger, **more))
    try:
        ready = await gateway.start()
        running = asyncio.create_task(gateway.run())
        context: ssl.SSLContext | bool = True
        if ready["ca_file"] is not None:
            context = ssl.create_default_context(cafile=ready["ca_file"])
        async with aiohttp.ClientSession() as http:
            serving = Served(gateway, ready, http, ledger, context)
            try:
                yield serving
            finally:
                await close_all(serving.sockets)
        gateway.request_stop()
        await running
    finally:
        await gateway.close()
