"""The token: when it is renewed, who waits for it, what its failures mean (protocol.md §1.1)."""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import parse_qs

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.genesys.http import GatewayAddress
from actors.genesys.retry_after import wait_s
from actors.genesys.secret import Secret
from actors.genesys.tokens import Token, TokenProvider, TokenUnavailableError
from runtime.clock import ManualClock
from runtime.errors import ConfigurationError

SCOPES = ("notifications:read", "notifications:subscribe")
GRANTED = "notifications:read notifications:subscribe"


def token(life_s: float, granted_s: float = 0.0) -> Token:
    return Token(value=Secret("t"), granted_s=granted_s, life_s=life_s)


@pytest.mark.parametrize(
    ("life_s", "refresh_at_s"), [(3600.0, 3510.0), (180.0, 90.0), (179.0, 89.5), (100.0, 50.0)]
)
def test_a_token_is_renewed_90_s_before_its_end_or_at_half_its_life(
    life_s: float, refresh_at_s: float
) -> None:
    assert token(life_s).refresh_at_s == refresh_at_s


@pytest.mark.parametrize(
    ("life_s", "usable_until_s"), [(3600.0, 3540.0), (240.0, 180.0), (100.0, 75.0), (8.0, 6.0)]
)
def test_a_token_keeps_60_s_or_a_quarter_of_its_life(life_s: float, usable_until_s: float) -> None:
    assert token(life_s).is_usable(usable_until_s)
    assert not token(life_s).is_usable(usable_until_s + 0.001)


@given(st.floats(1.0, 1e6))
def test_a_token_is_still_usable_for_a_while_after_its_renewal_is_due(life_s: float) -> None:
    held = token(life_s)
    assert held.is_usable(held.refresh_at_s)
    assert held.is_usable(held.refresh_at_s + min(life_s / 5, 29.0))


@given(st.integers(1, 10_000), st.integers())
def test_back_off_is_bounded(failures: int, seed: int) -> None:
    delay_s = wait_s(failures, random.Random(seed), None)
    assert 0.0 <= delay_s <= min(2.0 * 2.0 ** min(failures, 30), 30.0)
    assert wait_s(failures, random.Random(seed), 77.0) == 77.0


class Endpoint:
    """A token endpoint without a network: plays its replies, then grants for ever."""

    def __init__(self, *replies: httpx.Response | Exception) -> None:
        self.replies = list(replies)
        self.requests: list[httpx.Request] = []
        self.open = asyncio.Event()
        self.open.set()
        self.secret = "hunter2"
        self.clock = ManualClock(1000.0)

    async def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        await self.open.wait()
        reply = self.replies.pop(0) if self.replies else grant(f"t{len(self.requests)}")
        if isinstance(reply, Exception):
            raise reply
        return reply

    def credentials(self) -> tuple[str, str]:
        if not self.secret:
            raise ConfigurationError("client_secret_file = /x: No such file")
        return "id", self.secret

    def provider(
        self,
        *,
        in_service: bool = False,
        token_url: str | None = None,
        scopes: tuple[str, ...] = SCOPES,
    ) -> TokenProvider:
        return TokenProvider(
            GatewayAddress(
                api_url="https://api.example.com",
                credentials=self.credentials,
                token_url=token_url,
            ),
            scopes,
            httpx.AsyncClient(transport=httpx.MockTransport(self.handle)),
            clock=self.clock,
            rng=random.Random(1),
            in_service=in_service,
        )


def grant(text: str, *, expires_in: Any = 3600, scope: Any = GRANTED) -> httpx.Response:
    body = {"access_token": text, "token_type": "bearer", "expires_in": expires_in, "scope": scope}
    return httpx.Response(200, content=orjson.dumps(body))


def in_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def test_the_request_is_what_the_contract_says() -> None:
    async def test() -> None:
        endpoint = Endpoint()
        await endpoint.provider().current()
        (request,) = endpoint.requests
        assert str(request.url) == "https://api.example.com/api/v2/oauth/token"
        scheme, _, encoded = request.headers["Authorization"].partition(" ")
        assert (scheme, base64.b64decode(encoded)) == ("Basic", b"id:hunter2")
        form = parse_qs(request.content.decode())
        assert form == {"grant_type": ["client_credentials"], "scope": [" ".join(SCOPES)]}

    in_loop(test)


