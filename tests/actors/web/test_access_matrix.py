"""Who may do what: every route of the application, asked by everybody there is.

The routes come from the application itself, so that a new one cannot be forgotten; what is expected
is written down here a second time, by method and a list of what is open.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fastapi import FastAPI
from starlette.routing import BaseRoute, Mount, Route

from actors.settings.web import WebSettings
from actors.web import app as web_app
from actors.web import server
from actors.web.address import connect_path
from actors.web.parts import WebParts
from actors.web.problems import STATUS_OF
from tests.actors.web.rig import PATIENCE_S, FakeSender, Web, confirm, eventually, web_arguments

READER, WRITER, REMOVED = "r" * 32, "w" * 32, "x" * 32
SIGNED_IN = {"reader": READER, "writer": WRITER}
OPEN_TO_A_LOOK = {"/", "/livez", "/readyz", "/static/{name:path}"}
"""Before anybody is known: the page itself, and what a machine asks."""
WAYS_IN = {("POST", "/api/session"), ("DELETE", "/api/session")}
LOOKS = {"GET", "HEAD"}
FRONT_CODES = {"token-needed", "wrong-token", "read-only", "foreign-origin", "wrong-host"}
REFUSED = {STATUS_OF[code] for code in FRONT_CODES}
PASSES = ""
WRONG_TOKEN = (PASSES, "wrong-token", "wrong-token")
FOREIGN = ("foreign-origin", "foreign-origin", "foreign-origin")
MISNAMED = ("wrong-host", "wrong-host", "wrong-host")


class Caller(NamedTuple):
    """Somebody, and what becomes of what they ask: the code of a refusal, or PASSES."""

    name: str
    headers: Mapping[str, str]
    open: str = PASSES
    read: str = PASSES
    write: str = PASSES
    http_version: str = "1.1"
    by_unix: bool = False


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def proxied(name: str, headers: Mapping[str, str], version: str = "1.1") -> Caller:
    return Caller(name, headers, PASSES, "token-needed", "token-needed", version)


CALLERS = (
    Caller("over the Unix socket", {}, by_unix=True),
    proxied("on loopback, which a proxy may be", {}),
    proxied("on loopback by name", {"Host": "localhost"}),
    proxied("behind X-Forwarded-For", {"X-Forwarded-For": "127.0.0.1"}),
    proxied("behind X-Forwarded-Proto", {"X-Forwarded-Proto": "https"}),
    proxied("behind Forwarded", {"Forwarded": "for=127.0.0.1"}),
    proxied("behind Via", {"Via": "1.1 nginx"}),
    proxied("behind X-Real-IP", {"X-Real-IP": "127.0.0.1"}),
    proxied("behind nginx as it comes, which says nothing", {}, version="1.0"),
    proxied("behind a proxy that says nothing but our name", {"Host": "wall.example"}),
    Caller("with a token to read", bearer(READER), write="read-only"),
    Caller("with a token to write", bearer(WRITER)),
    Caller("with a token to write, behind a proxy", bearer(WRITER) | {"X-Forwarded-For": "x"}),
    Caller("with a wrong token", bearer("z" * 32), *WRONG_TOKEN),
    Caller("with a token that was removed", bearer(REMOVED), *WRONG_TOKEN),
    Caller("with a scheme that we do not know", {"Authorization": "Basic eA=="},
           *WRONG_TOKEN),
    Caller("with a cookie to read", {"Cookie": "{reader}"}, write="read-only"),
    Caller("with a cookie to write", {"Cookie": "other=1; {writer}; b=c"}),
    proxied("with a cookie of a token that was removed", {"Cookie": "{removed}"}),
    proxied("with such a cookie behind a proxy", {"Cookie": "{removed}", "Via": "1.1 x"}),
    proxied("with a cookie that somebody has changed", {"Cookie": "{writer}x"}),
    Caller("from a page of ours", bearer(WRITER) | {"Origin": "http://127.0.0.1:{port}"}),
    Caller("from a page elsewhere", bearer(WRITER) | {"Origin": "http://evil.example"},
           *FOREIGN),
    Caller("from a page of another program here", bearer(WRITER) | {"Origin": "http://127.0.0.1:1"},
           *FOREIGN),
    Caller("from a page without an origin", bearer(WRITER) | {"Origin": "null"},
           *FOREIGN),
    Caller("under a wrong name", bearer(WRITER) | {"Host": "evil.example:{port}"},
           *MISNAMED),
    Caller("under another name of ours", bearer(WRITER) | {"Host": "Wall.Example"}),
)  # fmt: skip


class Scene(NamedTuple):
    """A web child that serves, and what its callers need to know."""

    web: Web
    app: FastAPI
    port: int
    cookies: Mapping[str, str]

    def ask(self, method: str, path: str, caller: Caller) -> tuple[int, str, Mapping[str, str]]:
        """The status, the code of a problem, and the headers."""
        known = {**self.cookies, "port": str(self.port)}
        headers = {name: value.format_map(known) for name, value in caller.headers.items()}
        with closing(self._connection(caller)) as connection:
            connection._http_vsn_str = f"HTTP/{caller.http_version}"
            connection.putrequest(method, path, skip_host="Host" in headers)
            body = b"{}" if method in {"POST", "PUT", "PATCH"} else b""
            headers = {"Content-Type": "application/json", **headers}
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            told = dict(answer.getheaders())
            if told.get("content-type") != "application/problem+json":
                return answer.status, "", told  # perhaps a stream, which does not end
            code = "" if method == "HEAD" else json.loads(answer.read())["code"]
            return answer.status, code, told

    def _connection(self, caller: Caller) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        if caller.by_unix:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(PATIENCE_S)
            with connect_path(self.web.arguments.data_dir) as path:
                connection.sock.connect(path)
        return connection


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    apps: list[FastAPI] = []

    def noted(parts: WebParts) -> FastAPI:
        apps.append(make_app(parts))
        return apps[-1]

    make_app = web_app.make_app
    folder = tmp_path_factory.mktemp("matrix")
    tokens_file = folder / "tokens"
    lines = f"read reader {READER}\nwrite writer {WRITER}\n"
    tokens_file.write_text(f"{lines}write removed {REMOVED}\n")
    tokens_file.chmod(0o600)
    settings = WebSettings(
        listen="127.0.0.1:0",
        tokens_file=tokens_file,
        allowed_hosts=("wall.example",),
        requests_per_s=0,
    )
    arguments = replace(web_arguments(folder), settings=settings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "make_app", noted)
        web = Web(arguments)
    sender = FakeSender(arguments, confirm)
    eventually(lambda: web.child.counters.get("port"), "it listens")
    scene = Scene(web, apps[0], web.child.counters.get("port"), {})
    signed_in = {
        name: _signed_in(scene, secret)
        for name, secret in {**SIGNED_IN, "removed": REMOVED}.items()
    }
    tokens_file.write_text(lines)
    web.child.reload()
    gone = Caller("", bearer(REMOVED))
    eventually(lambda: scene.ask("GET", "/api/commands", gone)[0] == 401, "the token is removed")
    yield scene._replace(cookies=signed_in)
    web.stop()
    sender.close()
    assert web.failure is None, web.failure


def _signed_in(scene: Scene, secret: str) -> str:
    """The cookie for a token."""
    with closing(http.client.HTTPConnection("127.0.0.1", scene.port)) as connection:
        body = json.dumps({"token": secret})
        connection.request("POST", "/api/session", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 204, answer.read()
        return (answer.getheader("Set-Cookie") or "").partition(";")[0]


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """(method, path) of all there are."""
    found = list(_walked(app.routes))
    assert len(found) == len(set(found))
    return sorted(found)


def _walked(routes: Iterable[BaseRoute]) -> Iterator[tuple[str, str]]:
    for route in routes:
        if isinstance(route, Mount):
            yield ("GET", f"{route.path}/{{path}}")
        elif isinstance(route, Route):
            yield from ((method, route.path) for method in route.methods or ())
        else:  # what FastAPI makes of a router that is included
            included: Any = route
            assert not included.include_context.prefix
            yield from _walked(included.original_router.routes)


def _filled(path: str) -> str:
    """With something for each parameter that is nobody's."""
    return "/".join("nobody" if part.startswith("{") else part for part in path.split("/"))


