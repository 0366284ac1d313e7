"""Replies of a token endpoint as people have met them: what gives a token, and what an error says.

Over a socket: what the client makes of the head of a reply is part of it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from actors.genesys.http import GatewayAddress, http_client, reach
from actors.genesys.tokens import Token, TokenProvider, TokenUnavailableError
from runtime.clock import ManualClock
from runtime.errors import ConfigurationError
from tests.cases.raw_server import Endpoint, RawServer, reply

HOST = "127.0.0.1"


@dataclass
class Asked:
    """What came of asking for a token once."""

    token: Token | None = None
    error: TokenUnavailableError | ConfigurationError | None = None

    @property
    def said(self) -> str:
        return str(self.error)

    @property
    def retry_s(self) -> float:
        assert isinstance(self.error, TokenUnavailableError), self
        return self.error.retry_s


def ask(answer: bytes, *, in_service: bool = True) -> Asked:
    """Raises what the product does not name."""

    async def run() -> Asked:
        async with RawServer(Endpoint(answer).serve) as server:
            url = f"http://{HOST}:{server.port}"
            address = GatewayAddress(
                api_url=url,
                credentials=lambda: ("id", "secret"),
                token_url=f"{url}/oauth/token",
            )
            async with http_client(reach(address, {})) as client:
                tokens = TokenProvider(
                    address,
                    (),
                    client,
                    clock=ManualClock(1000.0),
                    rng=random.Random(1),
                    in_service=in_service,
                )
                try:
                    return Asked(token=await tokens.current())
                except (TokenUnavailableError, ConfigurationError) as error:
                    return Asked(error=error)
                finally:
                    await tokens.close()

    return asyncio.run(run())


# -- when to try again -----------------------------------------------------------------------------

BACKS_OFF_S = 0.001
"""Any wait at all: how long a back-off is, is drawn."""
LONG_S = 600.0
"""The most that a gateway may make us wait."""

RETRIES = [
    pytest.param(429, ["0"], BACKS_OFF_S, id="429 after 0"),
    pytest.param(503, ["0"], BACKS_OFF_S, id="503 after 0"),
    pytest.param(429, ["0.5"], 0.5, id="a fraction"),
    pytest.param(429, ["Fri, 31 Dec 2027 23:59:59 GMT"], LONG_S, id="a date"),
    pytest.param(429, ["86400"], LONG_S, id="a day"),
    pytest.param(429, ["5", "7"], 5.0, id="twice"),
    pytest.param(429, ["-1"], BACKS_OFF_S, id="negative"),
    pytest.param(429, ["1e3"], BACKS_OFF_S, id="in E notation"),
]


@pytest.mark.parametrize(("status", "after", "least_s"), RETRIES)
def test_a_refusal_for_a_while_is_waited_for(
    status: int, after: Sequence[str], least_s: float
) -> None:
    asked = ask(reply(status, b"{}", [("Retry-After", each) for each in after]))
    assert str(status) in asked.said
    assert least_s <= asked.retry_s <= LONG_S


# -- what gives a token ----------------------------------------------------------------------------


def grant(expires_in: str) -> bytes:
    text = f'{{"access_token":"abc","token_type":"bearer","expires_in":{expires_in}}}'
    return text.encode()


NO_LIFE = b'{"access_token":"abc","token_type":"bearer"}'
DAY_S = 86_400.0

GRANTS = [
    pytest.param(grant("86400"), DAY_S, id="86400"),
    pytest.param(grant("86399.5"), 86_399.5, id="a fraction"),
    pytest.param(grant('"86400"'), DAY_S, id="a number as text"),
    pytest.param(grant("1"), 1.0, id="1"),
    pytest.param(grant("300"), 300.0, id="300"),
    pytest.param(grant("172800"), 172_800.0, id="172800"),
    pytest.param(b"\xef\xbb\xbf" + grant("86400"), DAY_S, id="byte order mark"),
]


@pytest.mark.parametrize(("body", "life_s"), GRANTS)
def test_a_number_of_seconds_gives_a_token_of_that_life(body: bytes, life_s: float) -> None:
    asked = ask(reply(200, body))
    assert asked.token is not None, asked
    assert asked.token.life_s == life_s


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(grant("null"), id="null"),
        pytest.param(NO_LIFE, id="absent"),
    ],
)
def test_no_number_of_seconds_gives_a_token_of_a_usual_life(body: bytes) -> None:
    asked = ask(reply(200, body))
    assert asked.token is not None, asked
    assert 300.0 <= asked.token.life_s <= 172_800.0


ODD = [
    pytest.param("0", id="0"),
    pytest.param("-1", id="negative"),
    pytest.param("true", id="true"),
    pytest.param("31536000000", id="a thousand years"),
    pytest.param("9223372036854775807", id="64 bits"),
    pytest.param("1e400", id="out of range"),
]


@pytest.mark.parametrize("expires_in", ODD)
def test_a_number_that_is_no_life_gives_a_token_of_some_life_or_is_named(expires_in: str) -> None:
    asked = ask(reply(200, grant(expires_in)))
    if asked.token is not None:
        assert 0.0 < asked.token.life_s < float("inf")
    else:
        assert "expires_in" in asked.said
        assert asked.retry_s > 0.0


# -- what an error says ----------------------------------------------------------------------------


def test_a_page_in_place_of_a_token_is_named() -> None:
    asked = ask(reply(200, b"<html>login</html>"))
    assert "not JSON" in asked.said
    assert asked.retry_s > 0.0


UNKNOWN_CLIENT = (
    b'{"error":"invalid_client","description":"client not found: 3f1c",'
    b'"error_description":"client not found: 3f1c"}'
)
REFUSALS = [
    pytest.param(400, UNKNOWN_CLIENT, "client not found: 3f1c", False, id="400"),
    pytest.param(401, b'{"error":"invalid_client"}', "invalid_client", False, id="401"),
    pytest.param(
        400,
        b'{"error":"invalid_request"}',
        "invalid_request",
        True,
        id="400 in service",
    ),
    pytest.param(404, b"not found", "dialect", False, id="404"),
    pytest.param(404, b"not found", "404", True, id="404 in service"),
]


@pytest.mark.parametrize(("status", "body", "description", "in_service"), REFUSALS)
def test_a_refusal_is_told_in_its_own_words_with_the_host(
    status: int, body: bytes, description: str, in_service: bool
) -> None:
    asked = ask(reply(status, body), in_service=in_service)
    assert isinstance(asked.error, ConfigurationError) == (not in_service)
    assert str(status) in asked.said
    assert description in asked.said
    assert HOST in asked.said
