"""The likeliest first mistakes, each made for real: the answer says what, where, and what to do."""

from __future__ import annotations

import os
import socket
import time

import pytest

from actors.demo.gateway import BundledGateway
from actors.storage.data_dir import DataDir, GatewayIdentity
from runtime.errors import EXIT_CLEAN, EXIT_FAILURE, EXIT_TEMPORARY
from tests.first_hour.newcomer import CLIENT, HINT, TIMEOUT_S, Newcomer, given_to

EXIT_USAGE = 2
SECRET_FILE = {"PRESENCE_CLIENT_ID": "client-7", "PRESENCE_CLIENT_SECRET_FILE": "secret"}


# -- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [(), ("check",), ("run", "--shards", "3")])
def test_no_settings_at_all(newcomer: Newcomer, arguments: tuple[str, ...]) -> None:
    newcomer.types(*arguments).refuses(
        "client_id is missing: set PRESENCE_CLIENT_ID or GENESYSCLOUD_OAUTHCLIENT_ID",
        "client_secret is missing",
        "presence-runtime.toml",
        HINT,
    )


def test_some_settings_and_not_all(newcomer: Newcomer) -> None:
    newcomer.types("check", PRESENCE_CLIENT_ID="client-7").refuses("client_secret is missing")


def test_a_misspelt_setting(newcomer: Newcomer) -> None:
    newcomer.writes("presence-runtime.toml", 'clientid = "c"\n[web]\nlisen = "x"\n')
    newcomer.types("check", **CLIENT).refuses(
        "clientid (from file presence-runtime.toml): unknown setting; did you mean client_id",
        "web.lisen (from file presence-runtime.toml): unknown setting; did you mean web.listen?",
    )


def test_a_misspelt_variable(newcomer: Newcomer) -> None:
    said = newcomer.types("check", PRESENCE_SHARD="3", **CLIENT)
    assert said.exit_code == EXIT_CLEAN
    assert "PRESENCE_SHARD is not a known setting; did you mean PRESENCE_SHARDS?" in said.err


def test_a_configuration_file_that_is_not_there(newcomer: Newcomer) -> None:
    newcomer.types("check", "--config", "presence.toml", **CLIENT).refuses(
        "--config presence.toml: file not found"
    )


@pytest.mark.parametrize(
    ("text", "line"), [("shards =\n", 1), ("shards = 2\nclient_id = abc\n", 2), ("{}", 1)]
)
def test_a_file_that_is_not_toml(newcomer: Newcomer, text: str, line: int) -> None:
    newcomer.writes("presence-runtime.toml", text)
    newcomer.types("check", **CLIENT).refuses("presence-runtime.toml", f"line {line}, column")


@pytest.mark.parametrize("value", ['"yes please"', '"on off"', "3"])
def test_a_switch_that_is_neither_true_nor_false(newcomer: Newcomer, value: str) -> None:
    newcomer.writes("presence-runtime.toml", f"[sender]\nenabled = {value}\n")
    newcomer.types("check", **CLIENT).refuses(
        "sender.enabled", value.strip('"'), "(from file presence-runtime.toml)"
    )


# -- the command line ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "meant"), [("stauts", "status"), ("sned", "send"), ("chek", "check")]
)
def test_a_misspelt_command(newcomer: Newcomer, typed: str, meant: str) -> None:
    newcomer.types(typed).refuses(f"No such command '{typed}'", f"'{meant}'", code=EXIT_USAGE)


def test_a_misspelt_option(newcomer: Newcomer) -> None:
    newcomer.types("check", "--shard", "3").refuses("--shard", "--shards", code=EXIT_USAGE)


def test_an_option_before_its_command_is_taken(newcomer: Newcomer) -> None:
    newcomer.writes("other.toml", "shards = 5\n")
    said = newcomer.types("--config", "other.toml", "check", **CLIENT)
    assert said.exit_code == EXIT_CLEAN
    assert "shards\t5\tfile other.toml" in said.out
    newcomer.types("--config", "other.toml", "chek").refuses("'check'", code=EXIT_USAGE)


def test_a_token_of_no_scope(newcomer: Newcomer) -> None:
    newcomer.types("token", "wall").refuses(
        "`presence-runtime token wall --read`", "`presence-runtime token wall --write`",
        code=EXIT_USAGE,
    )  # fmt: skip


# -- secrets -------------------------------------------------------------------------------------


def test_a_secret_file_that_is_not_there(newcomer: Newcomer) -> None:
    newcomer.types("check", **SECRET_FILE).refuses("client_secret_file = secret: No such file")


def test_a_secret_file_that_is_a_folder(newcomer: Newcomer) -> None:
    (newcomer.folder / "secret").mkdir()
    newcomer.types("check", **SECRET_FILE).refuses("client_secret_file = secret: not a regular")


