"""Listener: an address that is in use ends nothing, and a successor is found where it was."""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from actors.settings.web import ListenAddress, WebSettings, parsed
from actors.web import listener
from actors.web.arguments import WEB_WORDS, WebArguments
from actors.web.listener import SEND_BUFFER_BYTES, ListeningSocket, bind, trouble_of
from actors.web.port_holder import holder
from runtime.counters import Counters
from tests.actors.web.rig import Web, client, eventually, web_arguments


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other


def at(data_dir: Path, listen: str) -> WebArguments:
    return replace(web_arguments(data_dir), settings=WebSettings(listen=listen))


def port_of(web: Web) -> int:
    eventually(lambda: web.child.counters.get("port"), "it listens")
    return web.child.counters.get("port")


def get(port: int) -> int:
    return httpx.get(f"http://127.0.0.1:{port}/api/commands", trust_env=False).status_code


def test_an_address_in_use_is_told_by_its_setting_and_taken_when_it_is_free(
    tmp_path: Path, taken: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "RETRY_S", 0.01)
    port = taken.getsockname()[1]
    with capture_logs() as lines:
        web = Web(at(tmp_path, f"127.0.0.1:{port}"))
        eventually(lambda: [each for each in lines if each["log_level"] == "error"], "it says so")
        with client(tmp_path) as http:  # the Unix socket serves meanwhile
            assert http.get("/api/commands").status_code == 200
        assert web.child.counters.get("port") == 0
        taken.close()
        assert port_of(web) == port
    assert get(port) == 200
    web.stop()
    (told,) = [each for each in lines if each["event"] == "web.cannot_listen"]
    comm = Path("/proc/self/comm").read_text().strip()
    assert told["what"] == (
        f"web.listen = 127.0.0.1:{port}: Address already in use by process {os.getpid()} ({comm}); "
        "stop it, or give another port"
    )
    (heard,) = [each for each in lines if each["event"] == "web.listens"]
    assert heard["page"] == f"http://127.0.0.1:{port}/"


def test_what_keeps_it_from_listening_is_at_hand_for_whoever_asks(taken: socket.socket) -> None:
    page = Counters.create("web", WEB_WORDS)
    busy = ListeningSocket(parsed(f"127.0.0.1:{taken.getsockname()[1]}"), page)
    assert busy.trouble is None
    assert busy._bind() is None
    (reason,) = busy.reasons()
    assert reason == busy.trouble
    assert "Address already in use" in reason


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        (OSError(errno.EACCES, "Permission denied"), "a port below 1024 is for root"),
        (OSError(errno.EADDRNOTAVAIL, "Cannot assign"), "no address of this machine"),
        (socket.gaierror(-2, "Name or service not known"), "such as 127.0.0.1"),
        (OSError(errno.ENOBUFS, "No buffer space available"), "No buffer space available"),
    ],
)
def test_each_reason_comes_with_what_to_do(error: OSError, cure: str) -> None:
    said = trouble_of(ListenAddress("10.1.2.3", 80), error)
    assert said.startswith(f"web.listen = 10.1.2.3:80: {error.strerror}")
    assert cure in said


def test_whoever_listens_is_named_and_a_free_port_is_nobodys(taken: socket.socket) -> None:
    port = taken.getsockname()[1]
    assert holder(port).startswith(f"process {os.getpid()} (")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        assert holder(bound.getsockname()[1]) == ""


def test_a_successor_takes_the_port_that_its_predecessor_was_given(tmp_path: Path) -> None:
    web = Web(at(tmp_path, "127.0.0.1:0"))
    port = port_of(web)
    assert get(port) == 200
    web.stop()
    page = web.child.counters
    with bind_of_successor(page) as bound:
        assert bound.getsockname()[1] == port


def test_unless_somebody_else_has_it_now(taken: socket.socket) -> None:
    page = Counters.create("web", WEB_WORDS)
    page.set("port", taken.getsockname()[1])
    with bind_of_successor(page) as bound:
        assert bound.getsockname()[1] not in {0, taken.getsockname()[1]}


def bind_of_successor(page: Counters) -> socket.socket:
    bound = ListeningSocket(parsed("127.0.0.1:0"), page)._bind()
    assert bound is not None
    return bound


def test_ipv6_is_an_address_like_any_other() -> None:
    with bind(ListenAddress("::1", 0)) as bound:
        assert bound.family == socket.AF_INET6


def test_a_name_that_nobody_knows_is_told_like_any_trouble() -> None:
    page = Counters.create("web", WEB_WORDS)
    lost = ListeningSocket(ListenAddress("nowhere.invalid", 1), page)
    assert lost._bind() is None
    assert str(lost.trouble).startswith("web.listen = nowhere.invalid:1: ")


def test_it_is_closed_with_the_child(tmp_path: Path) -> None:
    web = Web(at(tmp_path, "127.0.0.1:0"))
    port = port_of(web)
    web.stop()
    with pytest.raises(httpx.ConnectError):
        get(port)


def test_without_an_address_there_is_only_the_unix_socket(tmp_path: Path) -> None:
    web = Web(web_arguments(tmp_path))
    with client(tmp_path) as http:
        assert json.loads(http.get("/api/commands").content) == {"commands": []}
    assert web.child.counters.get("port") == 0
    web.stop()


def test_the_kernel_keeps_little_for_whoever_does_not_read() -> None:
    with bind(ListenAddress("127.0.0.1", 0)) as bound:
        bound.listen()
        with socket.create_connection(bound.getsockname()), bound.accept()[0] as accepted:
            kept = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    assert kept <= 2 * SEND_BUFFER_BYTES  # Linux doubles it, for its own use
