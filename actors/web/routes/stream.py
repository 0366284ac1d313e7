"""Stream: the route that tells of every change as it happens. Knows no ring.

GET /api/stream
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request, Response

from actors.web.hub import FILTERS_MAX, StreamFilter, TooManyFiltersError
from actors.web.identity import identity_of, session_of
from actors.web.limits import client_of
from actors.web.parts import WebParts
from actors.web.problems import Problem, documented
from actors.web.routes.parameters import QueueFilter, StateFilter
from actors.web.stream import MEDIA_TYPE, StreamAnswer
from actors.web.stream_places import StreamOwner

ID_CHARS_MAX: Final = 100
RETRY_AFTER_MS: Final = 5_000
_EVENT: Final = {  # before OpenAPI 3.2 a stream is described by what it consists of
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "event": {"enum": ["changes", "health", "resync"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["id", "event", "data"],
}
_EVENTS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Server-sent events: `changes`, `health`, and `resync` (load a new "
        "snapshot). Each has an id to resume from.",
        "content": {MEDIA_TYPE: {"schema": _EVENT}},
    }
}
LastId = Annotated[
    str | None,
    Query(max_length=ID_CHARS_MAX, description="like Last-Event-ID, for the first request"),
]
LastIdHeader = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID", max_length=ID_CHARS_MAX, description="id of the last event received"
    ),
]


class _Events(Response):
    """For OpenAPI."""

    media_type = MEDIA_TYPE


def routes(parts: WebParts) -> APIRouter:
    router = APIRouter()
    board, hub, places = parts.board, parts.board.hub, parts.places

    @router.get(
        "/api/stream",
        summary="Stream of all changes (server-sent events)",
        response_model=None,
        response_class=_Events,
        responses={**_EVENTS, **documented(422, 429, 500, 503)},
    )
    async def get_stream(
        request: Request,
        queue: QueueFilter,
        state: StateFilter,
        last_event_id: LastId = None,
        last_id: LastIdHeader = None,
    ) -> Response:
        owner = _owner(request)
        if not places.has_room_for(owner):
            raise Problem(
                "too-many-readers",
                f"too many stream clients (web.readers_max = {places.readers_max:,}, of which one "
                f"token or address may have {places.per_caller_max:,})",
                retry_after_ms=RETRY_AFTER_MS,
            )
        wanted = StreamFilter(frozenset(queue), frozenset(state))
        try:
            # A browser that comes back says by the header what it has; its address is an old one.
            answer = StreamAnswer(hub, wanted, last_id or last_event_id, board.hello())
        except TooManyFiltersError:
            raise Problem(
                "too-many-filters",
                f"too many different filters (at most {FILTERS_MAX}); filter in the client",
                retry_after_ms=RETRY_AFTER_MS,
            ) from None
        place = places.enter(owner, answer.end)
        answer.on_end = lambda: places.leave(place)
        return answer

    return router


def _owner(request: Request) -> StreamOwner:
    name = identity_of(request.scope).name
    if name is None:
        return StreamOwner(client_of(request.client.host if request.client else ""), False)
    return StreamOwner(name, True, session_of(request.scope))
