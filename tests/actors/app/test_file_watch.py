"""What somebody does to files that are open is seen; what SQLite does to them is not mistaken."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from actors.app.file_watch import OVERWRITTEN, SUSPECT, FileLook, FileWatch, WatchedFile, trouble_of
from actors.storage import sqlite
from runtime.counters import DRAINING, RUNNING, Counters

USUAL = FileLook((1, 2), (1, 3), (1, 4), (4096, 7), b"checkpoint 1", 1)


@pytest.mark.parametrize(
    ("now", "trouble"),
    [
        (USUAL, ""),
        (USUAL._replace(file=None), "it was deleted or moved"),
        (USUAL._replace(file=(1, 9)), "it was replaced by another file"),
        (USUAL._replace(file=(2, 2)), "it was replaced by another file"),
        (USUAL._replace(log=None), "the log beside it was deleted or replaced"),
        (USUAL._replace(shared=(1, 9)), "the index beside it was deleted or replaced"),
        (USUAL._replace(written=(4096, 8)), OVERWRITTEN),
        (USUAL._replace(written=(0, 7)), OVERWRITTEN),
        (USUAL._replace(written=(8192, 8), checkpoint=b"checkpoint 2"), ""),
        (USUAL._replace(written=(8192, 8), checkpoint=None), ""),
        (USUAL._replace(log=None, shared=None, written=(8192, 8), life=None), ""),
        (USUAL._replace(log=(1, 8), shared=(1, 9), life=2), ""),
    ],
)
def test_what_changes_without_a_checkpoint_of_a_living_owner_is_somebody_else_s_doing(
    now: FileLook, trouble: str
) -> None:
    assert trouble_of(USUAL, now) == trouble


class Owner:
    """A child that has a file open and writes to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.page = Counters.create("shard-0", ())
        self.page.set("generation", 1)
        self.page.set("phase", RUNNING)
        self.connection = apsw.Connection(str(path))
        sqlite.make_durable(self.connection)
        self.connection.execute("CREATE TABLE rows(id INTEGER PRIMARY KEY, text TEXT)")

    def write(self, rows: int = 1) -> None:
        with self.connection:
            text = [("x" * 500,)] * rows
            self.connection.executemany("INSERT INTO rows(text) VALUES (?)", text)

    def checkpoint(self) -> None:
        self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    owner = Owner(tmp_path / "shard-00.db")
    owner.write()
    owner.checkpoint()
    yield owner
    owner.connection.close()


@pytest.fixture
def look(owner: Owner) -> FileWatch:
    return FileWatch([WatchedFile(owner.path, owner.page)])


def test_commits_checkpoints_and_readers_of_every_kind_are_usual(
    owner: Owner, look: FileWatch
) -> None:
    for turn in range(40):
        owner.write(200 * (turn % 3))
        if turn % 4 == 1:
            owner.checkpoint()
        if turn % 8 == 2:
            owner.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        if turn % 5 == 3:  # a shell that somebody opens beside us, and its checkpoint
            other = apsw.Connection(str(owner.path))
            other.execute("SELECT count(*) FROM rows").fetchall()
            other.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            other.close()
        assert look() == ""
    owner.write(30_000)  # more than the log may grow to
    assert look() == ""
    assert look() == ""


def test_an_owner_that_ends_and_one_that_begins_are_usual(owner: Owner, look: FileWatch) -> None:
    owner.write(100)
    owner.page.set("phase", DRAINING)
    owner.connection.close()
    assert [look(), look()] == ["", ""]
    again = Owner.__new__(Owner)
    again.connection = apsw.Connection(str(owner.path))
    again.connection.execute("INSERT INTO rows(text) VALUES ('y')")
    owner.page.set("generation", 2)
    owner.page.set("phase", RUNNING)
    assert [look(), look()] == ["", ""]
    again.connection.close()


def gone(path: Path) -> None:
    path.unlink()


def moved(path: Path) -> None:
    path.rename(path.with_suffix(".away"))


def without_its_log(path: Path) -> None:
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink()


def another_one(path: Path) -> None:
    copy = path.with_suffix(".copy")
    shutil.copy(path, copy)
    copy.replace(path)


def copied_over(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4096] + bytes(len(content) - 4096))


def cut(path: Path) -> None:
    os.truncate(path, 4096)


@pytest.mark.parametrize("how", [gone, moved, without_its_log, another_one, copied_over, cut])
def test_a_file_that_somebody_touches_ends_the_runtime_and_the_next_start_examines_it(
    owner: Owner, look: FileWatch, how: Callable[[Path], None]
) -> None:
    owner.write(10)
    assert look() == ""
    how(owner.path)
    reasons = [look(), look()]
    assert str(owner.path) in reasons[1] or str(owner.path) in reasons[0]
    assert owner.path.with_name(owner.path.name + SUSPECT).exists()


def test_a_lock_that_is_gone_is_missed_and_a_directory_that_is_gone_too(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "lock").touch()
    look = FileWatch([WatchedFile(folder / "lock")])
    assert [look(), look()] == ["", ""]
    shutil.rmtree(folder)
    assert [bool(look()), bool(look())] == [False, True]
