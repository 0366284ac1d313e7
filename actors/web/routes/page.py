"""Page: the routes of the wallboard's files, as they lie in the package. Knows none of them.

GET /            index.html
GET /static/…    all others
"""

from __future__ import annotations

import mimetypes
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException
from xxhash import xxh3_64_hexdigest

from actors.web.answers import is_known
from actors.web.parts import WebParts

INDEX: Final = "index.html"
_TYPES: Final = mimetypes.MimeTypes(filenames=())  # the machine's own lists are not asked
_TYPES.add_type("text/javascript", ".js")
_TYPES.add_type("image/svg+xml", ".svg")
_TYPES.add_type("font/woff2", ".woff2")


class StaticFile(NamedTuple):
    content: bytes
    media_type: str
    tag: str


def routes(_parts: WebParts) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    found = read_files(files("actors.web").joinpath("static"))

    async def index(request: Request) -> Response:
        return _answer(request, found.get(INDEX))

    async def file(request: Request, name: str) -> Response:
        return _answer(request, found.get(name))

    for path, endpoint in (("/", index), ("/static/{name:path}", file)):
        router.add_api_route(path, endpoint, response_model=None)
    return router


def read_files(folder: Traversable, prefix: str = "") -> dict[str, StaticFile]:
    """All of them, once: what no file is called, nobody gets."""
    found = {}
    for each in folder.iterdir():
        name = f"{prefix}{each.name}"
        if each.is_dir():
            found.update(read_files(each, f"{name}/"))
        elif not each.name.startswith("."):
            content = each.read_bytes()
            media_type = _TYPES.guess_type(each.name)[0] or "application/octet-stream"
            if media_type.startswith("text/"):
                media_type += "; charset=utf-8"
            found[name] = StaticFile(content, media_type, f'"{xxh3_64_hexdigest(content)}"')
    return found


def _answer(request: Request, found: StaticFile | None) -> Response:
    if found is None:
        raise HTTPException(404)
    headers = {"ETag": found.tag, "Cache-Control": "no-cache"}
    if is_known(request, found.tag):
        return Response(status_code=304, headers=headers)
    return Response(found.content, headers=headers, media_type=found.media_type)
