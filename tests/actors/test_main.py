"""The command line: what a person types, what comes back on which stream, and the exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from actors import main as cli
from actors.cli import tables
from actors.genesys.times import utc
from actors.storage.data_dir import DataDir, GatewayIdentity, read_meta
from actors.web import tokens
from runtime.errors import EXIT_CONFIGURATION, EXIT_FAILURE
from tests.actors.shard.lending import A, B, event
from tests.actors.shard.rig import Rig

SECRET = "s3cret-of-the-client"
EXIT_USAGE = 2
HOSTILE = "\x1b[31m\n[bold]red"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith(("PRESENCE_", "GENESYSCLOUD_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESENCE_CLIENT_ID", "client-7")
    monkeypatch.setenv("PRESENCE_CLIENT_SECRET", SECRET)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Journals of three agents, in the place where the defaults look for them."""
    path = tmp_path / "presence-data"
    identity = GatewayIdentity(dialect="wsp", gateway="https://api.mypurecloud.com")
    DataDir.claim(path, identity, shards=1).lock.release()
    rig = Rig(path / "shard-00.db")
    rig.begin()
    rig.feed(
        event(1_001, A, "Available", "2026-11-21T22:00:00.000Z"),
        event(1_002, B, "Talking", "2026-11-21T22:00:02.500Z", queueId="q-1"),
        event(1_003, A, "Reserved", "2026-11-21T22:00:01.000Z"),
        event(1_004, HOSTILE, "Available", "2026-11-21T21:00:00.000Z"),
    )
    rig.journal.close()
    return path


def table(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]


HEAVY = (
    "aiohttp",
    "apsw",
    "fastapi",
    "httpx",
    "pydantic",
    "pykka",
    "structlog",
    "uvicorn",
    "uvloop",
)


def test_help_names_every_command_and_loads_nothing_that_takes_long() -> None:
    told = f"import sys; print([each for each in {HEAVY} if each in sys.modules], file=sys.stderr)"
    code = f"import atexit; atexit.register(lambda: exec({told!r})); import runpy; "
    code += (
        "import sys; sys.argv[1:] = ['--help']; runpy.run_module('runtime', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    for command in (
        "run", "check", "demo", "state", "history", "backup", "repair", "send", "commands",
        "webhooks", "audit", "status", "top", "export", "forget", "sinks", "token", "settings",
    ):  # fmt: skip
        assert command in done.stdout
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("arguments", [[], ["run"], ["check"], ["--shards", "3"]])
def test_without_settings_it_says_what_is_missing_and_mentions_the_demo(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == EXIT_CONFIGURATION
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "client_id is missing" in captured.err
    assert "presence-runtime demo" in captured.err


def test_a_misspelt_command_is_named_with_its_neighbour(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["dmeo"]) == EXIT_USAGE
    assert "demo" in capsys.readouterr().err


def test_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert len(capsys.readouterr().out.split()) == 1


@pytest.mark.usefixtures("_credentials")
def test_check_shows_the_effective_settings_without_secrets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["check", "--shards", "3", "--log-level", "debug"]) == 0
    captured = capsys.readouterr()
    rows = {row[0]: row[1:] for row in table(captured.out)}
    assert rows["shards"] == ["3", "flag --shards"]
    assert rows["log.level"] == ["debug", "flag --log-level"]
    assert rows["client_id"] == ["client-7", "PRESENCE_CLIENT_ID"]
    assert rows["client_secret"] == ["********", "PRESENCE_CLIENT_SECRET"]
    assert rows["(gateway)"][0] == "https://api.mypurecloud.com"
    first = captured.out.splitlines()[0]
    assert first.startswith("settings are valid: dialect wsp, gateway https://api.mypurecloud.com")
    assert SECRET not in captured.out + captured.err


