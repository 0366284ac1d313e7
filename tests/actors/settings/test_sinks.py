"""Settings of the sinks: a list of tables, each of a kind that knows its own keys only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from actors.settings.layers import Effective, load
from actors.settings.model import Settings
from actors.settings.sinks import SinkSettings
from runtime.errors import ConfigurationError
from runtime.log import MASK

SECRET = "whsec_c2VjcmV0LW9mLWEtc2luaw=="
TWO = f"""
[[sinks]]
name = "archive"
kind = "jsonl"
path = "lines/all.jsonl"

[[sinks]]
name = "wfm"
kind = "webhook"
url = "https://wfm.example/events?key=hidden"
secret = "{SECRET}"
causes = ["live"]
"""


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(text: str) -> Effective:
    path = Path("etc/presence.toml")
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return load(config=path, needs_gateway=False)


def refusal(text: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        read(text)
    return str(caught.value)


def test_each_table_of_the_list_is_a_sink_and_its_paths_are_meant_from_the_file() -> None:
    archive, wfm = read(TWO).settings.sinks
    assert (archive.name, archive.path, archive.target) == (
        "archive", Path("etc/lines/all.jsonl"), "etc/lines/all.jsonl",
    )  # fmt: skip
    assert (wfm.name, wfm.signing_secret(), wfm.causes) == ("wfm", SECRET, ("live",))


def test_a_dash_is_standard_output_wherever_the_file_lies() -> None:
    (sink,) = read('[[sinks]]\nname = "out"\nkind = "jsonl"\npath = "-"\n').settings.sinks
    assert sink.to_stdout
    assert sink.target == "standard output"


def test_what_may_be_secret_is_masked_where_settings_are_shown_and_told_to_the_log() -> None:
    effective = read(TWO)
    rows = {key: (value, origin) for key, value, origin in effective.rows()}
    file = "file etc/presence.toml"
    assert rows["sinks.0.name"] == ("archive", file)
    assert rows["sinks.1.secret"] == (MASK, file)
    assert rows["sinks.1.batch_max"][1] == rows["sinks.0.begin"][1] == "default"
    assert rows["sinks.1.url"] == (f"https://wfm.example/events?{MASK}", file)
    assert effective.settings.sinks[1].target == "https://wfm.example/events?…"
    assert "hidden" not in str(rows)
    assert SECRET in effective.settings.secrets


def test_a_variable_gives_all_of_them_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    given = [{"name": "out", "kind": "jsonl", "path": "-"}]
    monkeypatch.setenv("PRESENCE_SINKS", json.dumps(given))
    assert [each.name for each in read(TWO).settings.sinks] == ["out"]


def test_a_file_that_others_may_read_and_that_holds_a_secret_is_doubtful() -> None:
    read(TWO)
    Path("etc/presence.toml").chmod(0o644)
    told = load(config=Path("etc/presence.toml"), needs_gateway=False).warnings
    assert "contains sinks.secret" in told[0]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "jsonl"}, "requires path"),
        ({"kind": "webhook"}, "requires url"),
        (
            {"kind": "jsonl", "path": "-", "url": "https://x"},
            "url is not supported with kind = jsonl; remove it",
        ),
        (
            {"kind": "webhook", "url": "https://x", "keep": 3},
            "keep is not supported with kind = webhook; remove it",
        ),
        ({"kind": "webhook", "url": "http://elsewhere.example"}, "must be https"),
        ({"kind": "webhook", "url": "https://x", "secret": "no base64!"}, "whsec_"),
        (
            {"kind": "webhook", "url": "https://x", "secret": SECRET, "secret_file": "s"},
            "secret and secret_file",
        ),
        ({"kind": "jsonl", "path": "-", "name": "Two Words"}, "lower-case letters"),
        ({"kind": "jsonl", "path": "-", "causes": ["dead"]}, "causes"),
        ({"kind": "carrier pigeon"}, "jsonl"),
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        SinkSettings.model_validate({"name": "one"} | fields)


def test_a_key_that_is_none_is_refused_with_those_that_are_near() -> None:
    said = refusal('[[sinks]]\nname = "a"\nkind = "jsonl"\npaht = "x"\n')
    assert "sinks.0.paht" in said
    assert "did you mean sinks.0.path" in said


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"journal": "off"}, "set journal = full, or remove the sinks"),
        ({"sinks": ("a", "a")}, "the name a is used more than once"),
        ({"sinks": ("a", "b")}, "more than one sink writes to -"),
    ],
)
def test_sinks_need_journals_names_and_files_of_their_own(
    fields: dict[str, Any], said: str
) -> None:
    names = fields.pop("sinks", ("a",))
    sinks = tuple(SinkSettings(name=name, kind="jsonl", path=Path("-")) for name in names)
    with pytest.raises(ValidationError, match=said):
        Settings(sinks=sinks, **fields)


def test_a_secret_in_a_file_is_read_anew_and_must_be_one(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    sink = SinkSettings(name="w", kind="webhook", url="https://x", secret_file=file)
    with pytest.raises(ConfigurationError, match=r"sinks \(w\): secret_file"):
        sink.signing_secret()
    file.write_text(SECRET)
    assert sink.signing_secret() == SECRET
    file.write_text("not base64!")
    with pytest.raises(ConfigurationError, match="whsec_"):
        sink.signing_secret()
    assert SinkSettings(name="w", kind="webhook", url="https://x").secret == SecretStr("")
