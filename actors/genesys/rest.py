"""Owns the question whether a user exists, as REST answers it (protocol.md §1.3).

It knows no command. Answers that hold are kept for a while: both that a user exists and that none
does. What went wrong is nobody's answer, and is asked again.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Final, Literal, NamedTuple
from urllib.parse import quote

import httpx

from actors.genesys.http import REQUEST_TIMEOUT_S, GatewayAddress, place_of, read_away
from actors.genesys.presence import SCOPE_TO_LOOK_UP
from actors.genesys.tokens import Token, TokenProvider, TokenUnavailableError
from runtime.clock import Clock

KEEP_S: Final = 300.0
KEPT_MAX: Final = 10_000
ASKED_AT_ONCE_MAX: Final = 10
BODY_BYTES_MAX: Final = 65_536  # a connection with more to read is not worth keeping


class UserCheck(NamedTuple):
    """`forbidden`: we may not ask. `failed`: nothing that counts; `detail` says what."""

    verdict: Literal["exists", "missing", "forbidden", "failed"]
    detail: str


EXISTS: Final = UserCheck("exists", "")
MISSING: Final = UserCheck("missing", "the gateway does not know this user")
FORBIDDEN: Final = UserCheck("forbidden", f"the client lacks the scope {SCOPE_TO_LOOK_UP}")


class Users:
    """For one event loop. The counters `asked` and `spared` only grow."""

    def __init__(
        self,
        address: GatewayAddress,
        tokens: TokenProvider,
        client: httpx.AsyncClient,
        *,
        clock: Clock,
    ) -> None:
        self._address = address
        self._tokens = tokens
        self._client = client
        self._clock = clock
        self._kept: dict[str, tuple[UserCheck, float]] = {}  # the oldest first
        self._room = asyncio.Semaphore(ASKED_AT_ONCE_MAX)
        self.asked = 0
        self.spared = 0

    async def check(self, user_id: str) -> UserCheck:
        """Raises ConfigurationError if the gateway refuses the first token of all."""
        kept, until_s = self._kept.get(user_id, (None, 0.0))
        if kept is not None and self._clock.now_s() < until_s:
            self.spared += 1
            return kept
        if user_id in ("", ".", ".."):  # as a path these would name something else
            return MISSING
        async with self._room:
            try:
                verdict = await self._ask_twice(user_id)
            except TokenUnavailableError as error:
                return UserCheck("failed", error.reason)
        if verdict in (EXISTS, MISSING):
            self._keep(user_id, verdict)
        return verdict

    def _keep(self, user_id: str, verdict: UserCheck) -> None:
        self._kept.pop(user_id, None)
        while len(self._kept) >= KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[user_id] = (verdict, self._clock.now_s() + KEEP_S)

    async def _ask_twice(self, user_id: str) -> UserCheck:
        """A refused token is answered with another one, once."""
        token = await self._tokens.current()
        status = await self._ask(user_id, token)
        if status == HTTPStatus.UNAUTHORIZED:
            token = await self._tokens.current(rejected=token.value)
            status = await self._ask(user_id, token)
        match status:
            case HTTPStatus.OK:
                return EXISTS
            case HTTPStatus.NOT_FOUND:
                return MISSING
            case HTTPStatus.FORBIDDEN:
                return FORBIDDEN
            case int():
                return UserCheck("failed", f"the user check was answered with {status}")
        return UserCheck("failed", status)

    async def _ask(self, user_id: str, token: Token) -> int | str:
        """The status; or why there is none."""
        self.asked += 1
        url = f"{self._address.api_url}/api/v2/users/{quote(user_id, safe='')}"
        headers = {"Authorization": f"Bearer {token.value.reveal()}"}
        try:
            async with (
                asyncio.timeout(REQUEST_TIMEOUT_S),
                self._client.stream("GET", url, headers=headers) as reply,
            ):
                await read_away(reply, BODY_BYTES_MAX)
                return reply.status_code
        except TimeoutError:
            at = place_of(self._address)
            return f"{at}: no response to the user check within {REQUEST_TIMEOUT_S:g} s"
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            return f"{place_of(self._address)}: user check: {type(error).__name__}: {error}"
