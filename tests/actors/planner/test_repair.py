"""Broken files of the planner: set aside whole, so that the next start begins anew."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from actors.genesys.channel_plan import EMPTY, ChannelPlan, Slot
from actors.planner.store import ROSTER_FILE, RosterStore, prepare, read_roster
from actors.storage.sqlite import FileFinding
from runtime.errors import ConfigurationError, TemporaryError
from tests.actors.sender.drawer import NOW_US

STAMP = "20261118T110640Z"
NAMES = {f"user-{n}": f"N {n}" for n in range(400)}
PLAN = ChannelPlan(slots={Slot(0, 0): frozenset(NAMES)}, clients_needed=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "cloud.db"
    path.parent.mkdir()
    prepare(path, "run-1")
    store = RosterStore(path, "run-1")
    store.commit(PLAN, NAMES, 1_000)
    store.name_queues({"q1": "Sales"})
    store.close()
    return path


def spoil(path: Path) -> None:
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
    "a table is gone": lambda path: run(path, "DROP TABLE queues"),
    "progress is gone": lambda path: run(path, "DELETE FROM progress"),
}


@pytest.mark.parametrize("how", BREAKS)
def test_a_broken_file_is_set_aside_and_the_planner_begins_anew(path: Path, how: str) -> None:
    BREAKS[how](path)
    broken = path.read_bytes()
    finding = ROSTER_FILE.repair(path, NOW_US)
    assert finding is not None
    assert finding.problem
    assert finding.kept_in == path.parent / f"broken-{STAMP}"
    assert (finding.kept_in / path.name).read_bytes() == broken
    assert not path.exists()
    prepare(path, "run-2")
    assert RosterStore(path, "run-2").roster.plan == EMPTY


def test_a_healthy_file_is_left_as_it_is_and_one_that_is_not_there_as_well(path: Path) -> None:
    assert ROSTER_FILE.repair(path, NOW_US) == FileFinding(path, "")
    assert read_roster(path).plan == PLAN
    assert ROSTER_FILE.repair(path.with_name("other.db"), NOW_US) is None


def test_a_file_that_was_made_and_never_begun_is_healthy(tmp_path: Path) -> None:
    path = tmp_path / "cloud.db"
    path.touch()
    assert ROSTER_FILE.repair(path, NOW_US) == FileFinding(path, "")


def test_a_log_without_its_file_is_never_played_into_a_fresh_one(path: Path) -> None:
    prepare(path, "run-1")
    store = RosterStore(path, "run-1")
    store.commit(EMPTY, {}, 2_000)
    log = path.with_name(f"{path.name}-wal").read_bytes()
    assert log
    store.close()
    path.unlink()
    path.with_name(f"{path.name}-wal").write_bytes(log)
    prepare(path, "run-2")
    assert read_roster(path).version == 0


def test_a_file_of_a_newer_version_or_a_locked_one_is_not_broken(path: Path) -> None:
    shell = apsw.Connection(str(path))
    shell.pragma("locking_mode", "exclusive")
    shell.execute("BEGIN EXCLUSIVE")
    with pytest.raises(TemporaryError, match=r"cloud\.db is locked by another program"):
        ROSTER_FILE.repair(path, NOW_US)
    shell.close()
    run(path, "PRAGMA user_version = 9")
    with pytest.raises(ConfigurationError, match=r"cloud\.db has planner format 9"):
        ROSTER_FILE.repair(path, NOW_US)


def test_a_copy_is_a_file_of_its_own(path: Path, tmp_path: Path) -> None:
    store = RosterStore(path, "run-1")
    target = tmp_path / "copies"
    assert ROSTER_FILE.copy(path, target / path.name) == target / "cloud.db"
    store.commit(EMPTY, {}, 2_000)
    store.close()
    assert read_roster(target / "cloud.db").plan == PLAN
