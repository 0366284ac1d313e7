"""A journal in memory and one in SQLite keep the same contract."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, cast

import apsw
import pytest

from actors.messages.control import SCOPE_ALL, Gap, SessionBegins
from actors.shard.journal import Journal, Transaction, prepare
from actors.shard.shard import Shard
from runtime.errors import LocalError
from tests.actors.shard.lending import Record, batch, control, event, rejected
from tests.simulation.journal import Disk, MemoryJournal


class Medium(Protocol):
    def prepare(self, run: str) -> None: ...
    def open(self, run: str) -> Journal: ...


class File:
    def __init__(self, path: Path) -> None:
        self._path = path

    def prepare(self, run: str) -> None:
        prepare(self._path, run)

    def open(self, run: str) -> Journal:
        return Journal(self._path, run)


class Memory:
    def __init__(self, _path: Path) -> None:
        self._disk = Disk()

    def prepare(self, run: str) -> None:
        self._disk.prepare(run)

    def open(self, run: str) -> Journal:
        return cast("Journal", MemoryJournal(self._disk, run))


@pytest.fixture(params=[File, Memory])
def medium(request: pytest.FixtureRequest, tmp_path: Path) -> Medium:
    make: Callable[[Path], Medium] = request.param
    made = make(tmp_path / "shard-00.db")
    made.prepare("run-1")
    return made


class Life:
    """A shard on a journal."""

    def __init__(self, medium: Medium, run: str = "run-1") -> None:
        self.journal = medium.open(run)
        self.shard = Shard(0, 1, rings=1, now_s=0.0)
        self.shard.restore(self.journal, 0.0, lambda: None)

    def owe(self, *records: Record, cursor: int = 0) -> Transaction:
        self.shard.take(batch(records, cursor), 0.0)
        return self.shard.prepare(0.0)

    def commit(self, *records: Record, cursor: int = 0) -> None:
        transaction = self.owe(*records, cursor=cursor)
        self.journal.commit(transaction)
        self.shard.committed(transaction, 7_000_000)

    def stop(self) -> None:
        self.journal.commit(self.shard.prepare(0.0, finish=True))
        self.journal.close()


BEGINS = control(SessionBegins(1, SCOPE_ALL, 1, "e1", 10, None, 5_000_000))
GAP = control(Gap(1, SCOPE_ALL, 1, 3, 4, "not retained by the gateway", 5_000_000))


def test_what_was_committed_is_there_for_a_successor(medium: Medium) -> None:
    life = Life(medium)
    life.commit(BEGINS, GAP, event(11, "a"), rejected("odd", b"?"), cursor=96)
    life.commit(event(12, "b"), event(12, "b"), cursor=192)
    life.journal.close()
    successor = Life(medium)
    assert successor.journal.stored().progress == life.shard.prepare(0.0).progress
    assert [row.cause for row in successor.journal.rows_behind(0)] == ["gap", "live", "live"]
    assert [row.id for row in successor.journal.rows_behind(1)] == [2, 3]
    assert [(row[0], row[4], row[-1]) for row in successor.journal.told_behind(0)] == [
        (1, 11, "live"),
        (2, 12, "live"),
    ]
    assert len(list(successor.journal.told_behind(2))) == 1
    assert list(successor.journal.correlated_behind(0)) == []
    assert list(successor.journal.agents()) == [(1, "a"), (2, "b")]
    assert [successor.journal.behind_newest_events(n) for n in (0, 1, 2)] == [3, 2, 0]
    assert successor.shard.cursors == [192]
    successor.journal.close()


def test_what_was_only_prepared_is_gone_with_its_shard(medium: Medium) -> None:
    life = Life(medium)
    life.commit(BEGINS, cursor=96)
    life.owe(event(11, "a"), cursor=192)
    life.journal.close()
    successor = Life(medium)
    assert list(successor.journal.rows_behind(0)) == []
    assert list(successor.journal.agents()) == []
    assert successor.shard.cursors == [96]
    successor.journal.close()


def test_what_came_later_does_not_change_what_was_committed(medium: Medium) -> None:
    life = Life(medium)
    life.commit(BEGINS, event(11, "a"))
    before = life.journal.stored()
    life.owe(event(12, "a", "Talking"), event(11, "a"))
    assert life.journal.stored() == before
    life.journal.close()


def test_pages_and_silent_sequences_are_kept(medium: Medium) -> None:
    life = Life(medium)
    life.commit(BEGINS, event(11, "a"), event(12, "a"))  # says nothing new
    life.stop()
    successor = Life(medium)
    (page,) = successor.journal.pages()
    assert page.upto == 1
    assert list(successor.journal.stored().silent) == [12]
    assert successor.journal.stored().progress.replay_from == 1
    successor.journal.close()


def test_another_run_takes_over_and_its_sessions_begin_anew(medium: Medium) -> None:
    orphan = Life(medium)
    orphan.commit(BEGINS, event(11, "a"), cursor=96)
    medium.prepare("run-2")
    with pytest.raises(LocalError):
        orphan.journal.commit(orphan.owe(event(12, "a", "Talking")))
    with pytest.raises(LocalError):
        orphan.journal.stored()
    orphan.journal.close()
    life = Life(medium, "run-2")
    progress = life.journal.stored().progress
    assert progress.cursors == ()
    assert progress.sessions["all"] == {
        "session": 0, "epoch": 1, "epoch_name": "e1", "newest": 10, "is_up": False,
        "history_runs": False, "is_interrupted": False, "stale_since_us": 0,
        "began_us": 5_000_000, "unheard_since_us": 1_795_000_000_000_001,
    }  # fmt: skip
    assert progress.mark_sequence == 11
    life.journal.close()


def test_a_disk_that_was_full_takes_the_same_transaction_later() -> None:
    disk = Disk()
    disk.prepare("run-1")
    journal = MemoryJournal(disk, "run-1")
    shard = Shard(0, 1, rings=1, now_s=0.0)
    shard.take(batch([event(1, "a")]), 0.0)
    transaction = shard.prepare(0.0)
    disk.errors = [apsw.FullError("full")]
    with pytest.raises(apsw.FullError):
        journal.commit(transaction)
    assert disk.rows == []
    journal.commit(transaction)
    assert [row.sequence for row in disk.rows] == [1]
