"""ScriptedCloud: the REST of the cloud dialect, with people, queues, and the trouble of a test."""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import orjson

from actors.genesys.cloud_rest import CloudRest
from actors.genesys.http import GatewayAddress, http_client, reach
from actors.genesys.pacer import Pacer
from actors.genesys.rate_budget import Budget
from actors.genesys.tokens import TokenProvider
from runtime.clock import SystemClock
from tests.gateway.loopback import LoopbackServer, Request, answer

PAGES = "/api/v2/users"
QUEUES, GROUPS = "/api/v2/routing/queues", "/api/v2/groups"
DIVISIONS = "/api/v2/authorization/divisions"
TOKEN = "/oauth/token"


def credentials() -> tuple[str, str]:
    return "client", "hunter2"


@dataclass
class Trouble:
    """What the next request for this path meets: a status, or none for ever."""

    path: str
    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    hangs: bool = False


class ScriptedCloud(LoopbackServer):
    """`async with ScriptedCloud() as cloud:` and its `address` is what a client needs."""

    def __init__(self) -> None:
        super().__init__()
        self.users: dict[str, dict[str, Any]] = {}
        self.named: dict[str, dict[str, str]] = {QUEUES: {}, GROUPS: {}, DIVISIONS: {}}
        self.members: dict[str, list[str]] = {}
        self.asked: list[Request] = []
        self.troubles: deque[Trouble] = deque()
        self.answers: dict[tuple[str, str], Callable[[Request], Any]] = {}
        self.before_page: Callable[[int], None] = lambda _number: None
        self.refuses_clients = False
        self.tokens = 0
        self.revoked: set[str] = set()
        self.headers = {"ININ-Correlation-Id": "c"}

    def add(self, *ids: str, division: str = "d1") -> None:
        for user in ids:
            self.users[user] = {"id": user, "name": f"N {user}", "division": {"id": division}}

    @property
    def address(self) -> GatewayAddress:
        return GatewayAddress(
            api_url=self.url, credentials=credentials, token_url=f"{self.url}{TOKEN}"
        )

    def paths(self, path: str) -> int:
        return sum(asked.path == path for asked in self.asked)

    async def reply(self, request: Request) -> bytes:
        if request.path == TOKEN:
            return self._token(request)
        self.asked.append(request)
        if request.token in self.revoked:
            return self._problem(401, {"code": "bad.credentials", "message": "no"})
        for trouble in list(self.troubles):
            if request.path == trouble.path:
                self.troubles.remove(trouble)
                if trouble.hangs:
                    return b""
                return self._problem(trouble.status, trouble.body, trouble.headers)
        if (found := self.answers.get((request.method, request.path))) is not None:
            told = found(request)
            return self._problem(*told) if isinstance(told, tuple) else self._said(told)
        return self._listing(request)

    def _token(self, request: Request) -> bytes:
        assert "scope" not in parse_qs(request.body.decode())
        if self.refuses_clients:
            return answer(401, b'{"error":"invalid_client"}')
        self.tokens += 1
        told = {"access_token": f"t{self.tokens}", "token_type": "bearer", "expires_in": 86_400}
        return self._said(told)

    def _said(self, told: Any) -> bytes:
        body = told if isinstance(told, bytes) else orjson.dumps(told)
        return answer(200, body, Content_Type="application/json", **self.headers)

    def _problem(self, status: int, body: Any, headers: dict[str, str] | None = None) -> bytes:
        content = body if isinstance(body, bytes) else orjson.dumps(body or {})
        return answer(status, content, **(self.headers | (headers or {})))

    def _listing(self, request: Request) -> bytes:
        query = dict(request.query)
        number = int(query.get("pageNumber", 1))
        self.before_page(number)
        if request.path == PAGES:
            ids = [value for key, value in request.query if key == "id"] or list(self.users)
            found: list[Any] = [self.users[i] for i in ids if i in self.users]
        elif request.path in self.named:
            found = [{"id": i, "name": name} for i, name in self.named[request.path].items()]
        elif request.path in self.members:
            members = self.members[request.path]
            found = [{"id": i, "name": self.users[i]["name"]} for i in members if i in self.users]
        else:
            return self._problem(404, {"code": "not.found", "message": "what?"})
        size = int(query["pageSize"])
        page = found[(number - 1) * size : number * size]
        pages = math.ceil(len(found) / size)
        body = {"entities": page, "pageNumber": number, "pageCount": pages, "total": len(found)}
        return self._said(body)


@asynccontextmanager
async def rest_at(
    address: GatewayAddress, budget: Budget | None = None, *, in_service: bool = True
) -> AsyncIterator[CloudRest]:
    """The product's client of such a gateway."""
    clock, rng = SystemClock(), random.Random(1)
    async with http_client(reach(address, {})) as http:
        tokens = TokenProvider(address, (), http, clock=clock, rng=rng, in_service=in_service)
        yield CloudRest(address, tokens, http, Pacer(budget or Budget(200), clock), clock=clock)


def with_cloud(test: Callable[[ScriptedCloud, CloudRest], Awaitable[None]]) -> None:
    async def run() -> None:
        async with ScriptedCloud() as cloud, rest_at(cloud.address) as rest:
            await test(cloud, rest)

    asyncio.run(run())
