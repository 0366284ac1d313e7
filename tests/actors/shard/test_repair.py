"""Broken journals of every kind, and what a repair leaves behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from actors.messages.control import SCOPE_ALL, HistoryEnds, SessionBegins
from actors.shard import reader
from actors.shard.journal import Journal, prepare
from actors.shard.repair import REASON, Known, lowest, repair
from actors.shard.sessions import Scope
from actors.shard.shard import Shard
from actors.storage.data_dir import DataDir, GatewayIdentity
from actors.storage.sqlite import FileFinding
from runtime.errors import ConfigurationError, TemporaryError
from tests.actors.shard.lending import Record, batch, control, event
from tests.actors.shard.test_shard import stream

NOW_US = 1_795_000_000_000_000
STAMP = "20261118T110640Z"
SHARDS = 3


def begins(session: int, epoch: int, newest: int) -> Record:
    return control(SessionBegins(session, SCOPE_ALL, epoch, f"e{epoch}", newest, None, 1))


def fill(path: Path, *records: Record) -> None:
    """A journal as a shard's clean stop leaves it."""
    prepare(path, "run-1")
    journal = Journal(path, "run-1")
    shard = Shard(0, 1, rings=1, now_s=0.0)
    shard.restore(journal, 0.0, lambda: None)
    shard.take(batch(records), 0.0)
    journal.commit(shard.prepare(0.0, finish=True))
    journal.close()


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[DataDir]:
    identity = GatewayIdentity(dialect="wsp", gateway="http://localhost")
    data_dir = DataDir.claim(tmp_path / "data", identity, shards=SHARDS)
    for shard in range(SHARDS):
        ended = control(HistoryEnds(1, SCOPE_ALL, True, 2))
        records = stream(300 + shard, 40)
        fill(data_dir.shard_path(shard), begins(1, 1, 1_000), ended, *records)
    yield data_dir
    data_dir.lock.release()


def dump(path: Path) -> list[object]:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        tables = ("agents", "transitions", "gaps", "commits", "quarantine", "pages", "progress")
        return [connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables]
    finally:
        connection.close()


def spoil(path: Path) -> None:
    """Everything behind the first page is noise."""
    content = path.read_bytes()
    path.write_bytes(content[:4096] + os.urandom(len(content) - 4096))


def statement(text: str) -> object:
    def run(path: Path) -> None:
        connection = apsw.Connection(str(path))
        connection.execute(text)
        connection.close()

    return run


def test_healthy_journals_are_left_as_they_are(data_dir: DataDir) -> None:
    paths = [data_dir.shard_path(shard) for shard in range(SHARDS)]
    before = [dump(path) for path in paths]
    assert repair(data_dir, NOW_US) == [FileFinding(path, "") for path in paths]
    assert [dump(path) for path in paths] == before
    assert not list(data_dir.path.glob("broken-*"))


