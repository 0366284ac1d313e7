"""Which page follows which, whatever a listing says of itself; and that every walk ends."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.genesys.cloud_answers import page_of
from actors.genesys.paging import EMPTY_PAGES_MAX, PAGES_MAX, PageWalk, following, pages_of

PATH = "/api/v2/routing/queues/q/members"


def entities(count: int, first: int = 0) -> list[dict[str, str]]:
    return [{"id": f"u{number}"} for number in range(first, first + count)]


@pytest.mark.parametrize(
    ("answer", "pages"),
    [
        ({"pageCount": 7, "total": 700}, 7),
        ({"pageCount": 0, "entities": []}, 0),
        ({"pageCount": "3"}, 3),
        ({"pageCount": 3.0}, 3),
        ({"pageCount": None, "total": 250}, 3),
        ({"pageCount": -1, "total": 1}, 1),
        ({"pageCount": True, "entities": entities(5)}, 2),
        ({"pageCount": 10**9, "entities": entities(5)}, 2),
        ({"pageCount": "many", "total": "1e400", "entities": entities(99)}, 2),
        ({"total": 250.0}, 3),
        ({"entities": entities(5), "nextUri": f"{PATH}?pageSize=100&pageNumber=3"}, 3),
        ({"entities": entities(5), "nextUri": f"https://x{PATH}?pageNumber=3"}, 3),
        ({"entities": entities(5), "nextUri": "?pageNumber=3"}, 3),
        ({"entities": entities(100), "nextUri": None}, 2),
        ({"entities": entities(100), "nextUri": ""}, 2),
        ({"entities": entities(100)}, 3),
        ({"entities": entities(99)}, 2),
        ({"entities": entities(25), "pageSize": 25}, 3),  # capped
        ({"entities": entities(25), "pageSize": 0}, 2),
        ({"pageCount": 2, "nextUri": "?pageNumber=3"}, 2),  # of a page that is not full
        ({"pageCount": 2, "nextUri": "?pageNumber=3", "entities": entities(100)}, 3),
        ({"pageCount": 0, "nextUri": "?after=abc"}, 3),
        ({"pageCount": 2, "nextUri": "?pageNumber=2", "entities": entities(100)}, 2),
        ({"pageCount": 7, "nextUri": "?pageNumber=3"}, 7),
        ({"entities": entities(100), "total": 50}, 3),  # less than stands here
        ({"entities": None}, 2),
        ({}, 2),
    ],
)
def test_whether_another_page_follows_the_second_one(answer: dict[str, Any], pages: int) -> None:
    assert pages_of(answer, 2, 100) == pages


@pytest.mark.parametrize(
    ("uri", "query"),
    [
        (f"{PATH}?pageSize=100&pageNumber=2", (("pageSize", "100"), ("pageNumber", "2"))),
        (f"http://169.254.169.254{PATH}?pageNumber=2", (("pageNumber", "2"),)),
        ("?after=abc%3D&pageSize=100", (("after", "abc="), ("pageSize", "100"))),
        ("?pageNumber=2&state=deleted&id=x&expand=all", (("pageNumber", "2"),)),
        ("?pageNumber=1", ()),
        ("?pageNumber=one", ()),
        ("?pageSize=100", ()),
        (PATH, ()),
        ("http://[", ()),
        ("", None),
        (None, None),
        (5, None),
        ("?x=" + "y" * 10_000, None),
    ],
)
def test_of_the_next_page_s_name_only_the_query_is_believed(
    uri: object, query: tuple[tuple[str, str], ...] | None
) -> None:
    assert following({"nextUri": uri}, 1) == query


@pytest.mark.parametrize(("listed", "asked"), [(entities(3), 4), ([], EMPTY_PAGES_MAX)])
def test_a_gateway_that_always_names_a_next_page_is_left_when_nothing_new_comes(
    listed: list[dict[str, str]], asked: int
) -> None:
    walk, count = PageWalk(), 1
    while True:
        page = page_of("x", {"entities": listed, "nextUri": "?pageNumber=9"}, walk.number, 3)
        if not walk.read(page.pages, page.query, (each["id"] for each in page.entities)):
            break
        count += 1
    assert count == asked


numbers = st.one_of(st.none(), st.integers(-5, 10**12), st.floats(), st.text(max_size=5))
uris = st.one_of(st.none(), st.text(max_size=30), st.just("?pageNumber=5"), st.just("?after=x"))


@given(st.lists(st.tuples(numbers, numbers, uris, st.integers(0, 3)), min_size=1, max_size=20))
def test_every_walk_ends_whatever_is_said(said: list[tuple[Any, Any, Any, int]]) -> None:
    """With people who are no new ones from some page on."""
    walk = PageWalk()
    for asked in range(PAGES_MAX + 2):
        count, total, uri, new = said[asked % len(said)]
        first = min(asked, 30) * 10
        answer = {
            "entities": entities(new, first),
            "pageCount": count,
            "total": total,
            "nextUri": uri,
        }
        page = page_of("x", answer, walk.number, 3)
        if not walk.read(page.pages, page.query, (each["id"] for each in page.entities)):
            return
        assert walk.number == asked + 2
    raise AssertionError("it never ends")
