"""The wait for a place in the rate budget, with real calls to a small real server."""

from __future__ import annotations

import asyncio
import random

import pytest

from actors.genesys import pacer as pacer_module
from actors.genesys.cloud_errors import RateLimitedError
from actors.genesys.cloud_rest import CloudRest
from actors.genesys.http import http_client, reach
from actors.genesys.pacer import Pacer
from actors.genesys.rate_budget import ALLOWED_HEADER, COUNT_HEADER, RESET_HEADER, Budget
from actors.genesys.tokens import TokenProvider
from runtime.clock import SystemClock
from tests.gateway.scripted_cloud import ScriptedCloud, Trouble, with_cloud

USER = "8b67e4d1-9758-4285-8c45-b49fedff3f99"
PRESENCE = f"/api/v2/users/{USER}/presences/PURECLOUD"


class Stepped(SystemClock):
    """Jumps ahead whenever it is looked at: a minute is over soon."""

    step_s = 0.0

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def now_s(self) -> float:
        self._ahead_s += self.step_s
        return super().now_s() + self._ahead_s


def test_a_call_waits_for_its_place_and_who_asked_first_goes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pacer_module, "STEP_MOST_S", 0.02)

    async def run() -> None:
        clock = Stepped()
        budget = Budget(2)
        async with ScriptedCloud() as cloud, http_client(reach(cloud.address, {})) as http:
            tokens = TokenProvider(cloud.address, (), http, clock=clock, rng=random.Random(1))
            pacer = Pacer(budget, clock)
            rest = CloudRest(cloud.address, tokens, http, pacer, clock=clock)
            for name in "abcd":
                cloud.answers["GET", f"/api/v2/users/{name}/presences/PURECLOUD"] = lambda _: {}
            calls = [asyncio.create_task(rest.presence(name)) for name in "abcd"]
            while len(cloud.asked) < 2 or pacer.waiting < 2:
                await asyncio.sleep(0.01)  # until two are through
            assert [asked.path.split("/")[4] for asked in cloud.asked] == ["a", "b"]
            assert [call.done() for call in calls[2:]] == [False, False]
            clock.step_s = 20.0
            await asyncio.gather(*calls)
            assert [asked.path.split("/")[4] for asked in cloud.asked] == ["a", "b", "c", "d"]

    asyncio.run(run())


def test_a_429_is_counted_and_the_next_call_waits_as_long_as_it_says() -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        cloud.troubles.append(Trouble(PRESENCE, 429, None, {"Retry-After": "17"}))
        with pytest.raises(RateLimitedError):
            await rest.presence(USER)
        assert rest.rate_limited == 1
        assert 15.0 < rest._pacer.budget.wait_s(SystemClock().now_s()) <= 17.0

    with_cloud(test)


def test_the_headers_of_an_answer_correct_the_budget() -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        cloud.headers = {COUNT_HEADER: "300", ALLOWED_HEADER: "300", RESET_HEADER: "40"}
        cloud.answers["GET", PRESENCE] = lambda _: {}
        await rest.presence(USER)
        assert 30.0 < rest._pacer.budget.wait_s(SystemClock().now_s()) <= 41.0

    with_cloud(test)


def test_a_call_that_is_given_up_leaves_the_queue() -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        cloud.answers["GET", PRESENCE] = lambda _: {}
        budget = rest._pacer.budget
        budget.refused(600.0, SystemClock().now_s())
        call = asyncio.create_task(rest.presence(USER))
        while rest._pacer.waiting == 0:
            await asyncio.sleep(0.01)  # until it waits
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        assert rest._pacer.waiting == 0
        assert budget.used(SystemClock().now_s()) == 0
        assert cloud.asked == []

    with_cloud(test)
