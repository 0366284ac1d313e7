"""Clients: a gateway in the test's own loop, and the simplest client that can speak to it."""

from __future__ import annotations

import asyncio
import base64
import functools
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import uvloop

from tools.fake_gateway.pacing import Load
from tools.fake_gateway.script import ScriptSettings
from tools.fake_gateway.wsp.server import WspGateway, WspSettings

DEADLINE_S = 10.0
PROPERTIES = ["userId", "state", "timestamp", "queueId"]
AGENTS = 60


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Runs an async test to its end, with a deadline."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        uvloop.run(asyncio.wait_for(test(*arguments, **named), 30.0))

    return run


def basic(secret: str) -> str:
    return "Basic " + base64.b64encode(f"fake-client:{secret}".encode()).decode()


def subscription(**more: Any) -> dict[str, Any]:
    state = {"type": "routing.agents.state", "properties": PROPERTIES}
    return {"events": [state], "filter": {"includeHistory": True, "resource": None}} | more


@dataclass
class Served:
    """A running gateway and what it said when it was ready."""

    gateway: WspGateway
    ready: dict[str, Any]
    http: aiohttp.ClientSession
    ledger: Path
    ssl: ssl.SSLContext | bool = True
    proxy: str | None = None

    async def control(self, path: str, asked: Any = None, *, ok: bool = True) -> dict[str, Any]:
        method = "GET" if path in ("/status", "/users") else "POST"
        url = self.ready["control_url"] + path
        async with self.http.request(method, url, json=asked) as answer:
            assert (answer.status == 200) is ok, await answer.text()
            found: dict[str, Any] = await answer.json()
            return found

    async def token(self, scope: str = "", *, secret: str | None = None) -> dict[str, Any]:
        ready = self.ready
        async with self.http.post(
            ready["base_url"] + "/api/v2/oauth/token",
            data={"grant_type": "client_credentials", "scope": scope},
            headers={"Authorization": basic(secret or ready["client_secret"])},
            ssl=self.ssl,
            proxy=self.proxy,
        ) as answer:
            found: dict[str, Any] = await answer.json()
            return found | {"status": answer.status}

    async def connect(self, token: str | None = None) -> Client:
        token = token or (await self.token())["access_token"]
        url = f"{self.ready['base_url']}/wsp/v2/notifications"
        socket = await self.http.ws_connect(
            url,
            params={"access_token": token},
            ssl=self.ssl,
            proxy=self.proxy,
            max_msg_size=0,
            autoclose=False,
        )
        return Client(socket)

    async def presence(self, token: str | None = None, *, binds: bool = True) -> PresenceClient:
        """A client on the presence socket, bound unless it is to do that itself."""
        token = token or (await self.token())["access_token"]
        socket = await self.http.ws_connect(
            f"{self.ready['base_url']}/api/v2/ws",
            headers={"Authorization": f"Bearer {token}"},
            ssl=self.ssl,
            autoclose=False,
        )
        client = PresenceClient(socket)
        if binds:
            await socket.send_json({"type": "subscribe", "channel": "presence"})
            assert await client.next() == {"type": "subscribed", "channel": "presence"}
        return client

    async def users(self) -> list[str]:
        found: list[str] = (await self.control("/users"))["users"]
        return found

    async def subscribe(self, **more: Any) -> Client:
        """A client whose acknowledgement has been read."""
        client = await self.connect()
        await client.socket.send_json(subscription(**more))
        client.acknowledgement = await client.next()
        assert client.acknowledgement["type"] == "subscription"
        return client


class Client:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.acknowledgement: dict[str, Any] = {}

    async def frame(self) -> aiohttp.WSMessage:
        return await asyncio.wait_for(self.socket.receive(), DEADLINE_S)

    async def text(self) -> bytes:
        frame = await self.frame()
        assert frame.type is aiohttp.WSMsgType.TEXT, frame
        return str(frame.data).encode()

    async def next(self) -> dict[str, Any]:
        found: dict[str, Any] = orjson.loads(await self.text())
        return found

    async def history(self) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """What comes before history.complete, and that."""
        events = []
        while (event := await self.next())["type"] != "history.complete":
            events.append(event)
        return events, event

    async def events(self, count: int) -> list[dict[str, Any]]:
        return [await self.next() for _ in range(count)]

    async def close_code(self) -> int | None:
        """Reads until the end; None = without a close frame."""
        while (frame := await self.frame()).type in (
            aiohttp.WSMsgType.TEXT,
            aiohttp.WSMsgType.BINARY,
        ):
            pass
        if frame.type is not aiohttp.WSMsgType.CLOSE:
            return None
        await self.socket.close()
        return int(frame.data)


class PresenceClient(Client):
    async def send(
        self, user: str, state: str, correlation: str | None = None, *, reason: str = ""
    ) -> str:
        """An update; returns its correlation id."""
        correlation = correlation or str(uuid.uuid4())
        update = {"type": "presence", "userId": user, "stateName": state, "reasonId": reason}
        await self.socket.send_bytes(orjson.dumps(update) + f"|corr:{correlation}".encode())
        return correlation


@asynccontextmanager
async def serving(
    directory: Path, load: Load | None = None, *, script: dict[str, int] | None = None, **more: Any
) -> AsyncIterator[Served]:
    """By default paused: nothing happens until a control call."""
    origin_ms = time.time_ns() // 1_000_000
    fields = {"seed": 7, "agents": AGENTS, "origin_ms": origin_ms, **(script or {})}
    settings = WspSettings(script=ScriptSettings(**fields), ledger=directory / "ledger", **more)
    gateway = WspGateway(settings, load)
    ready = await gateway.start()
    running = asyncio.create_task(gateway.run())
    context: ssl.SSLContext | bool = True
    if ready["ca_file"]:
        context = ssl.create_default_context(cafile=ready["ca_file"])
    try:
        async with aiohttp.ClientSession() as http:
            yield Served(
                gateway, ready, http, settings.ledger, ssl=context, proxy=ready["proxy_url"]
            )
    finally:
        gateway.request_stop()
        await running
        await gateway.close()


async def until(fact: Callable[[], Awaitable[bool]]) -> None:
    """Waits for a fact, not for a time."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not await fact():
        assert time.monotonic() < deadline_s, "the fact did not come to pass"
        await asyncio.sleep(0.01)
