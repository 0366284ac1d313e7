"""Whole runtimes that die: what is drawn for them, what their settings file says, what is left."""

from __future__ import annotations

import tomllib
from collections import Counter
from pathlib import Path

import pytest
from pydantic import SecretStr

from actors.demo.lives import SHARDS, LivesPlan, toml_lines
from actors.demo.main import DemoPlan, run
from actors.demo.sink_check import RowName, compared
from actors.settings.cloud import ClientSettings, CloudSettings
from actors.settings.model import Settings
from actors.settings.sinks import SinkSettings
from runtime.errors import ConfigurationError
from tests.actors.demo.test_main import demo, verified


def test_lives_last_as_long_as_asked_on_average_and_end_in_every_way() -> None:
    plan = LivesPlan(4.0, 7, 2)
    lasted = [plan.lasts_s() for _ in range(2_000)]
    assert 3.7 < sum(lasted) / len(lasted) < 4.3
    endings = Counter(plan.ending() for _ in range(1_000))
    assert endings["kill"] > endings["stop"] > 100 < endings["freeze"]
    assert {plan.shards() for _ in range(100)} == set(SHARDS)
    assert {plan.has_sinks() for _ in range(100)} == {True, False}


def test_the_same_seed_draws_the_same_lives() -> None:
    first, second = LivesPlan(4.0, 7, 2), LivesPlan(4.0, 7, 2)
    for draw in (LivesPlan.lasts_s, LivesPlan.ending, LivesPlan.shards) * 20:
        assert draw(first) == draw(second)


def test_a_life_is_given_the_settings_of_the_demo_with_its_secrets(tmp_path: Path) -> None:
    settings = Settings(
        dialect="cloud",
        base_url="http://127.0.0.1:1",
        client_id="one",
        client_secret=SecretStr('a "quoted" \\ secret'),
        clients=(ClientSettings(client_id="two", client_secret=SecretStr("other")),),
        cloud=CloudSettings(watch="queues", watch_ids=("q1", "q2")),
        data_dir=tmp_path,
        sinks=(SinkSettings(name="demo", kind="jsonl", path=tmp_path / "lines"),),
    )
    text = "".join(toml_lines(settings))
    assert Settings(**tomllib.loads(text)) == settings


def test_a_sink_may_be_told_twice_but_nothing_may_be_missing_inverted_or_foreign() -> None:
    rows = [RowName("1", "a"), RowName("2", "b"), RowName("3", "a"), RowName("4", None)]
    assert compared(rows, ["1", "2", "1", "3", "2", "4"]) == []
    assert compared(rows, ["2", "1", "4", "3"]) == []
    (missing,) = compared(rows, ["1", "3", "4"])
    assert "was not given rows: 1, such as 2" in missing
    (inverted,) = compared(rows, ["3", "1", "2", "4"])
    assert "out of order: 1, such as 3" in inverted
    (foreign,) = compared(rows, ["1", "2", "3", "4", "5"])
    assert "what no journal has: 1, such as 5" in foreign


def test_without_a_journal_there_is_nothing_that_outlives_a_runtime() -> None:
    with pytest.raises(ConfigurationError, match="requires --journal full"):
        run(DemoPlan(kill_all_every_s=5, journal="off"))


@pytest.mark.parametrize("dialect", ["wsp", "cloud"])
def test_a_runtime_that_is_killed_whole_again_and_again_loses_nothing(
    tmp_path: Path, dialect: str
) -> None:
    out = tmp_path / "out.json"
    done = demo(
        *("--dialect", dialect, "--agents", "200", "--rate", "300", "--seconds", "20"),
        *("--kill-all-every", "4", "--seed", "60", "--json", str(out)),
    )
    result = verified(done, out)
    assert result["lives"]["lives"] >= 3
    assert result["lives"]["ready_s"]["count"] >= 1
    assert len(result["lives"]["shard_counts"]) > 1
    if dialect == "cloud":
        assert result["gap_events"] > 0