def _expected(method: str, path: str, caller: Caller) -> str:
    if method in LOOKS and path in OPEN_TO_A_LOOK:
        return caller.open
    if (method, path) in WAYS_IN:
        return caller.open or (caller.read if caller.read == "wrong-token" else PASSES)
    return caller.read if method in LOOKS else caller.write


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.name)
def test_every_route_lets_in_exactly_who_may(caller: Caller, scene: Scene) -> None:
    wrong = []
    # Each for itself: who signs out is signed out.
    fresh = {name: _signed_in(scene, secret) for name, secret in SIGNED_IN.items()}
    scene = scene._replace(cookies={**scene.cookies, **fresh})
    for method, path in sorted(routes(scene.app), key=lambda route: route[0] == "DELETE"):
        status, code, headers = scene.ask(method, _filled(path), caller)
        expected, got = _expected(method, path, caller), code if code in FRONT_CODES else PASSES
        if method == "HEAD":  # an answer without a body
            is_as_expected = status == STATUS_OF.get(expected) or not (
                expected or status in REFUSED
            )
            got = expected if is_as_expected else str(status)
        if got != expected:
            wrong.append(f"{method} {path}: {status} {code!r}")
        challenge = headers.get("www-authenticate", "")
        assert challenge.startswith("Bearer ") or status != 401
        assert status != 500
    assert not wrong


