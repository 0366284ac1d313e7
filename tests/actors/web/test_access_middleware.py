"""Front: what it asks of requests that no test can send from this machine, and how often."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest
from starlette.types import Message, Receive, Scope, Send

from actors.web.access_middleware import AccessChecks, AccessMiddleware
from actors.web.arguments import WEB_WORDS
from actors.web.hosts import AllowedHosts
from actors.web.identity import AccessScope as May
from actors.web.identity import CallerIdentity, identity_of
from actors.web.limits import AT_ONCE_MIN, RateLimit
from actors.web.peer import PEER_UID
from actors.web.sessions import KEY_BYTES, BrowserSessions, OneTimeToken
from actors.web.tokens import Tokens, token
from runtime.clock import ManualClock
from runtime.counters import Counters

LOOPBACK, ELSEWHERE = "127.0.0.1", "10.0.0.7"
OWNER, ROOT, SOMEBODY = 1_000, 0, 1_001
OPS = token("ops", May.WRITE, "o" * 32)
WALL = token("wall", May.READ, "w" * 32)
ONCE = "1" * 32


class Told(NamedTuple):
    """What came back."""

    status: int
    code: str
    headers: dict[str, str]


class Scene:
    """A front with nothing behind it but what notes who has come."""

    def __init__(
        self, *, per_s: float = 0, listen: str = "0.0.0.0", is_open_here: bool = True
    ) -> None:
        self.page = Counters.create("web", WEB_WORDS)
        self.clock = ManualClock()
        self.is_over = False
        self.came: list[CallerIdentity] = []
        tokens = Tokens([OPS, WALL])
        self.front = AccessMiddleware(
            self._behind,
            AccessChecks(
                hosts=AllowedHosts(listen, ("wall.example",)),
                tokens=tokens,
                sessions=BrowserSessions(
                    b"k" * KEY_BYTES,
                    tokens,
                    lives_s=60,
                    one_time=OneTimeToken(ONCE, self.page),
                ),
                rate=RateLimit(per_s),
                clock=self.clock,
                counters=self.page,
                is_over=lambda: self.is_over,
                is_open_here=is_open_here,
                owner=OWNER,
            ),
        )

    async def _behind(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.came.append(identity_of(scope))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def ask(
        self,
        method: str = "GET",
        path: str = "/api/agents",
        *,
        peer: str = LOOPBACK,
        uid: int | None = None,
        query: str = "",
        more: Sequence[tuple[str, str]] = (),
        **headers: Any,
    ) -> Told:
        named = [*{"host": "127.0.0.1:8321", **headers}.items(), *more]
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "http_version": "1.1",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in named],
            "client": (peer, 50_000),
            "server": ("10.1.2.3", 8321),
            "state": {} if uid is None else {PEER_UID: uid},
        }
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            raise AssertionError("the front reads no body")

        asyncio.run(self.front(scope, receive, send))
        told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        body = sent[1].get("body", b"")
        code = json.loads(body)["code"] if sent[0]["status"] >= 400 else ""
        return Told(sent[0]["status"], code, told)


def bearer(secret: str) -> dict[str, Any]:
    return {"authorization": f"Bearer {secret}"}


# -- from elsewhere ----------------------------------------------------------------------------


def test_from_another_machine_a_look_takes_a_token_and_the_page_itself_does_not() -> None:
    scene = Scene()
    assert scene.ask(peer=ELSEWHERE, host="10.1.2.3:8321").code == "token-needed"
    assert scene.ask(peer=ELSEWHERE, host="10.1.2.3:8321", **bearer("w" * 32)).status == 204
    for path in ("/", "/static/app.js", "/livez", "/readyz"):
        assert scene.ask(path=path, peer=ELSEWHERE, host="10.1.2.3:8321").status == 204
    assert scene.ask(path="/metrics", peer=ELSEWHERE, host="10.1.2.3").code == "token-needed"


@pytest.mark.parametrize("peer", ["::1", "::ffff:127.0.0.1", "127.8.8.8"])
def test_loopback_has_many_addresses(peer: str) -> None:
    assert Scene().ask(peer=peer).status == 204


@pytest.mark.parametrize("peer", ["", "::ffff:10.0.0.7", "fe80::1", "127.0.0.1.evil"])
def test_everything_else_is_elsewhere(peer: str) -> None:
    assert Scene().ask(peer=peer).code == "token-needed"


def test_what_is_written_in_headers_makes_nobody_local() -> None:
    for header in ("x-forwarded-for", "x-real-ip", "forwarded", "true-client-ip"):
        told = Scene().ask(peer=ELSEWHERE, more=[(header, "127.0.0.1")])
        assert told.code == "token-needed"


def test_a_request_without_a_name_or_with_two_is_refused() -> None:
    scene = Scene()
    assert scene.ask(host="").code == "wrong-host"
    assert scene.ask(more=[("host", "evil.example")]).code == "wrong-host"
    assert scene.ask(more=[("origin", "http://evil.example")]).code == "foreign-origin"


# -- over the Unix socket ----------------------------------------------------------------------


def test_over_the_unix_socket_the_owner_and_root_may_do_everything() -> None:
    scene = Scene(per_s=0.001)
    for uid in (OWNER, ROOT):
        for _ in range(AT_ONCE_MIN * 2):
            assert scene.ask("POST", uid=uid, host="whatever").status == 204
        assert scene.came[-1] == CallerIdentity(f"uid:{uid}", May.WRITE)
    assert scene.ask(uid=SOMEBODY).code == "not-the-owner"


# -- how often ---------------------------------------------------------------------------------


def test_too_many_requests_of_one_client_are_refused_until_time_has_passed() -> None:
    scene = Scene(per_s=1)
    for _ in range(AT_ONCE_MIN):
        assert scene.ask().status == 204
    refused = scene.ask()
    assert (refused.status, refused.code) == (429, "too-many-requests")
    assert refused.headers["retry-after"] == "1"
    assert scene.page.get("requests_limited") == 1
    assert scene.ask(**bearer("o" * 32)).status == 204  # a token is a client of its own
    scene.clock.advance(1.0)
    assert scene.ask().status == 204


def test_the_page_itself_is_never_too_much_and_no_place_to_guess_at_tokens() -> None:
    scene = Scene(per_s=1)
    for _ in range(AT_ONCE_MIN * 3):
        for path in ("/", "/static/app.js", "/livez"):
            assert scene.ask(path=path, peer=ELSEWHERE, **bearer("z" * 32)).status == 204
    assert scene.ask(peer=ELSEWHERE).code == "token-needed"


def test_whoever_guesses_at_tokens_is_limited_by_address() -> None:
    scene = Scene(per_s=1)
    for number in range(AT_ONCE_MIN):
        assert scene.ask(peer=ELSEWHERE, **bearer(f"{number:032}")).code == "wrong-token"
    assert scene.ask(peer=ELSEWHERE, **bearer("z" * 32)).code == "too-many-requests"
    wrong = f"token={'z' * 32}"
    assert scene.ask(peer=ELSEWHERE, path="/", query=wrong).code == "too-many-requests"
    assert scene.page.get("requests_refused") == AT_ONCE_MIN
    # The right ones need no guess, whoever else comes from there.
    assert scene.ask(peer=ELSEWHERE, **bearer("o" * 32)).status == 204
    assert scene.ask(peer=ELSEWHERE, path="/", query=f"token={ONCE}").status == 303


def test_strangers_behind_a_proxy_here_use_up_nothing_of_who_is_here() -> None:
    """All of them have the address 127.0.0.1."""
    scene = Scene(per_s=1)
    for _ in range(AT_ONCE_MIN * 2):
        told = scene.ask(more=[("x-forwarded-for", "203.0.113.9")])
    assert told.code == "too-many-requests"
    assert scene.ask().status == 204
    assert scene.ask(more=[("via", "1.1 x")], **bearer("w" * 32)).status == 204
    # What signs in is judged by what it shows, by its route.
    assert scene.ask("POST", "/api/session", more=[("via", "1.1 x")]).status == 204


@pytest.mark.parametrize("host", ["127.0.0.1:8321", "localhost", "LOCALHOST.:1", "[::1]"])
def test_where_others_are_served_nobody_on_this_machine_looks_without_a_token(host: str) -> None:
    """A proxy that adds no header looks so, with the name that a stranger has written."""
    scene = Scene(is_open_here=False)
    for path in ("/api/agents", "/metrics", "/api/openapi.json", "/nowhere"):
        assert scene.ask(path=path, host=host).code == "token-needed"
        assert scene.ask(path=path, host=host, **bearer("w" * 32)).status == 204
        assert scene.ask(path=path, uid=OWNER).status == 204
    for path in ("/", "/static/app.js", "/livez", "/readyz"):
        assert scene.ask(path=path, host=host).status == 204


def test_refusals_wait_in_line_so_that_many_cost_no_more_than_a_few(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene, waits = Scene(per_s=1), list[float]()
    asked: list[int] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(asked) < 3:  # meanwhile another comes
            asked.append(1)
            await scene.front._wait_in_line({"state": {}})

    monkeypatch.setattr("actors.web.access_middleware.asyncio.sleep", sleep)
    for _ in range(AT_ONCE_MIN):
        assert scene.ask(peer=ELSEWHERE).status == 401
    assert waits == []
    assert scene.ask(peer=ELSEWHERE).status == 429
    assert waits == [0.01, 0.02, 0.03, 0.04]
    assert scene.ask(peer=ELSEWHERE).status == 429
    assert waits[4:] == [0.01]


# -- the address that a demo prints ------------------------------------------------------------


def test_the_demos_address_signs_one_browser_in_and_hides_its_secret() -> None:
    scene = Scene()
    first = scene.ask(path="/", query=f"token={ONCE}")
    assert (first.status, first.headers["location"]) == (303, "/")
    assert first.headers["cache-control"] == "no-store"
    cookie = first.headers["set-cookie"].partition(";")[0]
    assert scene.ask("POST", cookie=cookie).status == 204
    assert scene.came[-1] == CallerIdentity("token:demo", May.WRITE)
    assert scene.ask(path="/", query=f"token={ONCE}").code == "wrong-token"
    assert "set-cookie" not in scene.ask(path="/", query=f"token={ONCE}", cookie=cookie).headers
    assert scene.ask(path="/", query=f"token={ONCE}", cookie=cookie).status == 303
    assert scene.ask("POST", **bearer(ONCE)).code == "wrong-token"


def test_no_other_token_belongs_into_an_address() -> None:
    scene = Scene()
    assert scene.ask(path="/", query=f"token={'o' * 32}").code == "wrong-token"
    assert scene.ask(path="/api/agents", query=f"token={ONCE}").status == 204
    assert scene.page.get("one_time_used") == 0


def test_a_page_from_elsewhere_or_under_another_name_cannot_spend_it() -> None:
    scene = Scene()
    secret: dict[str, Any] = {"path": "/", "query": f"token={ONCE}"}
    assert scene.ask(**secret, host="evil.example").code == "wrong-host"
    assert scene.ask(**secret, origin="http://evil.example").code == "foreign-origin"
    assert scene.ask(**secret).status == 303


def test_behind_https_the_cookie_stays_there() -> None:
    scene = Scene()
    told = scene.ask(path="/", query=f"token={ONCE}", more=[("x-forwarded-proto", "https")])
    assert told.headers["set-cookie"].endswith("; Secure")


def test_when_the_demo_is_over_nobody_orders_anything_more() -> None:
    scene = Scene()
    assert scene.ask("POST", **bearer("o" * 32)).status == 204
    scene.is_over = True
    assert scene.ask("POST", **bearer("o" * 32)).code == "stopping"
    assert scene.ask(**bearer("o" * 32)).status == 204
