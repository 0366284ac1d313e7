"""The service manager's side is a real datagram socket, of both kinds of names."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from runtime.notify import STATUS_CHARS_MAX, Notifier


class Manager:
    """As systemd listens."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self._socket.setblocking(False)

    def heard(self) -> list[list[str]]:
        datagrams = []
        while True:
            try:
                datagrams.append(self._socket.recv(4096).decode().split("\n"))
            except BlockingIOError:
                return datagrams

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    abstract = f"@presence-{uuid4().hex}"
    with closing(Manager(abstract if request.param == "abstract" else f"{tmp_path}/n")) as manager:
        yield manager


def test_readiness_is_told_once_and_a_status_when_it_changes(manager: Manager) -> None:
    with closing(Notifier(manager.address)) as notifier:
        notifier.show(is_ready=False, status="1 of 2", now_s=1.0)
        notifier.show(is_ready=True, status="2 of 2", now_s=2.0)
        notifier.show(is_ready=True, status="2 of 2", now_s=3.0)
        notifier.show(is_ready=False, status="1 of\n2", now_s=4.0)
        notifier.show(is_ready=True, status="x" * 5000, now_s=5.0)
    assert manager.heard() == [
        ["STATUS=1 of 2"],
        ["READY=1", "STATUS=2 of 2"],
        ["STATUS=1 of 2"],
        [f"STATUS={'x' * STATUS_CHARS_MAX}"],
    ]


def test_a_watchdog_is_fed_at_half_of_its_patience(manager: Manager) -> None:
    with closing(Notifier(manager.address, watchdog_s=10.0)) as notifier:
        assert notifier.beat_every_s == 5.0
        for now_s in (100.0, 102.0, 104.9, 105.0, 107.0, 110.1):
            notifier.show(is_ready=False, status="", now_s=now_s)
    assert manager.heard() == [["WATCHDOG=1"]] * 3


def test_a_reload_begins_with_the_time_and_ends_with_readiness(manager: Manager) -> None:
    with closing(Notifier(manager.address)) as notifier:
        notifier.reloading(1_000)  # before anybody was told of readiness: nothing to take back
        notifier.show(is_ready=True, status="", now_s=1.0)
        notifier.reloading(12_345_678_999)
        notifier.show(is_ready=True, status="", now_s=2.0)
    assert manager.heard() == [
        ["READY=1"],
        ["RELOADING=1", "MONOTONIC_USEC=12345678"],
        ["READY=1"],
    ]


def test_the_end_is_told_once_and_nothing_is_ready_behind_it(manager: Manager) -> None:
    with closing(Notifier(manager.address)) as notifier:
        notifier.stopping()
        notifier.stopping()
        notifier.show(is_ready=True, status="", now_s=1.0)
    assert manager.heard() == [["STOPPING=1"]]


@pytest.mark.parametrize(
    ("variables", "beat_every_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "3000000"}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 1.5),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_environment_says_who_listens_and_how_patiently(
    manager: Manager, variables: dict[str, str], beat_every_s: float | None
) -> None:
    given = {"NOTIFY_SOCKET": manager.address, **variables}
    with closing(Notifier.from_environment(given)) as notifier:
        assert notifier.beat_every_s == beat_every_s
        notifier.stopping()
    assert manager.heard() == [["STOPPING=1"]]


def test_nobody_who_listens_is_no_trouble(tmp_path: Path) -> None:
    for address in ("", str(tmp_path / "gone"), f"@{uuid4().hex}", "/" + "x" * 300):
        with closing(Notifier(address, watchdog_s=1.0)) as notifier:
            notifier.show(is_ready=True, status="all", now_s=0.0)
            notifier.stopping()
