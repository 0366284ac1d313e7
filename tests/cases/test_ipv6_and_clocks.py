"""A gateway on IPv6, and one whose clock is not ours: its own `Date` says when a change was made.

A command that is tried again reads the presence first. Whether that is of before or after the first
try is a comparison of two clocks, which may be ten seconds apart.
"""

from __future__ import annotations

import asyncio
import random
import socket
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

import pytest

from actors.genesys.cloud_rest import CloudRest
from actors.genesys.http import http_client, reach
from actors.genesys.pacer import Pacer
from actors.genesys.rate_budget import Budget
from actors.genesys.tokens import TokenProvider
from actors.sender.changing import Changing
from actors.sender.signals import Acknowledged, NotSent, Patch, Signal, Unanswered
from actors.sender.words import LOOP_WORDS
from runtime.clock import SystemClock
from runtime.counters import Counters
from tests.actors.sender.test_cloud_dialect import DEFINITIONS
from tests.cases.raw_server import opening_of, switching
from tests.gateway.loopback import Request
from tests.gateway.scripted_cloud import ScriptedCloud

USER = "00000000-0000-4000-8000-00000000000a"
PATH = f"/api/v2/users/{USER}/presences/PURECLOUD"


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
def test_an_ipv6_address_is_opened() -> None:
    opening = opening_of(switching, host="[::1]", listens="::1")
    assert opening.is_open, opening
    assert opening.has_heartbeat


class Skewed(SystemClock):
    """The machine's clock; what it shows is so many seconds ahead of the gateway's."""

    def __init__(self, ahead_s: float) -> None:
        self._ahead_us = round(ahead_s * 1e6)

    def wall_us(self) -> int:
        return super().wall_us() + self._ahead_us


def stamp(at_us: int) -> str:
    text = datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def held(definition: str, name: str, at_us: int) -> dict[str, Any]:
    presence = {"id": definition, "systemPresence": name}
    return {
        "id": USER,
        "source": "PURECLOUD",
        "primary": True,
        "presenceDefinition": presence,
        "modifiedDate": stamp(at_us),
    }


class Repeat:
    """A change to Meal whose first try got no answer, `first_try_s` ago; the agent holds `name`
    since `changed_s` after that try, by the gateway's clock."""

    def __init__(
        self, definition: str, name: str, changed_s: float, ahead_s: float, date: str | None = ""
    ) -> None:
        """`date`: of the gateway's answers; "": the right one, None: they have none."""
        self.date = date
        self.clock = Skewed(ahead_s)
        self.first_us = SystemClock().wall_us() - 60_000_000
        self.held = held(definition, name, self.first_us + round(changed_s * 1e6))
        self.told: list[Signal] = []
        self.patches = 0

    def patched(self, asked: Request) -> dict[str, Any]:
        self.patches += 1
        return held("d-meal", "Meal", SystemClock().wall_us())

    async def run(self) -> None:
        async with ScriptedCloud() as cloud:
            if self.date is not None:
                cloud.headers["Date"] = self.date or formatdate(usegmt=True)
            cloud.answers = {("GET", PATH): lambda _: self.held, ("PATCH", PATH): self.patched}
            async with http_client(reach(cloud.address, {})) as http:
                tokens = TokenProvider(
                    cloud.address, (), http, clock=self.clock, rng=random.Random(1)
                )
                pacer = Pacer(Budget(200), self.clock)
                rest = CloudRest(cloud.address, tokens, http, pacer, clock=self.clock)
                changing = Changing(
                    rest,
                    tell=self.told.append,
                    counters=Counters.create("sender", LOOP_WORDS),
                    clock=self.clock,
                    on_no_token=lambda _: None,
                    on_doubt=lambda: None,
                    gateway_ahead_us=lambda: rest.gateway_ahead_us,
                )
                since_us = self.first_us + self.clock.wall_us() - SystemClock().wall_us()
                await changing.make([Patch(1, "c1", USER, "Meal", "", since_us)], DEFINITIONS)
                await tokens.close()


def repeated(definition: str, name: str, changed_s: float, ahead_s: float) -> Repeat:
    repeat = Repeat(definition, name, changed_s, ahead_s)
    asyncio.run(repeat.run())
    return repeat


SKEWS = [
    pytest.param(0.0, id="equal clocks"),
    pytest.param(-10.0, id="ours 10 s behind"),
    pytest.param(10.0, id="ours 10 s ahead"),
]


@pytest.mark.parametrize("ahead_s", SKEWS)
def test_what_was_changed_by_hand_before_the_first_try_is_no_reason_to_refuse(
    ahead_s: float,
) -> None:
    repeat = repeated("d-queue", "On Queue", -5.0, ahead_s)
    assert repeat.patches == 1, repeat.told
    [told] = repeat.told
    assert isinstance(told, Acknowledged)
    assert told.success


@pytest.mark.parametrize(
    "ahead_s",
    [
        pytest.param(0.0, id="equal clocks"),
        pytest.param(-10.0, id="ours 10 s behind"),
        pytest.param(10.0, id="ours 10 s ahead"),
    ],
)
def test_a_change_that_took_is_not_made_twice(ahead_s: float) -> None:
    repeat = repeated("d-meal", "Meal", 0.2, ahead_s)
    assert repeat.patches == 0
    [told] = repeat.told
    assert isinstance(told, Acknowledged | Unanswered | NotSent)


@pytest.mark.parametrize("date", [None, "yesterday", "Mon, 99 Foo 2026 25:61:61 GMT", "0"])
def test_without_a_date_that_can_be_read_the_clocks_are_taken_for_equal(date: str | None) -> None:
    by_hand, ours = (
        Repeat("d-queue", "On Queue", -5.0, 0.0, date),
        Repeat("d-meal", "Meal", 0.2, 0.0, date),
    )
    for repeat, patches in ((by_hand, 1), (ours, 0)):
        asyncio.run(repeat.run())
        assert repeat.patches == patches, repeat.told
        assert len(repeat.told) == 1


@pytest.mark.parametrize("how", ["asctime", "numeric zone", "ISO"])
def test_a_date_in_another_form_tells_the_time_as_well(how: str) -> None:
    now = datetime.now(UTC)
    date = {
        "asctime": now.strftime("%a %b %d %H:%M:%S %Y"),
        "numeric zone": now.strftime("%a, %d %b %Y %H:%M:%S +0000"),
        "ISO": now.isoformat(timespec="seconds"),
    }[how]
    repeat = Repeat("d-queue", "On Queue", -5.0, -10.0, date)
    asyncio.run(repeat.run())
    assert repeat.patches == 1, repeat.told
