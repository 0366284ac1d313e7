"""Rest: the token endpoint and the user look-up (protocol.md §1.1, §1.3); and how HTTP refuses."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Container

import orjson
from aiohttp import web

from tools.fake_gateway.gates import Gate
from tools.fake_gateway.ledger import Ledger
from tools.fake_gateway.tokens import USER_SCOPE, Tokens

HANG_S = 3600.0


class Rest:
    def __init__(
        self,
        tokens: Tokens,
        users: Container[str],
        ledger: Ledger,
        *,
        token_calls: Gate,
        user_calls: Gate,
    ) -> None:
        self._tokens = tokens
        self._users = users
        self._ledger = ledger
        self._token_calls = token_calls
        self._user_calls = user_calls
        self.slow_users_s: deque[float] = deque()  # how long the next answers take
        self.look_ups = 0

    def add_to(self, application: web.Application) -> None:
        application.router.add_post("/api/v2/oauth/token", self._token)
        application.router.add_get("/api/v2/users/{user}", self._user)

    async def _token(self, request: web.Request) -> web.StreamResponse:
        now_s = time.monotonic()
        refusal = self._token_calls.refusal(now_s)
        if refusal is not None:
            self._ledger.refused("token", refusal.status, time.time_ns() // 1000)
            return await refuse(refusal.status, refusal.retry_after_s)
        if not self._tokens.is_client(request.headers.get("Authorization", "")):
            return web.json_response({"error": "invalid_client"}, status=401)
        form = await request.post()
        if form.get("grant_type") != "client_credentials":
            return web.json_response({"error": "unsupported_grant_type"}, status=400)
        token, grant = self._tokens.issue(str(form.get("scope", "")), now_s)
        answer = {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": round(grant.expires_s - now_s),
            "scope": " ".join(sorted(grant.scopes)),
        }
        return web.Response(body=orjson.dumps(answer), content_type="application/json")

    async def _user(self, request: web.Request) -> web.StreamResponse:
        refusal = self._user_calls.refusal(time.monotonic())
        if refusal is not None:
            self._ledger.refused("users", refusal.status, time.time_ns() // 1000)
            return await refuse(refusal.status, refusal.retry_after_s)
        if self.slow_users_s:
            await asyncio.sleep(self.slow_users_s.popleft())
        user = request.match_info["user"]
        status = self._status_of(user, bearer(request))
        self.look_ups += 1
        self._ledger.write("look-up", user=user, status=status, at_us=time.time_ns() // 1000)
        if status == 404:
            return web.json_response({"status": 404, "code": "not.found"}, status=404)
        if status != 200:
            return await refuse(status, None)
        return web.json_response({"id": user, "state": "active"})

    def _status_of(self, user: str, token: str) -> int:
        grant = self._tokens.grant(token, time.monotonic())
        if grant is None:
            return 401
        if USER_SCOPE not in grant.scopes:
            return 403
        return 200 if user in self._users else 404


def bearer(request: web.Request) -> str:
    """The token of an `Authorization: Bearer …` header, or nothing."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


async def refuse(status: int, retry_after_s: int | None) -> web.Response:
    """0: never answers."""
    if status == 0:
        await asyncio.sleep(HANG_S)
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    return web.json_response(
        {"status": status or 503, "code": "refused"}, status=status or 503, headers=headers
    )