def test_what_is_open_is_open_on_purpose(scene: Scene) -> None:
    described = scene.app.openapi()["paths"]
    security = {
        (method.upper(), path): operation["security"]
        for path, operations in described.items()
        for method, operation in operations.items()
    }
    opened = {("GET", path) for path in OPEN_TO_A_LOOK} | WAYS_IN
    assert {route for route, needed in security.items() if not needed} <= opened
    assert {path for _, path in routes(scene.app)} >= OPEN_TO_A_LOOK
    for (method, _), needed in security.items():
        assert ({} in needed) == (method == "GET" and bool(needed))


def test_a_method_that_nobody_thought_of_takes_a_token_to_write(scene: Scene) -> None:
    anonymous, reader = CALLERS[1], Caller("", bearer(READER))
    for method in ("PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"):
        for path in ("/", "/livez", "/api/commands", "/static/x", "/nowhere"):
            assert scene.ask(method, path, anonymous)[:2] == (401, "token-needed")
            assert scene.ask(method, path, reader)[:2] == (403, "read-only")


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller.name)
def test_every_answer_bears_what_keeps_a_browser_safe(caller: Caller, scene: Scene) -> None:
    known = [route for route in routes(scene.app) if route not in WAYS_IN]
    for method, path in (*known, ("GET", "/nowhere"), ("GET", "/static/../x")):
        _, _, headers = scene.ask(method, _filled(path), caller)
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cache-control"]
        assert "access-control-allow-origin" not in headers


def test_a_cookie_dies_with_its_token_and_comes_alive_with_it(scene: Scene) -> None:
    """It is the token's, not the name's: another token of the same name is not enough."""
    path = scene.web.arguments.settings.tokens_file
    assert isinstance(path, Path)
    caller = next(each for each in CALLERS if "cookie of a token" in each.name)
    before = path.read_text()

    def with_line(line: str, secret: str) -> int:
        path.write_text(before + line)
        scene.web.child.reload()
        known = Caller("", bearer(secret))
        eventually(lambda: scene.ask("GET", "/api/commands", known)[0] == 200, "it is read again")
        return scene.ask("POST", "/api/webhooks/m/resend", caller)[0]

    assert with_line(f"write removed {'y' * 32}\n", "y" * 32) == 401
    assert with_line(f"read removed {REMOVED}\n", REMOVED) == 401
    assert with_line(f"write removed {REMOVED}\n", REMOVED) == 404
    path.write_text(before)
    scene.web.child.reload()


