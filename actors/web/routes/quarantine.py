"""Quarantine: the routes to frames that nobody could use. Knows no ring and no table.

GET  /api/quarantine                      the list
GET  /api/quarantine/{shard}/{key}        one, with its bytes
POST /api/quarantine/{shard}/{key}/feed   judged again, as if it came now
"""

from __future__ import annotations

import base64
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Response

from actors.genesys.times import utc
from actors.shard.reader import QuarantinedFrame, hash_of
from actors.web.agent_shapes import FedFrame, QuarantinedWhole, QuarantineList
from actors.web.answers import JsonAnswer
from actors.web.parts import WebParts
from actors.web.problems import Problem, documented
from actors.web.routes.parameters import Limit

FED_WITHIN_S: Final = 5.0

Shard = Annotated[int, Path(ge=0, le=63, description="number of the shard")]
Key = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="key of the frame, from the list")]


def routes(parts: WebParts) -> APIRouter:
    router = APIRouter()
    journals, feed = parts.journals, parts.feed

    @router.get(
        "/api/quarantine",
        summary="List quarantined frames",
        response_model=QuarantineList,
        responses=documented(422, 500, 503),
    )
    async def list_quarantine(limit: Limit = 100) -> Response:
        frames = await journals.quarantine(limit=limit)
        return JsonAnswer({"quarantine": [_shown(frame) for frame in frames]})

    @router.get(
        "/api/quarantine/{shard}/{key}",
        summary="Get a quarantined frame with its bytes",
        response_model=QuarantinedWhole,
        responses=documented(404, 422, 500, 503),
    )
    async def get_quarantined(shard: Shard, key: Key) -> Response:
        frame = await _found(shard, key)
        return JsonAnswer(
            {
                **_shown(frame),
                "is_whole": len(frame.frame) == frame.size,
                "text": _text(frame.frame),
                "base64": base64.b64encode(frame.frame).decode(),
            }
        )

    @router.post(
        "/api/quarantine/{shard}/{key}/feed",
        status_code=202,
        summary="Process a quarantined frame again, without the duplicate check",
        response_model=FedFrame,
        responses=documented(404, 422, 500, 503),
    )
    async def feed_again(shard: Shard, key: Key) -> Response:
        await _found(shard, key)
        try:
            told = await feed.feed_again(shard, hash_of(key), FED_WITHIN_S)
        except IndexError:  # a journal of a shard that does not run
            raise _missing() from None
        outcome, reason = (None, None) if told is None else told
        return JsonAnswer({"outcome": outcome, "reason": reason}, status_code=202)

    async def _found(shard: int, key: str) -> QuarantinedFrame:
        frame = await journals.quarantined(shard, key)
        if frame is None:
            raise _missing()
        return frame

    return router


def _missing() -> Problem:
    return Problem("no-such-frame", "no such frame in the quarantine of this shard")


def _shown(frame: QuarantinedFrame) -> dict[str, Any]:
    return {
        "shard": frame.shard,
        "key": frame.key,
        "reason": frame.reason,
        "size": frame.size,
        "count": frame.times,
        "first_at": utc(frame.first_us),
        "last_at": utc(frame.last_us),
    }


def _text(frame: bytes) -> str | None:
    try:
        return frame.decode()
    except UnicodeDecodeError:
        return None
