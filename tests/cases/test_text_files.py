"""Secrets, settings and lists as editors on Windows, spreadsheets and secret stores write them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from actors.cli import batch_file
from actors.genesys.credentials import Credentials
from actors.planner.roster import listed_ids
from actors.settings.layers import load
from actors.web import tokens
from runtime.errors import ConfigurationError, RuntimeFault

BOM = b"\xef\xbb\xbf"
UTF_16 = r"UTF-?16"
LATIN_1 = r"latin-?1|8859-1|1252"


pytestmark = pytest.mark.usefixtures("bare_environment")


def written(folder: Path, content: bytes, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(content)
    path.chmod(0o600)
    return path


# -- secrets ---------------------------------------------------------------------------------------


def secret_or_refusal(path: Path) -> tuple[str, str]:
    """One of the two is empty."""
    credentials = Credentials(
        client_id="a", client_id_file=None, client_secret="", client_secret_file=path
    )
    try:
        return credentials()[1], ""
    except ConfigurationError as error:
        return "", str(error)


SECRETS = [
    pytest.param(b"hunter2\n", id="LF"),
    pytest.param(b"hunter2\r\n", id="CRLF"),
    pytest.param(BOM + b"hunter2\n", id="byte order mark"),
    pytest.param(b"hunter2 \n", id="blank after"),
    pytest.param(b"hunter2\0", id="NUL after"),
]


@pytest.mark.parametrize("content", SECRETS)
def test_a_secret_is_what_can_be_seen_of_its_file(tmp_path: Path, content: bytes) -> None:
    assert secret_or_refusal(written(tmp_path, content)) == ("hunter2", "")


REFUSED_SECRETS = [
    pytest.param("hunter2\r\n".encode("utf-16"), UTF_16, id="UTF-16"),
    pytest.param(b"", "empty", id="empty"),
]


@pytest.mark.parametrize(("content", "reason"), REFUSED_SECRETS)
def test_a_secret_that_cannot_be_read_is_refused_by_its_reason(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = written(tmp_path, content)
    secret, refusal = secret_or_refusal(path)
    assert not secret
    assert str(path) in refusal
    assert re.search(reason, refusal.replace(str(path), ""), re.IGNORECASE)


def test_of_two_lines_one_is_the_secret_or_both_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, b"hunter2\nx\n")
    secret, refusal = secret_or_refusal(path)
    assert secret == "hunter2" or str(path) in refusal
    assert "hunter2" not in refusal


LINE = b"read wallboard 0123456789abcdefghij\r\n"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(LINE, id="CRLF"),
        pytest.param(BOM + LINE, id="byte order mark"),
    ],
)
def test_a_file_of_tokens_is_read(tmp_path: Path, content: bytes) -> None:
    try:
        read = [token.name for token in tokens.read(written(tmp_path, content))]
    except ConfigurationError as error:
        read = [str(error)]
    assert read == ["wallboard"]


# -- settings --------------------------------------------------------------------------------------

SETTINGS = 'dialect="cloud"\nregion="eu-central-1"\nclient_id="a"\nclient_secret="b"\n'

READABLE = [
    pytest.param(SETTINGS.encode(), id="plain"),
    pytest.param(BOM + SETTINGS.encode(), id="byte order mark"),
    pytest.param(SETTINGS.replace("\n", "\r\n").encode(), id="CRLF"),
    pytest.param(SETTINGS.replace("=", "\t=\t").encode(), id="tabs"),
]


def region_or_refusal(path: Path) -> str:
    try:
        return load(config=path).settings.region
    except ConfigurationError as error:
        return str(error)


@pytest.mark.parametrize("content", READABLE)
def test_settings_are_read(tmp_path: Path, content: bytes) -> None:
    assert region_or_refusal(written(tmp_path, content, "c.toml")) == "eu-central-1"


UNREADABLE = [
    pytest.param(SETTINGS.encode("utf-16"), UTF_16, id="UTF-16"),
    pytest.param(("# Büro\n" + SETTINGS).encode("latin-1"), LATIN_1, id="Latin-1"),
]


@pytest.mark.parametrize(("content", "encoding"), UNREADABLE)
def test_settings_in_another_encoding_are_refused_by_its_name(
    tmp_path: Path, content: bytes, encoding: str
) -> None:
    path = written(tmp_path, content, "c.toml")
    refusal = region_or_refusal(path)
    assert str(path) in refusal
    assert re.search(encoding, refusal.replace(str(path), ""), re.IGNORECASE)


# -- lists -----------------------------------------------------------------------------------------


def ids_or_refusal(path: Path) -> tuple[list[str], str]:
    try:
        return listed_ids(path), ""
    except ConfigurationError as error:
        return [], str(error)


def test_a_list_of_ids_is_read_from_a_file_of_a_spreadsheet(tmp_path: Path) -> None:
    path = written(tmp_path, BOM + b"aaaaaaaa-1\r\nBBBB-2\r\n")
    assert ids_or_refusal(path) == (["aaaaaaaa-1", "bbbb-2"], "")


def test_a_list_of_ids_in_another_encoding_is_refused_by_its_name(tmp_path: Path) -> None:
    path = written(tmp_path, "aaaa-1\r\n".encode("utf-16"))
    ids, refusal = ids_or_refusal(path)
    assert not ids
    assert re.search(UTF_16, refusal.replace(str(path), ""), re.IGNORECASE)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b'"aaaa-1"\n', id="quotes"),
        pytest.param(b"aaaa-1 # Ann\n", id="a comment after"),
        pytest.param(b"aaaa-1,Ann\n", id="more columns"),
    ],
)
def test_a_line_that_is_more_than_an_id_is_read_or_named(tmp_path: Path, content: bytes) -> None:
    ids, refusal = ids_or_refusal(written(tmp_path, content))
    assert ids == ["aaaa-1"] or "line 1" in refusal


COMMANDS = b"user,state\r\naaaa-1,busy\r\n"


@pytest.mark.parametrize(
    "content", [pytest.param(COMMANDS, id="CRLF"), pytest.param(BOM + COMMANDS, id="BOM")]
)
def test_a_file_of_commands_is_read(tmp_path: Path, content: bytes) -> None:
    lines = batch_file.read(written(tmp_path, content), "")
    assert [line.user for line in lines] == ["aaaa-1"]


def test_a_file_of_commands_in_another_encoding_is_refused_by_its_name(tmp_path: Path) -> None:
    path = written(tmp_path, COMMANDS.decode().encode("utf-16"))
    with pytest.raises(RuntimeFault) as refused:
        batch_file.read(path, "")
    assert re.search(UTF_16, str(refused.value).replace(str(path), ""), re.IGNORECASE)
