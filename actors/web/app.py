"""App: the routes of the API put together, and what OpenAPI says of them. Knows no ring, no table.

Each file in `routes` owns a noun, and tells which routes it has.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI

from actors.web import access
from actors.web.body_limit import BodyLimit
from actors.web.head_requests import HeadRequests
from actors.web.parts import WebParts
from actors.web.problems import described, handle_problems
from actors.web.routes import (
    agents,
    audit,
    commands,
    metrics,
    overview,
    page,
    presence,
    probes,
    quarantine,
    session,
    status,
    stream,
)

OPENAPI: Final = "/api/openapi.json"
# In the order in which a path is looked for.
_ROUTES: Final = (
    overview.routes, stream.routes, presence.routes, agents.routes, commands.routes, audit.routes,
    quarantine.routes, session.routes, status.routes, metrics.routes, probes.routes, page.routes,
)  # fmt: skip


class _Api(FastAPI):
    """Tells of its problems as they are."""

    def openapi(self) -> dict[str, Any]:
        return access.described(described(super().openapi()))


def make_app(parts: WebParts) -> FastAPI:
    """An ASGI application for whoever serves it; no lifespan."""
    app = _Api(
        title="presence-runtime",
        version="1",
        openapi_url=OPENAPI,
        docs_url=None,  # these would load their scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    handle_problems(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(HeadRequests)
    for routes in _ROUTES:
        app.include_router(routes(parts))
    return app
