"""Front: what every request passes before any route, and what every answer bears.

Host, Origin, who it is, how often, whether they may. Decides nothing itself: each question has a
file of its own. What comes over the Unix socket is the owner's, as the kernel says, and asked no
more; no browser speaks to one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.datastructures import MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as AsgiScope

from actors.settings.web import is_loopback
from actors.web.access import SAFE_METHODS, SESSION, Need, need, refusal, wrong_token
from actors.web.forwarding import is_forwarded, is_https, values
from actors.web.hosts import AllowedHosts, is_local_name
from actors.web.identity import (
    NOBODY,
    ON_REFUSED,
    VISITOR,
    AccessScope,
    CallerIdentity,
    identify,
)
from actors.web.limits import RateLimit, client_of
from actors.web.link import STOPPING
from actors.web.peer import uid_of
from actors.web.problems import Problem
from actors.web.sessions import BrowserSessions
from actors.web.tokens import Tokens
from runtime.clock import Clock
from runtime.counters import Counters

ROOT: Final = 0
REFUSALS_PER_S: Final = 100
REFUSAL_WAIT_MAX_S: Final = 5.0
QUERY_BYTES_MAX: Final = 2_000  # of one that may hold a token

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Of every answer: whatever a name of an agent says, no browser runs it, frames it or leaks it."""
_CACHE_CONTROL: Final = "private, no-cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessChecks:
    """Whom the front asks."""

    hosts: AllowedHosts
    tokens: Tokens
    sessions: BrowserSessions
    rate: RateLimit
    clock: Clock
    counters: Counters  # the web child's own
    is_over: Callable[[], bool]  # nobody may order anything any more
    is_open_here: bool  # whoever is on this machine may look without a token
    owner: int = os.getuid()

    def check_rate(self, caller: str) -> None:
        """Raises Problem for one request too many of this caller."""
        wait_s = self.rate.wait_s(caller, self.clock.now_s())
        if wait_s:
            self.counters.add("requests_limited", 1)
            raise Problem(
                "too-many-requests",
                "too many requests: the limit is web.requests_per_s",
                retry_after_ms=max(1, round(wait_s * 1000)),
            )

    def wrong_sign_in(self, scope: Any) -> Problem:
        """What somebody hears who has shown no token of ours. Only such tries are counted against
        their address: whoever has a token signs in however many strangers come from there."""
        try:
            self.check_rate(caller_of(NOBODY, scope))
        except Problem as too_many:
            return too_many
        self.counters.add("requests_refused", 1)
        return wrong_token()


