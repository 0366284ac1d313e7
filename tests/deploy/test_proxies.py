"""Behind a proxy on the same machine, whatever it adds or leaves out, a stranger reads nothing; and
with a token everything works as docs/operations.md says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from actors.settings.web import WebSettings
from tests.actors.web.rig import Web, eventually, web_arguments
from tests.deploy.proxies import WAYS, Way, running
from tests.deploy.strangers import Asked, Strangers, strangers

READ, WALL = "r" * 32, "wall.example.com"
NAMES = (WALL, "localhost", "127.0.0.1", "[::1]", "LOCALHOST.")
PATHS = ("/api/summary", "/api/stream", "/metrics", "/api/openapi.json")


@pytest.fixture(scope="module")
def them() -> Iterator[Strangers]:
    with strangers() as found:
        yield found


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("behind")
    tokens = folder / "tokens"
    tokens.write_text(f"read wall {READ}\n")
    tokens.chmod(0o600)
    settings = WebSettings(
        listen="127.0.0.1:0",
        probes_listen="127.0.0.1:0",
        tokens_file=tokens,
        allowed_hosts=(WALL,),
        requests_per_s=0,
    )
    web = Web(replace(web_arguments(folder), settings=settings))
    eventually(lambda: web.child.counters.get("port"), "it listens")
    eventually(lambda: web.child.counters.get("probes_port"), "probes are served")
    yield web
    web.stop()
    assert web.failure is None, web.failure


def get(port: int, path: str, host: str, *more: str, until: str = "\r\n\r\n") -> Asked:
    lines = (f"GET {path} HTTP/1.1", f"Host: {host}", *more, "Connection: close", "", "")
    return Asked(port, "\r\n".join(lines), until)


def status(answer: str) -> str:
    return answer[9:12] if answer.startswith("HTTP/1.") else answer


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_a_stranger_reads_nothing_under_any_name(
    way: Way, them: Strangers, web: Web, tmp_path: Path
) -> None:
    counters = web.child.counters
    page, probes = counters.get("port"), counters.get("probes_port")
    with running(way, them.here, page, probes, tmp_path) as port:
        asked = [get(port, path, name) for path in PATHS for name in NAMES]
        answers = them.ask(asked)
        assert {status(each) for each in answers} <= {"401", "421"}, answers
        assert "401" in {status(each) for each in answers}
        change = f"POST /api/agents/a/presence HTTP/1.1\r\nHost: {WALL}\r\nContent-Length: 0\r\n"
        for name in NAMES:
            said = change.replace(WALL, name) + "Connection: close\r\n\r\n"
            assert status(them.ask([Asked(port, said)])[0]) in {"401", "421"}


DOCUMENTED = [each for each in WAYS if each.is_documented]


@pytest.mark.parametrize("way", DOCUMENTED, ids=lambda way: way.name)
def test_with_a_token_the_page_and_its_stream_come_through_at_once(
    way: Way, them: Strangers, web: Web, tmp_path: Path
) -> None:
    counters = web.child.counters
    page, probes = counters.get("port"), counters.get("probes_port")
    bearer = f"Authorization: Bearer {READ}"
    with running(way, them.here, page, probes, tmp_path) as port:
        told = them.ask(
            [
                get(port, "/", WALL),
                get(port, "/readyz", WALL),
                get(port, "/api/summary", WALL, bearer),
                get(port, "/metrics", WALL, bearer),
                get(port, "/api/stream", WALL, bearer, until="event: health"),
                get(port, "/api/summary", "evil.example", bearer),
            ]
        )
        assert [status(each) for each in told] == ["200", told[1][9:12], "200", "200", "200", "421"]
        assert "event: health" in told[4]
        body = f'{{"token":"{READ}"}}'
        said = (
            f"POST /api/session HTTP/1.1\r\nHost: {WALL}\r\nContent-Type: application/json\r\n"
            f"Origin: https://{WALL}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        (signed_in,) = them.ask([Asked(port, said + body)])
        assert status(signed_in) == "204"
        cookie = signed_in.partition("et-cookie: ")[2] or signed_in.partition("et-Cookie: ")[2]
        assert "Secure" in cookie.partition("\r\n")[0]
        shown = f"Cookie: {cookie.partition(';')[0]}"
        assert status(them.ask([get(port, "/api/summary", WALL, shown)])[0]) == "200"
