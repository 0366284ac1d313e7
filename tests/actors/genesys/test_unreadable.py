"""Users of whom one cannot be read: it costs itself, and everybody else is found."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from actors.genesys.cloud_errors import OddAnswerError
from actors.genesys.cloud_rest import USERS_BY_ID_MAX, CloudRest
from actors.genesys.unreadable import FAILURES_MAX, UnreadableError, halved, ids_in, pages_in
from tests.gateway.listings import user_pages
from tests.gateway.loopback import Request
from tests.gateway.scripted_cloud import PAGES, ScriptedCloud, with_cloud

BROKEN = b'{"id":"%s","name":"Ann "the" Bee"}'


def whole(body: bytes = b'{"odd" }') -> UnreadableError:
    return UnreadableError("users", body)


def uid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


@given(st.integers(1, 250), st.sets(st.integers(0, 249), max_size=4), st.integers(1, 100))
def test_everybody_is_found_but_who_cannot_be_read(count: int, odd: set[int], at_once: int) -> None:
    ids = [uid(number) for number in range(count)]
    bad = {uid(number) for number in odd if number < count}
    named: list[str] = []

    async def ask(some: Sequence[str]) -> list[dict[str, Any]]:
        assert len(some) <= at_once
        if bad & set(some):
            raise whole()
        return [{"id": each, "name": "x"} for each in some]

    async def read() -> list[dict[str, Any]]:
        return await halved(ids, ask, at_once, named.append)

    if len(bad) == count > 9:
        return  # everybody: then it is the gateway
    found = {each["id"]: each for each in asyncio.run(read())}
    assert found.keys() == set(ids)
    assert {user for user, entity in found.items() if "name" not in entity} == bad
    assert sorted(named) == sorted(bad)


@pytest.mark.parametrize(
    ("body", "most"), [(b"{odd}", FAILURES_MAX), (b"<html>", 1), (b'{"entities":[{"id":"', 1)]
)
def test_a_gateway_that_says_nothing_readable_at_all_is_not_asked_for_ever(
    body: bytes, most: int
) -> None:
    asked = 0

    async def ask(_: Sequence[str]) -> list[dict[str, Any]]:
        nonlocal asked
        asked += 1
        raise whole(body)

    with pytest.raises(OddAnswerError):
        asyncio.run(halved([uid(n) for n in range(100)], ask, 100, lambda _: None))
    assert asked == most


def test_ids_and_pages_are_found_in_what_is_no_json() -> None:
    user = "8B67E4D1-9758-4285-8C45-B49FEDFF3F99"
    body = b'{"entities":[{"id" : "%s","name":"A"B"},{"id":"a/b"},{"id":"u2"}],"pageCount": 7}'
    assert ids_in(body % user.encode()) == [user.lower(), "u2"]
    assert pages_in(body, 2) == 7
    assert pages_in(b'{"nextUri":"/x"', 2) == 3
    assert pages_in(b'{"pageCount":1,"nextUri":"/x"', 2) == 3
    assert pages_in(b"{", 2) == 2


def test_a_page_with_one_who_cannot_be_read_costs_that_one_and_names_it_once() -> None:
    people = [uid(number) for number in range(250)]
    odd = people[123]

    def page(asked: Request) -> Any:
        ids = [value for key, value in asked.query if key == "id"]
        there = [each for each in ids if each in people] if ids else people
        good = [b'{"id":"%s","name":"N"}' % each.encode() for each in there if each != odd]
        bad = [BROKEN % odd.encode()] if odd in there else []
        return b'{"entities":[%s],"pageCount":1,"total":250}' % b",".join(good + bad)

    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        cloud.answers["GET", PAGES] = page
        with structlog.testing.capture_logs() as lines:
            for _ in range(2):
                (found,) = [found async for found in user_pages(rest)]
                assert {each["id"] for each in found.entities} == set(people)
                assert [each for each in found.entities if "name" not in each] == [{"id": odd}]
        assert [(line["event"], line["user"]) for line in lines] == [("user.unreadable", odd)]
        assert cloud.paths(PAGES) < 2 * (1 + 3 + 2 * USERS_BY_ID_MAX.bit_length())

    with_cloud(test)
