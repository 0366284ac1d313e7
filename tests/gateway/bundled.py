"""Served: the bundled gateway, of either dialect, in the test's own loop; and the simplest clients
that can speak to it. Knows nothing of the product.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import aiohttp
import orjson
import uvloop

from tools.fake_gateway.cloud.server import CloudGateway, CloudSettings
from tools.fake_gateway.pacing import Load
from tools.fake_gateway.script import ScriptSettings
from tools.fake_gateway.wsp.server import WspGateway, WspSettings

DEADLINE_S = 10.0
PROPERTIES = ["userId", "state", "timestamp", "queueId"]
AGENTS = 60
ORIGIN_MS = 1_790_000_000_000
READING = ("/status", "/users", "/truth", "/channels")
CLOSING = aiohttp.ClientWSTimeout(ws_close=0.1)
"""A gateway that is told to hold its sockets answers no close frame."""
G = TypeVar("G", WspGateway, CloudGateway)


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Runs an async test to its end, with a deadline."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        uvloop.run(asyncio.wait_for(test(*arguments, **named), 30.0))

    return run


async def until(fact: Callable[[], Awaitable[bool]]) -> None:
    """Waits for a fact, not for a time."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not await fact():
        assert time.monotonic() < deadline_s, "the fact did not come to pass"
        await asyncio.sleep(0.01)


def basic(client: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client}:{secret}".encode()).decode()