@pytest.mark.parametrize("content", ["", "\n", " \n\n"])
def test_a_secret_file_that_is_empty(newcomer: Newcomer, content: str) -> None:
    newcomer.writes("secret", content)
    newcomer.types("check", **SECRET_FILE).refuses("client_secret_file = secret: the file is empty")


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfs3cret\r\n", b"s3cret", b"\n s3cret \n\n"])
def test_a_secret_file_is_taken_as_an_editor_saves_it(
    newcomer: Newcomer, gateway: BundledGateway, content: bytes
) -> None:
    newcomer.writes("secret", content.replace(b"s3cret", gateway.client_secret.encode()))
    given = given_to(gateway, PRESENCE_CLIENT_SECRET_FILE="secret")
    del given["PRESENCE_CLIENT_SECRET"]
    said = newcomer.types("check", "--online", **given)
    assert said.exit_code == EXIT_CLEAN, said


def test_a_secret_file_of_two_lines(newcomer: Newcomer) -> None:
    newcomer.writes("secret", "client-7\ns3cret\n")
    said = newcomer.types("check", **SECRET_FILE)
    said.refuses("client_secret_file = secret: it has 2 lines; it must contain only the value")
    assert "s3cret" not in said.out + said.err


def test_a_secret_file_in_another_encoding(newcomer: Newcomer) -> None:
    newcomer.writes("secret", "s3cret\r\n".encode("utf-16"))
    newcomer.types("check", **SECRET_FILE).refuses(
        "client_secret_file = secret: it is UTF-16", "iconv -f UTF-16 -t UTF-8"
    )


def test_a_secret_file_that_this_user_may_not_read(newcomer: Newcomer) -> None:
    newcomer.writes("secret", "s3cret", mode=0o000)
    newcomer.without_all_rights().types("check", **SECRET_FILE).refuses(
        "client_secret_file = secret: Permission denied"
    )


@pytest.mark.parametrize("setting", ["PRESENCE_WEB__TOKENS_FILE", "PRESENCE_CLIENT_SECRET_FILE"])
def test_a_file_of_secrets_that_others_may_read(newcomer: Newcomer, setting: str) -> None:
    newcomer.writes("shared", "read wall 12345678901234567890\n", mode=0o644)
    given = CLIENT | {setting: "shared"}
    if "CLIENT" in setting:
        del given["PRESENCE_CLIENT_SECRET"]
        newcomer.writes("shared", "s3cret\n", mode=0o644)
    said = newcomer.types("check", **given)
    assert said.exit_code == EXIT_CLEAN
    assert "run: chmod 600 shared" in said.err


def test_a_token_file_with_a_line_that_is_none(newcomer: Newcomer) -> None:
    newcomer.writes("tokens", "read wall short\n")
    newcomer.types("check", PRESENCE_WEB__TOKENS_FILE="tokens", **CLIENT).refuses(
        "web.tokens_file = tokens: line 1", "presence-runtime token wall --read"
    )


# -- the data directory --------------------------------------------------------------------------


def test_a_data_directory_that_is_a_file(newcomer: Newcomer) -> None:
    newcomer.writes("file", "")
    newcomer.types("--data-dir", "file", **CLIENT).refuses(
        f"{newcomer.folder}/file cannot be used as a data directory: it is a file", "--data-dir"
    )


def test_a_data_directory_that_this_user_may_not_write(newcomer: Newcomer) -> None:
    newcomer.folder.chmod(0o555)
    newcomer.without_all_rights().types("--data-dir", "mine", **CLIENT).refuses(
        f"{newcomer.folder}/mine cannot be used as a data directory: Permission denied",
        "Specify a directory that this user can write to",
    )
    newcomer.folder.chmod(0o755)


def test_a_data_directory_that_holds_something_else(newcomer: Newcomer) -> None:
    newcomer.writes("letter.txt", "dear")
    newcomer.types("--data-dir", ".", **CLIENT).refuses("letter.txt", "empty directory")


def test_a_data_directory_of_another_dialect(newcomer: Newcomer) -> None:
    newcomer.has_run("A", dialect="cloud")
    newcomer.types(**CLIENT).refuses(
        "was created with dialect = cloud, but the settings contain wsp", "data_dir"
    )


def test_a_data_directory_that_another_runtime_uses(newcomer: Newcomer) -> None:
    identity = GatewayIdentity(dialect="wsp", gateway="https://api.mypurecloud.com")
    held = DataDir.claim(newcomer.data_dir, identity, shards=1)
    newcomer.types(**CLIENT).refuses(
        f"is in use by another runtime (process {os.getpid()}", "a different data_dir",
        code=EXIT_TEMPORARY,
    )  # fmt: skip
    held.lock.release()


@pytest.mark.parametrize(
    "command", [("history", "A"), ("state",), ("send", "A", "busy"), ("status",), ("backup", "b")]
)
def test_a_look_before_the_first_start(newcomer: Newcomer, command: tuple[str, ...]) -> None:
    newcomer.types(*command).refuses(
        "presence-data contains no journals, because no runtime has been started on it",
        "--data-dir",
    )


