"""Audit: the route that tells who did what. Knows no table.

GET /api/audit
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from actors.genesys.times import iso_ms
from actors.messages.control import USER_ID_BYTES_MAX
from actors.web.agent_shapes import Audit
from actors.web.answers import JsonAnswer
from actors.web.parts import WebParts
from actors.web.problems import documented
from actors.web.routes.parameters import Limit

ROW_MAX = (1 << 63) - 1


def routes(parts: WebParts) -> APIRouter:
    router = APIRouter()
    command_reader = parts.command_reader

    @router.get(
        "/api/audit",
        summary="List all steps of all commands, newest first",
        response_model=Audit,
        responses=documented(422, 500, 503),
    )
    async def list_audit(
        user: Annotated[
            str | None, Query(max_length=USER_ID_BYTES_MAX, description="id of the agent")
        ] = None,
        command: Annotated[
            str | None, Query(max_length=64, description="id of the command")
        ] = None,
        limit: Limit = 100,
        before: Annotated[
            int | None, Query(ge=0, le=ROW_MAX, description="`next` of the previous page")
        ] = None,
    ) -> Response:
        rows = await command_reader.audit(
            limit=limit + 1, user_id=user, command=command, before=before
        )
        shown = [
            {
                "row": row.row,
                "at": iso_ms(row.at_us),
                "command": row.command,
                "step": row.step,
                "user_id": row.user_id,
                "detail": row.detail,
            }
            for row in rows[:limit]
        ]
        return JsonAnswer({"audit": shown, "next": rows[limit - 1].row if rows[limit:] else None})

    return router