@pytest.mark.usefixtures("_credentials")
def test_check_speaks_json_and_warns_beside_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRESENCE_SHARD", "3")
    assert cli.main(["check", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["settings"]["journal"] == {"value": "full", "from": "default"}
    assert found["valid"] is True
    unknown, dialect = found["warnings"]
    assert unknown == "PRESENCE_SHARD is not a known setting; did you mean PRESENCE_SHARDS?"
    assert dialect.startswith(
        "dialect = wsp is used with a Genesys Cloud domain (api.mypurecloud.com)"
    )
    assert cli.main(["check"]) == 0
    assert "PRESENCE_SHARD is not a known setting" in capsys.readouterr().err


@pytest.mark.usefixtures("_credentials")
def test_a_wrong_flag_is_a_configuration_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--journal", "half"]) == EXIT_CONFIGURATION
    assert "journal = 'half' (from flag --journal)" in capsys.readouterr().err


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "inf", "fast"])
def test_a_demo_wants_a_rate_that_can_be_kept(
    rate: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["demo", "--rate", rate]) == EXIT_USAGE
    assert "per second" in capsys.readouterr().err


def test_state_lists_agents_by_their_last_change_and_needs_no_credentials(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["state"]) == 0
    agents, shards = capsys.readouterr().out.split("\n\n")
    assert [row[:3] for row in table(agents)[1:3]] == [
        [B, "Talking", "2026-11-21T22:00:02.500Z"],
        [A, "Reserved", "2026-11-21T22:00:01.000Z"],
    ]
    (shard,) = table(shards)[1:]
    assert shard[:4] == ["shard-00", "3", "4", "1:1004"]