# -- a running one -------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["PRESENCE_CLIENT_ID", "PRESENCE_CLIENT_SECRET"])
def test_credentials_that_the_gateway_refuses(
    newcomer: Newcomer, gateway: BundledGateway, wrong: str
) -> None:
    given = given_to(gateway, **{wrong: "mistyped"}, PRESENCE_WEB__LISTEN="127.0.0.1:0")
    said = newcomer.types("check", "--online", **given)
    assert said.exit_code == 78
    verdict = said.out.splitlines()[1]
    assert verdict.startswith("online: 2 of 2 checks failed; first failure: token of the receiver")
    assert "401" in verdict
    assert "Client Credentials" in verdict
    started = newcomer.types("--log-format", "json", **given)
    assert started.exit_code == 78
    assert "401" in started.err


def test_a_port_that_somebody_else_has(newcomer: Newcomer, gateway: BundledGateway) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        given = given_to(gateway, PRESENCE_WEB__LISTEN=f"127.0.0.1:{port}")
        with newcomer.running("--log-format", "json", **given):
            wait_until_it_says(newcomer, f"web.listen = 127.0.0.1:{port}: Address already in use")
            said = newcomer.types("status")
            assert said.exit_code == EXIT_TEMPORARY
            assert f"in use by process {os.getpid()} (" in said.out
            assert "give another port" in said.out


def wait_until_it_says(newcomer: Newcomer, line: str) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while line not in (said := newcomer.types("status")).out:
        assert time.monotonic() < deadline_s, said


def test_a_command_while_no_runtime_runs(newcomer: Newcomer) -> None:
    newcomer.has_run("A")
    for command in (("send", "A", "busy"), ("status",), ("commands",)):
        newcomer.types(*command).refuses(
            "no runtime is running on presence-data; start it", "--data-dir", code=EXIT_TEMPORARY
        )


def test_a_command_for_an_agent_whom_nobody_knows(newcomer: Newcomer) -> None:
    newcomer.has_run("agent-1", "agent-2")
    for command in (("send", "agent1", "busy"), ("history", "agent1"), ("state", "agent1")):
        newcomer.types(*command).refuses(
            "no agent agent1 in the journals of presence-data; did you mean agent-1",
            code=EXIT_FAILURE,
        )
    assert not (newcomer.data_dir / "sender.db").exists(), "nobody is in no audit"


def test_a_presence_that_there_is_not(newcomer: Newcomer) -> None:
    newcomer.has_run("A")
    newcomer.types("send", "A", "lunch").refuses(
        "'lunch' is unknown; expected one of available, busy, break, offline", code=EXIT_USAGE
    )


# -- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            "agent,presence\nA,busy\n",
            "has no column 'user': the first line must contain the column names",
        ),
        ("user,state,colour\nA,busy,red\n", "an unknown column 'colour'"),
        ("A,busy\n", "has no column 'user'"),
        ("user;state\nA;lunch\n", "line 2: state 'lunch' is unknown; expected one of available"),
        ("user,state\nJürgen,busy\n".encode("latin-1"), "iconv -f WINDOWS-1252 -t UTF-8 batch.csv"),
        ("user,state\nA,busy\n".encode("utf-16"), "iconv -f UTF-16 -t UTF-8 batch.csv"),
        (b"", "has no column 'user'"),
    ],
)
def test_a_file_of_commands_that_is_not_one(
    newcomer: Newcomer, content: str | bytes, says: str
) -> None:
    newcomer.has_run("A")
    newcomer.writes("batch.csv", content)
    newcomer.types("send", "--batch", "batch.csv").refuses("batch.csv", says, code=EXIT_FAILURE)


@pytest.mark.parametrize("since", ["nonsense", "last tuesday", "22.11.2026", ""])
def test_a_time_that_nobody_understands(newcomer: Newcomer, since: str) -> None:
    newcomer.has_run("A")
    newcomer.types("export", "--since", since).refuses(
        f"--since {since!r} is not a valid time", "today, yesterday", "24h", "2026-11-22T10:00"
    )


def test_a_backup_into_a_folder_that_is_not_empty(newcomer: Newcomer) -> None:
    newcomer.has_run("A")
    (newcomer.folder / "backups").mkdir()
    newcomer.writes("backups/old", "")
    newcomer.types("backup", "backups").refuses(
        "backups is not empty", "presence-runtime backup backups/$(date +%F)", code=EXIT_FAILURE
    )
    assert newcomer.types("backup", "backups/monday").exit_code == EXIT_CLEAN


def test_an_export_into_a_folder_that_is_not_there(newcomer: Newcomer) -> None:
    newcomer.has_run("A")
    newcomer.types("export", "--since", "today", "--output", "out/x.jsonl").refuses(
        "cannot write --output out/x.jsonl: the directory out does not exist", code=EXIT_FAILURE
    )