def test_a_host_of_its_own_for_tokens_is_asked_for_no_scope() -> None:
    async def test() -> None:
        endpoint = Endpoint(grant("t1", expires_in=86_400, scope=None))
        login = "https://login.example.com/oauth/token"
        token = await endpoint.provider(token_url=login, scopes=()).current()
        (request,) = endpoint.requests
        assert str(request.url) == login
        assert parse_qs(request.content.decode()) == {"grant_type": ["client_credentials"]}
        assert (token.value, token.life_s) == (Secret("t1"), 86_400)

    in_loop(test)


def test_one_request_serves_all_who_ask_meanwhile() -> None:
    async def test() -> None:
        endpoint = Endpoint()
        endpoint.open.clear()
        provider = endpoint.provider()
        asking = [asyncio.ensure_future(provider.current()) for _ in range(5)]
        while not endpoint.requests:
            await asyncio.sleep(0)
        asking[0].cancel()
        endpoint.open.set()
        tokens = await asyncio.gather(*asking, return_exceptions=True)
        assert [each.value.reveal() for each in tokens if isinstance(each, Token)] == ["t1"] * 4
        assert len(endpoint.requests) == 1
        assert (await provider.current()).value.reveal() == "t1"
        assert provider.refreshes == len(endpoint.requests) == 1

    in_loop(test)


def test_a_rejected_token_is_not_handed_out_again() -> None:
    async def test() -> None:
        endpoint = Endpoint()
        provider = endpoint.provider()
        first = await provider.current()
        second = await provider.current(rejected=first.value)
        assert second.value != first.value
        assert await provider.current(rejected=first.value) == second
        assert len(endpoint.requests) == 2

    in_loop(test)


def test_a_token_that_ends_soon_is_not_handed_out() -> None:
    async def test() -> None:
        endpoint = Endpoint(grant("short", expires_in=100))
        provider = endpoint.provider()
        await provider.current()
        endpoint.clock.advance(74.0)
        assert (await provider.current()).value.reveal() == "short"
        endpoint.clock.advance(2.0)
        assert (await provider.current()).value.reveal() == "t2"
        assert provider.seconds_left == 3600.0

    in_loop(test)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_at_the_start_is_a_mistake_in_the_settings(status: int) -> None:
    async def test() -> None:
        endpoint = Endpoint(httpx.Response(status))
        with pytest.raises(ConfigurationError, match=f"refused with {status}; check client_id"):
            await endpoint.provider().current()

    in_loop(test)


def test_a_refusal_in_service_is_retried_every_5_min_with_the_secret_read_again() -> None:
    async def test() -> None:
        endpoint = Endpoint(httpx.Response(401))
        provider = endpoint.provider(in_service=True)
        with pytest.raises(TokenUnavailableError) as caught:
            await provider.current()
        assert (caught.value.retry_s, caught.value.is_refused) == (300.0, True)
        endpoint.clock.advance(299.0)
        with pytest.raises(TokenUnavailableError) as caught:
            await provider.current()
        assert (round(caught.value.retry_s, 3), len(endpoint.requests)) == (1.0, 1)
        endpoint.secret = "rotated"
        endpoint.clock.advance(1.0)
        await provider.current()
        encoded = endpoint.requests[1].headers["Authorization"].partition(" ")[2]
        assert base64.b64decode(encoded) == b"id:rotated"
        assert provider.failures == 1

    in_loop(test)


def test_a_secret_file_that_is_gone_is_a_refusal() -> None:
    async def test() -> None:
        endpoint = Endpoint()
        endpoint.secret = ""
        with pytest.raises(ConfigurationError, match="client_secret_file"):
            await endpoint.provider().current()
        with pytest.raises(TokenUnavailableError, match="client_secret_file"):
            await endpoint.provider(in_service=True).current()
        assert endpoint.requests == []

    in_loop(test)


def test_a_missing_scope_is_named() -> None:
    async def test() -> None:
        endpoint = Endpoint(grant("t", scope="notifications:read other"))
        with pytest.raises(ConfigurationError, match="scope notifications:subscribe"):
            await endpoint.provider().current()
        silent = Endpoint(grant("t", scope=None))
        assert (await silent.provider().current()).value.reveal() == "t"

    in_loop(test)


