"""Session: the routes by which a browser signs in and out. Knows no table.

POST   /api/session    a token for a cookie
DELETE /api/session    the end of the session, whoever kept a copy of the cookie
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from actors.web.access import SESSION
from actors.web.forwarding import is_https
from actors.web.parts import WebParts
from actors.web.problems import documented
from actors.web.sessions import ended
from actors.web.tokens import SECRET_CHARS_MAX

_COOKIE: Final[dict[str, Any]] = {
    "Set-Cookie": {"description": "session cookie", "schema": {"type": "string"}}
}


class SignIn(BaseModel):
    """What somebody shows."""

    model_config = ConfigDict(extra="forbid")

    token: Annotated[str, Field(min_length=1, max_length=SECRET_CHARS_MAX)]


def routes(parts: WebParts) -> APIRouter:
    router = APIRouter()
    sessions, clock = parts.sessions, parts.clock

    @router.post(
        SESSION,
        status_code=204,
        summary="Sign in: exchange a token for a session cookie",
        responses={
            204: {"description": "signed in", "headers": _COOKIE},
            **documented(400, 401, 413, 422, 429, 500),
        },
    )
    async def sign_in(shown: SignIn, request: Request) -> Response:
        holder = sessions.open(shown.token)
        if holder is None:
            raise parts.wrong_sign_in(request.scope)
        now_s = clock.wall_us() / 1e6
        return _with_cookie(sessions.cookie(holder, now_s, is_secure=is_https(request.headers.raw)))

    @router.delete(
        SESSION,
        status_code=204,
        summary="Sign out: end the session and delete its cookie",
        responses={
            204: {"description": "signed out", "headers": _COOKIE},
            **documented(500),
        },
    )
    async def sign_out(request: Request) -> Response:
        now_s = clock.wall_us() / 1e6
        for cookies in request.headers.getlist("cookie"):
            for number in sessions.sign_out(cookies, now_s):
                parts.places.end_session(number)
        return _with_cookie(ended(is_secure=is_https(request.headers.raw)))

    return router


def _with_cookie(cookie: str) -> Response:
    return Response(status_code=204, headers={"Set-Cookie": cookie, "Cache-Control": "no-store"})
