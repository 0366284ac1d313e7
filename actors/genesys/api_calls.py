"""Owns how a call of the platform API is made: token, budget, time limit, bounded answer, refusal.

It knows no path and no entity. Each call takes its place in the rate budget, and what its answer
says of the limit corrects it. No redirect is followed (protocol.md §2.1, R15).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import httpx
import orjson

from actors.genesys.cloud_answers import Entity
from actors.genesys.cloud_errors import (
    NoAnswerError,
    NoTokenError,
    OddAnswerError,
    RateLimitedError,
    UnauthorisedError,
    refusal,
)
from actors.genesys.gateway_clock import GatewayClock
from actors.genesys.http import GatewayAddress, place_of, read_bounded
from actors.genesys.json_text import parsed
from actors.genesys.pacer import Pacer
from actors.genesys.secret import Secret
from actors.genesys.tokens import TokenProvider, TokenUnavailableError
from actors.genesys.unreadable import UnreadableError
from runtime.clock import Clock
from runtime.log import MASK

CALL_TIMEOUT_S: Final = 10.0
ANSWER_BYTES_MAX: Final = 32 << 20
REQUEST_BYTES_MAX: Final = 512_000


class ApiCalls:
    """In the name of one OAuth client, for one event loop. The counters only grow."""

    def __init__(
        self,
        address: GatewayAddress,
        tokens: TokenProvider,
        client: httpx.AsyncClient,
        pacer: Pacer,
        *,
        clock: Clock,
    ) -> None:
        self._api_url = address.api_url
        self._at = place_of(address)
        self._tokens = tokens
        self._client = client
        self._pacer = pacer
        self._clock = clock
        self._gateway_clock = GatewayClock()
        self.requests = 0
        self.rate_limited = 0

    @property
    def gateway_ahead_us(self) -> int | None:
        """Of our clock, to a second or so; None: not known."""
        return self._gateway_clock.ahead_us

    @property
    def room(self) -> int:
        """How many calls could be made without a wait, as far as our own share goes."""
        return self._pacer.budget.free(self._clock.now_s()) - self._pacer.waiting

    @property
    def room_of_modest(self) -> int:
        """Likewise, for calls that leave some to others in the name of this client."""
        budget = self._pacer.budget
        return budget.free(self._clock.now_s(), modestly=True) - self._pacer.waiting

    async def _object(self, method: str, call: str, path: str, **how: Any) -> Entity:
        answer = await self._json(method, call, path, **how)
        if not isinstance(answer, dict):
            raise OddAnswerError(call, 200, message="the response is not an object")
        return answer

    async def _json(self, method: str, call: str, path: str, **how: Any) -> Any:
        content = await self._call(method, call, path, **how)
        try:
            return parsed(content)
        except ValueError:
            raise UnreadableError(call, content) from None

    async def _call(
        self,
        method: str,
        call: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        hidden: Secret | None = None,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> bytes:
        """The body of a success. A refused token is answered with another one, once."""
        content = orjson.dumps(body) if method not in ("GET", "HEAD", "DELETE") else None
        assert len(content or b"") <= REQUEST_BYTES_MAX, f"{call}: {len(content or b'')} bytes"
        rejected: Secret | None = None
        while True:
            token = await self._token(call, rejected)
            request = self._client.build_request(
                method,
                self._api_url + path,
                params=params,
                content=content,
                headers=_headers(token, content),
                timeout=timeout_s,
            )
            try:
                return await self._send(call, request, timeout_s, hidden)
            except UnauthorisedError:
                if rejected is not None:
                    raise
                rejected = token

    async def _token(self, call: str, rejected: Secret | None) -> Secret:
        try:
            return (await self._tokens.current(rejected=rejected)).value
        except TokenUnavailableError as error:
            raise NoTokenError(call, 0, message=error.reason, retry_after=error.retry_s) from None

    async def _send(
        self, call: str, request: httpx.Request, timeout_s: float, hidden: Secret | None
    ) -> bytes:
        async with self._pacer.turn() as budget:
            self.requests += 1
            asked_us = self._clock.wall_us()
            try:
                async with asyncio.timeout(timeout_s):
                    reply = await self._client.send(request, stream=True)
                    try:
                        budget.corrected(reply.headers, self._clock.now_s())
                        date, now_us = reply.headers.get("Date"), self._clock.wall_us()
                        self._gateway_clock.told(date, asked_us, now_us)
                        content = await _read(call, reply)
                    finally:
                        await reply.aclose()
            except TimeoutError:
                message = f"{self._at}: no response within {timeout_s:g} s"
                raise NoAnswerError(call, 0, message=message) from None
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                said = without(hidden, str(error))
                message = f"{self._at}: {type(error).__name__}: {said}"
                raise NoAnswerError(call, 0, message=message) from None
            if reply.is_success:
                return content
            problem = refusal(
                call,
                reply.status_code,
                reply.headers,
                _bytes_without(hidden, content),
                self._clock.wall_us(),
            )
            if isinstance(problem, RateLimitedError):
                self.rate_limited += 1
                budget.refused(problem.retry_after_s, self._clock.now_s())
            raise problem


def _headers(token: Secret, content: bytes | None) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {token.reveal()}", "Accept": "application/json"}
    return headers if content is None else headers | {"Content-Type": "application/json"}


async def _read(call: str, reply: httpx.Response) -> bytes:
    try:
        return await read_bounded(reply, ANSWER_BYTES_MAX)
    except ValueError as error:
        message = f"the response is too long or damaged: {error}"
        raise OddAnswerError(call, reply.status_code, message=message) from None


def without(hidden: Secret | None, text: str) -> str:
    return text if hidden is None else text.replace(hidden.reveal(), MASK)


def _bytes_without(hidden: Secret | None, content: bytes) -> bytes:
    return content if hidden is None else content.replace(hidden.reveal().encode(), MASK.encode())
