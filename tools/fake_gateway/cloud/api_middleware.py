"""ApiMiddleware: what each REST call passes: authentication, rate limit, faults, and the answer to
a refusal (protocol.md §2.1). Knows no resource.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter, deque
from typing import Any, Protocol

import orjson
from aiohttp import web

from tools.fake_gateway.cloud.channels import SOCKET_PREFIX
from tools.fake_gateway.cloud.oauth import OAuth, OAuthClient
from tools.fake_gateway.cloud.problems import ApiError, bad_request
from tools.fake_gateway.gates import Gate
from tools.fake_gateway.ledger import Ledger, now_us
from tools.fake_gateway.rest import HANG_S, Handler, RestCall, bearer, json_response
from tools.fake_gateway.tokens import Grant

BODY_BYTES_MAX = 512_000
TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path, not a secret
TOO_MANY = "too.many.requests"
CLIENT: web.RequestKey[OAuthClient] = web.RequestKey("client", OAuthClient)
GRANT: web.RequestKey[Grant] = web.RequestKey("grant", Grant)  # of the token that was shown


class Varying(Protocol):
    """What the platform may do otherwise, before and behind a resource (see `platform.py`)."""

    async def before(self, request: web.Request) -> None: ...
    def after(self, request: web.Request, answer: web.StreamResponse) -> web.StreamResponse: ...


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
        self.platform: Varying | None = None
        self.slow_s: deque[float] = deque()  # how long the next answers take
        self.statuses: Counter[int] = Counter()
        self.counts: Counter[str] = Counter()  # calls, by method and resource

    @property
    def calls(self) -> tuple[RestCall, ...]:
        return (RestCall("POST", TOKEN_PATH, self._token),)

    @property
    def middleware(self) -> Any:
        @web.middleware
        async def api_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.path.startswith(SOCKET_PREFIX):
                return await handler(request)
            return await self._pass(request, handler)

        return api_middleware

    async def _pass(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        headers = {"ININ-Correlation-Id": str(uuid.uuid4())}
        client: OAuthClient | None = None
        is_limited = False
        try:
            if request.path != TOKEN_PATH:
                client = self._client(request)
                self._count(client, headers)
                await self._disturb(request)
            answer = await self._answered(request, handler)
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

    async def _answered(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self.platform is None:
            return await handler(request)
        await self.platform.before(request)
        answer = await handler(request)
        return self.platform.after(request, answer)

    def _client(self, request: web.Request) -> OAuthClient:
        found = self._oauth.bearer_of(bearer(request), time.monotonic())
        if found is None:
            raise ApiError(401, "bad.credentials", "Invalid login credentials.")
        request[CLIENT], request[GRANT] = found
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
        gates = (self._writes, self._calls) if is_write else (self._calls,)
        for gate in gates:
            await self._refuse(gate, now_s)
        if self.slow_s:
            await asyncio.sleep(self.slow_s.popleft())

    async def _refuse(self, gate: Gate, now_s: float) -> None:
        """As a fault wants it; status 0: never answers. Raises ApiError."""
        refusal = gate.refusal(now_s)
        if refusal is None:
            return
        self._ledger.refused(gate.name, refusal.status, now_us())
        if refusal.status == 0:
            await asyncio.sleep(HANG_S)
        problem = ApiError(refusal.status or 503, "refused", "The gateway was told to refuse this")
        if refusal.retry_after_s is not None:
            problem.headers["Retry-After"] = str(refusal.retry_after_s)
        raise problem

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
        self.counts[what] += 1
        self._ledger.write(
            "call",
            what=what,
            client=None if client is None else client.number,
            status=status,
            calls=int(headers.get("inin-ratelimit-count", 0)),
            limited=is_limited,
            at_us=now_us(),
        )

    async def _token(self, request: web.Request) -> web.StreamResponse:
        now_s = time.monotonic()
        await self._refuse(self._tokens, now_s)
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


async def asked_json(request: web.Request) -> Any:
    """None: there is no body. Raises ApiError."""
    body = await request.read()
    if len(body) > BODY_BYTES_MAX:
        raise ApiError(413, "request.too.large", f"At most {BODY_BYTES_MAX} bytes a request")
    try:
        return orjson.loads(body) if body.strip() else None
    except orjson.JSONDecodeError as error:
        raise bad_request(f"The body is no JSON: {error}", "invalid.json") from None
