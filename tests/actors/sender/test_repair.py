"""Broken stores of every kind: set aside whole, so that the next start begins anew."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from actors.sender import reader
from actors.sender.repair import repair
from actors.sender.store import CommandStore, prepare
from actors.storage.data_dir import DataDir, GatewayIdentity, sender_path
from actors.storage.sqlite import FileFinding
from runtime.errors import ConfigurationError, TemporaryError
from tests.actors.sender.drawer import NOW_US, Drawer, accepted, record

STAMP = "20261118T110640Z"


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[DataDir]:
    identity = GatewayIdentity(dialect="wsp", gateway="http://localhost")
    data_dir = DataDir.claim(tmp_path / "data", identity, shards=1)
    drawer = Drawer(data_dir.path)
    drawer.tell(range(1, 30))
    drawer.put(accepted(30))
    drawer.close()
    yield data_dir
    data_dir.lock.release()


def spoil(path: Path) -> None:
    """Everything behind the first page is noise."""
    content = path.read_bytes()
    path.write_bytes(content[:4096] + os.urandom(len(content) - 4096))


def run(path: Path, statement: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(statement)
    connection.close()


BREAKS: dict[str, Callable[[Path], object]] = {
    "noise": spoil,
    "another kind of file": lambda path: path.write_text("a shopping list\n" * 900),
    "cut in half": lambda path: os.truncate(path, path.stat().st_size // 2 // 4096 * 4096),
    "a table is gone": lambda path: run(path, "DROP TABLE outbox"),
    "progress is gone": lambda path: run(path, "DELETE FROM progress"),
    "a step that is none": lambda path: run(
        path, "UPDATE commands SET step = 'x' WHERE ended_us IS NULL"
    ),
}


def test_a_healthy_store_is_left_as_it_is(data_dir: DataDir) -> None:
    path = sender_path(data_dir.path)
    before = path.read_bytes()
    assert repair(data_dir, NOW_US) == FileFinding(path, "")
    assert path.read_bytes() == before
    assert not list(data_dir.path.glob("broken-*"))


def test_where_no_sender_was_there_is_nothing_to_repair(data_dir: DataDir) -> None:
    sender_path(data_dir.path).unlink()
    assert repair(data_dir, NOW_US) is None


@pytest.mark.parametrize("how", BREAKS)
def test_a_broken_store_is_set_aside_and_the_sender_begins_anew(
    data_dir: DataDir, how: str
) -> None:
    path = sender_path(data_dir.path)
    BREAKS[how](path)
    broken = path.read_bytes()
    finding = repair(data_dir, NOW_US)
    assert finding is not None
    assert finding.problem
    assert finding.kept_in == data_dir.path / f"broken-{STAMP}"
    assert (finding.kept_in / path.name).read_bytes() == broken
    assert not path.exists()
    prepare(path, "run-2")
    store = CommandStore(path, "run-2")
    assert store.unsettled() == []
    store.commit([record(accepted())])
    store.close()
    assert reader.verify_audit(data_dir.path).problem == ""


def test_a_log_without_its_file_is_never_played_into_a_fresh_one(data_dir: DataDir) -> None:
    """What a repair leaves that was killed between the two."""
    path = sender_path(data_dir.path)
    store = CommandStore(path, "run-1")
    store.commit([record(accepted(40))])
    log = path.with_name(f"{path.name}-wal").read_bytes()
    store.close()
    path.unlink()
    path.with_name(f"{path.name}-wal").write_bytes(log)
    prepare(path, "run-2")
    assert reader.read_commands(data_dir.path, limit=9) == []
    assert reader.verify_audit(data_dir.path).rows == 0


def test_a_tampered_audit_is_no_damage(data_dir: DataDir) -> None:
    run(sender_path(data_dir.path), "UPDATE progress SET audit_head = 'x'")
    assert repair(data_dir, NOW_US) == FileFinding(sender_path(data_dir.path), "")
    assert reader.verify_audit(data_dir.path).problem


def test_a_store_of_a_newer_version_is_not_broken(data_dir: DataDir) -> None:
    run(sender_path(data_dir.path), "PRAGMA user_version = 9")
    with pytest.raises(ConfigurationError, match=r"sender\.db has sender format 9"):
        repair(data_dir, NOW_US)


def test_a_locked_store_is_named_and_nothing_is_changed(data_dir: DataDir) -> None:
    shell = apsw.Connection(str(sender_path(data_dir.path)))
    shell.pragma("locking_mode", "exclusive")
    shell.execute("BEGIN EXCLUSIVE")
    with pytest.raises(TemporaryError, match=r"sender\.db is locked by another program"):
        repair(data_dir, NOW_US)
    shell.close()
    assert not list(data_dir.path.glob("broken-*"))
