"""The file of a shard: bounds of quarantine and retention, and files that are no journals."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from actors.shard import quarantine
from actors.shard.journal import FORMAT, Journal, connect, prepare
from actors.shard.quarantine import rejection
from runtime.errors import ConfigurationError
from tests.actors.shard.lending import A, event, rejected
from tests.actors.shard.rig import Rig
from tests.actors.shard.test_shard import stream


def quarantined(rig: Rig) -> list[tuple[str, bytes, int, int]]:
    connection = connect(rig.path, flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return list(
            connection.execute("SELECT reason, frame, bytes, count FROM quarantine ORDER BY reason")
        )
    finally:
        connection.close()


def test_a_frame_is_kept_with_its_reason_once_however_often_it_comes(rig: Rig) -> None:
    rig.feed(event("x", A), event("x", A))
    rig.feed(event("x", A), rejected("no owner", b"[]"))
    ((reason, *_), (bad_reason, frame, size, count)) = quarantined(rig)
    assert bad_reason == "sequence is not an integer in its range"
    assert (frame, size, count) == (event("x", A).payload, len(event("x", A).payload), 3)
    assert reason == "no owner"


def test_a_long_frame_is_cut_and_its_size_is_kept() -> None:
    kept = rejection("too long", b"x" * 10_000, 0)
    assert (len(kept.frame), kept.size) == (quarantine.FRAME_BYTES_MAX, 10_000)


def test_the_quarantine_lets_the_oldest_go(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "ROWS_MAX", 200)
    rig.feed(*(rejected("no owner", b"%d" % i) for i in range(300)))
    kept = [int(frame) for _, frame, _, _ in quarantined(rig)]
    assert sorted(kept) == list(range(100, 300))


def test_the_quarantine_is_bounded_in_bytes(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quarantine, "BYTES_MAX", 200)
    rig.feed(*(rejected("no owner", b"%d" % i) for i in range(100, 400)))
    kept = [frame for _, frame, _, _ in quarantined(rig)]
    assert b"399" in kept
    assert sum(map(len, kept)) <= 200


def test_retention_deletes_old_rows_slice_by_slice_and_never_past_its_bound(rig: Rig) -> None:
    rig.begin()
    rig.feed(*stream(1_000, 50))

    def prune(older_than_us: int, bytes_max: int = 1 << 40) -> int:
        return rig.journal.prune(
            older_than_us=older_than_us, bytes_max=bytes_max, keep_from=901, slice_rows=400
        )

    assert prune(older_than_us=0) == 0
    assert [prune(1 << 62), prune(1 << 62), prune(1 << 62), prune(1 << 62)] == [400, 400, 100, 0]
    assert [row.id for row in rig.rows()] == list(range(901, 1_001))


def test_retention_by_size_deletes_what_is_not_old(rig: Rig) -> None:
    rig.begin()
    rig.feed(*stream(1_000, 50))
    deleted = rig.journal.prune(older_than_us=0, bytes_max=1, keep_from=500, slice_rows=200)
    assert deleted == 200


def test_retention_stops_at_the_first_row_that_is_young_enough(rig: Rig) -> None:
    rig.begin()
    rig.feed(*stream(100, 50))
    received_us = rig.rows()[0].received_us
    deleted = rig.journal.prune(
        older_than_us=received_us, bytes_max=1 << 40, keep_from=100, slice_rows=200
    )
    assert deleted == 0


def test_a_file_that_is_no_journal_is_named(tmp_path: Path) -> None:
    path = tmp_path / "shard-00.db"
    path.write_bytes(b"this is not a database, whatever its name says" * 100)
    with pytest.raises(
        ConfigurationError,
        match=r"shard-00\.db is damaged: file is not a database.*repair --data-dir",
    ):
        prepare(path, "run")


def test_a_newer_format_is_refused_and_left_as_it_is(rig: Rig) -> None:
    rig.journal._connection.pragma("user_version", FORMAT + 1)
    rig.journal.close()
    with pytest.raises(ConfigurationError, match="newer version"):
        prepare(rig.path, "run-2")
    with pytest.raises(ConfigurationError, match="newer version"):
        Journal(rig.path, "run-2")
