"""A cloud of a page: its REST on loopback, with people, queues, and what trouble a test wants."""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import orjson
from aiohttp import web

from actors.genesys.cloud_rest import CloudRest
from actors.genesys.http import GatewayAddress, http_client, reach
from actors.genesys.pacer import Pacer
from actors.genesys.rate_budget import Budget
from actors.genesys.tokens import TokenProvider
from runtime.clock import SystemClock

PAGES = "/api/v2/users"
QUEUES, GROUPS = "/api/v2/routing/queues", "/api/v2/groups"
DIVISIONS = "/api/v2/authorization/divisions"


def credentials() -> tuple[str, str]:
    return "client", "hunter2"


@dataclass
class Asked:
    method: str
    path: str
    query: list[tuple[str, str]]
    body: bytes
    token: str
    content_type: str


@dataclass
class Trouble:
    """What the next request for this path meets: a status, or none for ever."""

    path: str
    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    hangs: bool = False


class SmallCloud:
    """`async with SmallCloud() as cloud:` and its `address` is what a client needs."""

    def __init__(self) -> None:
        self.users: dict[str, dict[str, Any]] = {}
        self.named: dict[str, dict[str, str]] = {QUEUES: {}, GROUPS: {}, DIVISIONS: {}}
        self.members: dict[str, list[str]] = {}
        self.asked: list[Asked] = []
        self.troubles: deque[Trouble] = deque()
        self.answers: dict[tuple[str, str], Callable[[Asked], Any]] = {}
        self.before_page: Callable[[int], None] = lambda _number: None
        self.refuses_clients = False
        self.tokens = 0
        self.revoked: set[str] = set()
        self.headers = {"ININ-Correlation-Id": "c"}
        self.url = ""

    def add(self, *ids: str, division: str = "d1") -> None:
        for user in ids:
            self.users[user] = {"id": user, "name": f"N {user}", "division": {"id": division}}

    @property
    def address(self) -> GatewayAddress:
        return GatewayAddress(
            api_url=self.url, credentials=credentials, token_url=f"{self.url}/oauth/token"
        )

    def paths(self, path: str) -> int:
        return sum(asked.path == path for asked in self.asked)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/oauth/token", self._token)
        app.router.add_route("*", "/{rest:.*}", self._answer)
        self._over = asyncio.Event()
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        assert self._runner.addresses
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        await self._runner.cleanup()

    async def _token(self, request: web.Request) -> web.Response:
        assert "scope" not in await request.post()
        if self.refuses_clients:
            return web.json_response({"error": "invalid_client"}, status=401)
        self.tokens += 1
        return web.json_response(
            {"access_token": f"t{self.tokens}", "token_type": "bearer", "expires_in": 86_400}
        )

    async def _answer(self, request: web.Request) -> web.Response:
        asked = Asked(
            request.method,
            request.path,
            list(request.query.items()),
            await request.read(),
            request.headers.get("Authorization", ""),
            request.headers.get("Content-Type", ""),
        )
        self.asked.append(asked)
        if asked.token.removeprefix("Bearer ") in self.revoked:
            return self._problem(401, {"code": "bad.credentials", "message": "no"})
        for trouble in list(self.troubles):
            if asked.path == trouble.path:
                self.troubles.remove(trouble)
                if trouble.hangs:
                    await self._over.wait()
                return self._problem(trouble.status, trouble.body, trouble.headers)
        if (answer := self.answers.get((asked.method, asked.path))) is not None:
            return self._said(answer(asked))
        return self._listing(asked)

    def _said(self, answer: Any) -> web.Response:
        body = answer if isinstance(answer, bytes) else orjson.dumps(answer)
        return web.Response(body=body, content_type="application/json", headers=self.headers)

    def _problem(
        self, status: int, body: Any, headers: dict[str, str] | None = None
    ) -> web.Response:
        content = body if isinstance(body, bytes) else orjson.dumps(body or {})
        return web.Response(status=status, body=content, headers=self.headers | (headers or {}))

    def _listing(self, asked: Asked) -> web.Response:
        query = dict(asked.query)
        number = int(query.get("pageNumber", 1))
        self.before_page(number)
        if asked.path == PAGES:
            ids = [value for key, value in asked.query if key == "id"]
            entities = [self.users[i] for i in ids if i in self.users] if ids else None
            found = list(self.users.values()) if entities is None else entities
        elif asked.path in self.named:
            found = [{"id": i, "name": name} for i, name in self.named[asked.path].items()]
        elif asked.path in self.members:
            members = self.members[asked.path]
            found = [{"id": i, "name": self.users[i]["name"]} for i in members if i in self.users]
        else:
            return self._problem(404, {"code": "not.found", "message": "what?"})
        size = int(query["pageSize"])
        page = found[(number - 1) * size : number * size]
        pages = math.ceil(len(found) / size)
        body = {"entities": page, "pageNumber": number, "pageCount": pages, "total": len(found)}
        return self._said(body)


@asynccontextmanager
async def client_of(cloud: SmallCloud, budget: Budget | None = None) -> AsyncIterator[CloudRest]:
    clock = SystemClock()
    async with http_client(reach(cloud.address, {})) as http:
        tokens = TokenProvider(
            cloud.address, (), http, clock=clock, chance=random.Random(1), in_service=True
        )
        pacer = Pacer(budget or Budget(200), clock)
        yield CloudRest(cloud.address, tokens, http, pacer, clock=clock)


def with_cloud(test: Callable[[SmallCloud, CloudRest], Awaitable[None]]) -> None:
    async def run() -> None:
        async with SmallCloud() as cloud, client_of(cloud) as rest:
            await test(cloud, rest)

    asyncio.run(run())
