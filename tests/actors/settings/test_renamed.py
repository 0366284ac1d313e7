"""Old names of settings: accepted for one version, with a warning that names the new one."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.settings.layers import Effective, load
from actors.settings.renamed import RENAMED
from actors.settings.table import rows
from runtime.errors import ConfigurationError

SINK = '[[sinks]]\nname = "wfm"\nkind = "webhook"\nurl = "https://wfm"\n'
RENAMED_IN_FILE = (
    "(from file presence-runtime.toml) was renamed to backoff_max_s; the old name will be removed "
    "in the next version"
)


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(text: str) -> Effective:
    Path("presence-runtime.toml").write_text(text)
    return load(needs_gateway=False)


def test_an_old_name_in_the_file_sets_the_new_one_with_a_warning() -> None:
    effective = read(f"backoff_most_s = 5\n[sender.webhook]\nbackoff_most_s = 6\n{SINK}")
    assert effective.settings.backoff_max_s == 5
    assert effective.settings.sender.webhook.backoff_max_s == 6
    assert effective.origins["backoff_max_s"] == "file presence-runtime.toml"
    assert effective.warnings == (
        f"backoff_most_s {RENAMED_IN_FILE}",
        f"sender.webhook.backoff_most_s {RENAMED_IN_FILE}",
    )


def test_an_old_name_in_a_table_of_a_list_is_named_with_its_number() -> None:
    effective = read(f"{SINK}backoff_most_s = 7\n")
    assert effective.settings.sinks[0].backoff_max_s == 7
    assert effective.warnings[0].startswith("sinks.0.backoff_most_s (from file ")


@pytest.mark.parametrize(
    "variable", ["PRESENCE_BACKOFF_MOST_S", "PRESENCE_SENDER__WEBHOOK__BACKOFF_MOST_S"]
)
def test_an_old_variable_sets_the_new_one_and_is_no_unknown_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "8")
    effective = load(needs_gateway=False)
    settings = effective.settings
    assert 8 in {settings.backoff_max_s, settings.sender.webhook.backoff_max_s}
    (warning,) = effective.warnings
    assert f"(from {variable}) was renamed to backoff_max_s" in warning


def test_an_old_name_as_json_in_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESENCE_SENDER", '{"webhook": {"backoff_most_s": 9}}')
    assert load(needs_gateway=False).settings.sender.webhook.backoff_max_s == 9


def test_the_layer_above_wins_whichever_name_it_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRESENCE_BACKOFF_MOST_S", "8")
    assert read("backoff_max_s = 5").settings.backoff_max_s == 8


@pytest.mark.parametrize(
    "text",
    ["backoff_max_s = 1\nbackoff_most_s = 2", f"{SINK}backoff_max_s = 1\nbackoff_most_s = 2"],
)
def test_both_names_in_one_layer_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="backoff_max_s and backoff_most_s are both set"):
        read(text)


def test_a_wrong_value_under_an_old_name_is_refused_under_the_new_one() -> None:
    with pytest.raises(ConfigurationError, match=r"backoff_max_s = -1 .*must be over 0 to 3,600"):
        read("backoff_most_s = -1")


def test_each_new_name_is_a_setting_and_no_old_one_is() -> None:
    known = {row.setting.replace("[]", "") for row in rows()}
    for old, new in RENAMED.items():
        assert ".".join((*old[:-1], new)) in known
        assert ".".join(old) not in known
