"""`send`, `commands` and `webhooks` against a web child as it is: what a person reads, and the exit
code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors import main as cli
from actors.cli import api_client
from actors.messages.commands import CommandRequest, Resend
from actors.sender.commands import Code, CommandStep
from actors.storage.data_dir import LOCK
from runtime.errors import EXIT_CONFIGURATION, EXIT_TEMPORARY
from tests.actors.cli.sending import (
    HOSTILE,
    ROOT,
    Runtime,
    as_new,
    begun,
    make_data_dir,
    refused,
    running,
)
from tests.actors.web.rig import FakeSender, Fate, Web, confirm, eventually, web_arguments

NOBODY = 2**22 + 1  # above every pid_max
EXIT_USAGE = 2


@pytest.fixture(scope="module")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    with running(tmp_path_factory.mktemp("runtime")) as runtime:
        yield runtime


@pytest.fixture
def runtime(_running: Runtime) -> Runtime:
    return as_new(_running)


# -- one command -------------------------------------------------------------------------------


def test_an_accepted_command_is_enough_without_waiting(
    runtime: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime.sender.judge = lambda _order: Fate(CommandStep.SENT)
    assert runtime.command("send", "A", "busy", "--reason", "lunch", "--expect", "available") == 0
    [order] = runtime.orders
    assert (order.user_id, order.to_state, order.reason, order.expected, order.forced) == (
        "A", "busy", "lunch", "available", False,
    )  # fmt: skip
    said = capsys.readouterr().out
    assert said.endswith(f": change of agent A to busy\ncommand {order.command_id}\n")
    assert said.split(":")[0] in {"admitted", "sent"}


@pytest.mark.parametrize(
    ("end", "exit_code", "says"),
    [
        (CommandStep.CONFIRMED, 0, "confirmed: agent A is busy"),
        (CommandStep.UNCONFIRMED, 1, "was not seen in busy"),
        (CommandStep.UNKNOWN, 1, "it is unknown whether agent A is busy"),
        (CommandStep.PENDING, EXIT_TEMPORARY, "pending: the gateway accepted the command, but"),
    ],
)
def test_waiting_tells_the_end(
    runtime: Runtime,
    capsys: pytest.CaptureFixture[str],
    end: CommandStep,
    exit_code: int,
    says: str,
) -> None:
    runtime.sender.judge = lambda _order: Fate(end)
    assert runtime.command("send", "A", "busy", "--wait", "--force") == exit_code
    assert says in capsys.readouterr().out
    assert runtime.orders[0].forced


def test_a_refusal_says_why_and_when_to_come_back(
    runtime: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime.sender.judge = lambda _order: refused(Code.RATE, f"5 a second{HOSTILE}", 1_200)
    assert runtime.command("send", "A", "busy", "--wait") == 1
    said = capsys.readouterr().err
    assert "refused (rate): 5 a second\\x1b[2J\\n[bold]\ntry again in 1.2 s\ncommand " in said
    assert "\x1b" not in said


def test_a_command_that_was_refused_later_is_told_as_refused(
    runtime: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    assert runtime.command("send", "A", "busy", "--key", "k-1", "--wait") == 0
    capsys.readouterr()
    assert runtime.command("send", "A", "busy", "--key", "k-1", "--wait") == 0
    assert "an earlier command with the same key" in capsys.readouterr().out
    assert runtime.command("send", "A", "offline", "--key", "k-1") == 1
    assert "refused (key-bound)" in capsys.readouterr().err
    assert len(runtime.sender.applied) == 1


def test_for_programs_there_is_json(runtime: Runtime, capsys: pytest.CaptureFixture[str]) -> None:
    assert runtime.command("send", "A", "busy", "--wait", "--json") == 0
    assert json.loads(capsys.readouterr().out)["step"] == "confirmed"
    runtime.sender.judge = lambda _order: refused(Code.CAPACITY, "2 of 2 needed")
    assert runtime.command("send", "A", "busy", "--json") == 1
    assert json.loads(capsys.readouterr().out)["code"] == "capacity"


@pytest.mark.parametrize(
    "arguments",
    [["A"], ["A", "sleeping"], [], ["A", "busy", "--batch", "x.csv"], ["--result", "x.csv"]],
)
def test_what_cannot_be_meant_is_a_usage_error(runtime: Runtime, arguments: list[str]) -> None:
    assert runtime.command("send", *arguments) == EXIT_USAGE
    assert runtime.orders == []


def test_what_a_presence_may_be_called_is_for_the_dialect_of_the_data_directory_to_say(
    tmp_path: Path,
) -> None:
    for dialect, exit_code in (("wsp", EXIT_USAGE), ("cloud", EXIT_TEMPORARY)):
        path = make_data_dir(tmp_path / dialect, dialect)
        sent = cli.main(["send", "A", "On Queue", "--expect", "Meal", "--data-dir", str(path)])
        assert sent == exit_code, "75: it would have been sent, but no runtime is running"


def test_a_user_id_may_hold_anything(runtime: Runtime, capsys: pytest.CaptureFixture[str]) -> None:
    user = f"a/b?c#d%20{HOSTILE}"
    assert runtime.command("send", user, "busy", "--wait") == 0
    assert runtime.orders[0].user_id == user
    assert "\x1b" not in capsys.readouterr().out


# -- no runtime --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [["send", "A", "busy"], ["commands"], ["webhooks"], ["commands", "some-id"]]
)
def test_without_a_runtime_it_says_so_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    path = make_data_dir(tmp_path / "data")
    (path / LOCK).write_text(f"{NOBODY}\n")  # of one that was killed
    assert cli.main([*arguments, "--data-dir", str(path)]) == EXIT_TEMPORARY
    assert f"no runtime is running on {path}; start it" in capsys.readouterr().err


def test_a_directory_that_never_had_a_runtime_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["send", "A", "busy", "--data-dir", str(tmp_path)]) == EXIT_CONFIGURATION
    assert f"{tmp_path} contains no journals" in capsys.readouterr().err


def test_a_runtime_that_lives_and_does_not_answer_is_waited_for_a_while(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_client, "PATIENCE_S", 0.5)
    path = make_data_dir(tmp_path / "data")  # its holder is this very process
    assert cli.main(["commands", "--data-dir", str(path)]) == EXIT_TEMPORARY
    assert "the web process does not respond" in capsys.readouterr().err


def test_a_web_child_that_restarts_while_somebody_waits_is_not_noticed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = web_arguments(make_data_dir(tmp_path / "data"))
    sender = FakeSender(arguments, confirm)
    sender.is_deaf = True
    first = Web(arguments)
    second: list[Web] = []

    def replace() -> None:
        eventually(lambda: first.child.counters.get("orders"), "the order is on its way")
        first.stop()
        second.append(Web(arguments, generation=2))
        sender.is_deaf = False

    replacing = threading.Thread(target=replace)
    replacing.start()
    assert cli.main(["send", "A", "busy", "--wait", "--data-dir", str(arguments.data_dir)]) == 0
    replacing.join()
    assert "confirmed" in capsys.readouterr().out
    assert len(sender.applied) == 1
    assert len({order.key for order in sender.orders if isinstance(order, CommandRequest)}) == 1
    second[0].stop()
    sender.close()


def test_whoever_stops_waiting_is_told_that_the_command_goes_on(runtime: Runtime) -> None:
    runtime.sender.judge = lambda _order: Fate(CommandStep.SENT)
    process = begun(runtime, "impatient", "busy", "--wait")
    eventually(lambda: any(order.user_id == "impatient" for order in runtime.orders), "the order")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == cli.INTERRUPTED
    assert (
        said == "the command may still be applied; check with: presence-runtime commands --user\n"
    )
    runtime.sender.finish(CommandStep.CONFIRMED)


# -- what became of it -------------------------------------------------------------------------


def test_commands_lists_the_newest_first_and_filters(
    runtime: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    for user in ("list-A", f"list-B{HOSTILE}"):
        runtime.command("send", user, "busy", "--wait")
    capsys.readouterr()
    assert runtime.command("commands", "--limit", "2") == 0
    shown = capsys.readouterr().out
    rows = [line.split("\t") for line in shown.splitlines()]
    assert [(row[1], row[2], row[3], row[6]) for row in rows[1:]] == [
        (r"list-B\x1b[2J\n[bold]", "busy", "confirmed", f"uid:{os.getuid()}"),
        ("list-A", "busy", "confirmed", f"uid:{os.getuid()}"),
    ]
    assert runtime.command("commands", "--user", "list-A", "--json") == 0
    [one] = json.loads(capsys.readouterr().out)
    assert runtime.command("commands", "--step", "unknown", "--user", "list-A", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []
    assert runtime.command("commands", one["id"]) == 0
    shown = capsys.readouterr().out
    assert "user id\tlist-A\n" in shown
    assert [line.split("\t")[1] for line in shown.splitlines()[-6:]] == [
        "accepted", "validated", "admitted", "sent", "acknowledged", "confirmed",
    ]  # fmt: skip


def test_a_command_that_nobody_knows_is_named(
    runtime: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    assert runtime.command("commands", "no-such-id") == 1
    assert "no-such-command: no command has this id" in capsys.readouterr().err
    assert runtime.command("commands", "--step", "nowhere") == 1
    assert "query.step" in capsys.readouterr().err


def test_dead_messages_are_listed_and_sent_again(
    runtime: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime.sender.resendable = {"msg_1"}
    assert runtime.command("webhooks") == 0
    assert "0 waiting\n0 dead-lettered\n" in capsys.readouterr().out
    assert runtime.command("webhooks", "--resend", "msg_1") == 0
    assert capsys.readouterr().out == "msg_1 is queued to be sent again\n"
    assert runtime.command("webhooks", "--resend", "msg_2") == 1
    assert "not-dead" in capsys.readouterr().err
    [first, _] = [order for order in runtime.sender.orders if isinstance(order, Resend)]
    assert (first.message_id, first.who) == ("msg_1", f"uid:{os.getuid()}")


def test_the_audit_is_shown_and_verified_also_without_a_runtime(
    runtime: Runtime, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime.command("send", f"audit-A{HOSTILE}", "busy", "--wait", "--reason", HOSTILE)
    capsys.readouterr()
    assert runtime.command("audit", "show", "--limit", "1") == 0
    shown = capsys.readouterr().out
    assert r"audit-A\x1b[2J" in shown
    assert "\x1b" not in shown
    assert runtime.command("audit", "verify") == 0
    assert capsys.readouterr().out.startswith("intact: ")
    assert runtime.command("audit", "verify", "--json") == 0
    assert json.loads(capsys.readouterr().out)["intact"] is True


def test_no_command_imports_a_web_framework() -> None:
    code = (
        "import sys, actors.main, actors.cli.send, actors.cli.send_batch, actors.cli.commands;"
        "sys.exit('fastapi' in sys.modules or 'uvicorn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
