"""Access: what somebody must be allowed, for which request. Pure; knows no token.

What is not named here needs to be read for a look and to write for anything else: a new route is
closed until somebody opens it.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

from actors.web.identity import AccessScope, CallerIdentity
from actors.web.problems import Problem, documented
from actors.web.sessions import COOKIE

SESSION: Final = "/api/session"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
REFUSALS: Final = (401, 403, 421, 429, 503)
"""Statuses of what is refused at the front, of whatever route."""
REALM: Final = 'Bearer realm="presence-runtime"'

_OPEN: Final = frozenset({"/", "/favicon.ico", "/livez", "/readyz"})
_OPEN_FOLDER: Final = "/static/"  # the page itself: nothing in it is about anybody


class Need(Enum):
    """What a request takes."""

    NOTHING = None
    READ = AccessScope.READ
    WRITE = AccessScope.WRITE


def need(method: str, path: str) -> Need:
    if path == SESSION:  # whoever signs in has nothing yet
        return Need.NOTHING
    if method not in SAFE_METHODS:
        return Need.WRITE
    return Need.NOTHING if path in _OPEN or path.startswith(_OPEN_FOLDER) else Need.READ


def refusal(needed: Need, identity: CallerIdentity) -> Problem | None:
    """Why they may not; None: they may."""
    if needed is Need.NOTHING or (needed is Need.READ and identity.may_read) or identity.may_write:
        return None
    if identity.name is not None:
        headers = {"WWW-Authenticate": f'{REALM}, error="insufficient_scope"'}
        return Problem("read-only", "this token is read-only", headers=headers)
    what = "changing anything" if needed is Need.WRITE else "reading here"
    return Problem(
        "token-needed",
        f"{what} requires a token: send Authorization: Bearer TOKEN, or sign in on the page",
        headers={"WWW-Authenticate": REALM},
    )


def wrong_token() -> Problem:
    headers = {"WWW-Authenticate": f'{REALM}, error="invalid_token"'}
    return Problem("wrong-token", "invalid or revoked token", headers=headers)


def described(openapi: dict[str, Any]) -> dict[str, Any]:
    """With what is refused at the front, and what each request takes."""
    openapi["components"].setdefault("securitySchemes", {}).update(
        token={"type": "http", "scheme": "bearer", "description": "a token of web.tokens_file"},
        session={"type": "apiKey", "in": "cookie", "name": COOKIE},
    )
    for path, operations in openapi["paths"].items():
        for method, operation in operations.items():
            for status, response in documented(*REFUSALS).items():
                operation["responses"].setdefault(str(status), response)
            needed = need(method.upper(), path)
            known: list[dict[str, list[str]]] = [{"token": []}, {"session": []}]
            # Over the Unix socket a look takes nothing; on loopback neither, while nobody else
            # is served.
            operation["security"] = {
                Need.NOTHING: [], Need.READ: [*known, {}], Need.WRITE: known,
            }[needed]  # fmt: skip
    return openapi
