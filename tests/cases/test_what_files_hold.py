"""What already stands in files restores: times of every year, and what a newer version wrote."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from actors.storage.data_dir import META, DataDir, GatewayIdentity, read_meta
from runtime.errors import RuntimeFault
from tests.actors.shard.lending import event
from tests.actors.shard.rig import Rig
from tests.cases.shards import restarted


def not_yet(reason: str) -> pytest.MarkDecorator:
    return pytest.mark.xfail(reason=reason, raises=AssertionError)


DAMAGED = not_yet("trap 45: a newer version's field in meta is called damage")

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


@DAMAGED
def test_meta_with_an_unknown_field_is_of_another_version_and_not_damaged(tmp_path: Path) -> None:
    (tmp_path / META).write_text(json.dumps(OF_ANOTHER_VERSION))
    refusal = refusal_of(tmp_path)
    assert "damaged" not in refusal
    assert "version" in refusal


@DAMAGED
def test_meta_with_an_unknown_field_says_which_version_wrote_it(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    DataDir.claim(folder, GatewayIdentity(dialect="wsp", gateway="x"), shards=2).lock.release()
    written = json.loads((folder / META).read_text())
    (folder / META).write_text(json.dumps({**written, "compress": True}))
    refusal = refusal_of(folder)
    assert "damaged" not in refusal
    assert version("presence-runtime") in refusal