class AccessMiddleware:
    """The outermost of all ASGI applications: also what goes wrong behind it bears its headers."""

    def __init__(self, app: ASGIApp, guards: AccessChecks) -> None:
        self._app = app
        self._guards = guards
        self._waiting = 0  # requests that are refused for their rate, and not told so yet

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http", "the server speaks nothing else to us"
        sending = with_headers(send)
        try:
            uid = uid_of(scope)
            answer = self._network(scope) if uid is None else self._unix(scope, uid)
        except Problem as problem:
            if problem.code == "too-many-requests":
                await self._wait_in_line(scope)
            answer = problem.response()
        await (self._app if answer is None else answer)(scope, receive, sending)

    async def _wait_in_line(self, scope: AsgiScope) -> None:
        """A refusal costs as much as an answer: whoever asks on and on has REFUSALS_PER_S in all.
        One that comes too often alone hardly notices; meanwhile others may have its place."""
        scope["state"].get(ON_REFUSED, lambda: None)()
        self._waiting += 1
        try:
            await asyncio.sleep(min(self._waiting / REFUSALS_PER_S, REFUSAL_WAIT_MAX_S))
        finally:
            self._waiting -= 1

    def _unix(self, scope: AsgiScope, uid: int) -> Response | None:
        """The socket's mode lets nobody else in; this holds also where somebody has changed it."""
        if uid not in {ROOT, self._guards.owner}:
            raise Problem("not-the-owner", "only the runtime's own user and root may connect")
        identify(scope, CallerIdentity(f"uid:{uid}", AccessScope.WRITE))
        return None

    def _network(self, scope: AsgiScope) -> Response | None:
        """None: it is for the routes. Raises Problem."""
        guards = self._guards
        self._check_names(scope)
        if _is_secret_address(scope):
            return self._sign_in(scope)
        needed, is_look = need(scope["method"], scope["path"]), scope["method"] in SAFE_METHODS
        if needed is Need.NOTHING and is_look:
            return None  # the page's own files, and probes: nothing to learn, and nothing it costs
        identity, session, wrong = self._identified(scope)
        is_sign_in = scope["path"] == SESSION and scope["method"] == "POST"
        if wrong or not is_sign_in:  # whose route counts what is wrong there
            guards.check_rate(caller_of(identity, scope))
        if wrong := wrong or refusal(needed, identity):
            guards.counters.add("requests_refused", 1)
            raise wrong
        if guards.is_over() and not is_look:
            raise Problem(STOPPING, "the demo is ending; changes are no longer accepted")
        identify(scope, identity, session)
        return None

    def _check_names(self, scope: AsgiScope) -> None:
        """Under which name we are called, and by which page."""
        hosts, names = self._guards.hosts, values(scope["headers"], b"host")
        local = scope["server"][0] if scope["server"] else None
        if len(names) != 1 or not hosts.serves(names[0], local):
            raise Problem(
                "wrong-host",
                "Unknown Host header; if it is yours, add it to web.allowed_hosts",
            )
        for origin in values(scope["headers"], b"origin"):
            if not hosts.is_ours(origin, names[0]):
                raise Problem("foreign-origin", "Cross-origin request refused")

    def _identified(self, scope: AsgiScope) -> tuple[CallerIdentity, str, Problem | None]:
        """Who it is, in which session. A token that is shown must be one; a cookie may be left from
        another time."""
        guards, headers = self._guards, scope["headers"]
        for written in values(headers, b"authorization"):
            kind, _, secret = written.partition(" ")
            known = guards.tokens.find(secret.strip()) if kind.lower() == "bearer" else None
            return (NOBODY, "", wrong_token()) if known is None else (known.identity, "", None)
        now_s = guards.clock.wall_us() / 1e6
        for cookies in values(headers, b"cookie"):
            if (found := guards.sessions.session(cookies, now_s)) is not None:
                return found.holder.identity, found.number, None
        return VISITOR if guards.is_open_here and is_here(scope) else NOBODY, "", None

    def _sign_in(self, scope: AsgiScope) -> Response:
        """The address that a demo prints: a cookie, and away with the secret."""
        guards = self._guards
        secret = parse_qs(scope["query_string"].decode("latin-1"))["token"][0]
        holder = guards.sessions.spend(secret)
        headers, now_s = scope["headers"], guards.clock.wall_us() / 1e6
        if holder is None:
            known = any(guards.sessions.holder(each, now_s) for each in values(headers, b"cookie"))
            if not known:
                guards.check_rate(caller_of(NOBODY, scope))
                guards.counters.add("requests_refused", 1)
                raise Problem(
                    "wrong-token",
                    "this sign-in link was already used or is invalid; open / instead",
                    headers=wrong_token().headers,
                )
        answer = RedirectResponse("/", 303, {"Cache-Control": "no-store"})
        if holder is not None:
            secure = is_https(scope["headers"])
            cookie = guards.sessions.cookie(holder, now_s, is_secure=secure)
            answer.headers["Set-Cookie"] = cookie
        return answer


def is_here(scope: AsgiScope) -> bool:
    """Whether it looks as if somebody on this machine asks. A proxy here that adds no header hands
    on a name that the stranger has chosen: for what may be read, this alone is no answer."""
    headers = scope["headers"]
    return (
        is_loopback(_host_of(scope))
        and not is_forwarded(headers, scope["http_version"])
        and all(map(is_local_name, values(headers, b"host")))
    )


def caller_of(identity: CallerIdentity, scope: AsgiScope) -> str:
    """Whose rate a request is counted against. Strangers have their own, apart from whoever looks
    from this machine: behind a proxy here, all of them have its address."""
    if identity.name is not None:
        return identity.name
    client = client_of(_host_of(scope))
    return client if is_here(scope) else f"strangers from {client}"


def _host_of(scope: AsgiScope) -> str:
    return str(scope["client"][0]) if scope["client"] else ""


def _is_secret_address(scope: AsgiScope) -> bool:
    query: bytes = scope["query_string"]
    if scope["path"] != "/" or scope["method"] != "GET" or len(query) > QUERY_BYTES_MAX:
        return False
    return "token" in parse_qs(query.decode("latin-1"))


def with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = raw = list(message.get("headers", ()))
            headers = MutableHeaders(raw=raw)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", _CACHE_CONTROL)
        await send(message)

    return sending
