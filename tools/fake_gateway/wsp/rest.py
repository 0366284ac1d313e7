"""WspRest: token endpoint, user look-up (protocol.md §1.1, §1.3), and who may connect."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Container

from aiohttp import web

from tools.fake_gateway.gates import Gate
from tools.fake_gateway.ledger import Ledger, now_us
from tools.fake_gateway.rest import RestCall, bearer, json_response, refuse, refused
from tools.fake_gateway.tokens import USER_SCOPE, Grant, Tokens


class WspRest:
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

    @property
    def calls(self) -> tuple[RestCall, ...]:
        return (
            RestCall("POST", "/api/v2/oauth/token", self._token),
            RestCall("GET", "/api/v2/users/{user}", self._user),
        )

    async def _token(self, request: web.Request) -> web.StreamResponse:
        now_s = time.monotonic()
        if (refusal := await refused(self._token_calls, self._ledger)) is not None:
            return refusal
        if not self._tokens.is_client(request.headers.get("Authorization", "")):
            return json_response({"error": "invalid_client"}, 401)
        form = await request.post()
        if form.get("grant_type") != "client_credentials":
            return json_response({"error": "unsupported_grant_type"}, 400)
        token, grant = self._tokens.issue(str(form.get("scope", "")), now_s)
        answer = {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": round(grant.expires_s - now_s),
            "scope": " ".join(sorted(grant.scopes)),
        }
        return json_response(answer)

    async def _user(self, request: web.Request) -> web.StreamResponse:
        if (refusal := await refused(self._user_calls, self._ledger)) is not None:
            return refusal
        if self.slow_users_s:
            await asyncio.sleep(self.slow_users_s.popleft())
        user = request.match_info["user"]
        status = self._status_of(user, bearer(request))
        self.look_ups += 1
        self._ledger.write("look-up", user=user, status=status, at_us=now_us())
        if status == 404:
            return json_response({"status": 404, "code": "not.found"}, 404)
        if status != 200:
            return await refuse(status)
        return json_response({"id": user, "state": "active"})

    def _status_of(self, user: str, token: str) -> int:
        grant = self._tokens.grant(token, time.monotonic())
        if grant is None:
            return 401
        if USER_SCOPE not in grant.scopes:
            return 403
        return 200 if user in self._users else 404


async def admit(
    gate: Gate, ledger: Ledger, tokens: Tokens, token: str, scopes: frozenset[str]
) -> Grant | web.Response:
    """Of a handshake: what the token grants, or how it is refused."""
    if (refusal := await refused(gate, ledger)) is not None:
        return refusal
    grant = tokens.grant(token, time.monotonic())
    if grant is None:
        return await refuse(401)
    return grant if grant.scopes >= scopes else await refuse(403)
