"""Owns the access token: when to renew it, who gets it, what its failures mean.

It knows no socket of the dialects and no loop of the receiver. The upper half decides in values,
without a clock; `TokenProvider` carries that out over HTTP (protocol.md §1.1). Without
scopes none are asked for: in the cloud dialect roles decide (§2.1).
"""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import httpx

from actors.genesys.http import (
    REQUEST_TIMEOUT_S,
    GatewayAddress,
    place_of,
    read_bounded,
)
from actors.genesys.retry_after import asked_wait_s, wait_s
from actors.genesys.secret import Secret
from runtime.clock import Clock
from runtime.errors import ConfigurationError, RemoteError
from runtime.log import MASK

REFRESH_BEFORE_S = 90.0
SHORT_LIFE_S = 180.0  # a token that lives less is renewed at half its life
MARGIN_S = 60.0
REFUSED_RETRY_S = 300.0
LIFE_DEFAULT_S: Final = 3600.0  # if a reply says nothing that makes sense (protocol.md §1.1)
LIFE_DEFAULT_CLOUD_S: Final = 86_400.0  # likewise (§2.1)
LIFE_LEAST_S: Final = 1.0  # renewed at half of it: twice a second is the most that is asked
LIFE_MOST_S: Final = 172_800.0  # the most that the platform gives (protocol.md §2.1)
REPLY_BYTES_MAX: Final = 65_536
DESCRIPTION_CHARS_MAX: Final = 300
_REFUSED: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_NO_SUCH_PATH: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.GONE)
CHECK_DIALECT: Final = (
    'check dialect: a Genesys Cloud organisation requires dialect = "cloud", the gateway '
    'of the tutorials dialect = "wsp"; check base_url as well, if it is set'
)
CHECK_IDENTITY = "check client_id and client_secret"
CHECK_IDENTITY_OR_DIALECT: Final = (
    f'{CHECK_IDENTITY}; check dialect: a Genesys Cloud organisation requires dialect = "cloud"'
)
GIVE_SCOPE = "grant it to the client"


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


def read_grant(
    body: bytes, scopes: Sequence[str], now_s: float, default_s: float = LIFE_DEFAULT_S
) -> Token:
    """The token in a reply of 200. Raises _FailedError with what is wrong with it."""
    grant = _object(body)
    if grant is None:
        is_page = body.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] == b"<"
        what = "HTML (a sign-in page, or a proxy's)" if is_page else "something else"
        raise _FailedError(f"the token response is {what}, not JSON")
    text = grant.get("access_token")
    text = text.strip() if isinstance(text, str) else ""
    if not text:
        raise _FailedError("the token response has no access_token")
    if not (text.isascii() and text.isprintable()):
        raise _FailedError("the token response has an access_token that is not valid in a header")
    granted = grant.get("scope")
    if isinstance(granted, str):  # absent: what was asked for
        missing = [scope for scope in scopes if scope not in granted.split()]
        if missing:
            names = ", ".join(missing)
            reason = f"the client lacks the scope {names}"
            raise _FailedError(reason, is_refused=True, cure=GIVE_SCOPE)
    life_s = life_of(grant.get("expires_in"), default_s)
    return Token(value=Secret(text), granted_s=now_s, life_s=life_s)


def life_of(told: object, default_s: float = LIFE_DEFAULT_S) -> float:
    """Seconds that a token lives, whatever a reply says of it: a number, a text that is one, or
    nothing that makes sense. A short life is believed, because renewing early harms nobody."""
    told = told.strip().lower().removesuffix("s") if isinstance(told, str) else told
    try:
        life_s = float(told) if isinstance(told, int | float | str) else math.nan
    except (ValueError, OverflowError):
        life_s = math.inf if isinstance(told, int) else math.nan
    if isinstance(told, bool) or not life_s > 0:
        return default_s
    return min(max(life_s, LIFE_LEAST_S), LIFE_MOST_S)


def description_of(body: bytes) -> str:
    """What a refusal says of itself, in one line; "" if it says nothing."""
    told = _object(body) or {}
    fields = ("error", "error_description", "description", "message", "errorMessage", "errors")
    shown = dict.fromkeys(text for field in fields for text in _texts(told.get(field)))
    return ": ".join(shown)[:DESCRIPTION_CHARS_MAX]


