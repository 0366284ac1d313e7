"""The planner against the bundled gateway, which allows a client its 300 calls a minute."""

from __future__ import annotations

import asyncio
from pathlib import Path

from actors.genesys.channel_plan import Limits
from actors.planner.arguments import PLANNER_WORDS, PlannerArguments, WatchSelection
from actors.planner.loop import Planner
from actors.planner.roster_calls import RetryPolicy
from actors.planner.store import prepare, read_names, read_roster
from runtime.child import Child
from runtime.clock import SystemClock
from runtime.counters import Counters
from tests.actors.receiver.rig import in_loop, until
from tests.gateway.client import address_of, bundled

AGENTS = 3000
HIDDEN = 2


def test_an_organisation_is_planned_and_its_joins_and_leaves_are_picked_up(tmp_path: Path) -> None:
    async def test() -> None:
        async with bundled(tmp_path, agents=AGENTS, hidden=HIDDEN) as gateway:
            users = await gateway.users()
            path = tmp_path / "cloud.db"
            prepare(path, "run")
            counters = Counters.create("planner", PLANNER_WORDS)
            child = Child("planner", 1, counters)
            planner = Planner(
                child,
                PlannerArguments(
                    address=address_of(gateway),
                    path=path,
                    run="run",
                    watch=WatchSelection(),
                    clients=1,
                    limits=Limits(channels_per_client_max=3),
                    roster_every_s=0.5,
                ),
                SystemClock(),
                retry=RetryPolicy(backoff_first_s=0.01, backoff_most_s=0.02),
            )
            await gateway.fault("slow-rest", seconds=0.3, count=2)
            await gateway.fault("refuse-rest", status=503, count=2)
            life = asyncio.create_task(planner.live())
            await until(lambda: counters.get("roster_reads") > 0 or life.done())
            first = read_roster(path)
            assert first.names.keys() == set(users[:-HIDDEN])
            assert counters.get("agents_unmonitored") == AGENTS - HIDDEN - 3 * 950
            assert first.plan.clients_needed == 2
            await until(lambda: bool(read_names(path).queues))
            await gateway.control("/roster", {"user": users[-1], "state": "active"})
            await gateway.control("/roster", {"user": users[0], "state": "deleted"})
            await until(lambda: counters.get("plan_version") > first.version)
            await until(lambda: users[0] not in read_roster(path).names)
            later = read_roster(path)
            assert users[-1] in later.names
            places, before = later.plan.places(), first.plan.places()
            assert {user for user in before if places.get(user) != before[user]} == {users[0]}
            child.stop()
            await life
            status = await gateway.control("/status")
            assert status["too_many_requests"] == 0
            assert status["fullest_window"][0] <= 45

    in_loop(test)
