"""Page: which page of a list was asked for, and how a page is told (protocol.md §2.1)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from tools.fake_gateway.cloud.problems import bad_request


class Page:
    """Which page of a list was asked for."""

    def __init__(self, request: web.Request, *, size_max: int, size_usual: int = 25) -> None:
        self._path = request.path
        self._query = [one for one in request.query.items() if one[0] != "pageNumber"]
        self.size = _number(request, "pageSize", size_usual)
        self.number = _number(request, "pageNumber", 1)
        if not 1 <= self.size <= size_max:
            raise bad_request(f"pageSize must be 1 to {size_max}", "invalid.page.size")
        if self.number < 1:
            raise bad_request("pageNumber must be at least 1", "invalid.page.number")

    def of(self, ids: list[int]) -> list[int]:
        begin = (self.number - 1) * self.size
        return ids[begin : begin + self.size]

    def listing(self, entities: list[Any], total: int) -> dict[str, Any]:
        pages = -(-total // self.size)
        return {
            **self.uncounted(entities, total),
            "total": total,
            "lastUri": self._uri(max(1, pages)),
            "pageCount": pages,
        }

    def uncounted(self, entities: list[Any], total: int) -> dict[str, Any]:
        """A page of a listing that does not say how many there are: members of a queue."""
        uris = {"firstUri": self._uri(1), "selfUri": self._uri(self.number)}
        if self.number * self.size < total:
            uris["nextUri"] = self._uri(self.number + 1)
        if self.number > 1:
            uris["previousUri"] = self._uri(self.number - 1)
        return {"entities": entities, "pageSize": self.size, "pageNumber": self.number, **uris}

    def _uri(self, number: int) -> str:
        """The same question, another page."""
        return f"{self._path}?{urlencode([*self._query, ('pageNumber', number)])}"


def _number(request: web.Request, name: str, usual: int) -> int:
    text = request.query.get(name)
    if text is None:
        return usual
    if not text.isdecimal():
        raise bad_request(f"{name} must be a number, not {text!r}", "invalid.value")
    return int(text)