def _texts(value: object, depth: int = 2) -> list[str]:
    """Each in one line: of a text, and of what stands in an object or a list instead of one."""
    if isinstance(value, str):
        line = " ".join(value.split())
        return ["".join(each if each.isprintable() else "?" for each in line)] if line else []
    if not depth or not isinstance(value, dict | list):
        return []
    fields = ("code", "error", "description", "error_description", "message", "detail")
    within = list(map(value.get, fields)) if isinstance(value, dict) else value[:5]
    return [text for each in within for text in _texts(each, depth - 1)]


def _object(body: bytes) -> dict[str, Any] | None:
    """Numbers of any size and odd texts are the standard library's to read: orjson refuses them."""
    try:
        text = body.decode("utf-8-sig", "replace").strip("\ufeff\0 \t\r\n")
        found = json.loads(text, parse_int=float, strict=False)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else {}


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
        rng: random.Random,
        in_service: bool = False,
        without_scope: str = "",
    ) -> None:
        self._without_scope = without_scope
        self._address = address
        self._scopes = tuple(scopes)
        self._client = client
        self._clock = clock
        self._rng = rng
        self._in_service = in_service
        self._token: Token | None = None
        self._request: asyncio.Task[Token] | None = None
        self._failures_in_row = 0
        self._retry_at_s = float("-inf")
        self._last_failure = _FailedError("no token has been requested yet")
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

    async def fresh(self) -> None:
        """Have one of which at least half is left, for what ends with it. If the gateway gives no
        other now, the one that is held has to do."""
        token = self._token
        if token is not None and token.seconds_left(self._clock.now_s()) < token.life_s / 2:
            self._is_outdated = True
        with suppress(TokenUnavailableError):
            await self.current()

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
            return ConfigurationError(f"{failure.reason}; {cure}")
        if failure.is_refused:
            delay_s = REFUSED_RETRY_S
        else:
            delay_s = wait_s(self._failures_in_row, self._rng, failure.retry_after)
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
                status, headers, body = await self._post(form, client_id, client_secret)
        except TimeoutError:
            raise _FailedError(f"{self._at}: no token within {REQUEST_TIMEOUT_S:g} s") from None
        except ValueError as error:
            raise _FailedError(f"{self._at}: the token response cannot be read: {error}") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            reason = f"{self._at}: token request: {type(error).__name__}: {error}"
            raise _FailedError(reason) from None
        if status != HTTPStatus.OK:
            described = description_of(body)
            described = described.replace(client_secret, MASK) if client_secret else described
            raise self._declined(status, described, asked_wait_s(headers, self._clock.wall_us()))
        try:
            return read_grant(body, self._scopes, asked_s, self._life_default_s)
        except _FailedError as failure:
            failure.reason = f"{self._at}: {failure.reason}"
            raise

    async def _post(
        self, form: dict[str, str], client_id: str, client_secret: str
    ) -> tuple[int, httpx.Headers, bytes]:
        async with self._client.stream(
            "POST",
            self._url,
            data=form,
            auth=httpx.BasicAuth(client_id, client_secret),
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        ) as reply:
            try:
                body = await read_bounded(reply, REPLY_BYTES_MAX)
            except ValueError:
                if reply.status_code == HTTPStatus.OK:
                    raise
                body = b""  # of a refusal the status says enough
            return reply.status_code, reply.headers, body

    def _declined(self, status: int, described: str, asked_s: float | None) -> _FailedError:
        said = f" ({described})" if described else ""
        if status in _REFUSED:
            reason = f"{self._at}: the token request was refused with {status}{said}"
            # A cloud refuses the path of the other dialect so, like any that it was asked without a
            # token, whoever asks.
            cure = CHECK_IDENTITY if self._is_cloud else CHECK_IDENTITY_OR_DIALECT
            return _FailedError(reason, is_refused=True, cure=cure)
        reason = f"{self._at}: the token request was answered with {status}{said}"
        if status in _NO_SUCH_PATH and not self._in_service:
            return _FailedError(reason, is_refused=True, cure=CHECK_DIALECT)
        return _FailedError(reason, retry_after=asked_s)

    @property
    def _is_cloud(self) -> bool:
        return self._address.token_url is not None

    @property
    def _life_default_s(self) -> float:
        return LIFE_DEFAULT_CLOUD_S if self._is_cloud else LIFE_DEFAULT_S

    @property
    def _url(self) -> str:
        return self._address.token_url or f"{self._address.api_url}/api/v2/oauth/token"

    @property
    def _at(self) -> str:
        return place_of(self._address, self._url)
