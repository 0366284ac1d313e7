"""How the roster is read, also while it changes, and while the gateway has troubles."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.genesys.cloud_answers import ListingPage
from actors.genesys.cloud_errors import FailedError, ForbiddenError
from actors.genesys.cloud_rest import CloudRest
from actors.genesys.observation import OBSERVED_PARTS
from actors.genesys.paging import Query
from actors.planner.arguments import WatchSelection
from actors.planner.roster import Read, RosterReader, UnresolvedError, listed_ids
from actors.planner.roster_calls import RetryPolicy
from runtime.errors import ConfigurationError
from tests.gateway.scripted_cloud import (
    DIVISIONS,
    GROUPS,
    PAGES,
    QUEUES,
    ScriptedCloud,
    Trouble,
    with_cloud,
)

HASTY = RetryPolicy(tries_max=3, backoff_first_s=0.001, backoff_most_s=0.002)
Make = Callable[[WatchSelection], RosterReader]


def with_reader(test: Callable[[ScriptedCloud, Make], Awaitable[None]]) -> None:
    async def run(cloud: ScriptedCloud, rest: CloudRest) -> None:
        def make(watch: WatchSelection) -> RosterReader:
            return RosterReader(rest, watch, rng=random.Random(1), retry=HASTY)

        await test(cloud, make)

    with_cloud(run)


def named(*ids: str) -> dict[str, str]:
    return {user: f"N {user}" for user in ids}


def test_everybody_is_read_in_the_gateways_order_with_their_names() -> None:
    async def test(cloud: ScriptedCloud, make: Make) -> None:
        ids = [f"u{n}" for n in range(1100, 0, -1)]
        cloud.add(*ids)
        told: list[int] = []
        read = await make(WatchSelection()).read({}, lambda names: told.append(len(names)))
        assert read == Read(names=named(*ids))
        assert list(read.names) == ids
        assert told == [500, 1000, 1100]

    with_reader(test)


def test_who_slips_from_a_page_while_we_read_is_not_taken_for_gone() -> None:
    async def test(cloud: ScriptedCloud, make: Make) -> None:
        ids = [f"u{n:04}" for n in range(1000)]
        cloud.add(*ids)

        def before_page(number: int) -> None:
            if number == 2:
                cloud.users.pop("u0000", None)  # u0500 is on the first page now

        cloud.before_page = before_page
        reader = make(WatchSelection())
        first = await reader.read({})
        assert "u0500" not in first.names  # nobody knows better yet
        assert "u0000" in first.names
        cloud.add("u0000")
        cloud.users = dict(sorted(cloud.users.items()))
        held = named(*ids)
        second = await reader.read(held)
        assert second.names.keys() == held.keys()
        assert list(second.names)[-1] == "u0500"  # asked for by id

    with_reader(test)


def test_who_left_is_gone_and_who_came_is_there() -> None:
    async def test(cloud: ScriptedCloud, make: Make) -> None:
        cloud.add("a", "c")
        assert (await make(WatchSelection()).read(named("a", "b"))).names == named("a", "c")

    with_reader(test)


def test_divisions_are_meant_by_id_or_by_name() -> None:
    async def test(cloud: ScriptedCloud, make: Make) -> None:
        cloud.named[DIVISIONS] = {"d1": "Home", "d2": "Sales EU", "d3": "Other"}
        cloud.add("a", division="d1")
        cloud.add("b", "b2", division="d2")
        cloud.add("c", division="d3")
        cloud.users["odd"] = {"id": "odd", "division": 5}
        read = await make(WatchSelection(kind="divisions", ids=("d1", " sales eu "))).read({})
        assert read.names == named("a", "b", "b2")
        cloud.users["b2"]["division"] = {"id": "d3"}
        reader = make(WatchSelection(kind="divisions", ids=("D1", "Sales EU")))
        assert (await reader.read(read.names)).names == named("a", "b")

    with_reader(test)


@pytest.mark.parametrize(("kind", "path"), [("queues", QUEUES), ("groups", GROUPS)])
def test_members_of_several_are_watched_once(kind: str, path: str) -> None:
    async def test(cloud: ScriptedCloud, make: Make) -> None:
        cloud.named[path] = {"i1": "One", "i2": "Two", "i3": "Three"}
        cloud.add(*(f"u{n}" for n in range(250)), "x")
        cloud.members[f"{path}/i1/members"] = [f"u{n}" for n in range(200)]
        cloud.members[f"{path}/i2/members"] = [f"u{n}" for n in range(150, 250)]
        cloud.members[f"{path}/i3/members"] = ["x"]
        watch = WatchSelection(kind=kind, ids=("i1", "TWO"))  # type: ignore[arg-type]  # a parameter
        read = await make(watch).read({})
        assert read.names == named(*(f"u{n}" for n in range(250)))

    with_reader(test)


def test_who_is_missing_from_a_queue_of_several_pages_is_gone_when_missing_twice() -> None:
    async def test(cloud: ScriptedCloud, make: Make) -> None:
        cloud.named[QUEUES] = {"q": "Queue"}
        ids = [f"u{n:03}" for n in range(200)]
        cloud.add(*ids, "new")
        cloud.members[f"{QUEUES}/q/members"] = list(ids)

        def before_page(number: int) -> None:
            if number == 2:  # u100 slips to the first page, and the queue has as many as before
                cloud.members[f"{QUEUES}/q/members"] = [*ids[1:], "new"]

        cloud.before_page = before_page
        reader = make(WatchSelection(kind="queues", ids=("q",)))
        held = named(*ids, "left")
        read = await reader.read(held)
        assert read.names.keys() == {*ids, "left", "new"}
        read = await reader.read(read.names)
        assert read.names == named(*ids[1:], "u000", "new")
        assert (await reader.read(read.names)).names == named(*ids[1:], "new")

    with_reader(test)


def test_who_is_missing_from_a_queue_of_one_page_is_gone() -> None:
    async def test(cloud: ScriptedCloud, make: Make) -> None:
        cloud.named[QUEUES] = {"q": "Queue"}
        cloud.add("a")
        cloud.members[f"{QUEUES}/q/members"] = ["a"]
        reader = make(WatchSelection(kind="queues", ids=("q",)))
        assert (await reader.read(named("a", "left"))).names == named("a")

    with_reader(test)


def test_a_name_that_nobody_finds_or_that_means_several_is_told() -> None:
    async def test(cloud: ScriptedCloud, make: Make) -> None:
        cloud.named[GROUPS] = {"g1": "Team", "g2": "team", "g3": "Other"}
        with pytest.raises(UnresolvedError, match="unknown groups 'Tema', 'x'"):
            await make(WatchSelection(kind="groups", ids=("Other", "Tema", "x"))).read({})
        with pytest.raises(UnresolvedError, match="groups is named 'TEAM'; specify their id"):
            await make(WatchSelection(kind="groups", ids=("TEAM",))).read({})

    with_reader(test)


def test_a_file_lists_ids_in_the_order_of_their_places(tmp_path: Path) -> None:
    async def test(cloud: ScriptedCloud, make: Make) -> None:
        cloud.add(*(f"u{n}" for n in range(300)))
        wanted = [f"u{n}" for n in range(249, -1, -1)]
        path.write_text("# the team\n\n" + "\n".join([*wanted, "nobody", "U5"]) + "\n")
        read = await make(WatchSelection(kind="file", file=path)).read(named("gone"))
        assert list(read.names) == wanted
        assert read == Read(names=named(*wanted), missing=1)
        assert cloud.paths(PAGES) == 3

    path = tmp_path / "ids"
    with_reader(test)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file lists no users"),
        (b"# none\n", "the file lists no users"),
        (b"a\nb c\n", "line 2 is not a user id"),
        (b"\xff\xfe", "it is UTF-16"),
        (b"# B\xfcro\n", "line 1 is not UTF-8"),
        (b"a,Ann\n", "line 1 is not a user id"),
        (None, "No such file"),
    ],
)
def test_a_file_that_lists_nothing_usable_is_told(
    content: bytes | None, problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "ids"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=problem):
        listed_ids(path)


def test_a_file_of_windows_is_one_as_well(tmp_path: Path) -> None:
    path = tmp_path / "ids"
    path.write_bytes("\ufeffA\r\nb\r\n".encode())
    assert listed_ids(path) == ["a", "b"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_page_that_fails_is_asked_for_again_and_no_other(status: int) -> None:
    async def test(cloud: ScriptedCloud, make: Make) -> None:
        cloud.add(*(f"u{n}" for n in range(1001)))

        def before_page(number: int) -> None:
            if number == 1 and cloud.paths(PAGES) == 1:
                trouble = Trouble(PAGES, status, None, {"Retry-After": "0"})
                cloud.troubles.extend([trouble, trouble])

        cloud.before_page = before_page
        assert len((await make(WatchSelection()).read({})).names) == 1001
        numbers = [dict(asked.query)["pageNumber"] for asked in cloud.asked]
        assert sorted(numbers) == ["1", "2", "2", "3", "3"]  # the two that failed are two pages

    with_reader(test)


def test_patience_ends_and_a_refusal_needs_none() -> None:
    async def test(cloud: ScriptedCloud, make: Make) -> None:
        cloud.troubles.extend([Trouble(PAGES, 500)] * 9)
        with pytest.raises(FailedError):
            await make(WatchSelection()).read({})
        asked = 2 * HASTY.tries_max  # the page behind is tried as well
        assert cloud.paths(PAGES) == asked
        cloud.troubles.clear()
        cloud.troubles.append(Trouble(PAGES, 403))
        with pytest.raises(ForbiddenError):
            await make(WatchSelection()).read({})
        assert cloud.paths(PAGES) == asked + 1

    with_reader(test)


def test_queues_have_names() -> None:
    async def test(cloud: ScriptedCloud, make: Make) -> None:
        cloud.named[QUEUES] = {f"q{n}": f"Queue  {n}" for n in range(150)}
        names = await make(WatchSelection()).queue_names()
        assert names == {f"q{n}": f"Queue {n}" for n in range(150)}

    with_reader(test)


class Moving:
    """A gateway without a network whose people come and go before any page is read."""

    PAGE = 3
    room = 1
    gateway_ahead_us = 0

    def __init__(self, present: set[str], course: list[tuple[set[str], set[str]]]) -> None:
        self.present = set(present)
        self.ever = set(present)
        self.throughout = set(present)
        self._course = list(course)

    def _move(self) -> None:
        if self._course:
            joining, leaving = self._course.pop(0)
            self.present = (self.present | joining) - leaving
            self.ever |= joining
            self.throughout -= leaving

    async def user_page(
        self, number: int, expand: Sequence[str] = (), query: Query = ()
    ) -> ListingPage:
        assert tuple(expand) == OBSERVED_PARTS
        assert not query
        self._move()
        there = sorted(self.present)
        entities = [{"id": i} for i in there[(number - 1) * self.PAGE : number * self.PAGE]]
        return ListingPage(entities, number, -(-len(there) // self.PAGE), len(there))

    async def users_by_id(
        self, ids: Sequence[str], expand: Sequence[str] = ()
    ) -> list[dict[str, str]]:
        assert tuple(expand) == OBSERVED_PARTS
        self._move()
        return [{"id": user} for user in ids if user in self.present]


people = st.sets(st.integers(0, 15).map("u{:02}".format))


@settings(deadline=None)
@given(people, people, st.lists(st.tuples(people, people), max_size=8))
def test_nobody_who_was_there_all_the_time_is_taken_for_gone(
    present: set[str], held: set[str], course: list[tuple[set[str], set[str]]]
) -> None:
    cloud = Moving(present, course)
    reader = RosterReader(cloud, WatchSelection(), rng=random.Random(1))  # type: ignore[arg-type]  # a twin
    read = asyncio.run(reader.read(dict.fromkeys(held, "")))
    assert held & cloud.throughout <= read.names.keys() <= cloud.ever
    if not course:
        assert read.names.keys() == present
