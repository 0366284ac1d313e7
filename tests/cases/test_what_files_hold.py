"""What already stands in files restores: times of every year, and what a newer version wrote."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from actors.shard.reader import read_history, read_state
from actors.sinks.envelope import EventEnvelope
from actors.storage.data_dir import META, DataDir, GatewayIdentity, read_meta
from runtime.errors import ConfigurationError, RuntimeFault
from tests.actors.shard import cloud_lending as cloud
from tests.actors.shard.lending import A, B, event
from tests.actors.shard.rig import Rig
from tests.cases.shards import restarted

USUAL = "2026-11-21T22:00:00.000Z"


@pytest.mark.parametrize(
    "stamp",
    [
        pytest.param("9999-12-31T23:59:59.999-12:00", id="year 10000"),
        pytest.param("0001-01-01T00:00:00+14:00", id="year 0"),
        pytest.param("9999-12-31T23:59:59.999Z", id="year 9999"),
    ],
)
def test_a_journal_with_a_time_of_any_year_is_restored(tmp_path: Path, stamp: str) -> None:
    rig = Rig(tmp_path / "shard-00.db")
    rig.feed(
        event(1, "u", "Available", USUAL),
        event(2, "u", "Talking", stamp),
        event(3, "v", "Talking", USUAL),
    )
    before = rig.state("u")
    assert restarted(rig) == "ok"
    assert (rig.state("u"), rig.state("v")) == (before, "Talking")


OF_ANOTHER_VERSION = {
    "format": 1,
    "hash": "fnv1a_64 & 63",
    "shards": 2,
    "dialect": "wsp",
    "gateway": "x",
    "organisation": "",
    "journal": "full",
    "has_store": False,
    "compress": True,
}


def refusal_of(path: Path) -> str:
    with pytest.raises(RuntimeFault) as refused:
        read_meta(path)
    return str(refused.value)


def test_meta_with_an_unknown_field_is_of_another_version_and_not_damaged(tmp_path: Path) -> None:
    (tmp_path / META).write_text(json.dumps(OF_ANOTHER_VERSION))
    refusal = refusal_of(tmp_path)
    assert "damaged" not in refusal
    assert "version" in refusal


def test_meta_with_an_unknown_field_says_which_version_wrote_it(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    DataDir.claim(folder, GatewayIdentity(dialect="wsp", gateway="x"), shards=2).lock.release()
    written = json.loads((folder / META).read_text())
    (folder / META).write_text(json.dumps({**written, "compress": True}))
    refusal = refusal_of(folder)
    assert "damaged" not in refusal
    assert version("presence-runtime") in refusal


# -- one agent's field -----------------------------------------------------------------------------

UNREADABLE = ["", "{", "null", "[]", "[1, 2]", '["A","d","m","now","I",1,[],1,false,1,0]', "1e999"]


@pytest.mark.parametrize("stored", UNREADABLE)
def test_native_values_that_cannot_be_read_cost_one_agent_these_and_nobody_anything_else(
    tmp_path: Path, stored: str
) -> None:
    rig = Rig(tmp_path / "shard-00.db", "cloud")
    cloud.watch(rig, A, B)
    held = cloud.native(rig).packed()
    row = rig.agent(B).row
    rig.journal._connection.execute("UPDATE natives SET data = ? WHERE row = ?", (stored, row))
    assert restarted(rig) == "ok"
    assert cloud.native(rig).packed() == held
    for user in (A, B):
        assert rig.state(user) == "Available"
        read = read_state(tmp_path, user)
        assert read is not None
        assert read.state == "Available"
        for each in read_history(tmp_path, user, 10):
            told = json.loads(EventEnvelope("x").row(each).body)["data"]
            assert (told["native"] is None) == (each.native == stored) == (user == B)


def test_a_session_with_an_unknown_field_is_of_a_newer_version_and_not_damaged(
    tmp_path: Path,
) -> None:
    rig = Rig(tmp_path / "shard-00.db")
    rig.begin()
    rig.journal._connection.execute(
        "UPDATE progress SET sessions = json_insert("
        "sessions, (SELECT fullkey FROM json_each(sessions)) || '.lease', 1)"
    )
    with pytest.raises(ConfigurationError, match=r"field lease .* newer version"):
        rig.restart()
