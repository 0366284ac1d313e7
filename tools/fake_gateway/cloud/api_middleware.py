"""ApiMiddleware: what each REST call passes: authentication, rate limit, faults, and the answer to
a refusal (protocol.md §2.1). Knows no resource.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from tools.fake_gateway.cloud.oauth import OAuth, OAuthClient
from tools.fake_gateway.cloud.problems import ApiError, bad_request
from tools.fake_gateway.gates import Gate, Refusal
from tools.fake_gateway.ledger import Ledger
from tools.fake_gateway.rest import HANG_S, bearer

BODY_BYTES_MAX = 512_000
TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path, not a secret
TOO_MANY = "too.many.requests"
SOCKET_PREFIX = "/channels/"  # the id is the secret: no token, no budget
CLIENT: web.RequestKey[OAuthClient] = web.RequestKey("client", OAuthClient)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ApiMiddleware:
    """`calls`: refusals that faults have ordered; `writes`: those of what changes people."""

    def __init__(
        self, oauth: OAuth, ledger: Ledger, *, tokens: Gate, calls: Gate, writes: Gate
    ) -> None:
        self._oauth = oauth
        self._ledger = ledger
        self._tokens = tokens
        self._calls = calls
        self._writes = writes
        self.slow_s: deque[float] = deque()  # how long the next answers take
        self.statuses: Counter[int] = Counter()
        self.calls: Counter[str] = Counter()  # by method and resource

    def add_to(self, application: web.Application) -> None:
        @web.middleware
        async def door(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self._pass(request, handler)

        application.middlewares.append(door)
        application.router.add_post(TOKEN_PATH, self._token)

    async def _pass(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(SOCKET_PREFIX):
            return await handler(request)
        headers = {"ININ-Correlation-Id": str(uuid.uuid4())}
        client: OAuthClient | None = None
        is_limited = False
        try:
            if request.path != TOKEN_PATH:
                client = self._client(request)
                self._count(client, headers)
                await self._disturb(request)
            answer = await handler(request)
        except ApiError as problem:
            answer = json_response(problem.envelope(), problem.status)
            headers |= problem.headers
            is_limited = problem.code == TOO_MANY
        except web.HTTPException as refusal:
            status = refusal.status
            code = {404: "not.found", 405: "method.not.allowed", 413: "request.too.large"}
            told = ApiError(status, code.get(status, "http.error"), refusal.reason)
            answer = json_response(told.envelope(), status)
        answer.headers.update(headers)
        self._note(request, client, answer.status, headers, is_limited)
        return answer

    def _client(self, request: web.Request) -> OAuthClient:
        found = self._oauth.bearer_of(bearer(request), time.monotonic())
        if found is None:
            raise ApiError(401, "bad.credentials", "Invalid login credentials.")
        request[CLIENT] = found[0]
        return found[0]

    def _count(self, client: OAuthClient, headers: dict[str, str]) -> None:
        taken = client.window.take(time.monotonic())
        headers |= taken.headers
        if taken.is_over:
            raise ApiError(
                429,
                TOO_MANY,
                f"Rate limit exceeded the maximum. Retry the request in [{taken.reset_s}] seconds",
            )

    async def _disturb(self, request: web.Request) -> None:
        """As faults want it."""
        now_s = time.monotonic()
        is_write = request.method != "GET" and request.path.startswith("/api/v2/users")
        refusal = self._writes.refusal(now_s) if is_write else None
        refusal = refusal or self._calls.refusal(now_s)
        if refusal is not None:
            self._ledger.refused("rest", refusal.status, time.time_ns() // 1000)
            await _refuse(refusal)
        if self.slow_s:
            await asyncio.sleep(self.slow_s.popleft())

    def _note(
        self,
        request: web.Request,
        client: OAuthClient | None,
        status: int,
        headers: dict[str, str],
        is_limited: bool,
    ) -> None:
        route = request.match_info.route.resource
        what = f"{request.method} {route.canonical if route is not None else '?'}"
        self.statuses[status] += 1
        self.calls[what] += 1
        self._ledger.write(
            "call",
            what=what,
            client=None if client is None else client.number,
            status=status,
            calls=int(headers.get("inin-ratelimit-count", 0)),
            limited=is_limited,
            at_us=time.time_ns() // 1000,
        )

    async def _token(self, request: web.Request) -> web.StreamResponse:
        now_s = time.monotonic()
        refusal = self._tokens.refusal(now_s)
        if refusal is not None:
            self._ledger.refused("token", refusal.status, time.time_ns() // 1000)
            await _refuse(refusal)
        client = self._oauth.client_of(request.headers.get("Authorization", ""))
        if client is None:
            told = {"error": "invalid_client", "description": "client authentication failed"}
            return json_response(told, 401)
        form = await request.post()
        if form.get("grant_type") != "client_credentials":
            return json_response({"error": "unsupported_grant_type"}, 400)
        token, grant = client.tokens.issue("", now_s)
        return json_response(
            {
                "access_token": token,
                "token_type": "bearer",
                "expires_in": round(grant.expires_s - now_s),
            }
        )


async def _refuse(refusal: Refusal) -> None:
    """Status 0: never answers."""
    if refusal.status == 0:
        await asyncio.sleep(HANG_S)
    problem = ApiError(refusal.status or 503, "refused", "The gateway was told to refuse this")
    if refusal.retry_after_s is not None:
        problem.headers["Retry-After"] = str(refusal.retry_after_s)
    raise problem


def json_response(answer: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(answer), status=status, content_type="application/json")


async def asked_json(request: web.Request) -> Any:
    """None: there is no body. Raises ApiError."""
    body = await request.read()
    if len(body) > BODY_BYTES_MAX:
        raise ApiError(413, "request.too.large", f"At most {BODY_BYTES_MAX} bytes a request")
    try:
        return orjson.loads(body) if body.strip() else None
    except orjson.JSONDecodeError as error:
        raise bad_request(f"The body is no JSON: {error}", "invalid.json") from None


class Page:
    """Which page of a list was asked for."""

    def __init__(self, request: web.Request, *, size_max: int, size_usual: int = 25) -> None:
        self.path = request.path
        self.size = _number(request, "pageSize", size_usual)
        self.number = _number(request, "pageNumber", 1)
        if not 1 <= self.size <= size_max:
            raise bad_request(f"pageSize must be 1 to {size_max}", "invalid.page.size")
        if self.number < 1:
            raise bad_request("pageNumber must be at least 1", "invalid.page.number")

    def of(self, ids: list[int]) -> list[int]:
        begin = (self.number - 1) * self.size
        return ids[begin : begin + self.size]

    def listing(self, entities: list[Any], total: int) -> dict[str, Any]:
        pages = -(-total // self.size)
        uris = {
            "firstUri": self._uri(1),
            "selfUri": self._uri(self.number),
            "lastUri": self._uri(max(1, pages)),
        }
        if self.number < pages:
            uris["nextUri"] = self._uri(self.number + 1)
        if self.number > 1:
            uris["previousUri"] = self._uri(self.number - 1)
        return {
            "entities": entities,
            "pageSize": self.size,
            "pageNumber": self.number,
            "total": total,
            **uris,
            "pageCount": pages,
        }

    def _uri(self, number: int) -> str:
        return f"{self.path}?pageSize={self.size}&pageNumber={number}"


def _number(request: web.Request, name: str, usual: int) -> int:
    text = request.query.get(name)
    if text is None:
        return usual
    if not text.isdecimal():
        raise bad_request(f"{name} must be a number, not {text!r}", "invalid.value")
    return int(text)
