"""ProbeRequests: what is served at `web.probes_listen`, to whoever asks. Knows no token.

Balancers and monitors send what they like: no Host or somebody else's, HTTP/1.0, HEAD, OPTIONS, a
slash at the end. There is nothing else to be had there, and nothing that is about a person.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.types import ASGIApp, Receive, Scope, Send

from actors.web.access_middleware import AccessChecks, with_headers
from actors.web.identity import VISITOR, identify
from actors.web.limits import client_of
from actors.web.problems import Problem

READY: Final = "/readyz"
METRICS: Final = "/metrics"
PATHS: Final = frozenset({"/livez", READY, METRICS})
_METHODS: Final = {"GET": "GET", "HEAD": "HEAD", "OPTIONS": "GET"}
"""As what each is served: HAProxy's own check is `OPTIONS / HTTP/1.0`, of which only the status
counts."""


class ProbeRequests:
    """In front of the routes; the other way to them is `AccessMiddleware`."""

    def __init__(self, app: ASGIApp, guards: AccessChecks) -> None:
        self._app = app
        self._guards = guards

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = with_headers(send)
        try:
            asked = self._asked(scope)
        except Problem as problem:
            await problem.response()(scope, receive, sending)
            return
        identify(asked, VISITOR)
        await self._app(asked, receive, sending)

    def _asked(self, scope: Scope) -> dict[str, Any]:
        """Raises Problem."""
        path = scope["path"].rstrip("/") or READY  # who names nothing wants to know that
        if path not in PATHS:
            raise Problem("no-such-probe", f"only {', '.join(sorted(PATHS))} are served here")
        method = _METHODS.get(scope["method"])
        if method is None:
            headers = {"Allow": ", ".join(_METHODS)}
            raise Problem("method-not-allowed", "a probe is read with GET", headers=headers)
        if path == METRICS:  # which costs more than all else that is served here
            host = scope["client"][0] if scope["client"] else ""
            self._guards.check_rate(f"metrics for {client_of(host)}")
        return {**scope, "path": path, "raw_path": path.encode(), "method": method}
