"""The user check: what REST's answers mean, how long they hold, what a refused token costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from actors.genesys.http import GatewayAddress
from actors.genesys.rest import (
    ASKED_AT_ONCE_MAX,
    BODY_BYTES_MAX,
    EXISTS,
    FORBIDDEN,
    KEEP_S,
    MISSING,
    UserCheck,
    Users,
)
from actors.genesys.secret import Secret
from actors.genesys.tokens import Token, TokenProvider, TokenUnavailableError
from runtime.clock import ManualClock
from tests.actors.receiver.rig import credentials, in_loop


class Tokens(TokenProvider):
    """Hands out t1, and the next one for each that is rejected."""

    def __init__(self) -> None:
        self.number = 1
        self.failure: Exception | None = None

    async def current(self, *, rejected: Secret | None = None) -> Token:
        if self.failure is not None:
            raise self.failure
        if rejected == Secret(f"t{self.number}"):
            self.number += 1
        return Token(value=Secret(f"t{self.number}"), granted_s=0.0, life_s=3600.0)


class Body(httpx.AsyncByteStream):
    """As from a network: a part at a time, and none of it before it is asked for."""

    def __init__(self, content: bytes, part_bytes: int = 10_000) -> None:
        self.content = content
        self.part_bytes = part_bytes
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.taken < len(self.content):
            part = self.content[self.taken : self.taken + self.part_bytes]
            self.taken += len(part)
            yield part


def said(status: int, content: bytes = b"{}", **headers: str) -> httpx.Response:
    return httpx.Response(status, headers=headers, stream=Body(content))


class Rest:
    """A platform without a network: plays its replies, then says 200."""

    def __init__(self, *replies: httpx.Response | Exception) -> None:
        self.replies = list(replies)
        self.requests: list[httpx.Request] = []
        self.open = asyncio.Event()
        self.open.set()
        self.clock = ManualClock(1000.0)
        self.tokens = Tokens()
        self.users = Users(
            GatewayAddress(api_url="https://api.example.com", credentials=credentials),
            self.tokens,
            httpx.AsyncClient(transport=httpx.MockTransport(self._handle)),
            clock=self.clock,
        )

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        await self.open.wait()
        reply = self.replies.pop(0) if self.replies else said(200)
        if isinstance(reply, Exception):
            raise reply
        return reply

    @property
    def tokens_used(self) -> list[str]:
        return [each.headers["Authorization"] for each in self.requests]


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        (said(200), EXISTS),
        (said(404), MISSING),
        (said(403), FORBIDDEN),
        (said(429), UserCheck("failed", "the user check was answered with 429")),
        (said(500), UserCheck("failed", "the user check was answered with 500")),
        (said(302), UserCheck("failed", "the user check was answered with 302")),
        (
            httpx.ConnectError("no"),
            UserCheck("failed", "api.example.com: user check: ConnectError: no"),
        ),
        (
            httpx.ReadTimeout("slow"),
            UserCheck("failed", "api.example.com: user check: ReadTimeout: slow"),
        ),
        (
            OSError(5, "I/O"),
            UserCheck("failed", "api.example.com: user check: OSError: [Errno 5] I/O"),
        ),
    ],
)
def test_what_an_answer_means(reply: httpx.Response | Exception, verdict: UserCheck) -> None:
    async def test() -> None:
        rest = Rest(reply)
        assert await rest.users.check("u-1") == verdict
        (request,) = rest.requests
        assert (request.method, str(request.url)) == (
            "GET",
            "https://api.example.com/api/v2/users/u-1",
        )

    in_loop(test)


def test_a_missing_scope_is_named() -> None:
    assert "user:read" in FORBIDDEN.detail


@pytest.mark.parametrize(("status", "verdict"), [(200, EXISTS), (404, MISSING)])
def test_an_answer_that_holds_is_kept_for_5_min(status: int, verdict: UserCheck) -> None:
    async def test() -> None:
        rest = Rest(said(status), said(500))
        for _ in range(3):
            assert await rest.users.check("u") == verdict
        rest.clock.advance(KEEP_S - 0.1)
        assert await rest.users.check("u") == verdict
        assert (rest.users.asked, rest.users.spared) == (1, 3)
        rest.clock.advance(0.2)
        assert (await rest.users.check("u")).verdict == "failed"
        assert rest.users.asked == 2

    in_loop(test)


@pytest.mark.parametrize("reply", [said(403), said(500), OSError("x")])
def test_what_went_wrong_is_asked_again(reply: Any) -> None:
    async def test() -> None:
        rest = Rest(reply)
        assert (await rest.users.check("u")).verdict != "exists"
        assert await rest.users.check("u") == EXISTS

    in_loop(test)


def test_only_so_many_answers_are_kept_and_the_oldest_goes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("actors.genesys.rest.KEPT_MAX", 2)

    async def test() -> None:
        rest = Rest()
        for user_id in ("a", "b", "c"):
            await rest.users.check(user_id)
        asked = rest.users.asked
        await rest.users.check("c")
        await rest.users.check("b")
        assert rest.users.asked == asked
        await rest.users.check("a")
        assert rest.users.asked == asked + 1

    in_loop(test)


def test_a_refused_token_is_replaced_once() -> None:
    async def test() -> None:
        rest = Rest(said(401))
        assert await rest.users.check("u") == EXISTS
        assert rest.tokens_used == ["Bearer t1", "Bearer t2"]
        refused = Rest(said(401), said(401))
        verdict = await refused.users.check("u")
        assert verdict == UserCheck("failed", "the user check was answered with 401")
        assert len(refused.requests) == 2

    in_loop(test)


def test_without_a_token_nobody_is_asked() -> None:
    async def test() -> None:
        rest = Rest()
        rest.tokens.failure = TokenUnavailableError("no token within 10 s", 5.0)
        assert await rest.users.check("u") == UserCheck("failed", "no token within 10 s")
        assert rest.requests == []

    in_loop(test)


@pytest.mark.parametrize(
    ("user_id", "path"),
    [("a/b?c#d", "a%2Fb%3Fc%23d"), ("ü|\n", "%C3%BC%7C%0A"), ("..x", "..x"), ("%2e", "%252e")],
)
def test_an_id_is_one_step_of_a_path_whatever_stands_in_it(user_id: str, path: str) -> None:
    async def test() -> None:
        rest = Rest()
        await rest.users.check(user_id)
        assert rest.requests[0].url.raw_path.decode() == f"/api/v2/users/{path}"

    in_loop(test)


@pytest.mark.parametrize("user_id", ["", ".", ".."])
def test_an_id_that_would_name_another_path_is_nobodys(user_id: str) -> None:
    async def test() -> None:
        rest = Rest()
        assert await rest.users.check(user_id) == MISSING
        assert rest.requests == []

    in_loop(test)


def test_a_body_is_neither_decoded_nor_believed() -> None:
    async def test() -> None:
        long = Body(b"x" * 1_000_000)
        rest = Rest(
            said(200, b"no gzip", **{"Content-Encoding": "gzip"}),
            httpx.Response(200, stream=long),
        )
        assert await rest.users.check("a") == EXISTS
        assert await rest.users.check("b") == EXISTS
        assert long.taken <= BODY_BYTES_MAX + long.part_bytes

    in_loop(test)


def test_a_thousand_who_ask_at_once_take_turns() -> None:
    async def test() -> None:
        rest = Rest()
        rest.open.clear()
        asking = [asyncio.ensure_future(rest.users.check(f"u{n}")) for n in range(100)]
        while len(rest.requests) < ASKED_AT_ONCE_MAX:
            await asyncio.sleep(0)
        for _ in range(100):
            await asyncio.sleep(0)  # nobody else gets through
        assert len(rest.requests) == ASKED_AT_ONCE_MAX
        rest.open.set()
        assert await asyncio.gather(*asking) == [EXISTS] * 100

    in_loop(test)