def subscription(**more: Any) -> dict[str, Any]:
    state = {"type": "routing.agents.state", "properties": PROPERTIES}
    return {"events": [state], "filter": {"includeHistory": True, "resource": None}} | more


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
    """A socket, and every text frame that was decoded."""

    socket: aiohttp.ClientWebSocketResponse
    frames: list[dict[str, Any]] = field(default_factory=list)
    acknowledgement: dict[str, Any] = field(default_factory=dict)

    async def frame(self) -> aiohttp.WSMessage:
        return await asyncio.wait_for(self.socket.receive(), DEADLINE_S)

    async def text(self) -> bytes:
        frame = await self.frame()
        assert frame.type is aiohttp.WSMsgType.TEXT, frame
        return str(frame.data).encode()

    async def next(self) -> dict[str, Any]:
        """The next text frame."""
        found: dict[str, Any] = orjson.loads(await self.text())
        self.frames.append(found)
        return found

    async def until(self, told: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while not told(frame := await self.next()):
            pass
        return frame

    async def events(self, count: int) -> list[dict[str, Any]]:
        return [await self.next() for _ in range(count)]

    async def history(self) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """What comes before history.complete, and that."""
        events = []
        while (event := await self.next())["type"] != "history.complete":
            events.append(event)
        return events, event

    async def end(self) -> int | None:
        """Reads to the end, for the frames; the code of the close frame, 1005 if it has none, or
        None without one."""
        while True:
            frame = await self.frame()
            if frame.type is aiohttp.WSMsgType.TEXT:
                self.frames.append(orjson.loads(frame.data))
            elif frame.type is not aiohttp.WSMsgType.BINARY:
                code = await self._closed(frame)
                return 1005 if code == 0 else code

    async def close_code(self) -> int | None:
        """As `end`, but frames may be malformed, and a close frame without a code is 0."""
        while (frame := await self.frame()).type in (
            aiohttp.WSMsgType.TEXT,
            aiohttp.WSMsgType.BINARY,
        ):
            pass
        return await self._closed(frame)

    async def _closed(self, frame: aiohttp.WSMessage) -> int | None:
        if frame.type is not aiohttp.WSMsgType.CLOSE:
            return None
        await self.socket.close()  # answered: the gateway need not wait for it
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


@dataclass
class Served(Generic[G]):
    """A running gateway and what it said when it was ready."""

    gateway: G
    ready: dict[str, Any]
    http: aiohttp.ClientSession
    ledger: Path
    ssl: ssl.SSLContext | bool = True
    proxy: str | None = None
    tokens: dict[int, str] = field(default_factory=dict)
    sockets: list[aiohttp.ClientWebSocketResponse] = field(default_factory=list)

    async def aclose(self) -> None:
        """No socket is left to the garbage collector: Python 3.13 warns about whoever does that."""
        await asyncio.gather(*(socket.close() for socket in self.sockets))

    async def control(self, path: str, asked: Any = None, *, ok: bool = True) -> dict[str, Any]:
        method = "GET" if path.split("?", maxsplit=1)[0] in READING else "POST"
        url = self.ready["control_url"] + path
        async with self.http.request(method, url, json=asked) as answer:
            assert (answer.status == 200) is ok, await answer.text()
            found: dict[str, Any] = await answer.json()
            return found

    async def fault(self, kind: str, **more: Any) -> None:
        await self.control("/faults", {"kind": kind, **more})

    async def users(self) -> list[str]:
        found: list[str] = (await self.control("/users?count=1000000"))["users"]
        return found

    async def eventually(self, fact: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The gateway's status, as soon as that is true of it."""
        status: dict[str, Any] = {}

        async def is_so() -> bool:
            status.update(await self.control("/status"))
            return fact(status)

        await until(is_so)
        return status

    async def request(self, method: str, path: str, **more: Any) -> Answer:
        url = self.ready["base_url"] + path
        more |= {"ssl": self.ssl, "proxy": self.proxy}
        async with self.http.request(method, url, **more) as answer:
            body = orjson.loads(await answer.read() or b"null")
            return Answer(answer.status, dict(answer.headers), body)

    async def granted(self, path: str, who: dict[str, Any], **form: str) -> Answer:
        headers = {"Authorization": basic(who["client_id"], who["client_secret"])}
        form = {"grant_type": "client_credentials", **form}
        return await self.request("POST", path, data=form, headers=headers)

    async def socket(self, url: str, **more: Any) -> aiohttp.ClientWebSocketResponse:
        more |= {"ssl": self.ssl, "proxy": self.proxy, "autoclose": False, "max_msg_size": 0}
        socket: aiohttp.ClientWebSocketResponse
        socket = await self.http.ws_connect(url, timeout=CLOSING, **more)
        self.sockets.append(socket)
        return socket


class WspServed(Served[WspGateway]):
    async def token(self, scope: str = "", *, secret: str | None = None) -> dict[str, Any]:
        who = self.ready | ({} if secret is None else {"client_secret": secret})
        answer = await self.granted("/api/v2/oauth/token", who, scope=scope)
        found: dict[str, Any] = answer.told
        return found | {"status": answer.status}

    async def connect(self, token: str | None = None) -> Client:
        token = token or (await self.token())["access_token"]
        url = f"{self.ready['base_url']}/wsp/v2/notifications"
        return Client(await self.socket(url, params={"access_token": token}))

    async def subscribe(self, **more: Any) -> Client:
        """A client whose acknowledgement has been read."""
        client = await self.connect()
        await client.socket.send_json(subscription(**more))
        client.acknowledgement = await client.next()
        assert client.acknowledgement["type"] == "subscription"
        return client

    async def presence(self, token: str | None = None, *, binds: bool = True) -> PresenceClient:
        """A client on the presence socket, bound unless it is to do that itself."""
        token = token or (await self.token())["access_token"]
        url, headers = f"{self.ready['base_url']}/api/v2/ws", {"Authorization": f"Bearer {token}"}
        client = PresenceClient(await self.socket(url, headers=headers))
        if binds:
            await client.socket.send_json({"type": "subscribe", "channel": "presence"})
            assert await client.next() == {"type": "subscribed", "channel": "presence"}
        return client


class CloudServed(Served[CloudGateway]):
    async def token(self, client: int = 0, *, secret: str | None = None) -> Answer:
        who = self.ready["clients"][client]
        more = {} if secret is None else {"client_secret": secret}
        return await self._patiently(lambda: self.granted("/oauth/token", who | more))

    async def _patiently(self, call: Callable[[], Awaitable[Answer]]) -> Answer:
        """Refusals of a gateway that varies are not what a test is about."""
        answer = await call()
        while self.gateway.platform is not None and answer.told and answer.status in (429, 503):
            answer = await call()
        return answer

    async def call(
        self, method: str, path: str, asked: Any = None, *, client: int = 0, token: str = ""
    ) -> Answer:
        if not token and client not in self.tokens:
            self.tokens[client] = (await self.token(client)).told["access_token"]
        headers = {"Authorization": f"Bearer {token or self.tokens[client]}"}
        return await self._patiently(
            lambda: self.request(method, path, json=asked, headers=headers)
        )

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
        return Client(await self.socket(channel["connectUri"], autoping=False))

    async def hear(self, users: list[str], kind: str = "activity") -> tuple[dict[str, Any], Client]:
        """A channel that hears of these, and its socket."""
        channel = await self.channel()
        answer = await self.subscribe(channel, [f"v2.users.{user}.{kind}" for user in users])
        assert answer.status == 200, answer
        return channel, await self.connect(channel)


@contextlib.asynccontextmanager
async def serving(
    directory: Path, load: Load | None = None, *, script: dict[str, int] | None = None, **more: Any
) -> AsyncIterator[WspServed]:
    """Of the wsp dialect. By default paused: nothing happens until a control call."""
    origin_ms = time.time_ns() // 1_000_000
    fields = {"seed": 7, "agents": AGENTS, "origin_ms": origin_ms, **(script or {})}
    settings = WspSettings(script=ScriptSettings(**fields), ledger=directory / "ledger", **more)
    gateway = WspGateway(settings, load)
    async with _running(gateway) as (ready, http, context):
        running = WspServed(gateway, ready, http, settings.ledger, context, ready["proxy_url"])
        async with contextlib.aclosing(running):
            yield running


@contextlib.asynccontextmanager
async def served(
    directory: Path, *, agents: int = AGENTS, quiet_every: int = 0, **more: Any
) -> AsyncIterator[CloudServed]:
    """Of the cloud dialect."""
    script = ScriptSettings(seed=7, agents=agents, origin_ms=ORIGIN_MS, quiet_every=quiet_every)
    settings = CloudSettings(script=script, ledger=directory / "ledger", **more)
    gateway = CloudGateway(settings)
    async with _running(gateway) as (ready, http, context):
        running = CloudServed(gateway, ready, http, settings.ledger, context)
        async with contextlib.aclosing(running):
            yield running


@contextlib.asynccontextmanager
async def _running(
    gateway: WspGateway | CloudGateway,
) -> AsyncIterator[tuple[dict[str, Any], aiohttp.ClientSession, ssl.SSLContext | bool]]:
    try:
        ready = await gateway.start()
        running = asyncio.create_task(gateway.run())
        context: ssl.SSLContext | bool = True
        if ready["ca_file"] is not None:
            context = ssl.create_default_context(cafile=ready["ca_file"])
        try:
            async with aiohttp.ClientSession() as http:
                yield ready, http, context
        finally:
            gateway.request_stop()
            await running
    finally:
        await gateway.close()
