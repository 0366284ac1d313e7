"""Network: connections that want too much of us, over a real socket."""

from __future__ import annotations

import contextlib
import json
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from actors.settings.web import WebSettings
from actors.web import network, server
from tests.actors.web.rig import PATIENCE_S, Web, eventually, web_arguments

CONNECTIONS = 3
LONG = 64 << 20  # more than any buffer between us holds
REQUEST = b"GET /api/commands HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
CHUNKED = b"POST /api/session HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"

Connect = Callable[[], socket.socket]


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(network, "RECEIVE_S", 0.2)
    monkeypatch.setattr(network, "STALL_S", 0.2)
    settings = WebSettings(listen="127.0.0.1:0", connections_max=CONNECTIONS)
    web = Web(replace(web_arguments(tmp_path), settings=settings))
    eventually(lambda: web.child.counters.get("port"), "it listens")
    yield web
    web.stop()
    assert web.failure is None, web.failure


@pytest.fixture
def connect(web: Web) -> Iterator[Connect]:
    with ExitStack() as stack:

        def open_one() -> socket.socket:
            place = ("127.0.0.1", web.child.counters.get("port"))
            return stack.enter_context(socket.create_connection(place, timeout=PATIENCE_S))

        yield open_one


def ended(connection: socket.socket) -> bytes:
    """All that comes until the other side has had enough."""
    told = b""
    try:
        while more := connection.recv(65_536):
            told += more
    except ConnectionResetError:
        pass
    return told


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\r\n",
        b"GET /api/comm",
        REQUEST[:-2],
        b"POST /api/session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{",
    ],
    ids=["nothing", "an empty line", "half a line", "half a head", "half a body"],
)
def test_a_request_that_does_not_come_whole_is_not_waited_for(
    said: bytes, connect: Connect
) -> None:
    connection = connect()
    connection.sendall(said)
    assert ended(connection) == b""


def test_nor_is_the_rest_of_a_second_one(connect: Connect) -> None:
    connection = connect()
    connection.sendall(REQUEST)
    answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 200 ")
    connection.sendall(REQUEST[:-2])
    assert b"HTTP/1.1" not in ended(connection)


def test_where_all_places_are_taken_the_oldest_idle_connection_goes(
    connect: Connect, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "RECEIVE_S", PATIENCE_S)
    inside = [connect() for _ in range(CONNECTIONS)]
    for connection in inside:
        connection.sendall(REQUEST)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
    for oldest in inside:
        newest = connect()
        newest.sendall(REQUEST)
        assert newest.recv(65_536).startswith(b"HTTP/1.1 200 ")
        assert ended(oldest) == b""
    assert web.child.counters.get("connections_displaced") == CONNECTIONS
    assert web.child.counters.get("connections_refused") == 0


def test_a_connection_too_many_is_told_so_and_another_may_come_when_one_has_gone(
    connect: Connect, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "RECEIVE_S", PATIENCE_S)
    inside = [connect() for _ in range(CONNECTIONS)]
    for connection in inside:  # each is being served, for as long as it likes
        connection.sendall(b"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
    head, _, body = ended(connect()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1" in head
    assert json.loads(body)["code"] == "too-many-connections"
    assert web.child.counters.get("connections_refused") == 1
    inside[0].close()

    def is_served() -> bool:
        connection = connect()
        try:
            connection.sendall(REQUEST)
            return connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
        except ConnectionResetError:
            return False

    eventually(is_served, "there is room again")


def test_who_reads_nothing_of_a_long_answer_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def long_answer(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(LONG)})

    monkeypatch.setattr(server, "make_app", lambda parts: long_answer)
    monkeypatch.setattr(network, "STALL_S", 0.2)
    web = Web(replace(web_arguments(tmp_path), settings=WebSettings(listen="127.0.0.1:0")))
    eventually(lambda: web.child.counters.get("port"), "it listens")
    with socket.create_connection(("127.0.0.1", web.child.counters.get("port"))) as connection:
        connection.sendall(REQUEST)
        ends = select.poll()
        ends.register(connection, select.POLLRDHUP)  # and errors, always
        assert ends.poll(PATIENCE_S * 1000)
        assert len(ended(connection)) < LONG
    web.stop()
    assert web.failure is None, web.failure
    assert caplog.records == []  # what a client does is no error of ours


def test_requests_come_one_at_a_time(connect: Connect, web: Web) -> None:
    connection = connect()
    connection.sendall(REQUEST * 1_000)
    assert b"HTTP/1.1 400 " in ended(connection)
    eventually(lambda: web.child.counters.get("connections") == 0, "nobody is left")
    assert web.child.counters.get("requests") <= 1


def test_what_is_no_http_gets_a_short_answer(connect: Connect) -> None:
    connection = connect()
    connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
    assert ended(connection).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("said", "piece"),
    [
        (REQUEST[:-2], b"x: y\r\n" * 1_000),
        (REQUEST[:-2] + b"x: ", b"y" * 8_192),
        (b"GET /", b"y" * 8_192),
        (CHUNKED + b"0\r\nx: ", b"y" * 8_192),
    ],
    ids=["headers", "a header", "a path", "a header behind the body"],
)
def test_a_request_without_an_end_is_cut_long_before_its_time_is_over(
    said: bytes, piece: bytes, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "RECEIVE_S", PATIENCE_S)
    connection = connect()
    connection.sendall(said)
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < LONG:
            connection.sendall(piece)
            sent += len(piece)
    assert sent < LONG


@pytest.mark.parametrize(
    "said",
    [
        REQUEST[:-2] + b"x: " + b"y" * 40_000 + b"\r\n\r\n",
        REQUEST[:-2] + b"".join(b"x%d: 1\r\n" % each for each in range(5_000)) + b"\r\n",
        b"GET /" + b"y" * 40_000 + REQUEST[4:],
    ],
    ids=["a header", "headers", "a path"],
)
def test_a_head_too_long_is_refused_also_where_it_comes_in_one_read(
    said: bytes, connect: Connect
) -> None:
    connection = connect()
    connection.sendall(said)
    assert ended(connection).startswith(b"HTTP/1.1 431 ")


def test_what_stands_behind_a_body_is_bounded_in_one_read_as_well(connect: Connect) -> None:
    connection = connect()
    connection.sendall(CHUNKED + b"0\r\n" + b"x: y\r\n" * 8_000 + b"\r\n")
    assert b"HTTP/1.1 2" not in ended(connection)


@pytest.mark.parametrize("said", [b"GET /livez\r\n", b"GET /livez\r\n\r\n", b"hello\r\n"])
def test_what_names_no_version_is_answered_at_once(
    said: bytes, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "RECEIVE_S", PATIENCE_S)
    connection = connect()
    connection.sendall(said)
    assert ended(connection).startswith(b"HTTP/1.1 400 ")


def test_a_head_may_be_as_long_as_browsers_and_proxies_make_them(connect: Connect) -> None:
    connection = connect()
    for _ in range(3):  # each is counted alone
        connection.sendall(REQUEST[:-2] + b"cookie: " + b"y" * 20_000 + b"\r\n\r\n")
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200 ")
