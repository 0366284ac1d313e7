"""A token that is due, and an endpoint that asks to be asked again at once: few requests a second.

Real seconds, for what is counted is how often a loop goes round.
"""

from __future__ import annotations

import asyncio
import random

import pytest

from actors.genesys.http import GatewayAddress, http_client, reach
from actors.genesys.tokens import TokenProvider
from runtime.clock import SystemClock
from tests.cases.raw_server import Endpoint, RawServer, reply

LOOKED_AT_S = 1.0
REQUESTS_MAX = 4
GRANTED = b'{"access_token":"abc","expires_in":2}'


class Ahead(SystemClock):
    """The machine's clock, ahead by what a test says."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now_s(self) -> float:
        return super().now_s() + self.ahead_s


async def requests_while_due(after: str, status: int) -> int:
    refused = reply(status, headers=[("Retry-After", after)])
    endpoint, clock = Endpoint(reply(200, GRANTED), refused), Ahead()
    async with RawServer(endpoint.serve) as server:
        url = f"http://127.0.0.1:{server.port}"
        address = GatewayAddress(
            api_url=url, credentials=lambda: ("id", "secret"), token_url=f"{url}/oauth/token"
        )
        async with http_client(reach(address, {})) as client:
            tokens = TokenProvider(address, (), client, clock=clock, rng=random.Random(1))
            await tokens.current()
            clock.ahead_s = 1.05  # half of its life is over
            renewing = asyncio.create_task(tokens.renew_when_due())
            end_s = clock.now_s() + LOOKED_AT_S
            while clock.now_s() < end_s and endpoint.requests - 1 <= REQUESTS_MAX:
                await asyncio.sleep(0.01)
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            await tokens.close()
    return endpoint.requests - 1


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    "after",
    [
        pytest.param("0", id="0"),
        pytest.param("0.001", id="a millisecond"),
        pytest.param("1", id="a second"),
    ],
)
def test_a_token_that_is_due_is_asked_for_a_few_times_a_second_at_most(
    after: str, status: int
) -> None:
    assert 1 <= asyncio.run(requests_while_due(after, status)) <= REQUESTS_MAX
