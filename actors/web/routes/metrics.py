"""Metrics: the route that Prometheus reads. Knows no page and no ring.

GET /metrics
"""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Response
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from actors.web.parts import WebParts
from actors.web.problems import documented

METRICS: Final = "/metrics"


def routes(parts: WebParts) -> APIRouter:
    router = APIRouter()
    registry = parts.metrics.registry()

    @router.get(
        METRICS,
        summary="Metrics for Prometheus",
        response_class=Response,
        responses={
            200: {
                "description": "Prometheus text format, version 0.0.4",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            },
            **documented(500),
        },
    )
    async def scrape() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return router
