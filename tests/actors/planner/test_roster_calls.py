"""How the roster is read in spite of trouble: pages put off, other clients asked, what is told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from pathlib import Path

import orjson
import pytest

from actors.genesys.cloud_errors import CloudError, FailedError
from actors.genesys.cloud_rest import CloudRest
from actors.genesys.rate_budget import Budget, planner_alone, shares
from actors.planner.arguments import WatchSelection
from actors.planner.roster import RosterReader
from actors.planner.roster_calls import PAGES_AHEAD, RetryPolicy
from tests.gateway.loopback import Request, answer
from tests.gateway.scripted_cloud import (
    PAGES,
    QUEUES,
    ScriptedCloud,
    Trouble,
    rest_at,
    with_cloud,
)

HASTY = RetryPolicy(tries_max=3, backoff_first_s=0.001, backoff_most_s=0.002)
QUEUE = WatchSelection(kind="queues", ids=("Big  QUEUE",))
MEMBERS = f"{QUEUES}/q/members"


class NoTotals(ScriptedCloud):
    """Members of queues as the platform lists them."""

    def totals_gone(self, asked: Request) -> dict[str, object]:
        query = dict(asked.query)
        number, size = int(query["pageNumber"]), int(query["pageSize"])
        there = self.members[MEMBERS]
        page = [{"id": i, "name": i} for i in there[(number - 1) * size : number * size]]
        following = {"nextUri": f"/api/v2/x?pageSize={size}&pageNumber={number + 1}"}
        is_last = number * size >= len(there)
        return {"entities": page, "pageSize": size} | ({} if is_last else following)

    def queue_of(self, count: int) -> list[str]:
        ids = [f"u{number}" for number in range(count)]
        self.add(*ids)
        self.named[QUEUES] = {"q": "big queue"}
        self.members[MEMBERS] = ids
        self.answers["GET", MEMBERS] = self.totals_gone
        return ids


def with_two(
    test: Callable[[NoTotals, CloudRest, CloudRest], Awaitable[None]], share: int = 3
) -> None:
    async def run() -> None:
        async with (
            NoTotals() as cloud,
            rest_at(cloud.address, Budget(share)) as first,
            rest_at(cloud.address) as second,
        ):
            await test(cloud, first, second)

    asyncio.run(run())


def reader_of(rest: CloudRest, watch: WatchSelection, *others: CloudRest) -> RosterReader:
    return RosterReader(rest, watch, rng=random.Random(1), retry=HASTY, others=others)


def test_everybody_of_a_queue_without_totals_is_watched_with_the_help_of_another_client() -> None:
    async def test(cloud: NoTotals, first: CloudRest, second: CloudRest) -> None:
        ids = cloud.queue_of(1234)
        read = await reader_of(first, QUEUE, second).read({})
        assert list(read.names) == ids
        assert second.requests > 10  # the first one has a share of three

    with_two(test)


def test_a_client_that_sees_fewer_is_not_asked_for_members() -> None:
    async def test(cloud: NoTotals, first: CloudRest, second: CloudRest) -> None:
        ids = cloud.queue_of(250)
        seen = iter((250, 100))
        cloud.answers["GET", PAGES] = lambda _: {"entities": [], "total": next(seen)}
        assert list((await reader_of(first, QUEUE, second).read({})).names) == ids
        assert second.requests == 1

    with_two(test, share=20)


def test_what_another_client_may_not_read_the_first_one_reads() -> None:
    async def test(cloud: NoTotals, first: CloudRest, second: CloudRest) -> None:
        ids = cloud.queue_of(250)
        cloud.troubles.append(Trouble(MEMBERS, 403))
        assert list((await reader_of(first, QUEUE, second).read({})).names) == ids

    with_two(test, share=20)


@pytest.mark.parametrize(("odd", "first"), [("1", 0), ("2", 500), ("3", 1000)])
def test_one_page_that_never_comes_costs_those_on_it_alone_and_nobody_who_is_held(
    odd: str, first: int
) -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        ids = [f"u{number:04}" for number in range(1300)]
        cloud.add(*ids)
        plain = cloud._listing

        def broken(request: Request) -> bytes:
            query = dict(request.query)
            if query.get("pageNumber") == odd and "id" not in query:
                return answer(200, b"<html>a page of a proxy</html>")
            return plain(request)

        cloud._listing = broken  # type: ignore[method-assign]
        reader = reader_of(rest, WatchSelection())
        read = await reader.read({})
        assert read.pages_unread == 1
        assert read.names.keys() == set(ids) - set(ids[first : first + 500])
        read = await reader.read(dict.fromkeys(ids, "held"))
        assert read.names.keys() == set(ids)

    with_cloud(test)


def test_a_member_who_cannot_be_read_is_watched_without_a_name() -> None:
    async def test(cloud: NoTotals, first: CloudRest, _: CloudRest) -> None:
        ids = cloud.queue_of(250)
        odd, plain = ids[42], cloud._listing

        def damaged(body: bytes) -> bytes:
            return body.replace(b'"name":"N %s"' % odd.encode(), b'"name":"Ann "the" Bee"')

        def members(asked: Request) -> bytes:
            body = orjson.dumps(cloud.totals_gone(asked))
            return body.replace(b'"name":"%s"' % odd.encode(), b'"name":"Ann "the" Bee"')

        def listing(request: Request) -> bytes:
            head, blank, body = plain(request).partition(b"\r\n\r\n")
            assert b"200" in head, blank
            return answer(200, damaged(body))

        cloud.answers["GET", MEMBERS] = members
        cloud._listing = listing  # type: ignore[method-assign]
        read = await reader_of(first, QUEUE).read({odd: "as before"})
        assert read.names.keys() == set(ids)
        assert read.names[odd] == "as before"
        assert read.pages_unread == 0

    with_two(test, share=100)


def test_a_member_page_that_never_comes_removes_nobody_however_often() -> None:
    async def test(cloud: NoTotals, first: CloudRest, _: CloudRest) -> None:
        ids = cloud.queue_of(250)
        cloud.answers["GET", MEMBERS] = lambda asked: (
            b"[" if dict(asked.query)["pageNumber"] == "2" else cloud.totals_gone(asked)
        )
        reader = reader_of(first, QUEUE)
        for _again in range(3):
            read = await reader.read(dict.fromkeys(ids, "held"))
            assert read.names.keys() == set(ids)

    with_two(test, share=100)


def test_a_gateway_that_gives_no_page_at_all_is_an_error() -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        cloud.troubles.extend([Trouble(PAGES, 502)] * 50)
        with pytest.raises(FailedError):
            await reader_of(rest, WatchSelection()).read({"held": ""})

    with_cloud(test)


def test_the_first_call_that_fails_is_told_at_once() -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        told: list[tuple[str, int]] = []

        def tell(error: CloudError, *, tries: int, wait_s: float) -> None:
            assert 0 <= wait_s < 1
            told.append((str(error), tries))

        cloud.add("a")
        cloud.troubles.extend([Trouble(PAGES, 500)] * 2)
        rng = random.Random(1)
        reader = RosterReader(rest, WatchSelection(), rng=rng, retry=HASTY, tell=tell)
        await reader.read({})
        assert told == [("users: 500", 1), ("users: 500", 2)]

    with_cloud(test)


def test_a_file_of_many_is_read_by_pages_and_the_rest_by_id(tmp_path: Path) -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        ids = [f"u{number}" for number in range(3000)]
        cloud.add(*ids)
        path.write_text("\n".join([*reversed(ids), "GONE", "U7"]))
        read = await reader_of(rest, WatchSelection(kind="file", file=path)).read({})
        assert list(read.names) == [*reversed(ids)]
        assert read.missing == 1
        assert cloud.paths(PAGES) == 1 + 6 + 1

    path = tmp_path / "ids"
    with_cloud(test)


def test_names_that_mean_the_same_find_their_queue_each() -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        cloud.named[QUEUES] = {"q": "Caf\u00e9  Nord", "r": "R"}
        cloud.add("a", "b")
        cloud.members = {MEMBERS: ["a"], f"{QUEUES}/r/members": ["b"]}
        watch = WatchSelection(kind="queues", ids=("CAFE\u0301 NORD", "caf\u00e9\u00a0nord", "r"))
        assert (await reader_of(rest, watch).read({})).names.keys() == {"a", "b"}

    with_cloud(test)


def test_twenty_thousand_agents_of_queues_fit_into_the_minute_of_the_clients_they_need() -> None:
    """18 channels of 950 a client make two; 200 pages of members, and some more for names."""
    assert shares().planner + planner_alone() >= 200 + 5
    assert planner_alone() + shares().receiver == 300


@pytest.mark.parametrize("division", [None, {}, {"id": None}, {"id": []}, {"id": {}}, [], "d1", 5])
def test_an_odd_division_costs_that_user_at_most(division: object) -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        cloud.named["/api/v2/authorization/divisions"] = {"d1": "One"}
        cloud.add("a", "b")
        cloud.users["odd"] = {"id": "odd", "name": {"first": "x"}, "division": division}
        reader = reader_of(rest, WatchSelection(kind="divisions", ids=("one",)))
        assert (await reader.read({})).names.keys() == {"a", "b"}

    with_cloud(test)


class Ahead(ScriptedCloud):
    """Answers no page of users but the first until several are asked for."""

    def __init__(self, together: int) -> None:
        super().__init__()
        self.together, self.waiting = together, 0
        self.are_enough = asyncio.Event()

    async def reply(self, request: Request) -> bytes:
        if request.path == PAGES and dict(request.query).get("pageNumber") != "1":
            self.waiting += 1
            if self.waiting >= self.together:
                self.are_enough.set()
            await self.are_enough.wait()
        return await super().reply(request)


def test_pages_are_asked_for_ahead_of_their_turn_by_all_clients() -> None:
    async def run() -> None:
        async with (
            Ahead(PAGES_AHEAD) as cloud,
            rest_at(cloud.address, Budget(20)) as first,
            rest_at(cloud.address, Budget(20)) as second,
        ):
            ids = [f"u{number:05}" for number in range(9 * 500 + 1)]
            cloud.add(*ids)
            async with asyncio.timeout(10):
                read = await reader_of(first, WatchSelection(), second).read({})
            assert list(read.names) == ids
            assert cloud.paths(PAGES) == 10 + 1  # one more shows whom the other client sees
            assert abs(first.requests - second.requests) <= 2

    asyncio.run(run())


def test_pages_that_lead_elsewhere_than_guessed_are_read_in_their_turn() -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        ids = [f"u{number:05}" for number in range(6 * 500)]
        asked: list[str] = []

        def page(request: Request) -> dict[str, object]:
            query = dict(request.query)
            number, mark = int(query["pageNumber"]), query.get("mark", "1")
            asked.append(f"{number} {mark}")
            found = [{"id": user, "name": user} for user in ids[(number - 1) * 500 : number * 500]]
            following = f"/api/v2/users?pageSize=500&pageNumber={number + 1}&mark={number + 1}"
            told = {"entities": found, "pageCount": 6, "total": len(ids), "pageSize": 500}
            return told | ({"nextUri": following} if number < 6 else {})

        cloud.answers["GET", PAGES] = page
        read = await reader_of(rest, WatchSelection()).read({})
        assert list(read.names) == ids
        assert {f"{number} {number}" for number in range(2, 7)} <= set(asked)
        assert len(asked) <= 6 + PAGES_AHEAD

    with_cloud(test)
