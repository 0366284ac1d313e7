"""Answers: bodies that are encoded already, with their entity tags. Knows no route."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request, Response
from starlette.types import Receive, Scope, Send
from xxhash import xxh3_64_hexdigest

from actors.web.encoding import encode

JSON: Final = "application/json"
TAGGED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "headers": {
            "ETag": {"description": "entity tag of this response", "schema": {"type": "string"}}
        }
    },
    304: {"description": "not modified"},
}
"""The `responses` of a route that answers `If-None-Match`."""


class JsonAnswer(Response):
    """What it is given, encoded; whatever texts are in it."""

    media_type = JSON

    def render(self, content: Any) -> bytes:
        return encode(content)


class PartedAnswer(Response):
    """Parts that belong together; none of them is copied, so that a long one can be shared."""

    def __init__(self, parts: tuple[bytes, ...], headers: Mapping[str, str]) -> None:
        length = sum(map(len, parts))
        super().__init__(headers={**headers, "Content-Length": str(length)}, media_type=JSON)
        self._parts = parts

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        for part in self._parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def tag_of(content: bytes) -> str:
    """Weak: an answer may differ in what passes by itself, such as seconds in a state."""
    return f'W/"{xxh3_64_hexdigest(content)}"'


def is_known(request: Request, tag: str) -> bool:
    """Whether the one who asks has it (RFC 9110 §13.1.2, compared weakly)."""
    known = request.headers.get("if-none-match", "")
    wanted = tag.removeprefix("W/")
    return known.strip() == "*" or any(
        each.strip().removeprefix("W/") == wanted for each in known.split(",")
    )


def tagged(request: Request, content: Any, tag: str) -> Response:
    """Nothing but the tag for whoever has it."""
    if is_known(request, tag):
        return Response(status_code=304, headers={"ETag": tag})
    return JsonAnswer(content, headers={"ETag": tag})
