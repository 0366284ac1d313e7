"""The topology of a runtime with sinks: a child of their own, behind the shards when it stops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from actors.app.topology import Runtime
from actors.cli import maintenance, sinks
from actors.settings.model import Settings
from actors.settings.sinks import SinkSettings
from actors.shard.redistribute import settle
from actors.sinks.arguments import SINKS_WORDS
from actors.sinks.store import read_places, sinks_path
from runtime.child_spec import assert_consistent
from runtime.log import LogArguments

LOG = LogArguments(format="json", level="info")
SINK = SinkSettings(name="lines", kind="jsonl", path=Path("-"))


def assembled(tmp_path: Path, **fields: Any) -> Runtime:
    given: dict[str, Any] = {
        "base_url": "http://127.0.0.1:1",
        "client_id": "c",
        "client_secret": SecretStr("s3cret-of-the-client"),
        "data_dir": tmp_path / "data",
        "ring_bytes": 64 << 10,
        "name": "east",
        "sinks": (SINK,),
    }
    return Runtime.assemble(Settings(**(given | fields)), LOG)


def test_sinks_are_one_child_that_is_stopped_behind_whoever_writes(tmp_path: Path) -> None:
    runtime = assembled(tmp_path)
    assert_consistent(runtime.specs)
    assert [spec.name for spec in runtime.specs] == [
        "web", "sinks", "sender", "shard-0", "shard-1", "receiver-0",
    ]  # fmt: skip
    spec = runtime.specs[1]
    assert spec.counters.words[-len(SINKS_WORDS) :] == SINKS_WORDS
    assert spec.arguments.settings == (SINK,)
    assert spec.arguments.shard_counters == runtime.shards
    assert spec.arguments.source == "//127.0.0.1:1/presence-runtime/east"
    runtime.data_dir.lock.release()


def test_without_sinks_there_is_no_such_child_and_no_file(tmp_path: Path) -> None:
    runtime = assembled(tmp_path, sinks=())
    assert "sinks" not in [spec.name for spec in runtime.specs]
    assert not sinks_path(runtime.data_dir.path).exists()
    runtime.data_dir.lock.release()


def test_every_start_gives_each_sink_a_place_in_every_journal(tmp_path: Path) -> None:
    assembled(tmp_path).data_dir.lock.release()
    runtime = assembled(tmp_path, shards=3)
    places = read_places(sinks_path(runtime.data_dir.path))["lines"]
    assert len(places) == 2 + 3
    runtime.data_dir.lock.release()
    again = assembled(tmp_path, shards=3, sinks=())  # not configured at present
    assert read_places(sinks_path(again.data_dir.path))["lines"] == places
    assert not settle(again.data_dir, 3)
    again.data_dir.lock.release()


def test_a_person_sees_how_far_each_sink_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime = assembled(tmp_path)
    capsys.readouterr()
    sinks.show(runtime.data_dir.path, as_json=True)
    assert orjson.loads(capsys.readouterr().out) == [
        {
            "name": "lines",
            "to": "standard output",
            "is": "new",
            "since": None,
            "behind_rows": 0,
            "delivered": 0,
            "position": {"shard-00": 0, "shard-01": 0},
            "last_error": None,
        }
    ]
    sinks.show(runtime.data_dir.path, as_json=False)
    head, row = capsys.readouterr().out.splitlines()
    assert head.split("\t")[:3] == ["sink", "to", "is"]
    assert row.split("\t")[:3] == ["lines", "standard output", "new"]
    runtime.data_dir.lock.release()


def test_backup_and_repair_know_the_sinks_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime = assembled(tmp_path)
    data_dir = runtime.data_dir.path
    runtime.data_dir.lock.release()
    maintenance.backup(data_dir, tmp_path / "copy", as_json=True)
    assert read_places(sinks_path(tmp_path / "copy")) == read_places(sinks_path(data_dir))
    sinks_path(data_dir).write_bytes(b"what a failing disk has made of it" * 200)
    capsys.readouterr()
    maintenance.show_repair(data_dir, as_json=True)
    found = {Path(each["journal"]).name: each for each in orjson.loads(capsys.readouterr().out)}
    assert found["sinks.db"]["kept_in"]
    assert not found["shard-00.db"]["problem"]
    assembled(tmp_path).data_dir.lock.release()