def test_a_stream_does_not_outlive_its_token(scene: Scene) -> None:
    path = scene.web.arguments.settings.tokens_file
    assert isinstance(path, Path)
    before = path.read_text()

    def read_again(text: str, secret: str, status: int) -> None:
        path.write_text(text)
        scene.web.child.reload()
        known = Caller("", bearer(secret))
        eventually(lambda: scene.ask("GET", "/api/commands", known)[0] == status, "it is read")

    def follow(connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
        connection.request("GET", "/api/stream", headers=bearer(REMOVED))
        return connection.getresponse()

    def connected() -> closing[http.client.HTTPConnection]:
        return closing(http.client.HTTPConnection("127.0.0.1", scene.port, timeout=PATIENCE_S))

    read_again(f"{before}read removed {REMOVED}\n", REMOVED, 200)
    with connected() as connection, closing(follow(connection)) as stream:
        assert stream.readline().startswith(b"id: ")
        added = "a" * 32  # takes nothing from anybody, so nobody is sent away
        read_again(f"{before}read removed {REMOVED}\nread added {added}\n", added, 200)
        assert stream.readline() == b"event: health\n"
        read_again(before, REMOVED, 401)
        rest = [stream.readline() for _ in range(20)]  # one that goes on says so much in 5 s
        assert rest[-1] == b""
    with connected() as connection:
        assert follow(connection).status == 401


def test_the_name_of_a_token_is_who_asks_in_the_audit(scene: Scene) -> None:
    def who(headers: dict[str, Any]) -> str:
        with closing(http.client.HTTPConnection("127.0.0.1", scene.port)) as connection:
            known = {name: value.format_map(scene.cookies) for name, value in headers.items()}
            body = json.dumps({"state": "busy"})
            kind = {"Content-Type": "application/json"}
            connection.request("POST", "/api/agents/A/presence?wait=30", body, known | kind)
            answer = connection.getresponse()
            told = json.loads(answer.read())
            assert answer.status == 200, told
            connection.request("GET", f"/api/commands/{told['id']}", headers=known)
            return str(json.loads(connection.getresponse().read())["who"])

    assert who(bearer(WRITER)) == "token:writer"
    assert who({"Cookie": "{writer}"}) == "token:writer"


def test_trap_30_behind_a_proxy_on_the_same_host_the_world_can_neither_look_nor_change(
    scene: Scene,
) -> None:
    """Every connection comes from loopback there, whoever it is that asks."""
    change = ("POST", "/api/agents/A/presence")
    behind = [caller for caller in CALLERS if caller.name.startswith("behind ")]
    assert len(behind) == 7
    for caller in behind:
        assert scene.ask("GET", "/api/commands", caller)[:2] == (401, "token-needed")
        assert scene.ask(*change, caller)[:2] == (401, "token-needed")
    # Also where a proxy hides itself altogether.
    for name in ("localhost", "127.0.0.1", "[::1]"):
        hidden = Caller("", {"Host": name})
        assert scene.ask("GET", "/api/commands", hidden)[:2] == (401, "token-needed")
        assert scene.ask(*change, hidden)[:2] == (401, "token-needed")
    # A page from elsewhere that uses a browser's session, or bends its own name to us.
    session = {"Cookie": "{writer}"}
    elsewhere = Caller("", session | {"Origin": "https://evil.example"})
    assert scene.ask(*change, elsewhere)[:2] == (403, "foreign-origin")
    bent = {"Host": "evil.example:{port}", "Origin": "http://evil.example:{port}"}
    assert scene.ask(*change, Caller("", session | bent))[:2] == (421, "wrong-host")


def test_a_method_that_a_path_does_not_know_is_told_which_it_does(scene: Scene) -> None:
    writer = Caller("", bearer(WRITER))
    for path, operations in scene.app.openapi()["paths"].items():
        known = {method.upper() for method in operations}
        known |= {"HEAD"} if "GET" in known else set()
        status, code, headers = scene.ask("PUT", _filled(path), writer)
        assert (status, code) == (405, "method-not-allowed"), path
        assert set(headers["allow"].split(", ")) == known, path
