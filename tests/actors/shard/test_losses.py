"""Journals that are missing, older or mixed when a runtime starts, and what is written of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from actors.shard import losses
from actors.shard.losses import MISSING, OLDER, Loss
from actors.shard.reader import summary
from tests.actors.shard.lending import event
from tests.actors.shard.rig import Rig

NOW_US = 1_796_000_000_000_000
STATES = ("Available", "Talking", "Reserved")


def fed(path: Path, first: int, count: int, rig: Rig | None = None) -> Rig:
    rig = rig or Rig(path)
    for n in range(first, first + count):
        rig.feed(event(n, f"u-{n % 7}", STATES[n % 3], f"2026-11-21T22:{n // 60:02}:{n % 60:02}Z"))
    return rig


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shard-00.db"


def found(path: Path, rows: int, *, were_made: bool = True) -> list[Loss]:
    return losses.losses([path], [rows], were_made=were_made)


def test_a_first_start_misses_nothing_and_a_later_one_what_is_not_there(path: Path) -> None:
    assert found(path, 0, were_made=False) == []
    assert found(path, 0) == [Loss(path, MISSING, 0)]
    fed(path, 1, 5).journal.close()
    assert losses.rows_of(path) == 5
    assert found(path, 5) == []
    assert found(path, 4) == []  # what is remembered is a lower bound
    assert found(path, 6) == [Loss(path, OLDER, 6)]


@pytest.mark.parametrize("rows", [0, 3, 40])
def test_a_gap_stands_behind_every_row_that_ever_was_and_a_loss_is_told_once(
    path: Path, rows: int
) -> None:
    fed(path, 1, 3).journal.close()
    (loss,) = found(path, 41) if rows == 40 else [Loss(path, OLDER, rows)]
    losses.note(loss, NOW_US)
    last = max(rows, 3) + 1 if rows != 40 else 42
    assert losses.rows_of(path) == last
    (told,) = summary(path.parent)[0].gaps
    assert (told.row, told.at_us, told.reason) == (last, NOW_US, OLDER)
    assert found(path, last) == []
    rig = fed(path, 4, 3, Rig(path))  # it goes on behind the gap
    rig.journal.close()
    assert losses.rows_of(path) == last + 3
    assert losses.examine(path) == ""


def test_a_missing_journal_is_made_with_its_gap(path: Path) -> None:
    losses.note(Loss(path, MISSING, 12), NOW_US)
    (told,) = summary(path.parent)[0].gaps
    assert (told.row, told.since_us, told.reason) == (13, 0, MISSING)


def test_a_healthy_journal_passes_and_one_whose_rows_hang_in_the_air_does_not(path: Path) -> None:
    rig = fed(path, 1, 60)
    assert losses.examine(path) == ""
    rig.journal.prune(older_than_us=1 << 60, bytes_max=0, keep_from=20, slice_rows=100)
    assert losses.examine(path) == ""  # what retention takes is the beginning
    rig.journal._connection.execute("DELETE FROM transitions WHERE id BETWEEN 30 AND 40")
    rig.journal.close()
    assert losses.examine(path) == "rows are missing in it"


def test_an_old_copy_under_the_log_of_a_newer_one_is_found_out(path: Path, tmp_path: Path) -> None:
    rig = fed(path, 1, 40)
    rig.journal._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    old = tmp_path / "old"
    shutil.copy(path, old)
    fed(path, 41, 400, rig)
    rig.journal._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    rig.journal._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    fed(path, 441, 10, rig)
    kept = tmp_path / "killed"
    kept.mkdir()
    for each in tmp_path.glob("shard-00.db*"):
        shutil.copy(each, kept / each.name)
    shutil.copy(old, kept / path.name)  # what a log of now says of pages as they were then
    (kept / "shard-00.db-shm").unlink()
    assert losses.examine(kept / path.name) != ""
    rig.journal.close()
