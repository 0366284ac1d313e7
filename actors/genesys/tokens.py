"""Owns the access token: when to renew it, who gets it, what its failures mean.

It knows no socket of the dialects and no loop of the receiver. The upper half decides in values,
without a clock; `TokenProvider` carries that out over HTTP (protocol.md §1.1). Without
scopes none are asked for: in the cloud dialect roles decide (§2.1).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from actors.genesys.http import REQUEST_TIMEOUT_S, GatewayAddress, retry_after_s
from actors.genesys.reconnect import backoff_s
from actors.genesys.secret import Secret
from runtime.clock import Clock
from runtime.errors import ConfigurationError, RemoteError

REFRESH_BEFORE_S = 90.0
SHORT_LIFE_S = 180.0  # a token that lives less is renewed at half its life
MARGIN_S = 60.0
REFUSED_RETRY_S = 300.0
LIFE_MOST_S = 10 * 365 * 86_400.0
CHECK_IDENTITY = "check client_id and client_secret"
GIVE_SCOPE = "give it to the client"


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """`value` opens sockets from `granted_s` on, for `life_s` (monotonic)."""

    value: Secret
    granted_s: float
    life_s: float

    def seconds_left(self, now_s: float) -> float:
        return self.granted_s + self.life_s - now_s

    @property
    def refresh_at_s(self) -> float:
        early_s = REFRESH_BEFORE_S if self.life_s >= SHORT_LIFE_S else self.life_s / 2
        return self.granted_s + self.life_s - early_s

    def is_usable(self, now_s: float) -> bool:
        """Never hand out one with less than min(60 s, a quarter of its life) left."""
        return self.seconds_left(now_s) >= min(MARGIN_S, self.life_s / 4)


class TokenUnavailableError(RemoteError):
    """There is none before `retry_s` are over. `is_refused`: the gateway knows us, and said no."""

    def __init__(self, reason: str, retry_s: float, *, is_refused: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_s = retry_s
        self.is_refused = is_refused


class _FailedError(Exception):
    """One request failed, for a reason that shows no secret. `cure`: what a person may do."""

    def __init__(
        self,
        reason: str,
        *,
        is_refused: bool = False,
        retry_after: float | None = None,
        cure: str = CHECK_IDENTITY,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.cure = cure
        self.is_refused = is_refused
        self.retry_after = retry_after


def retry_delay_s(failures: int, retry_after: float | None, chance: random.Random) -> float:
    """What to wait after the nth failure in a row: what the gateway asks for, else back off."""
    if retry_after is not None:
        return retry_after
    return backoff_s(failures, chance)


def read_grant(body: bytes, scopes: Sequence[str], now_s: float) -> Token:
    """The token in a reply of 200. Raises _FailedError with what is wrong with it."""
    try:
        grant: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _FailedError("the token reply is not JSON") from None
    grant = grant if isinstance(grant, dict) else {}
    text, life_s = grant.get("access_token"), grant.get("expires_in")
    if not isinstance(text, str) or not text:
        raise _FailedError("the token reply has no access_token")
    if type(life_s) not in (int, float) or not 0 < life_s <= LIFE_MOST_S:
        raise _FailedError(f"the token reply has expires_in {life_s!r}")
    granted = grant.get("scope")
    if isinstance(granted, str):  # absent: what was asked for
        missing = [scope for scope in scopes if scope not in granted.split()]
        if missing:
            names = ", ".join(missing)
            reason = f"the client lacks the scope {names}"
            raise _FailedError(reason, is_refused=True, cure=GIVE_SCOPE)
    return Token(value=Secret(text), granted_s=now_s, life_s=float(life_s))


class TokenProvider:
    """One token for all who ask, renewed before it ends. For one event loop.

    `in_service`: a token was granted before, so that a refusal is no mistake in the settings.
    `without_scope`: how whoever starts us may do without what the scopes are for.
    The counters `refreshes` and `failures` only grow.
    """

    def __init__(
        self,
        address: GatewayAddress,
        scopes: Sequence[str],
        client: httpx.AsyncClient,
        *,
        clock: Clock,
        chance: random.Random,
        in_service: bool = False,
        without_scope: str = "",
    ) -> None:
        self._without_scope = without_scope
        self._address = address
        self._scopes = tuple(scopes)
        self._client = client
        self._clock = clock
        self._chance = chance
        self._in_service = in_service
        self._token: Token | None = None
        self._request: asyncio.Task[Token] | None = None
        self._failures_in_row = 0
        self._retry_at_s = float("-inf")
        self._last_failure = _FailedError("no token was requested yet")
        self._is_outdated = False
        self.refreshes = 0
        self.failures = 0

    @property
    def seconds_left(self) -> float:
        """Of the token that is held; 0 if none is."""
        left_s = self._token.seconds_left(self._clock.now_s()) if self._token else 0.0
        return max(left_s, 0.0)

    @property
    def last_failure(self) -> str:
        return self._last_failure.reason

    async def current(self, *, rejected: Secret | None = None) -> Token:
        """A usable token that is not `rejected`. All who ask during a request wait for that one.

        Raises TokenUnavailableError while the gateway gives none, and ConfigurationError if it
        refuses the first request of all (protocol.md §1.1: exit 78).
        """
        if self._token is not None and self._token.value == rejected:
            self._token = None
        if self._request is None:
            if self._has_usable() and not self._is_outdated:
                assert self._token is not None
                return self._token
            self._refuse_while_waiting()
        try:
            return await self._renewed()
        except TokenUnavailableError:
            if self._has_usable() and self._token is not None:
                return self._token
            raise

    async def renew_when_due(self) -> None:
        """Wait until the token is due, and renew it, as often as it takes. With none, for one."""
        while not self._is_due():
            await asyncio.sleep(self._wait_s(self._token.refresh_at_s if self._token else None))
        while True:
            if self._clock.now_s() >= self._retry_at_s:
                try:
                    await self._renewed()
                except TokenUnavailableError:
                    continue
                return
            await asyncio.sleep(self._wait_s(self._retry_at_s))

    def renew_soon(self) -> None:
        """Who we are may have changed: ask anew, whatever was answered before. The token that is
        held serves until there is a new one."""
        self._is_outdated = True
        self._retry_at_s = float("-inf")

    def _is_due(self) -> bool:
        if self._is_outdated:
            return True
        return self._token is not None and self._clock.now_s() >= self._token.refresh_at_s

    async def close(self) -> None:
        """Give up a request that is under way; before its client is closed."""
        if self._request is not None:
            self._request.cancel()
            await asyncio.gather(self._request, return_exceptions=True)

    def _wait_s(self, until_s: float | None) -> float:
        """In steps: a suspended machine must not oversleep by as long as it slept."""
        left_s = 1.0 if until_s is None else until_s - self._clock.now_s()
        return min(max(left_s, 0.01), 1.0)

    def _has_usable(self) -> bool:
        return self._token is not None and self._token.is_usable(self._clock.now_s())

    def _refuse_while_waiting(self) -> None:
        left_s = self._retry_at_s - self._clock.now_s()
        if left_s > 0:
            failure = self._last_failure
            raise TokenUnavailableError(failure.reason, left_s, is_refused=failure.is_refused)

    async def _renewed(self) -> Token:
        if self._request is None:
            self._request = asyncio.create_task(self._renew())
            self._request.add_done_callback(self._forget_request)
        return await asyncio.shield(self._request)

    def _forget_request(self, request: asyncio.Task[Token]) -> None:
        self._request = None
        if not request.cancelled():
            request.exception()  # seen: whoever asked may have been cancelled

    async def _renew(self) -> Token:
        self._is_outdated = False
        try:
            token = await self._ask()
        except _FailedError as failure:
            raise self._failed(failure) from None
        self._token = token
        self._in_service = True
        self._failures_in_row = 0
        self._retry_at_s = float("-inf")
        self.refreshes += 1
        return token

    def _failed(self, failure: _FailedError) -> Exception:
        self.failures += 1
        self._failures_in_row += 1
        self._last_failure = failure
        if failure.is_refused and not self._in_service:
            cure = failure.cure
            if cure == GIVE_SCOPE and self._without_scope:
                cure = f"{cure}, or {self._without_scope}"
            return ConfigurationError(f"{self._address.api_url}: {failure.reason}; {cure}")
        if failure.is_refused:
            delay_s = REFUSED_RETRY_S
        else:
            delay_s = retry_delay_s(self._failures_in_row, failure.retry_after, self._chance)
        self._retry_at_s = self._clock.now_s() + delay_s
        return TokenUnavailableError(failure.reason, delay_s, is_refused=failure.is_refused)

    async def _ask(self) -> Token:
        """One request. Files with secrets are read again each time: they may have been rotated."""
        try:
            client_id, client_secret = self._address.credentials()
        except ConfigurationError as error:
            raise _FailedError(str(error), is_refused=True) from None
        form = {"grant_type": "client_credentials"}
        if self._scopes:
            form["scope"] = " ".join(self._scopes)
        asked_s = self._clock.now_s()  # the life of the token counts from here, not from the reply
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                reply = await self._client.post(
                    self._address.token_url or f"{self._address.api_url}/api/v2/oauth/token",
                    data=form,
                    auth=httpx.BasicAuth(client_id, client_secret),
                )
        except TimeoutError:
            raise _FailedError(f"no token within {REQUEST_TIMEOUT_S:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise _FailedError(f"token request: {type(error).__name__}: {error}") from None
        if reply.status_code in (400, 401, 403):
            reason = f"the token request was refused with {reply.status_code}"
            raise _FailedError(reason, is_refused=True)
        if reply.status_code != 200:
            reason = f"the token request was answered with {reply.status_code}"
            after = retry_after_s(reply.headers.get("Retry-After"))
            raise _FailedError(reason, retry_after=after)
        return read_grant(reply.content, self._scopes, asked_s)
