"""Owns which page of a listing follows which, and when the last one was read.

Pure. Some listings say how many pages there are, others only name the next one, and of that name
only the query is believed: a path and a host are ours to choose (protocol.md R1). Whatever a
gateway says, a walk ends: a page that brings nothing new ends it, and there are PAGES_MAX at most.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl, urlsplit

PAGES_MAX: Final = 2_000
EMPTY_PAGES_MAX: Final = 3
"""In a row, that bring nothing new: a gateway may take out of a page whom we may not see."""
QUERY_CHARS_MAX: Final = 4_000
NUMBER: Final = "pageNumber"
SIZE: Final = "pageSize"
_OURS: Final = frozenset({"id", "state", "expand", "localecode", "deactivated", "joined"})

Query: TypeAlias = tuple[tuple[str, str], ...]


def count_of(value: object) -> int | None:
    """A number of pages or of entities, as an integer, a float or a text; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return int(number) if math.isfinite(number) and number >= 0 and number % 1 == 0 else None


def following(answer: Mapping[str, Any], number: int) -> Query | None:
    """The query of the next page, as `nextUri` names it: relative, absolute, or a query alone. None
    if it names none. Empty: it names one, but in a way that leads nowhere new."""
    uri = answer.get("nextUri")
    if not isinstance(uri, str) or not (uri := uri.strip()) or len(uri) > QUERY_CHARS_MAX:
        return None
    try:
        told = parse_qsl(urlsplit(uri).query)
    except ValueError:
        return ()
    query = tuple((key, value) for key, value in told if key.lower() not in _OURS)
    page = next((value for key, value in query if key == NUMBER), None)
    if page is None:  # by a cursor, or not at all
        return query if any(key != SIZE for key, _ in query) else ()
    at = count_of(page)
    return query if at is not None and at > number else ()


def pages_of(answer: Mapping[str, Any], number: int, size: int) -> int:
    """How many pages there are, as far as page `number` of at most `size` entities can tell. Of a
    listing without totals: one more than this, if the next is named, or this one is full. A count
    is not believed against a full page that names the next one, nor against a cursor; a total not
    against what stands on the page."""
    query = following(answer, number)
    entities = answer.get("entities")
    listed = len(entities) if isinstance(entities, list) else 0
    told = count_of(answer.get(SIZE))
    size = min(told, size) if told else size
    pages = count_of(answer.get("pageCount"))
    if pages is not None and pages <= PAGES_MAX:
        return max(pages, number + 1) if query and (listed >= size or is_cursor(query)) else pages
    if query is not None:
        return number + 1
    total = count_of(answer.get("total"))
    if total is not None and total >= listed:
        return min(-(-total // size), PAGES_MAX)
    # A full page that names no next one, where the key is there, is the last one.
    return number + 1 if listed >= size and "nextUri" not in answer else number


def is_cursor(query: Query) -> bool:
    """Nobody knows what follows such a page but that page."""
    return bool(query) and all(key != NUMBER for key, _ in query)


class PageWalk:
    """Of one listing: which page to ask for next."""

    def __init__(self) -> None:
        self.number = 1
        self.query: Query = ()
        self._seen: set[str] = set()
        self._nothing_new = 0

    def read(self, pages: int, query: Query, ids: Iterable[str]) -> bool:
        """Whether there is another one, after the page that was asked for. `ids`: on it; `query`:
        of the next one, if the gateway has named it."""
        before = len(self._seen)
        self._seen.update(ids)
        self._nothing_new = 0 if len(self._seen) > before else self._nothing_new + 1
        return self._turn(pages, query)

    def skipped(self, pages: int) -> bool:
        """Likewise, after a page that could not be read."""
        return self._turn(max(pages, self.number + 1), ())

    def _turn(self, pages: int, query: Query) -> bool:
        if self._nothing_new >= EMPTY_PAGES_MAX or self.number >= min(pages, PAGES_MAX):
            return False
        self.number, self.query = self.number + 1, query
        return True