@pytest.mark.parametrize(
    ("reply", "reason", "retry_s"),
    [
        (httpx.Response(429, headers={"Retry-After": "17"}), "answered with 429", 17.0),
        (httpx.Response(503, headers={"Retry-After": "5"}), "answered with 503", 5.0),
        (httpx.Response(500), "answered with 500", None),
        (httpx.Response(302, headers={"Location": "https://evil"}), "answered with 302", None),
        (httpx.ConnectError("no route"), "ConnectError: no route", None),
        (httpx.ReadTimeout("slow"), "ReadTimeout", None),
        (OSError(5, "I/O"), "OSError", None),
        (httpx.Response(200, content=b"no"), "not JSON", None),
        (httpx.Response(200, content=b"[]"), "no access_token", None),
        (grant(""), "no access_token", None),
    ],
)
def test_what_is_not_our_fault_is_backed_off(
    reply: httpx.Response | Exception, reason: str, retry_s: float | None
) -> None:
    async def test() -> None:
        endpoint = Endpoint(reply)
        provider = endpoint.provider()
        with pytest.raises(TokenUnavailableError, match=reason) as caught:
            await provider.current()
        assert not caught.value.is_refused
        assert retry_s is None or caught.value.retry_s == retry_s
        assert 0.0 <= caught.value.retry_s <= 30.0
        assert "hunter2" not in str(caught.value)
        endpoint.clock.advance(31.0)
        await provider.current()

    in_loop(test)


def test_a_failed_renewal_leaves_the_old_token_to_those_who_wait_for_it() -> None:
    async def test() -> None:
        endpoint = Endpoint(grant("old"), httpx.Response(500))
        provider = endpoint.provider()
        await provider.current()
        endpoint.clock.advance(3520.0)
        endpoint.open.clear()
        renewing = asyncio.ensure_future(provider.renew_when_due())
        while len(endpoint.requests) < 2:
            await asyncio.sleep(0)
        asking = asyncio.ensure_future(provider.current())
        await asyncio.sleep(0)
        endpoint.open.set()
        assert (await asking).value.reveal() == "old"
        endpoint.clock.advance(31.0)
        async with asyncio.timeout(5.0):
            await renewing
        assert (await provider.current()).value.reveal() == "t3"
        assert (provider.refreshes, provider.failures) == (2, 1)

    in_loop(test)


def test_a_token_shows_itself_to_nobody() -> None:
    assert "geheim" not in repr(Token(value=Secret("geheim"), granted_s=0.0, life_s=1.0))


def test_a_provider_that_is_closed_gives_up_what_it_asked_for() -> None:
    async def test() -> None:
        endpoint = Endpoint()
        endpoint.open.clear()
        provider = endpoint.provider()
        await provider.close()
        asking = asyncio.create_task(provider.current())
        while not endpoint.requests:
            await asyncio.sleep(0)  # until it is under way
        await provider.close()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert provider.refreshes == provider.failures == 0

    in_loop(test)


def test_who_asks_for_a_new_identity_need_not_wait_for_the_old_ones_refusal() -> None:
    async def test() -> None:
        endpoint = Endpoint(httpx.Response(401))
        provider = endpoint.provider(in_service=True)
        with pytest.raises(TokenUnavailableError):
            await provider.current()
        endpoint.secret = "rotated"
        provider.renew_soon()
        async with asyncio.timeout(5.0):
            await provider.renew_when_due()
        assert (await provider.current()).value.reveal() == "t2"
        assert len(endpoint.requests) == 2

    in_loop(test)


def test_a_new_identity_is_asked_for_at_the_next_need_of_a_token_too() -> None:
    async def test() -> None:
        endpoint = Endpoint()
        provider = endpoint.provider()
        await provider.current()
        provider.renew_soon()
        assert [(await provider.current()).value.reveal() for _ in range(2)] == ["t2", "t2"]

    in_loop(test)


def test_a_new_identity_that_is_wrong_leaves_the_old_token() -> None:
    async def test() -> None:
        endpoint = Endpoint(grant("old"), httpx.Response(401))
        provider = endpoint.provider()
        await provider.current()
        provider.renew_soon()
        for _ in range(2):
            assert (await provider.current()).value.reveal() == "old"
        assert (len(endpoint.requests), provider.failures) == (2, 1)

    in_loop(test)
