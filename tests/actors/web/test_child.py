"""The web child: its socket, who is served over it, and how it ends and comes again."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from actors.messages.commands import StatusChanged
from actors.sender.commands import CommandStep
from actors.web import address, server
from actors.web.arguments import WEB_WORDS, WebArguments
from runtime.child import Child
from runtime.child_spec import ChildSpec
from runtime.counters import Counters
from runtime.errors import TemporaryError
from runtime.ring import Consumer
from runtime.supervisor import Supervisor
from tests.actors.web.rig import (
    PATIENCE_S,
    FakeSender,
    Fate,
    Web,
    client,
    eventually,
    web_arguments,
)
from tests.processes.facts import drive, pid_of, plays

AGENT = "/api/agents/agent-7/presence"
BUSY = {"state": "busy"}
NOBODY_UID = 65_534
SUN_PATH_MAX = 107


# -- the socket --------------------------------------------------------------------------------


def test_the_socket_is_the_owners_alone(web: Web) -> None:
    mode = (web.arguments.data_dir / address.SOCKET).stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


def test_a_data_directory_may_have_a_long_path(tmp_path: Path) -> None:
    long = tmp_path / ("d" * 120) / ("e" * 120)
    long.mkdir(parents=True)
    assert len(str(long / address.SOCKET)) > SUN_PATH_MAX
    web = Web(web_arguments(long))
    with client(long) as http:
        assert http.get("/api/commands").json() == {"commands": []}
    web.stop()
    assert web.failure is None


def test_a_socket_that_a_killed_child_left_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / address.SOCKET))
    web = Web(web_arguments(tmp_path))
    with client(tmp_path) as http:
        assert http.get("/api/commands").status_code == 200
    web.stop()
    assert not (tmp_path / address.SOCKET).exists()


def test_a_socket_that_cannot_be_made_is_a_clear_error_worth_another_start(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    arguments = web_arguments(missing)
    child = Child("web", 1, Counters.create("web", WEB_WORDS))
    with pytest.raises(TemporaryError, match=r"web\.sock cannot be created: No such file"):
        server.run(child, arguments)


# -- who is served -----------------------------------------------------------------------------


def test_the_peer_is_named_by_the_kernel_not_by_what_it_sends(
    http: httpx.Client, sender: FakeSender
) -> None:
    http.post(AGENT, json=BUSY, headers={"X-Forwarded-For": "10.0.0.1", "Forwarded": "for=x"})
    assert [order.who for order in sender.orders] == [f"uid:{os.getuid()}"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_another_user_is_refused_even_where_the_modes_let_them_in(web: Web) -> None:
    data_dir = web.arguments.data_dir
    for folder in (data_dir, *data_dir.parents[:3]):
        folder.chmod(0o755)
    (data_dir / address.SOCKET).chmod(0o666)
    code = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);"
        "s.sendall(b'GET /api/commands HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n');"
        "print(s.makefile('rb').read().decode())"
    )
    done = subprocess.run(
        ["/usr/bin/python3", "-c", code, str(data_dir / address.SOCKET)],
        user=NOBODY_UID, group=NOBODY_UID, extra_groups=[], cwd="/", check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.startswith("HTTP/1.1 403 ")
    assert '"code":"not-the-owner"' in done.stdout


# -- the sender is away ------------------------------------------------------------------------


def test_without_a_sender_a_change_is_refused_and_the_past_is_shown(tmp_path: Path) -> None:
    web = Web(web_arguments(tmp_path, sender_enabled=False))
    with client(tmp_path) as http:
        answer = http.post(AGENT, json=BUSY)
        assert (answer.status_code, answer.json()["code"]) == (503, "sender-off")
        assert http.get("/api/commands").json() == {"commands": []}
        assert http.get("/api/commands/any").status_code == 404
        assert http.get("/api/webhooks").json() == {
            "messages": [], "waiting": 0, "dead": 0, "oldest_waiting_at": None,
        }  # fmt: skip
    web.stop()


def test_a_sender_that_answers_nobody_is_told_and_the_same_key_is_one_command(
    http: httpx.Client, sender: FakeSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.web.command_submission.ORDER_TIMES", 1)
    sender.is_deaf = True
    key = {"Idempotency-Key": "k"}
    answer = http.post(AGENT, json=BUSY, headers=key)
    assert (answer.status_code, answer.json()["code"]) == (503, "no-answer")
    assert answer.headers["retry-after"] == "1"
    sender.is_deaf = False
    again = http.post(AGENT, json=BUSY, headers=key, params={"wait": 30})
    assert again.json()["step"] == "confirmed"
    assert again.json()["id"] == answer.json()["command"]
    assert len(sender.applied) == 1


def test_an_answer_that_was_lost_is_found_in_the_database(
    http: httpx.Client, sender: FakeSender
) -> None:
    sender.is_mute = True
    answer = http.post(AGENT, json=BUSY, params={"wait": 30})
    assert (answer.status_code, answer.json()["step"]) == (200, "confirmed")
    assert len(sender.applied) == 1


# -- its end and its successor -----------------------------------------------------------------


def test_whoever_waits_when_it_stops_is_told_at_once(
    arguments: WebArguments, sender: FakeSender
) -> None:
    sender.judge = lambda _order: Fate(CommandStep.SENT)
    web = Web(arguments)
    answers: list[httpx.Response] = []

    def ask() -> None:
        with client(arguments.data_dir) as http:
            answers.append(http.post(AGENT, json=BUSY, params={"wait": 60}))

    asking = threading.Thread(target=ask)
    asking.start()
    outcomes = 1 + 4  # taken, and told of each step up to sent
    eventually(lambda: web.child.counters.get("outcomes") == outcomes, "it is known to be sent")
    web.stop()
    asking.join(PATIENCE_S)
    assert (answers[0].status_code, answers[0].json()["step"]) == (202, "sent")


def test_a_mistake_of_ours_ends_the_child(arguments: WebArguments, sender: FakeSender) -> None:
    web = Web(arguments)
    Consumer(arguments.outcomes, generation=9)  # somebody takes its end of the ring
    sender.is_deaf = True
    sender.say(StatusChanged("id", "sent", "", "", None))
    eventually(lambda: web.failure is not None, "it ends")
    assert "was taken over by generation 9" in str(web.failure)


@pytest.fixture
def supervised(arguments: WebArguments) -> Iterator[tuple[Supervisor, ChildSpec]]:
    spec = ChildSpec(
        name="web", title="test: web", entry="actors.web.server:run", arguments=arguments,
        counters=Counters.create("web", WEB_WORDS),
    )  # fmt: skip
    supervisor = Supervisor([spec])
    supervisor.start()
    yield supervisor, spec
    supervisor.close()


def test_a_child_that_is_killed_comes_again_and_serves_what_was_asked_of_it(
    supervised: tuple[Supervisor, ChildSpec], sender: FakeSender, arguments: WebArguments
) -> None:
    supervisor, spec = supervised
    drive(supervisor, plays(spec))
    with client(arguments.data_dir) as http:
        first = http.post(AGENT, json=BUSY, params={"wait": 30}).json()
    drive(supervisor, lambda: spec.counters.get("requests") == 1)
    os.kill(pid_of(supervisor, "web"), signal.SIGKILL)
    drive(supervisor, plays(spec, generation=2))
    with client(arguments.data_dir) as http:
        assert http.get(f"/api/commands/{first['id']}").json()["step"] == "confirmed"
        assert http.post(AGENT, json=BUSY, params={"wait": 30}).json()["step"] == "confirmed"
    numbers = [order.order for order in sender.orders]
    assert len(set(numbers)) == len(numbers) == 2
    drive(supervisor, lambda: spec.counters.get("requests") == 3)  # over both lives
