"""Tokens: what a file of them must be, and that no secret of it is ever told."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.web.identity import AccessScope, CallerIdentity
from actors.web.tokens import SECRET_CHARS_MIN, Tokens, is_exposed, line, parse, read
from runtime.errors import ConfigurationError

SECRET, OTHER = "a" * 32, "b" * 32


def test_a_line_that_the_command_prints_is_one_that_the_file_takes() -> None:
    (token,) = parse(line("ops@wall-1", AccessScope.WRITE, SECRET) + "\n")
    assert token.identity == CallerIdentity("token:ops@wall-1", AccessScope.WRITE)


def test_comments_and_space_mean_nothing() -> None:
    text = f"# who\n\n  read\twall  {SECRET}\r\n#write x {OTHER}\n"
    assert [(each.name, each.scope) for each in parse(text)] == [("wall", AccessScope.READ)]


@pytest.mark.parametrize("text", ["", "\n", "# nobody any more\n"])
def test_an_empty_file_takes_all_tokens_back(text: str, tmp_path: Path) -> None:
    tokens = Tokens(parse(line("ops", AccessScope.WRITE, SECRET)))
    path = tmp_path / "tokens"
    path.write_text(text)
    tokens.replace(read(path))
    assert tokens.find(SECRET) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"admin ops {SECRET}", "line 1: must be `read NAME TOKEN` or `write NAME TOKEN`"),
        (f"\nwrite {SECRET}", "line 2: must be"),
        (f"write ops {SECRET} # mine", "line 1: must be"),
        (f"write o/ps {SECRET}", "line 1: a name has 1 to 64"),
        (f"write demo {SECRET}", "the name demo is the demo's own"),
        (f"write ops {SECRET[: SECRET_CHARS_MIN - 1]}", "presence-runtime token ops --write"),
        (f"write ops {SECRET}ü", "printable ASCII"),
        (f"write ops {SECRET}\nread ops {OTHER}", "line 2: ops is named twice"),
        (f"write ops {SECRET}\nread wall {SECRET}", "line 2: ops and wall have the same token"),
    ],
)
def test_what_is_wrong_is_told_by_its_line_and_shows_no_secret(
    text: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "tokens"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read(path)
    told = str(caught.value)
    assert told.startswith(f"web.tokens_file = {path}: ")
    assert said in told
    assert SECRET[: SECRET_CHARS_MIN - 1] not in told


def test_a_file_that_is_missing_is_told_by_its_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"web\.tokens_file = .*: No such file"):
        read(tmp_path / "tokens")


def test_a_file_that_others_may_read_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text("")
    path.chmod(0o640)
    assert is_exposed(path)
    path.chmod(0o600)
    assert not is_exposed(path)


@pytest.mark.parametrize("secret", ["", SECRET[:-1], SECRET + "a", "\udcff", "ü" * 1000])
def test_only_the_whole_secret_is_one(secret: str) -> None:
    tokens = Tokens(parse(line("ops", AccessScope.WRITE, SECRET)))
    assert tokens.find(secret) is None
    assert tokens.find(SECRET) is not None


def test_the_secret_is_in_nothing_that_is_kept() -> None:
    assert SECRET not in repr(parse(line("ops", AccessScope.WRITE, SECRET)))
