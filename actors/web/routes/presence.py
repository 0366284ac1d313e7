"""Presence: the route that changes one. Knows no ring and no table.

POST /api/agents/{id}/presence
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Response

from actors.sender.commands import CommandStep
from actors.web.command_submission import PresenceRequest, replayed
from actors.web.parts import WebParts
from actors.web.problems import documented
from actors.web.routes.commands import COMMANDS
from actors.web.routes.parameters import User, Wait, Who, as_held
from actors.web.shapes import CHANGES, KEY_LENGTH_MAX, CommandStatus, PresenceChange

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=KEY_LENGTH_MAX,
        pattern=r"^[\x21-\x7e]+$",
        description="requests with the same key run the command once",
    ),
]
_LOCATION: Final[dict[str, Any]] = {
    "Location": {"description": "URL of the command", "schema": {"type": "string"}}
}


def routes(parts: WebParts) -> APIRouter:
    router = APIRouter()
    submission, shape = parts.submission, CHANGES[parts.dialect]
    route = router.post(
        "/api/agents/{id:agent}/presence",
        status_code=202,
        response_model=CommandStatus,
        summary="Change an agent's presence",
        responses={
            200: {"model": CommandStatus, "description": "the command has ended within `wait`"},
            202: {
                "description": "accepted and stored; the command will end with exactly one outcome",
                "headers": _LOCATION,
            },
            **documented(400, 403, 409, 413, 422, 429, 500, 503),
        },
    )

    async def change_presence(
        *,
        user_id: User,
        change: PresenceChange,
        response: Response,
        who: Who,
        key: Key = None,
        wait: Wait = 0,
    ) -> CommandStatus:
        user_id = as_held(user_id, parts.board.model.agents)
        wanted = PresenceRequest(
            who=who,
            user_id=user_id,
            state=change.state,
            reason=change.reason,
            expected=change.expected,
            forced=change.force,
            key=key,
        )
        placed = await submission.place(wanted, wait)
        told = placed.told
        if placed.is_ended:
            response.status_code = 200
        response.headers["Location"] = f"{COMMANDS}/{told.command_id}"
        response.headers.update(replayed(placed.is_repeated))
        return CommandStatus(
            id=told.command_id,
            user_id=user_id,
            state=change.state,
            step=CommandStep(told.step),
            code=told.code,
            detail=told.detail,
        )

    # FastAPI reads what a body must be from here: it differs by dialect.
    change_presence.__annotations__["change"] = shape
    route(change_presence)
    return router
