"""Journals as sinks read them: identities that stay, rows as they were written."""

from __future__ import annotations

from pathlib import Path

import apsw
import orjson
import pytest

from actors.shard import redistribute
from actors.shard.journal import CLOUD_SCHEMA
from actors.sinks.journals import JournalReader, find
from actors.storage.data_dir import DataDir, GatewayIdentity, shard_path
from tests.actors.sinks.rig import BEGAN_US, STATES, prepared, shards


def test_rows_come_as_they_were_committed_gaps_among_them(tmp_path: Path) -> None:
    (shard,) = shards(tmp_path)
    shard.write("u1", "u2")
    shard.gap("the socket was closed too long")
    shard.write("u1", correlation="c-1")
    prepared(tmp_path)
    reader = JournalReader(find(tmp_path)[0])
    rows, last = reader.behind(0, 10)
    assert [(row.row, row.user_id, row.cause) for row in rows] == [
        (1, "u1", "live"), (2, "u2", "live"), (3, None, "gap"), (4, "u1", "live"),
    ]  # fmt: skip
    assert last == 4
    assert (rows[3].from_state, rows[3].to_state) == (STATES[1], STATES[1])
    assert (rows[3].at_us, rows[3].sequence, rows[3].correlation) == (BEGAN_US + 4_000, 4, "c-1")
    gap = rows[2].gap
    assert gap is not None
    assert (gap.reason, rows[0].gap) == ("the socket was closed too long", None)
    assert [row.row for row in reader.behind(1, 2).rows] == [2, 3]
    shard.write("u3")  # while it is open
    assert reader.behind(4, 10).last_row == 5
    reader.close()
    shard.close()


def test_native_values_come_along_from_the_moment_that_a_shard_writes_them(tmp_path: Path) -> None:
    (shard,) = shards(tmp_path)
    shard.write("u1", "u1")
    prepared(tmp_path)
    reader = JournalReader(find(tmp_path)[0])
    assert [row.native for row in reader.behind(0, 10).rows] == [None, None]
    connection = apsw.Connection(str(shard.path))
    connection.execute(CLOUD_SCHEMA)
    connection.execute("INSERT INTO natives VALUES (2, ?)", (orjson.dumps(["x"]).decode(),))
    assert [row.native for row in reader.behind(0, 10).rows] == [None, '["x"]']
    connection.close()
    reader.close()
    shard.close()


def test_an_identity_stays_with_its_journal_into_the_archive(tmp_path: Path) -> None:
    data_dir = DataDir.claim(
        tmp_path / "data", GatewayIdentity(dialect="wsp", gateway="x"), shards=2
    )
    for number, shard in enumerate(shards(data_dir.path, 2)):
        shard.write(f"u{number}")
        shard.close()
    prepared(data_dir.path)
    before = [file.identity for file in find(data_dir.path)]
    assert len(set(before)) == 2
    redistribute.settle(data_dir, 3)
    prepared(data_dir.path)
    files = find(data_dir.path)
    assert [(file.name, file.generation, file.is_archived) for file in files] == [
        ("archive-001/shard-01", 1, True),
        ("archive-001/shard-00", 1, True),
        ("shard-00", 2, False),
        ("shard-01", 2, False),
        ("shard-02", 2, False),
    ]
    assert {file.identity for file in files[:2]} == set(before)
    assert len({file.identity for file in files}) == 5
    data_dir.lock.release()


def test_an_archive_that_cannot_be_read_stands_in_nobodys_way(tmp_path: Path) -> None:
    for shard in shards(tmp_path):
        shard.close()
    broken = tmp_path / "archive-001" / "shard-00.db"
    broken.parent.mkdir()
    broken.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    assert [file.name for file in find(tmp_path)] == ["shard-00"]


def test_who_reads_a_journal_cannot_write_it_and_cleans_up_as_the_last(tmp_path: Path) -> None:
    (shard,) = shards(tmp_path)
    prepared(tmp_path)
    reader = JournalReader(find(tmp_path)[0])
    shard.write("u1")
    shard.close()
    assert reader.behind(0, 1).last_row == 1
    with pytest.raises(apsw.ReadOnlyError):
        reader._connection.execute("DELETE FROM transitions")
    reader.close()
    assert not shard_path(tmp_path, 0).with_name("shard-00.db-wal").exists()
