"""Overview: the routes that tell of all agents at once. Knows no ring and no table.

GET /api/summary    all agents, counted
GET /api/queues     by queue
GET /api/snapshot   all of them in little room, and where the stream goes on
"""

from __future__ import annotations

import asyncio
import zlib
from typing import Final

from fastapi import APIRouter, Request, Response

from actors.settings.web import is_loopback
from actors.web.agent_shapes import Queues, Summary
from actors.web.agent_shapes import Snapshot as SnapshotShape
from actors.web.answers import TAGGED, JsonAnswer, PartedAnswer, tag_of, tagged
from actors.web.board import EncodedSnapshot
from actors.web.encoding import encode
from actors.web.identity import identity_of
from actors.web.parts import WebParts
from actors.web.problems import documented
from actors.web.rendering import queues_shown

GZIP_LEVEL: Final = 1
_GZIP: Final = 16 + zlib.MAX_WBITS


def routes(parts: WebParts) -> APIRouter:
    router = APIRouter()
    board = parts.board

    @router.get(
        "/api/summary",
        summary="Count agents by state",
        response_model=Summary,
        responses=documented(500),
    )
    async def get_summary(request: Request) -> Response:
        who = identity_of(request.scope)
        return JsonAnswer({**board.summary(), "may_write": who.may_write, "who": who.name})

    @router.get(
        "/api/queues",
        summary="Count agents by queue",
        response_model=Queues,
        responses={**TAGGED, **documented(500)},
    )
    async def get_queues(request: Request) -> Response:
        shown = {"queues": queues_shown(board.model.by_queue, board.names)}
        return tagged(request, shown, tag_of(encode(shown)))

    @router.get(
        "/api/snapshot",
        summary="Get all agents in a compact form, as the start of the stream",
        response_model=SnapshotShape,
        responses=documented(500),
    )
    async def get_snapshot(request: Request) -> Response:
        who = identity_of(request.scope)
        snapshot = board.snapshot()
        tail = snapshot.tail(may_write=who.may_write, who=who.name)
        if not _wants_gzip(request):
            return PartedAnswer((snapshot.head, tail), {})
        packed = await asyncio.to_thread(_packed, snapshot, tail)
        return PartedAnswer((packed,), {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"})

    return router


def _wants_gzip(request: Request) -> bool:
    """On this machine bytes cost less than packing them."""
    host = request.client.host if request.client else ""
    if not host or is_loopback(host):
        return False
    return "gzip" in request.headers.get("accept-encoding", "")


def _packed(snapshot: EncodedSnapshot, tail: bytes) -> bytes:
    packer = zlib.compressobj(GZIP_LEVEL, wbits=_GZIP)
    return packer.compress(snapshot.head) + packer.compress(tail) + packer.flush()
