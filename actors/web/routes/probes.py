"""Probes: the routes by which others look whether we live and may be shown. Knows no ring.

GET /livez    this process answers
GET /readyz   what it shows is how things are; if not, why
"""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from actors.web.agent_shapes import Ready
from actors.web.answers import JsonAnswer
from actors.web.parts import WebParts
from actors.web.problems import documented


def routes(parts: WebParts) -> APIRouter:
    router = APIRouter()

    @router.get(
        "/livez",
        summary="Liveness probe",
        response_class=PlainTextResponse,
        responses=documented(500),
    )
    async def get_livez() -> str:
        return "ok"

    @router.get(
        "/readyz",
        summary="Readiness probe: subscribed, up to date, journals writable",
        response_model=Ready,
        responses={503: {"model": Ready, "description": "not ready"}, **documented(500)},
    )
    async def get_readyz() -> Response:
        reasons = [*parts.board.health.reasons, *parts.reasons()]
        is_ready = parts.board.health.is_live and not reasons
        return JsonAnswer(
            {"ready": is_ready, "reasons": reasons}, status_code=200 if is_ready else 503
        )

    return router
