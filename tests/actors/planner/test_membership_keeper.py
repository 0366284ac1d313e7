"""When it is read who belongs to which queue: at once, again what failed, by id who joins later."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog

from actors.genesys.channel_plan import ChannelPlan, Slot
from actors.genesys.cloud_rest import CloudRest
from actors.messages.queues import queues_of
from actors.planner import membership_keeper
from actors.planner.arguments import PLANNER_WORDS, WatchSelection
from actors.planner.members import QueueMembers
from actors.planner.membership_keeper import MembershipKeeper
from actors.planner.roster import RosterReader
from actors.planner.roster_calls import RetryPolicy, RosterCalls
from actors.planner.store import RosterStore, prepare
from actors.storage.disk_wait import DiskWait
from runtime.child import Child
from runtime.clock import SystemClock
from runtime.counters import Counters
from tests.actors.receiver.rig import until
from tests.gateway.scripted_cloud import QUEUES, ScriptedCloud, Trouble, with_cloud

HASTY = RetryPolicy(tries_max=2, backoff_first_s=0.001, backoff_most_s=0.002)


class Kept:
    """One keeper over one gateway."""

    def __init__(self, rest: CloudRest, path: Path, *, every_s: float = 3600.0) -> None:
        prepare(path, "run")
        self.store = RosterStore(path, "run")
        self.counters = Counters.create("planner", PLANNER_WORDS)
        self.is_way_clear = True
        rng, log = random.Random(1), structlog.get_logger("test")
        self.keeper = MembershipKeeper(
            RosterCalls(rest, rng=rng, retry=HASTY, is_modest=True),
            self.store,
            DiskWait(Child("planner", 1, self.counters), log, path),
            names=RosterReader(rest, WatchSelection(), rng=rng, retry=HASTY).queue_names,
            keep=self._keep,
            keep_some=self._add,
            is_way_clear=lambda: self.is_way_clear,
            every_s=every_s,
            counters=self.counters,
            clock=SystemClock(),
            rng=rng,
            log=log,
        )

    def _keep(self, found: Mapping[str, Iterable[str]]) -> None:
        self.store.keep_memberships(found, SystemClock().wall_us())

    def _add(self, found: Mapping[str, Iterable[str]]) -> None:
        self.store.add_memberships(found)

    def watch(self, *users: str) -> None:
        plan = ChannelPlan(slots={Slot(0, 0): frozenset(users)})
        self.store.commit(plan, dict.fromkeys(users, ""), 1)
        self.keeper.watch(users)

    @property
    def unknown(self) -> int:
        return self.counters.get("agents_queues_unknown")

    def queues(self, user: str) -> tuple[str, ...]:
        return queues_of(self.store.memberships[user])

    @asynccontextmanager
    async def keeping(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.keeper.keep())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def with_kept(
    tmp_path: Path, test: Callable[[ScriptedCloud, Kept], Awaitable[None]], **how: float
) -> None:
    async def run(cloud: ScriptedCloud, rest: CloudRest) -> None:
        cloud.add(*"abcd")
        cloud.named[QUEUES] = {"q1": "One", "q2": "Two", "q3": "Three"}
        cloud.members = {
            f"{QUEUES}/q1/members": ["a", "b"],
            f"{QUEUES}/q2/members": ["b", "c"],
            f"{QUEUES}/q3/members": [],
        }
        await test(cloud, Kept(rest, tmp_path / "cloud.db", **how))

    with_cloud(run)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership_keeper, "STEP_S", 0.01)
    monkeypatch.setattr(membership_keeper, "RETRY_FIRST_S", 0.02)


def test_nobodys_queues_are_known_before_all_were_read_and_then_everybodys(
    tmp_path: Path,
) -> None:
    async def test(_: ScriptedCloud, kept: Kept) -> None:
        assert kept.keeper.is_urgent
        kept.watch(*"abcd")
        assert kept.unknown == 4
        assert kept.keeper.is_urgent
        async with kept.keeping():
            await kept.keeper.name_queues()
            await until(lambda: kept.counters.get("queue_reads") == 1)
        assert [kept.queues(user) for user in "abcd"] == [("q1",), ("q1", "q2"), ("q2",), ()]
        assert (kept.unknown, kept.keeper.is_urgent) == (0, False)

    with_kept(tmp_path, test)


def test_what_the_file_holds_is_known_at_once_and_nothing_is_borrowed(tmp_path: Path) -> None:
    async def test(cloud: ScriptedCloud, kept: Kept) -> None:
        kept.watch("a", "b")
        kept._keep({"a": ["q1"]})
        kept.watch("a", "b")
        assert (kept.unknown, kept.keeper.is_urgent) == (0, False)
        async with kept.keeping():
            await kept.keeper.name_queues()
            await asyncio.sleep(0.1)
        assert cloud.paths(f"{QUEUES}/q1/members") == 0

    with_kept(tmp_path, test)


def test_a_queue_that_fails_is_read_again_alone_and_until_then_nothing_is_known(
    tmp_path: Path,
) -> None:
    async def test(cloud: ScriptedCloud, kept: Kept) -> None:
        cloud.troubles.extend([Trouble(f"{QUEUES}/q2/members", 500)] * 2)
        kept.watch(*"abcd")
        async with kept.keeping():
            await kept.keeper.name_queues()
            await until(lambda: kept.counters.get("queue_read_failures") == 1)
            assert kept.unknown == 4
            await until(lambda: kept.unknown == 0)
        assert kept.queues("b") == ("q1", "q2")
        assert [cloud.paths(f"{QUEUES}/{queue}/members") for queue in ("q1", "q2")] == [1, 3]

    with_kept(tmp_path, test)


def test_a_queue_that_is_gone_or_may_not_be_read_costs_no_other_one(tmp_path: Path) -> None:
    async def test(cloud: ScriptedCloud, kept: Kept) -> None:
        kept.keeper.read_already({"q1": QueueMembers(("a",), is_exact=True)})
        cloud.troubles.append(Trouble(f"{QUEUES}/q2/members", 403))
        del cloud.members[f"{QUEUES}/q3/members"]
        kept.watch(*"abcd")
        with structlog.testing.capture_logs() as lines:
            async with kept.keeping():
                await kept.keeper.name_queues()
                await until(lambda: kept.unknown == 0)
        assert kept.queues("a") == ("q1",)
        assert cloud.paths(f"{QUEUES}/q1/members") == 0
        told = [line for line in lines if line["event"] == "queues.members_forbidden"]
        assert [line["queues"] for line in told] == [1]

    with_kept(tmp_path, test)


def test_without_permission_it_is_said_and_nothing_is_borrowed_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership_keeper, "RETRY_MOST_S", 0.02)

    async def test(cloud: ScriptedCloud, kept: Kept) -> None:
        for queue in cloud.named[QUEUES]:
            cloud.answers["GET", f"{QUEUES}/{queue}/members"] = lambda _: (403, {})
        kept.watch(*"abcd")
        async with kept.keeping():
            await kept.keeper.name_queues()
            await until(lambda: not kept.keeper.is_urgent)
            assert kept.unknown == 4
            cloud.answers.clear()
            await until(lambda: kept.unknown == 0)

    with_kept(tmp_path, test)


def test_who_joins_later_is_asked_for_by_id_and_nobody_elses_queues_change(tmp_path: Path) -> None:
    async def test(cloud: ScriptedCloud, kept: Kept) -> None:
        kept.watch("a", "b")
        asked: list[str] = []

        def queues(request: object) -> object:
            asked.append(dict(request.query)["joined"])  # type: ignore[attr-defined]
            listed = [{"id": "q3"}, {"id": "q1", "joined": True}, {"id": "q2", "joined": False}]
            return {"entities": listed, "total": 3, "pageCount": 1}

        cloud.answers["GET", "/api/v2/users/d/queues"] = queues
        async with kept.keeping():
            await kept.keeper.name_queues()
            await until(lambda: kept.counters.get("queue_reads") == 1)
            kept.watch("a", "b", "d")
            assert (kept.unknown, kept.keeper.is_urgent) == (1, False)
            await until(lambda: kept.unknown == 0)
        assert kept.queues("d") == ("q1", "q3")
        assert kept.queues("b") == ("q1", "q2")
        assert (asked, cloud.paths(f"{QUEUES}/q1/members")) == (["true"], 1)

    with_kept(tmp_path, test)


def test_of_whom_nobody_tells_by_id_all_queues_are_read_again_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership_keeper, "REFUSED_AGAIN_S", 0.3)

    async def test(cloud: ScriptedCloud, kept: Kept) -> None:
        kept.watch("a", "b")
        async with kept.keeping():
            await kept.keeper.name_queues()
            await until(lambda: kept.counters.get("queue_reads") == 1)
            kept.watch("a", "b", "d")  # a 404
            assert kept.unknown == 1
            await until(lambda: kept.unknown == 0)
        assert kept.queues("d") == ()
        assert cloud.paths("/api/v2/users/d/queues") == 1

    with_kept(tmp_path, test)


def test_the_interval_is_one_of_the_wall_clock_and_a_clock_set_back_starts_it_anew(
    tmp_path: Path,
) -> None:
    async def test(cloud: ScriptedCloud, kept: Kept) -> None:
        kept.watch("a")
        async with kept.keeping():
            await kept.keeper.name_queues()
            await until(lambda: kept.counters.get("queue_reads") == 1)
            kept.store.keep_memberships({"a": ["q1"]}, SystemClock().wall_us() + 10**12)
            await until(lambda: kept.counters.get("queue_reads") == 2)

    with_kept(tmp_path, test)


def test_a_first_read_lets_snapshots_go_first_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership_keeper, "WAY_MOST_S", 0.5)

    async def test(_: ScriptedCloud, kept: Kept) -> None:
        kept.is_way_clear = False
        kept.watch("a")
        async with kept.keeping():
            await kept.keeper.name_queues()
            await asyncio.sleep(0.2)
            assert kept.unknown == 1
            await until(lambda: kept.unknown == 0)

    with_kept(tmp_path, test)
