"""Probes: what balancers and monitors send is answered, HEAD is there wherever GET is, and
`web.sock` comes back."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from actors.settings.web import WebSettings
from actors.web import address
from tests.actors.web.rig import PATIENCE_S, Web, client, eventually, web_arguments

READ = "r" * 32


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Where reading takes a token."""
    folder = tmp_path_factory.mktemp("probes")
    tokens = folder / "tokens"
    tokens.write_text(f"read wall {READ}\n")
    tokens.chmod(0o600)
    settings = WebSettings(
        listen="127.0.0.1:0", probes_listen="127.0.0.1:0", tokens_file=tokens, requests_per_s=20
    )
    web = Web(replace(web_arguments(folder), settings=settings))
    eventually(lambda: web.child.counters.get("port"), "it listens")
    eventually(lambda: web.child.counters.get("probes_port"), "probes are served")
    yield web
    web.stop()
    assert web.failure is None, web.failure


def answered(web: Web, said: str, *, port: str = "probes_port") -> tuple[int, str]:
    """The status and the body of what is answered to these bytes."""
    place = ("127.0.0.1", web.child.counters.get(port))
    with socket.create_connection(place, timeout=PATIENCE_S) as connection:
        connection.sendall(said.encode())
        connection.shutdown(socket.SHUT_WR)
        told = b""
        while more := connection.recv(65_536):
            told += more
            head, end, body = told.partition(b"\r\n\r\n")
            length = next(
                (
                    int(line[16:])
                    for line in head.lower().split(b"\r\n")
                    if b"content-length" in line
                ),
                0,
            )
            if end and (said.startswith(("HEAD", "OPTIONS")) or len(body) >= length):
                break
    return int(head.split()[1]), body.decode()


@pytest.mark.parametrize(
    "said",
    [
        "GET /livez HTTP/1.1\r\nHost: 10.0.0.5:8322\r\nUser-Agent: kube-probe/1.31\r\n\r\n",
        "GET /livez HTTP/1.1\r\nHost: backend.internal\r\nConnection: close\r\n\r\n",
        "GET /livez HTTP/1.0\r\n\r\n",
        "GET /livez/ HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n",
        "GET /livez?verbose HTTP/1.1\r\nHost: a, b\r\nOrigin: https://elsewhere.example\r\n\r\n",
        "GET http://wall.example/livez HTTP/1.1\r\nHost: other.example\r\n\r\n",
        "HEAD /livez HTTP/1.1\r\nHost: ELB-HealthChecker\r\n\r\n",
        "OPTIONS /livez HTTP/1.0\r\n\r\n",
    ],
)
def test_a_probe_is_answered_whatever_it_calls_us(said: str, web: Web) -> None:
    assert answered(web, said)[0] == 200


@pytest.mark.parametrize(
    "said",
    [
        "OPTIONS / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "HEAD /readyz HTTP/1.0\r\n\r\n",
    ],
)
def test_who_names_nothing_asks_whether_it_is_ready(said: str, web: Web) -> None:
    ready, body = answered(web, "GET /readyz HTTP/1.0\r\n\r\n")
    assert ready == (200 if json.loads(body)["ready"] else 503)
    assert answered(web, said)[0] == ready


def test_nothing_else_is_served_there(web: Web) -> None:
    for path in ("/api/summary", "/api/agents", "/static/app.js", "/readyz/x", "//metrics"):
        said = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {READ}\r\n\r\n"
        assert answered(web, said)[0] == 404, path
    for method in ("POST", "PUT", "DELETE"):
        assert answered(web, f"{method} /livez HTTP/1.1\r\nHost: x\r\n\r\n")[0] == 405


def test_metrics_take_a_token_at_the_page_and_none_at_the_probes_or_the_unix_socket(
    web: Web,
) -> None:
    plain = "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    assert answered(web, f"{plain}\r\n", port="port")[0] == 401
    shown = f"{plain}Authorization: Bearer {READ}\r\n\r\n"
    assert answered(web, shown, port="port")[0] == 200
    assert answered(web, f"{plain}\r\n")[0] == 200
    with client(web.arguments.data_dir) as http:
        assert http.get("/metrics").status_code == 200


def test_metrics_are_not_made_as_often_as_somebody_likes_and_probes_are_answered_on(
    web: Web,
) -> None:
    statuses = {answered(web, "GET /metrics HTTP/1.0\r\n\r\n")[0] for _ in range(100)}
    assert statuses == {200, 429}
    assert {answered(web, "GET /livez HTTP/1.0\r\n\r\n")[0] for _ in range(100)} == {200}


@pytest.mark.parametrize("path", ["/", "/livez", "/static/app.js", "/metrics", "/api/summary"])
def test_head_says_what_get_says_without_the_body(path: str, web: Web) -> None:
    with client(web.arguments.data_dir) as http:
        got, head = http.get(path), http.head(path)
    assert head.status_code == got.status_code
    assert head.content == b""
    for name in ("content-type", "cache-control", "etag"):
        assert head.headers.get(name) == got.headers.get(name)


def test_head_of_a_stream_ends(web: Web) -> None:
    with client(web.arguments.data_dir) as http:
        assert http.head("/api/stream").headers["content-type"].startswith("text/event-stream")
        assert http.head("/api/agents/nobody").status_code == 404
    eventually(lambda: web.child.counters.get("stream_readers") == 0, "nobody reads")


# -- web.sock ----------------------------------------------------------------------------------


def is_served(data_dir: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as connection, address.connect_path(data_dir) as path:
        connection.settimeout(PATIENCE_S)
        try:
            connection.connect(path)
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            return connection.recv(20).startswith(b"HTTP/1.1 200 ")
        except OSError:
            return False


@pytest.mark.parametrize("how", ["deleted", "replaced by a file", "replaced by a socket"])
def test_a_socket_that_is_gone_is_made_again_and_who_is_connected_stays_so(
    how: str, tmp_path: Path
) -> None:
    web = Web(web_arguments(tmp_path))
    path, other = tmp_path / address.SOCKET, socket.socket(socket.AF_UNIX)
    try:
        with client(tmp_path) as before:
            assert before.get("/livez").status_code == 200
            path.unlink()
            if how == "replaced by a file":
                path.write_text("")
            elif how == "replaced by a socket":
                other.bind(str(path))
            eventually(lambda: is_served(tmp_path), "it is there again")
            assert path.stat().st_mode & 0o777 == 0o600
            assert before.get("/livez").status_code == 200
    finally:
        other.close()
        web.stop()
    assert web.failure is None, web.failure
    assert not path.exists()
