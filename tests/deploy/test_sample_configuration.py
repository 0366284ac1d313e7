"""deploy/presence-runtime.toml: accepted as it is, and with each setting that it only proposes."""

from __future__ import annotations

import re
import textwrap
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from actors import main as cli
from actors.settings.layers import load
from actors.settings.table import rows
from tests.deploy.promtool import DEPLOY

README = DEPLOY.parent / "README.md"
SAMPLE = DEPLOY / "presence-runtime.toml"
TABLE = re.compile(r"#?\[+([\w.]+)\]+$")
SETTING = re.compile(r"(#?)([a-z][\w.]*) = (.+)$")
SECRET = "a-secret-that-nobody-may-see"


def lines() -> Iterator[tuple[str, str, bool]]:
    """(setting, its line without the mark, whether it is set) of every line that is a setting."""
    table = ""
    lists = {row.setting.partition("[]")[0] for row in rows() if "[]" in row.setting}
    for line in SAMPLE.read_text(encoding="utf-8").splitlines():
        if found := TABLE.match(line):
            table = found[1] + ("[]." if found[1] in lists else ".")
        elif found := SETTING.match(line):
            yield table + found[2], line.removeprefix("#"), not found[1]


def switched_on(*names: str) -> str:
    """The sample with the marks of these lines and tables removed."""
    text = SAMPLE.read_text(encoding="utf-8")
    for name in names:
        pattern = rf"^#(?=(\[\[)?{re.escape(name)}(\]\]$| = |$|  ))"
        text, count = re.subn(pattern, "", text, flags=re.MULTILINE)
        assert count, name
    return text


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the sample lies with the secrets that it names."""
    for each in ("client.secret", "client-2.secret", "wfm.secret"):
        (tmp_path / each).write_text("whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0\n")
    (tmp_path / "client.secret").write_text(SECRET + "\n")
    (tmp_path / "tokens").write_text("")
    (tmp_path / "tokens").chmod(0o600)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(folder: Path, text: str, capsys: pytest.CaptureFixture[str]) -> str:
    path = folder / "presence-runtime.toml"
    path.write_text(text, encoding="utf-8")
    code = cli.main(["check", "--config", str(path), "--json"])
    shown = capsys.readouterr()
    assert code == 0, shown.err
    return shown.out


def test_it_is_accepted_as_it_is_and_its_secret_is_not_shown(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = check(folder, SAMPLE.read_text(encoding="utf-8"), capsys)
    assert SECRET not in shown
    settings = load(config=folder / "presence-runtime.toml").settings
    assert (settings.dialect, settings.cloud.watch) == ("cloud", "all")
    assert settings.api_url == "https://api.mypurecloud.de"
    assert not settings.sender.enabled  # who only looks around changes nobody's presence


@pytest.mark.parametrize(
    "names",
    [
        ('name = "east"', "shards", "receivers", "retention_days", "retention_gb", "proxy"),
        ("topics", "tokens_file", "allowed_hosts", "format"),
        ("clients", "client_id", "client_secret_file"),
        ("sinks", "name", "kind", "path", "rotate_mb", "keep", "url", "secret_file"),
    ],
    ids=["root", "tables", "clients", "sinks"],
)
def test_what_it_proposes_is_accepted(
    names: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(folder, switched_on(*names), capsys)


def test_other_choices_of_whom_to_watch_are_accepted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "users.txt").write_text("u1\n")
    check(folder, switched_on("watch_ids").replace('"all"', '"queues"'), capsys)
    check(folder, switched_on("watch_file").replace('"all"', '"file"'), capsys)


def test_the_other_dialect_is_reached_as_its_comment_says(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = SAMPLE.read_text(encoding="utf-8")
    text = re.sub(r'^dialect = "cloud"\n|^region = .*\n|^\[cloud\]\n', "", text, flags=re.MULTILINE)
    text = re.sub(r"^watch = .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^#(?=dialect|base_url)", "", text, flags=re.MULTILINE)
    check(folder, text, capsys)
    settings = load(config=folder / "presence-runtime.toml").settings
    assert (settings.dialect, settings.api_url) == ("wsp", "https://gateway.example")


def test_the_files_that_the_readme_shows_are_accepted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = README.read_text(encoding="utf-8")
    blocks = [
        textwrap.dedent(block)
        for block in re.findall(r"^ *```toml\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    ]
    first, second = (block for block in blocks if "client_id" in block)
    check(folder, first, capsys)
    assert load(config=folder / "presence-runtime.toml").settings.dialect == "cloud"
    check(folder, second, capsys)
    assert load(config=folder / "presence-runtime.toml").settings.dialect == "wsp"


def test_every_key_is_a_setting() -> None:
    known = {row.setting for row in rows()}
    named = [setting for setting, _, _ in lines()]
    assert len(named) > 30
    assert set(named) - known == set()


def test_every_line_is_toml_and_a_default_that_is_shown_is_the_default() -> None:
    defaults = {row.setting: row.default for row in rows()}
    shown = {"shards", "receivers", "retention_days", "retention_gb", "cloud.watch",
             "cloud.topics", "web.listen", "log.level", "log.format", "sinks[].rotate_mb",
             "sinks[].keep", "data_dir"}  # fmt: skip
    for setting, line, _ in lines():
        ((_, value),) = tomllib.loads(line).items()
        if setting in shown:
            assert str(value) == defaults[setting], setting
            shown.remove(setting)
    assert shown == set()


def test_it_holds_no_secret() -> None:
    assert not [each for each, _, _ in lines() if each.endswith(("secret", "client_secret"))]
