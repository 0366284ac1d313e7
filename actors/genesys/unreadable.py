"""Owns how users are read of whom one cannot be: asked for by id, halved, until that one is alone.

It knows no call and no log: how to ask is an argument. An answer that even `json_text` cannot read
holds somebody whom we need not lose the others for (protocol.md R6). That one keeps its place as an
entity with nothing but an id: who cannot be read is not gone.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from actors.genesys.cloud import is_user_id, user_id_of
from actors.genesys.cloud_errors import OddAnswerError
from actors.genesys.paging import PAGES_MAX, count_of

FAILURES_MAX: Final = 10
"""Without a single success: then it is no user, but all answers. 500 are halved nine times."""
IDS_MAX: Final = 5_000
_ID: Final = re.compile(rb'"id"\s*:\s*"([^"\\]{1,64})"')
_PAGES: Final = re.compile(rb'"pageCount"\s*:\s*([0-9]{1,6})')
_NEXT: Final = re.compile(rb'"nextUri"\s*:\s*"')


class UnreadableError(OddAnswerError):
    """An answer of 200 that is no JSON. `body`: what it was."""

    def __init__(self, call: str, body: bytes) -> None:
        super().__init__(call, 200, message="the response is not JSON")
        self.body = body

    @property
    def is_whole(self) -> bool:
        """Whether it looks like an object with one odd thing within: neither a page of a proxy, nor
        cut off."""
        body = self.body.strip(b" \t\r\n\0\xef\xbb\xbf")
        return body.startswith(b"{") and body.endswith(b"}")


def ids_in(body: bytes) -> list[str]:
    """Of everything that bears one: those of divisions and the like are no user's, and cost no more
    than being asked for."""
    found = (each.decode("ascii", "replace") for each in _ID.findall(body))
    return list(dict.fromkeys(user_id_of(each) for each in found if is_user_id(each)))[:IDS_MAX]


def pages_in(body: bytes, number: int) -> int:
    """How many pages it says there are, or else at least this one."""
    told = _PAGES.findall(body)
    pages = count_of(told[-1].decode()) if told else None
    least = number + 1 if _NEXT.search(body) else number
    return min(max(pages or 0, least), PAGES_MAX)


async def halved(
    ids: Sequence[str],
    ask: Callable[[Sequence[str]], Awaitable[list[dict[str, Any]]]],
    at_once_max: int,
    name: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Those of them whom `ask` knows. `name` hears of each who cannot be read. Raises what `ask`
    does, UnreadableError only when nobody at all can be read."""
    found: list[dict[str, Any]] = []
    waiting = [ids[first : first + at_once_max] for first in range(0, len(ids), at_once_max)]
    failures, has_read = 0, False
    while waiting:
        some = waiting.pop()
        try:
            found += await ask(some)
            has_read = True
        except UnreadableError as error:
            failures += 1
            if not error.is_whole or (failures >= FAILURES_MAX and not has_read):
                raise
            if len(some) == 1:
                name(some[0])
                found.append({"id": some[0]})
            else:
                middle = len(some) // 2
                waiting += [some[:middle], some[middle:]]
    return found
