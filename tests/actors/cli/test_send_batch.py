"""`send --batch`: each line of a file comes to its end, and what a person is told of it."""

from __future__ import annotations

import csv
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from actors import main as cli
from actors.cli import send_batch
from actors.cli.batch_file import CsvLine, result_path
from actors.messages.commands import CommandRequest
from actors.sender.commands import Code, CommandStep
from runtime.errors import LocalError
from tests.actors.cli.sending import HOSTILE, Runtime, as_new, begun, refused, running
from tests.actors.web.rig import Fate, eventually


@pytest.fixture(scope="module")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    with running(tmp_path_factory.mktemp("runtime")) as runtime:
        yield runtime


@pytest.fixture
def runtime(_running: Runtime) -> Runtime:
    return as_new(_running)


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    def write(*lines: str, header: str = "user,state") -> Path:
        path = tmp_path / "evening.csv"
        path.write_text("\n".join([header, *lines, ""]))
        return path

    return write


def results(path: Path) -> list[dict[str, str]]:
    with result_path(path).open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_each_line_of_a_file_comes_to_its_end(
    runtime: Runtime, file: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    def judge(order: CommandRequest) -> Fate:
        return refused(Code.TRANSITION, "no") if order.user_id == "B" else Fate()

    runtime.sender.judge = judge
    path = file(
        "A,busy,lunch,available", "B,break,,", "A,busy,,", header="user,state,reason,expect"
    )
    assert runtime.command("send", "--batch", str(path)) == 1
    assert [(row["line"], row["outcome"], row["code"], row["detail"]) for row in results(path)] == [
        ("2", "confirmed", "", ""),
        ("3", "refused", "transition", "no"),
        ("4", "confirmed", "", ""),
    ]
    assert [order.expected for order in runtime.orders if order.user_id == "A"] == [
        "available",
        None,
    ]
    ids = {row["command"] for row in results(path)}
    assert ids == {order.command_id for order in runtime.orders}
    assert "confirmed\t2\nrefused\t1\n" in capsys.readouterr().out


def test_lines_that_were_refused_are_told_with_why_they_were(
    runtime: Runtime, file: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    runtime.sender.judge = lambda order: (
        refused(Code.TRANSITION, f"busy is not allowed{HOSTILE}")
        if order.to_state == "busy"
        else refused(Code.CAPACITY, "2 of 2 needed")
        if order.to_state == "break"
        else Fate()
    )
    rows = [f"why-{n},busy" for n in range(8)]
    path = file(*rows, "why-a,break", "why-b,offline")
    assert runtime.command("send", "--batch", str(path)) == 1
    told = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert told[told.index(["outcome", "code", "reason", "lines of the file"]) + 1 :][:2] == [
        ["refused", "transition", r"busy is not allowed\x1b[2J\n[bold]",
         "2, 3, 4, 5, 6 and 3 more"],
        ["refused", "capacity", "2 of 2 needed", "10"],
    ]  # fmt: skip
    assert runtime.command("send", "--batch", str(path), "--json") == 1
    reasons = json.loads(capsys.readouterr().out)["reasons"]
    assert [(why["code"], why["lines"]) for why in reasons] == [
        ("transition", list(range(2, 10))),
        ("capacity", [10]),
    ]


def test_a_file_may_name_agents_as_people_do(
    tmp_path: Path,
) -> None:
    ids = {"anna": ["u-1"], "cem": ["u-4", "u-5"]}
    lines = [CsvLine(n, "", user, "busy", "", None) for n, user in enumerate(("anna", "u-9"), 2)]
    found = send_batch._of_ids(lines, lambda user: ids.get(user, []), tmp_path)
    assert [line.user for line in found] == ["u-1", "u-9"]
    with pytest.raises(LocalError, match="line 2: 2 agents are named cem; specify the id"):
        send_batch._of_ids(
            [lines[0]._replace(user="cem")], lambda user: ids.get(user, []), tmp_path
        )


def test_a_file_sent_twice_is_done_once_and_says_so(
    runtime: Runtime, file: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = file("twice-A,busy", "twice-B,busy")
    assert runtime.command("send", "--batch", str(path)) == 0
    capsys.readouterr()
    assert runtime.command("send", "--batch", str(path)) == 0
    assert "2 lines were finished by an earlier run" in capsys.readouterr().out
    assert [row["replayed"] for row in results(path)] == ["yes", "yes"]
    assert len(runtime.sender.applied) == 2
    assert runtime.command("send", "--batch", str(path), "--key", "tuesday") == 0
    assert len(runtime.sender.applied) == 4


def test_a_file_with_a_mistake_sends_nothing(
    runtime: Runtime, file: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = file("A,busy", "B,sleeping")
    assert runtime.command("send", "--batch", str(path)) == 1
    assert "line 3: state 'sleeping'" in capsys.readouterr().err
    assert runtime.orders == []
    assert not result_path(path).exists()


def test_lines_that_are_refused_for_their_rate_are_sent_again(
    runtime: Runtime, file: Callable[..., Path]
) -> None:
    met: list[str] = []

    def judge(order: CommandRequest) -> Fate:
        met.append(order.user_id)
        return refused(Code.RATE, "too many", 1) if len(met) in {60, 61, 90} else Fate()

    runtime.sender.judge = judge
    users = [f"many-{i}" for i in range(150)]
    assert runtime.command("send", "--batch", str(file(*(f"{user},busy" for user in users)))) == 0
    assert sorted(command.user_id for command in runtime.sender.applied) == sorted(users)
    assert len(runtime.orders) == 153


def test_an_interrupted_file_goes_on_where_it_was(
    runtime: Runtime, file: Callable[..., Path]
) -> None:
    def judge(order: CommandRequest) -> Fate:
        return Fate(CommandStep.SENT) if order.user_id == "stop-5" else Fate()

    runtime.sender.judge = judge
    path = file(*(f"stop-{i},busy" for i in range(10)))
    process = begun(runtime, "--batch", str(path))
    eventually(lambda: len(runtime.sender.applied) == 10, "all but one have their end")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == cli.INTERRUPTED
    assert "of 10 lines are finished" in said
    assert "Traceback" not in said
    pending = {row["user"] for row in results(path) if row["outcome"] == "pending"}
    assert "stop-5" in pending
    runtime.sender.finish(CommandStep.CONFIRMED)
    assert runtime.command("send", "--batch", str(path)) == 0
    assert {row["outcome"] for row in results(path)} == {"confirmed"}
    assert len(runtime.sender.applied) == 10
