"""The planner's life: first plan, joins, leaves, troubles of the gateway, its page and budget."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
import structlog

from actors.genesys.channel_plan import Limits, Slot
from actors.planner import loop
from actors.planner.arguments import PLANNER_WORDS, WatchSelection
from actors.planner.store import (
    read_names,
)
from runtime.block import Block
from runtime.clock import SystemClock
from runtime.counters import DRAINING, LOADED, RUNNING, Counters
from runtime.doorbell import Doorbell
from runtime.ring import Consumer, ring_bytes
from tests.actors.planner.rig import SHOWN, Rig, with_rig
from tests.actors.receiver.rig import until
from tests.gateway.scripted_cloud import PAGES, QUEUES, ScriptedCloud, Trouble


def test_a_first_read_becomes_a_plan_and_the_receivers_hear_of_it(tmp_path: Path) -> None:
    async def test(cloud: ScriptedCloud, rig: Rig) -> None:
        cloud.add("a", "b", "c", "d")
        cloud.named[QUEUES] = {"q1": "Sales"}
        async with rig.living():
            await until(lambda: rig.get("roster_reads") > 0)
            assert rig.get("phase") == RUNNING
            assert rig.roster.plan.slots == {
                Slot(0, 0): frozenset("abc"),
                Slot(0, 1): frozenset("d"),
            }
            assert (rig.get("plan_version"), rig.roster.version) == (1, 1)
            assert rig.rung()
            await until(lambda: rig.get("queue_reads") > 0)
            assert read_names(rig.path) == (
                {user: f"N {user}" for user in "abcd"},
                {"q1": "Sales"},
            )
        words = ("agents_watched", "agents_unmonitored", "channels_planned", "clients_needed")
        assert [rig.get(word) for word in words] == [4, 0, 2, 1]
        assert rig.get("requests") == len(cloud.asked)
        assert rig.get("token_refreshes") == 1
        assert rig.get("phase") == DRAINING

    with_rig(tmp_path, test)


def test_who_joins_or_leaves_is_picked_up_and_no_other_channel_is_touched(tmp_path: Path) -> None:
    async def test(cloud: ScriptedCloud, rig: Rig) -> None:
        cloud.add(*"abcde")
        async with rig.living():
            await until(lambda: rig.get("plan_version") == 1)
            before = rig.roster.plan.slots
            assert rig.rung()
            del cloud.users["e"]
            cloud.add("f")
            await until(lambda: rig.get("plan_version") > 1 and "f" in rig.roster.names)
            await until(lambda: "e" not in rig.roster.names)
            assert rig.rung()
            after = rig.roster.plan.slots
            assert after[Slot(0, 0)] == before[Slot(0, 0)]
            assert after[Slot(0, 1)] == frozenset("df")
            version, reads = rig.get("plan_version"), rig.get("roster_reads")
            cloud.users["a"]["name"] = "Anna"
            await until(lambda: rig.get("roster_reads") > reads + 1)
            assert rig.roster.names["a"] == "Anna"
            assert rig.get("plan_version") == version
            assert not rig.rung()
            assert read_names(rig.path).users["e"] == "N e"

    with_rig(tmp_path, test)


def test_too_few_clients_are_said_once_with_how_many_are_needed(tmp_path: Path) -> None:
    async def test(cloud: ScriptedCloud, rig: Rig) -> None:
        cloud.add(*"abcdefghijklm")
        with structlog.testing.capture_logs() as lines:
            async with rig.living():
                await until(lambda: rig.get("roster_reads") > 2)
                assert (rig.get("agents_unmonitored"), rig.get("clients_needed")) == (7, 3)
                assert rig.roster.plan.unmonitored == frozenset("ghijklm")
                for user in "ghijklm":
                    del cloud.users[user]
                await until(lambda: rig.get("agents_unmonitored") == 0)
        told = [
            each for each in lines if each["event"] in ("plan.clients_missing", "plan.complete")
        ]
        assert [line["event"] for line in told] == ["plan.clients_missing", "plan.complete"]
        assert (told[0]["unmonitored"], told[0]["clients_needed"]) == (7, 3)

    with_rig(tmp_path, test)


def test_an_organisation_without_anybody_is_a_plan_and_is_said_once(tmp_path: Path) -> None:
    async def test(cloud: ScriptedCloud, rig: Rig) -> None:
        with structlog.testing.capture_logs() as lines:
            async with rig.living():
                await until(lambda: rig.get("roster_reads") > 2)
                assert (rig.get("plan_version"), rig.get("phase")) == (1, RUNNING)
        assert [line["event"] for line in lines].count("roster.empty") == 1

    with_rig(tmp_path, test)


def test_a_successor_has_the_plan_before_it_asks_anybody(tmp_path: Path) -> None:
    async def test(cloud: ScriptedCloud, rig: Rig) -> None:
        cloud.add(*"abcdefg")
        async with rig.living():
            await until(lambda: rig.get("plan_version") == 1)
        assert rig.rung()
        slots = rig.roster.plan.slots
        cloud.troubles.append(Trouble(PAGES, 0, hangs=True))
        rig.counters = Counters.create("planner", PLANNER_WORDS)  # of another runtime
        async with rig.living():
            await until(lambda: rig.get("plan_version") == 1)
            assert (rig.get("phase"), rig.get("roster_reads")) == (LOADED, 0)
            assert rig.rung()
            assert rig.roster.plan.slots == slots
        cloud.troubles.append(Trouble(PAGES, 0, hangs=True))
        rig.arguments = replace(rig.arguments, clients=2)  # and one more in the settings
        async with rig.living():
            await until(lambda: rig.get("plan_version") == 2)
            assert rig.roster.plan.unmonitored == frozenset()
            assert rig.roster.plan.slots == {
                **slots,
                Slot(1, 0): frozenset("g"),
            }

    with_rig(tmp_path, test)


def test_troubles_of_the_gateway_leave_the_plan_as_it_is(tmp_path: Path) -> None:
    async def test(cloud: ScriptedCloud, rig: Rig) -> None:
        cloud.add(*"abc")
        async with rig.living():
            await until(lambda: rig.get("plan_version") == 1)
            cloud.troubles.extend([Trouble(PAGES, 500), Trouble(PAGES, 403)])
            cloud.troubles.extend([Trouble(PAGES, 503)] * 4)  # of the page behind as well
            cloud.troubles.append(Trouble(PAGES, 429, None, {"Retry-After": "0"}))
            await until(lambda: rig.get("roster_failures") >= 2)
            assert rig.roster.plan.slots == {Slot(0, 0): frozenset("abc")}
            cloud.add("d")
            await until(lambda: rig.get("plan_version") == 2)
            assert not cloud.troubles
            await until(lambda: rig.get("requests_refused") == 1)

    with_rig(tmp_path, test)


def test_queues_without_names_hold_nothing_up(tmp_path: Path) -> None:
    async def test(cloud: ScriptedCloud, rig: Rig) -> None:
        cloud.add("a")
        cloud.troubles.extend([Trouble(QUEUES, 403, {"code": "missing.permission"})] * 5)
        with structlog.testing.capture_logs() as lines:
            async with rig.living():
                await until(lambda: rig.get("roster_reads") > 5)
        assert rig.get("roster_failures") == 0
        assert [line["event"] for line in lines].count("queues.names_unavailable") == 1

    with_rig(tmp_path, test)


def test_a_missing_permission_is_named_at_the_start_and_told_in_service(tmp_path: Path) -> None:
    async def test(cloud: ScriptedCloud, rig: Rig) -> None:
        lack = Trouble(PAGES, 403, {"messageParams": {"permissions": "directory:user:view"}})
        cloud.troubles.append(lack)
        assert "roles of the OAuth client lack directory:user:view" in str(await rig.fails())
        assert rig.get("plan_version") == 0
        cloud.troubles.append(lack)
        async with rig.living():  # a successor
            await until(lambda: rig.get("roster_reads") > 0)
            assert rig.get("roster_failures") == 1

    with_rig(tmp_path, test)


def test_whom_nobody_finds_is_named_at_the_start_and_told_in_service(tmp_path: Path) -> None:
    async def test(cloud: ScriptedCloud, rig: Rig) -> None:
        cloud.add(*"abc")
        cloud.named[QUEUES] = {"q1": "Sales"}
        cloud.members[f"{QUEUES}/q1/members"] = ["a", "b"]
        rig.arguments = replace(rig.arguments, watch=WatchSelection(kind="queues", ids=("Sale",)))
        assert "unknown queues 'Sale'" in str(await rig.fails())
        rig.generation = 0
        rig.arguments = replace(rig.arguments, watch=WatchSelection(kind="queues", ids=("Sales",)))
        async with rig.living():
            await until(lambda: rig.get("plan_version") == 1)
            cloud.named[QUEUES] = {}
            await until(lambda: rig.get("roster_failures") > 1)
            assert rig.roster.plan.slots == {Slot(0, 0): frozenset("ab")}

    with_rig(tmp_path, test)


def test_ids_of_the_file_that_are_nobodys_are_counted(tmp_path: Path) -> None:
    async def test(cloud: ScriptedCloud, rig: Rig) -> None:
        cloud.add(*"abc")
        listed = tmp_path / "ids"
        listed.write_text("a\nb\nzz\n")
        rig.arguments = replace(rig.arguments, watch=WatchSelection(kind="file", file=listed))
        async with rig.living():
            await until(lambda: rig.get("ids_missing") == 1)
            assert set(rig.roster.names) == {"a", "b"}
            listed.write_text("b\nc\n")  # it is read again each time
            await until(lambda: rig.get("ids_missing") == 0)
            assert set(rig.roster.names) == {"b", "c"}
            listed.unlink()
            failures = rig.get("roster_failures")
            await until(lambda: rig.get("roster_failures") > failures)
            assert set(rig.roster.names) == {"b", "c"}

    with_rig(tmp_path, test)


@pytest.mark.parametrize("after_s", [0.0, 0.5])  # when a page comes, and while none comes
def test_a_first_read_that_takes_long_is_planned_as_far_as_it_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after_s: float
) -> None:
    monkeypatch.setattr(loop, "PARTIAL_AFTER_S", after_s)

    async def test(cloud: ScriptedCloud, rig: Rig) -> None:
        cloud.add(*(f"u{n}" for n in range(1200)))
        rig.arguments = replace(rig.arguments, limits=Limits())

        def before_page(number: int) -> None:
            if number == 1:
                cloud.troubles.append(Trouble(PAGES, 0, hangs=True))

        cloud.before_page = before_page
        async with rig.living():
            await until(lambda: rig.get("plan_version") == 1)
            assert (rig.get("agents_watched"), rig.get("roster_reads")) == (500, 0)
            assert rig.get("phase") == LOADED

    with_rig(tmp_path, test)


def test_the_share_is_kept_over_two_lives(tmp_path: Path) -> None:
    async def test(cloud: ScriptedCloud, rig: Rig) -> None:
        cloud.add(*(f"u{n}" for n in range(5000)))
        rig.arguments = replace(rig.arguments, requests_per_minute=20)  # three of them are ours
        for _life in range(2):
            async with rig.living():
                await until(lambda: rig.get("budget_used") == 3)
                await until(lambda: len(cloud.asked) == 3)
                await rig.beats(0.5)
        assert len(cloud.asked) == 3
        assert rig.get("roster_reads") == 0

    with_rig(tmp_path, test)


def test_whom_a_read_names_but_does_not_show_is_looked_at_by_id(tmp_path: Path) -> None:
    async def test(cloud: ScriptedCloud, rig: Rig) -> None:
        members = [f"m{number:03}" for number in range(250)]
        cloud.add(*members)
        for user in members:
            cloud.users[user] |= SHOWN
        cloud.named[QUEUES] = {"q1": "Sales"}
        cloud.members[f"{QUEUES}/q1/members"] = members
        rings = [Block.create("planner to shard-0", ring_bytes(1 << 20))]
        rig.arguments = replace(
            rig.arguments,
            watch=WatchSelection(kind="queues", ids=("q1",)),
            limits=Limits(),
            shard_rings=tuple(rings),
            shard_doorbells=(Doorbell.create("shard-0"),),
            roster_every_s=30.0,
        )
        consumer = Consumer(rings[0], generation=1)
        async with rig.living():
            await until(lambda: consumer.used_bytes > 0 and cloud.paths(PAGES) == 3)
            batch = consumer.peek(1_000)
            assert batch is not None
            await until(lambda: consumer.published > batch.cursor_to or batch.count == 250)
        asked = [request for request in cloud.asked if request.path == PAGES]
        assert all(dict(request.query)["expand"] == "presence,routingStatus" for request in asked)
        ids = [value for request in asked for key, value in request.query if key == "id"]
        assert ids == members

    with_rig(tmp_path, test)


def test_everybody_on_a_page_is_shown_to_the_shards_at_no_extra_call(tmp_path: Path) -> None:
    async def test(cloud: ScriptedCloud, rig: Rig) -> None:
        cloud.add(*"abc")
        for user in "ab":
            cloud.users[user] |= SHOWN
        rings = [Block.create("planner to shard-0", ring_bytes(1 << 20))]
        rig.arguments = replace(
            rig.arguments,
            shard_rings=tuple(rings),
            shard_doorbells=(Doorbell.create("shard-0"),),
            roster_every_s=30.0,
        )
        consumer = Consumer(rings[0], generation=1)
        async with rig.living():
            await until(lambda: consumer.used_bytes > 0)
            batch = consumer.peek()
            assert batch is not None
            told = [orjson.loads(batch.frame(i))["eventBody"]["id"] for i in range(batch.count)]
            assert told == ["a", "b"]
            assert abs(batch.sequences[0] - SystemClock().wall_us()) < 10_000_000

    with_rig(tmp_path, test)


def test_it_stops_while_the_gateway_keeps_silent(tmp_path: Path) -> None:
    async def test(cloud: ScriptedCloud, rig: Rig) -> None:
        cloud.troubles.append(Trouble(PAGES, 0, hangs=True))
        async with rig.living() as life:
            await until(lambda: cloud.asked)
            rig.child.stop()
            async with asyncio.timeout(10):
                await life
        assert rig.get("plan_version") == 0

    with_rig(tmp_path, test)