def test_what_others_sent_cannot_move_a_cursor_or_forge_a_row(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["state", HOSTILE]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert len(out.splitlines()) == 2
    assert r"\x1b[31m\n[bold]red" in out


def test_state_shows_at_most_what_was_asked_for(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["state", "--json", "--limit", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [agent["user_id"] for agent in found["agents"]] == [B]
    assert found["shards"][0]["counts"]["applied"] == 4
    assert cli.main(["state", "--json", "--limit", "0"]) == 0
    assert len(json.loads(capsys.readouterr().out)["agents"]) == 3


def test_state_of_one_agent(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["state", B, "--data-dir", str(data_dir), "--json"]) == 0
    agent = json.loads(capsys.readouterr().out)
    assert (agent["state"], agent["queue"], agent["at"]) == (
        "Talking",
        "q-1",
        "2026-11-21T22:00:02.500Z",
    )
    assert agent["stale"] is True


def test_history_is_newest_first(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["history", A]) == 0
    rows = table(capsys.readouterr().out)
    assert [row[2:4] for row in rows[1:]] == [["Available", "Reserved"], ["", "Available"]]
    assert cli.main(["history", A, "--json", "--limit", "1"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["from_state"], row["to_state"], row["sequence"], row["cause"]) == (
        "Available",
        "Reserved",
        1_003,
        "live",
    )


@pytest.mark.parametrize("command", ["state", "history"])
def test_an_agent_that_nobody_knows_is_said_so(
    command: str, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([command, "nobody"]) == EXIT_FAILURE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "no agent nobody" in captured.err


def test_a_backup_can_be_read_like_the_original(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "copies" / "monday"
    assert cli.main(["backup", str(target)]) == 0
    assert "shard-00.db" in capsys.readouterr().out
    assert read_meta(target) == read_meta(data_dir)
    assert target.stat().st_mode & 0o077 == 0
    assert cli.main(["state", A, "--json", "--data-dir", str(target)]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "Reserved"
    assert cli.main(["backup", str(target)]) == EXIT_FAILURE
    said = capsys.readouterr().err
    assert f"{target} is not empty, and a backup does not overwrite files" in said
    assert f"presence-runtime backup {target}/$(date +%F)" in said


def test_a_backup_into_what_is_no_folder_of_its_own_is_refused_before_anything_is_copied(
    data_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    used = tmp_path / "my things"
    used.mkdir()
    (used / "letter.txt").touch()
    mounted = tmp_path / "mounted"
    (mounted / "lost+found").mkdir(parents=True)
    assert cli.main(["backup", str(used)]) == EXIT_FAILURE
    assert f"backup '{used}'/$(date +%F)" in capsys.readouterr().err
    assert cli.main(["backup", str(used / "letter.txt")]) == EXIT_FAILURE
    assert "cannot write a backup to " in capsys.readouterr().err
    assert [each.name for each in used.iterdir()] == ["letter.txt"]
    assert cli.main(["backup", str(mounted)]) == 0


def test_a_backup_into_a_directory_of_all_is_for_nobody_elses_eyes(
    data_dir: Path, tmp_path: Path
) -> None:
    target = tmp_path / "shared"
    target.mkdir()
    target.chmod(0o755)
    command = [sys.executable, "-m", "runtime", "backup", str(target), "--data-dir", str(data_dir)]
    subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[2])
    modes = {path.name: path.stat().st_mode & 0o777 for path in target.iterdir()}
    assert modes == {"meta": 0o600, "shard-00.db": 0o600}


@pytest.mark.parametrize("command", [["state"], ["history", "x"], ["backup", "y"], ["repair"]])
def test_where_no_runtime_was_there_is_nothing_to_read(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(command) == EXIT_CONFIGURATION
    assert "contains no journals" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["state", "--json"], ["--help"], ["history", A]])
def test_a_reader_that_has_seen_enough_ends_it_quietly(command: list[str], data_dir: Path) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [sys.executable, "-m", "runtime", *command],
        stdout=write_end,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PRESENCE_DATA_DIR": str(data_dir)},
        check=False,
    )
    os.close(write_end)
    assert done.stderr == ""
    assert done.returncode == EXIT_FAILURE


def test_on_a_terminal_rows_are_drawn_and_brackets_mean_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    tables.show("title", ("agent", "count"), [("[bold]x", 1_234), (HOSTILE, None)])
    out = capsys.readouterr().out
    assert "[bold]x" in out
    assert "1,234" in out
    assert r"\x1b[31m\n[bold]red" in out


@pytest.mark.parametrize(
    ("at_us", "text"),
    [
        (1_795_298_400_123_456, "2026-11-21T22:00:00.123Z"),
        (1, "1970-01-01T00:00:00.000Z"),
        (0, None),
        (None, None),
    ],
)
def test_times_are_utc_with_milliseconds(at_us: int | None, text: str | None) -> None:
    assert utc(at_us) == text


def test_values_in_cells() -> None:
    values: list[Any] = [None, 1.5, 2.0, 1234, True, "é", "a\tb", "\ud800"]
    assert [tables.cell(value) for value in values] == [
        "", "1.5", "2", "1234", "True", "é", r"a\tb", r"\ud800",
    ]  # fmt: skip


@pytest.mark.parametrize("scope", ["read", "write"])
def test_a_token_is_a_line_for_the_file_of_tokens(
    scope: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["token", "wall-1", f"--{scope}"]) == 0
    assert cli.main(["token", "wall-2", f"--{scope}"]) == 0
    first, second = tokens.parse(capsys.readouterr().out)
    assert (first.name, first.scope) == ("wall-1", scope)
    assert first.digest != second.digest


@pytest.mark.parametrize("arguments", [["wall"], ["a b", "--read"], ["demo", "--write"]])
def test_a_token_has_a_scope_and_a_name_that_the_file_takes(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["token", *arguments]) == EXIT_USAGE
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("_credentials")
def test_check_reads_the_file_of_tokens_as_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tokens"
    path.write_text("write ops short\n")
    monkeypatch.setenv("PRESENCE_WEB__TOKENS_FILE", str(path))
    assert cli.main(["check"]) == EXIT_CONFIGURATION
    assert f"web.tokens_file = {path}: line 1: the token of ops" in capsys.readouterr().err


def test_short_version_is_the_long_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["-V"]) == 0
    short = capsys.readouterr().out
    assert cli.main(["--version"]) == 0
    assert short == capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_shown_how_to_complete_and_is_told_the_commands(
    shell: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Otherwise it is the shell that this was started from.
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "True")
    assert cli.main(["--show-completion", shell]) == 0
    assert f"_PRESENCE_RUNTIME_COMPLETE=complete_{shell}" in capsys.readouterr().out
    asked = {
        "_PRESENCE_RUNTIME_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "presence-runtime sta",
        "COMP_CWORD": "1",
        "_TYPER_COMPLETE_ARGS": "presence-runtime sta",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    assert cli.main([]) == 0  # no service runs
    told = capsys.readouterr().out
    assert "state" in told
    assert "status" in told
    assert "demo" not in told