BREAKS = {
    "noise": spoil,
    "another kind of file": lambda path: path.write_text("a shopping list\n" * 900),
    "cut in half": lambda path: os.truncate(path, path.stat().st_size // 2 // 4096 * 4096),
    "a table is gone": statement("DROP TABLE pages"),
    "progress is gone": statement("DELETE FROM progress"),
    "progress is no JSON": statement("UPDATE progress SET sessions = '{'"),
    "a page is no JSON": statement("UPDATE pages SET data = x'00'"),
}


@pytest.mark.parametrize("how", BREAKS)
def test_a_broken_journal_is_set_aside_and_its_shard_starts_stale_where_the_others_stand(
    data_dir: DataDir, how: str
) -> None:
    path = data_dir.shard_path(1)
    BREAKS[how](path)  # type: ignore[operator]
    broken = path.read_bytes()
    healthy = [dump(data_dir.shard_path(shard)) for shard in (0, 2)]
    findings = repair(data_dir, NOW_US)
    kept_in = data_dir.path / f"broken-{STAMP}"
    assert [bool(each.problem) for each in findings] == [False, True, False]
    assert findings[1].kept_in == kept_in
    assert (kept_in / path.name).read_bytes() == broken
    assert [dump(data_dir.shard_path(shard)) for shard in (0, 2)] == healthy
    fresh = reader.summary(data_dir.path)[1]
    assert (fresh.mark_epoch, fresh.mark_sequence) == (1, 1_300)  # the lower one of 1,300 and 1,302
    assert fresh.agents == 0
    assert fresh.scopes[SCOPE_ALL]["stale_since_us"] == NOW_US
    (gap,) = fresh.gaps
    assert (gap.first_sequence, gap.last_sequence, gap.reason) == (1, 1_300, "journal set aside")
    assert repair(data_dir, NOW_US)[1].problem == ""  # a fresh one is healthy


def test_a_fresh_journal_is_filled_by_the_next_history(data_dir: DataDir) -> None:
    path = data_dir.shard_path(1)
    spoil(path)
    repair(data_dir, NOW_US)
    prepare(path, "run-2")
    journal = Journal(path, "run-2")
    shard = Shard(0, 1, rings=1, now_s=0.0)
    shard.restore(journal, 0.0, lambda: None)
    named = event(900, "user-00001", "Talking", history=True)
    ended = control(HistoryEnds(1, SCOPE_ALL, True, 2))
    resumed = control(SessionBegins(1, SCOPE_ALL, 1, "e1", 1_310, 300, 1))
    shard.take(batch([resumed, named, ended, event(1_311, "user-00002")]), 0.0)
    assert {agent.user_id: agent.state for agent in shard.agent_table.by_id} == {
        "user-00001": "Talking",
        "user-00002": "Available",
    }
    assert shard.standing.stale_since_us == 0
    journal.commit(shard.prepare(0.0))
    journal.close()


def test_if_no_journal_is_healthy_nothing_is_known(data_dir: DataDir) -> None:
    for shard in range(SHARDS):
        spoil(data_dir.shard_path(shard))
    assert all(each.problem for each in repair(data_dir, NOW_US))
    for fresh in reader.summary(data_dir.path):
        assert (fresh.mark_epoch, fresh.mark_sequence, fresh.scopes) == (0, 0, {})
        assert [gap.reason for gap in fresh.gaps] == ["journal set aside"]


def test_a_missing_journal_is_replaced_and_what_lay_beside_it_is_kept(data_dir: DataDir) -> None:
    path = data_dir.shard_path(2)
    path.unlink()
    path.with_name(path.name + "-wal").write_bytes(b"left alone")
    found = repair(data_dir, NOW_US)[2]
    assert found.problem == "missing"
    assert found.kept_in is not None
    assert (found.kept_in / "shard-02.db-wal").read_bytes() == b"left alone"
    assert reader.summary(data_dir.path)[2].mark_sequence == 1_300


def test_two_repairs_within_a_second_overwrite_nothing(data_dir: DataDir) -> None:
    for _ in range(2):
        spoil(data_dir.shard_path(0))
        repair(data_dir, NOW_US)
    names = sorted(folder.name for folder in data_dir.path.glob("broken-*"))
    assert names == [f"broken-{STAMP}", f"broken-{STAMP}-2"]


def test_a_repair_that_was_killed_while_it_built_begins_anew(data_dir: DataDir) -> None:
    spoil(data_dir.shard_path(0))
    (data_dir.path / "repair.partial").mkdir()
    (data_dir.path / "repair.partial" / "shard-00.db").write_bytes(b"half")
    assert repair(data_dir, NOW_US)[0].problem
    assert not repair(data_dir, NOW_US)[0].problem
    assert not (data_dir.path / "repair.partial").exists()


class KilledError(Exception):
    pass


@pytest.mark.parametrize("renames", range(4))
def test_a_repair_that_is_killed_between_two_renames_is_made_good_by_the_next(
    data_dir: DataDir, renames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = data_dir.shard_path(1)
    spoil(path)
    family = {path.name: path.read_bytes()}
    for end in ("-wal", "-shm"):
        family[path.name + end] = end.encode()
        path.with_name(path.name + end).write_bytes(end.encode())
    left, rename = renames, Path.rename

    def rename_or_die(old: Path, new: Path) -> Path:
        nonlocal left
        left -= 1
        if left < 0:
            raise KilledError
        return rename(old, new)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename_or_die)
        with pytest.raises(KilledError):
            repair(data_dir, NOW_US)
    assert repair(data_dir, NOW_US)[1].problem
    fresh = reader.summary(data_dir.path)[1]
    assert (fresh.mark_sequence, [gap.reason for gap in fresh.gaps]) == (1_300, [REASON])
    kept = {each.name: each.read_bytes() for each in data_dir.path.glob("broken-*/*")}
    assert kept[path.name] == family[path.name]
    assert not (data_dir.path / "repair.partial").exists()
    assert [each.problem for each in repair(data_dir, NOW_US)] == ["", "", ""]


def test_a_journal_of_a_newer_version_is_not_broken(data_dir: DataDir) -> None:
    spoil(data_dir.shard_path(0))
    before = data_dir.shard_path(0).read_bytes()
    statement("PRAGMA user_version = 9")(data_dir.shard_path(1))  # type: ignore[operator]
    with pytest.raises(ConfigurationError, match=r"shard-01\.db has journal format 9"):
        repair(data_dir, NOW_US)
    assert data_dir.shard_path(0).read_bytes() == before


def test_a_locked_journal_is_named_and_nothing_is_changed(data_dir: DataDir) -> None:
    other = apsw.Connection(str(data_dir.shard_path(1)))
    other.pragma("locking_mode", "exclusive")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(TemporaryError, match=r"shard-01\.db is locked by another program"):
        repair(data_dir, NOW_US)
    with pytest.raises(TemporaryError, match=r"shard-01\.db is locked by another program"):
        prepare(data_dir.shard_path(1), "run-3")
    other.close()
    assert not list(data_dir.path.glob("broken-*"))


def test_only_marks_of_the_newest_epoch_count() -> None:
    scopes = {SCOPE_ALL: Scope(epoch=2)}
    known = [Known(1, 9_000, {}), Known(2, 700, scopes), Known(2, 500, scopes)]
    assert lowest(known) == known[2]
    assert lowest([]) == Known(0, 0, {})
