"""Who is a member of which queue, as the planner's file keeps it and shards read it."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from actors.genesys.channel_plan import ChannelPlan, Slot
from actors.planner.forgetting import forget
from actors.planner.store import (
    RosterStore,
    prepare,
    read_changed_memberships,
    read_memberships_of,
)

PLAN = ChannelPlan(slots={Slot(0, 0): frozenset({"a", "b"})})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "cloud.db"
    prepare(path, "run-1")
    return path


@pytest.fixture
def store(path: Path) -> RosterStore:
    store = RosterStore(path, "run-1")
    store.commit(PLAN, {"a": "Ann", "b": "Bob"}, 1_000)
    return store


def test_before_the_first_reading_nobodys_queues_are_known(path: Path, store: RosterStore) -> None:
    assert (store.memberships_version, store.memberships_us) == (0, 0)
    assert read_memberships_of(path, ["a", "b"]) == {}


def test_a_reading_tells_of_everybody_also_of_who_is_in_no_queue_or_is_not_watched(
    path: Path, store: RosterStore
) -> None:
    assert store.keep_memberships({"a": ["q2", "q1"], "z": ["q1"]}, 2_000) == (1, 3, 0)
    assert read_memberships_of(path, ["a", "b", "z", "nobody"]) == {
        "a": '["q1","q2"]',
        "b": None,
        "z": "q1",
    }
    assert store.memberships_us == 2_000


def test_readers_are_given_what_changed_since_they_looked_in_pieces(
    path: Path, store: RosterStore
) -> None:
    store.keep_memberships({"a": ["q1"], "b": ["q1"]}, 2_000)
    assert read_changed_memberships(path, (0, ""), 1) == [("a", "q1", 1)]
    assert read_changed_memberships(path, (1, "a"), 9) == [("b", "q1", 1)]
    assert store.keep_memberships({"a": ["q1"], "b": ["q1"]}, 3_000) == (1, 0, 0)
    assert store.keep_memberships({"b": ["q1"]}, 4_000) == (2, 1, 0)
    assert read_changed_memberships(path, (1, "b"), 9) == [("a", None, 2)]


def test_a_first_reading_of_nobody_is_a_reading(store: RosterStore) -> None:
    store.commit(ChannelPlan(slots={}), {}, 2_000)
    assert store.keep_memberships({}, 3_000) == (1, 0, 0)


def test_a_successor_and_the_next_run_know_them_at_once(path: Path, store: RosterStore) -> None:
    store.keep_memberships({"a": ["q1"]}, 2_000)
    store.close()
    prepare(path, "run-2")
    later = RosterStore(path, "run-2")
    assert later.memberships == {"a": "q1", "b": None}
    assert (later.memberships_version, later.memberships_us) == (1, 2_000)


def test_a_file_of_the_last_release_gets_its_tables(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("DROP TABLE memberships; DROP TABLE memberships_read")
    connection.close()
    assert forget(path, "a").names == 0
    prepare(path, "run-2")
    assert RosterStore(path, "run-2").memberships_version == 0


def test_who_is_forgotten_is_a_member_of_nothing(path: Path, store: RosterStore) -> None:
    store.keep_memberships({"a": ["q1"]}, 2_000)
    store.close()
    assert forget(path, "a").names == 1
    assert read_memberships_of(path, ["a"]) == {}
    assert b"q1" not in path.read_bytes()
