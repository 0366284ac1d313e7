"""The sinks' file: places and what is the matter, for one run at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.sinks.positions import SinkPosition
from actors.sinks.reader import read
from actors.sinks.store import (
    SINKS_FILE,
    DamagedSinksError,
    SinkStatus,
    SinkStore,
    read_places,
    read_standings,
    sinks_path,
)
from runtime.errors import LocalError
from tests.actors.sinks.rig import drain, file_of, lines_sink, prepared, shards, source_for


def test_a_place_outlives_its_process(tmp_path: Path) -> None:
    (shard,) = shards(tmp_path)
    shard.write("u1", "u1")
    prepared(tmp_path)
    identity = file_of(tmp_path, "shard-00").identity
    store = SinkStore(sinks_path(tmp_path), "run", "lines")
    assert store.places == {identity: SinkPosition(0)}
    store.commit({identity: SinkPosition(2)}, 2)
    store.commit({identity: SinkPosition(2, is_done=True)}, 0)
    assert SinkStore(sinks_path(tmp_path), "run", "lines").places == store.places
    assert read_places(sinks_path(tmp_path)) == {"lines": {identity: SinkPosition(2, is_done=True)}}
    assert read_standings(sinks_path(tmp_path))[0].delivered == 2


def test_another_run_takes_the_file_and_the_old_one_can_write_nothing(tmp_path: Path) -> None:
    shards(tmp_path)
    prepared(tmp_path, run="first")
    orphan = SinkStore(sinks_path(tmp_path), "first", "lines")
    prepared(tmp_path, run="second")
    with pytest.raises(LocalError, match="Another runtime has taken over this file"):
        orphan.commit({}, 1)
    with pytest.raises(LocalError, match="Another runtime has taken over this file"):
        orphan.tell("no", is_paused=True, since_us=1)
    with pytest.raises(LocalError, match="is owned by run 'second'"):
        SinkStore(sinks_path(tmp_path), "first", "lines")
    assert read_standings(sinks_path(tmp_path))[0].delivered == 0


def test_what_is_the_matter_is_kept_for_people(tmp_path: Path) -> None:
    shards(tmp_path)
    prepared(tmp_path, lines_sink("one"), lines_sink("two", path="other.jsonl"))
    SinkStore(sinks_path(tmp_path), "run", "two").tell("answered 410", is_paused=True, since_us=9)
    assert read_standings(sinks_path(tmp_path)) == [
        SinkStatus("one", "x.jsonl", 0, "", False, 0),
        SinkStatus("two", "other.jsonl", 0, "answered 410", True, 9),
    ]


def test_from_outside_one_sees_how_far_each_sink_is(tmp_path: Path) -> None:
    assert read(tmp_path) == []
    one, two = shards(tmp_path, 2)
    one.write("u1", "u1")
    prepared(tmp_path)
    source, store = source_for(tmp_path)
    drain(source, store)
    two.write("u2")
    (state,) = read(tmp_path)
    assert state.at == (("shard-00", 2), ("shard-01", 0))
    assert (state.behind_rows, state.standing.delivered) == (1, 2)


def test_a_directory_without_sinks_has_no_such_file_and_one_that_had_is_looked_after(
    tmp_path: Path,
) -> None:
    from actors.sinks.preparation import prepare

    shards(tmp_path)
    prepare(tmp_path, "run", ())
    assert not sinks_path(tmp_path).exists()
    prepare(tmp_path, "run", (lines_sink(),))
    prepare(tmp_path, "run", ())
    assert read_places(sinks_path(tmp_path)).keys() == {"lines"}
    assert sinks_path(tmp_path).stat().st_mode & 0o777 == 0o600


def test_a_damaged_file_is_named_set_aside_and_begun_anew(tmp_path: Path) -> None:
    assert SINKS_FILE.repair(sinks_path(tmp_path), 1) is None
    shards(tmp_path)
    prepared(tmp_path)
    healthy = SINKS_FILE.repair(sinks_path(tmp_path), 1)
    assert healthy is not None
    assert not healthy.problem
    sinks_path(tmp_path).write_bytes(b"\0" * 8192)
    for beside in tmp_path.glob("sinks.db-*"):
        beside.unlink()
    with pytest.raises(DamagedSinksError, match="every sink starts as a new one"):
        prepared(tmp_path)
    found = SINKS_FILE.repair(sinks_path(tmp_path), 1_780_000_000_000_000)
    assert found is not None
    assert found.kept_in is not None
    prepared(tmp_path)
    assert read_standings(sinks_path(tmp_path))[0].name == "lines"
