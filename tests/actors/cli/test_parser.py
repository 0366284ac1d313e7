"""CliParser: in which order a command line may be typed, what its help shows, on any terminal."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from actors import main as cli
from actors.cli import parser
from actors.cli.parser import ordered
from actors.storage.data_dir import LOCK, DataDir, GatewayIdentity
from runtime.errors import EXIT_CLEAN
from tests.actors.shard.lending import event
from tests.actors.shard.rig import Rig

EXIT_USAGE = 2
UNICODE = "Jürgen-Ω-山"
COMMAND = parser.built(cli.app)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("", "run"),
        ("check --online", "check --online"),
        ("--help", "--help"),
        ("--version", "--version"),
        ("--shards 3", "run --shards 3"),
        ("--config X check", "check --config X"),
        ("--config=X check --online", "check --config=X --online"),
        ("--data-dir D --json state A", "state --data-dir D --json A"),
        ("--config check check", "check --config check"),  # a file that is called so
        ("--name check", "run --name check"),
        ("--config demo run", "run --config demo"),
        ("--data-dir D audit verify", "audit verify --data-dir D"),
        ("--read token wall", "token --read wall"),
        ("--config X dmeo", "dmeo --config X"),  # told as a misspelt command
        ("--onlin check", "check --onlin"),  # told as a misspelt option of it
        ("--bogus", "run --bogus"),
    ],
)
def test_the_command_may_stand_behind_its_options(typed: str, meant: str) -> None:
    assert ordered(typed.split(), COMMAND) == meant.split()


@pytest.mark.parametrize("name", sorted(COMMAND.commands))
def test_options_of_every_command_may_stand_before_it(name: str) -> None:
    if hasattr(COMMAND.commands[name], "commands"):
        return  # its options are those of the commands within it
    options = [
        option.opts[0]
        for option in COMMAND.commands[name].params
        if option.param_type_name == "option"
    ]
    for option in options:
        is_flag = parser._options(COMMAND.commands[name])[option] is False
        words = [option] if is_flag else [option, "1"]
        assert ordered([*words, name, "x"], COMMAND) == [name, *words, "x"]


def test_help_shows_a_flag_without_a_value(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ([], ["check"], ["send"], ["audit"], ["audit", "verify"]):
        assert cli.main([*command, "--help"]) == EXIT_CLEAN
        shown = capsys.readouterr().out
        assert "<bool>" not in shown
        assert "--help" in shown


@pytest.mark.parametrize("name", ["wall", "it's"])
def test_a_token_without_a_scope_names_both_ways_to_ask(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert cli.main(["token", name]) == EXIT_USAGE
    said = capsys.readouterr().err
    assert "--read` (read only" in said
    assert "--write` (also change" in said


# -- a terminal that has few letters -------------------------------------------------------------


@pytest.fixture
def _data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "presence-data"
    identity = GatewayIdentity(dialect="wsp", gateway="https://api.mypurecloud.com")
    DataDir.claim(path, identity, shards=1).lock.release()
    (path / LOCK).write_text("")  # no runtime: this process, which lives, is none
    rig = Rig(path / "shard-00.db")
    rig.begin()
    rig.feed(event(1_001, UNICODE, "Available", "2026-11-21T22:00:00.000Z"))
    rig.journal.close()


@pytest.mark.usefixtures("_data_dir")
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize(
    "command",
    [
        ["--help"], ["settings"], ["settings", "--markdown"], ["settings", "--json"],
        ["state"], ["state", "--json"], ["state", UNICODE], ["history", UNICODE],
        ["history", UNICODE, "--json"], ["export", "--since", "2026-01-01"],
        ["export", "--since", "2026-01-01", "--format", "csv"], ["backup", UNICODE],
        ["backup", "copy", "--json"], ["repair"], ["repair", "--json"], ["audit", "show"],
        ["audit", "verify"], ["sinks"], ["topics"], ["state", "Ω"], ["status"], ["commands"],
        ["webhooks"], ["send", "Ω", "busy"], ["check", "--config", "Ω.toml"],
        ["check", "--name", "Ω"], ["token", "Ω", "--read"], ["Ω"], ["forget", UNICODE, "--yes"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_no_command_ends_in_a_traceback_where_letters_are_missing(
    command: list[str], encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRESENCE_CLIENT_ID", "Ω")
    monkeypatch.setenv("PRESENCE_CLIENT_SECRET", "secret")
    told, complained = io.BytesIO(), io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(told, encoding=encoding))
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(complained, encoding=encoding))
    assert isinstance(cli.main(command), int)
    sys.stderr.flush()
    text = told.getvalue().decode("utf-8" if "export" in command else encoding)
    assert text + complained.getvalue().decode(encoding)
    if "--json" in command and text:
        assert json.loads(text)


# -- what a shell asks while somebody types ------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("st", {"state", "status"}),
        ("status --js", {"--json"}),
        ("audit ver", {"verify"}),
        ("--config X chec", {"check"}),
        ("--show", {"--show-completion"}),
        ("nothing-begins-so", set()),
    ],
)
def test_a_shell_is_offered_what_can_follow(
    typed: str, offered: set[str], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("_PRESENCE_RUNTIME_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"presence-runtime {typed}")
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split())))
    assert cli.main([]) == EXIT_CLEAN
    assert set(capsys.readouterr().out.split()) == offered
