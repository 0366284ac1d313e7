"""The file of the planner: what is committed is read again, by its run alone."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.genesys.channel_plan import EMPTY, ChannelPlan, Limits, Slot, plan
from actors.planner.store import RosterNames, RosterStore, prepare, read_names, read_roster
from runtime.errors import ConfigurationError, LocalError

NAMES = {"a": "Ann", "b": "Bob", "c": "Cem"}
PLAN = ChannelPlan(
    slots={Slot(0, 0): frozenset({"a", "b"})}, unmonitored=frozenset({"c"}), clients_needed=2
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "cloud.db"
    prepare(path, "run-1")
    return path


def test_a_fresh_file_has_no_plan_yet(path: Path) -> None:
    roster = read_roster(path)
    assert (roster.version, roster.plan, roster.names) == (0, EMPTY, {})


def test_what_was_committed_is_read_by_everybody_and_by_a_successor(path: Path) -> None:
    store = RosterStore(path, "run-1")
    assert store.commit(PLAN, NAMES, 1_000)
    assert read_roster(path) == store.roster
    assert store.roster == (1, 1_000, 1_000, PLAN, NAMES)
    store.close()
    assert RosterStore(path, "run-1").roster == (1, 1_000, 1_000, PLAN, NAMES)


def test_only_another_plan_is_another_version(path: Path) -> None:
    store = RosterStore(path, "run-1")
    assert store.commit(PLAN, NAMES, 1_000)
    assert not store.commit(PLAN, NAMES | {"a": "Anna"}, 2_000)
    roster = read_roster(path)
    assert (roster.version, roster.planned_us, roster.read_us) == (1, 1_000, 2_000)
    assert roster.names["a"] == "Anna"
    moved = ChannelPlan(slots={Slot(0, 0): frozenset({"a"}), Slot(0, 1): frozenset({"b", "c"})})
    assert store.commit(moved, NAMES, 3_000)
    assert read_roster(path) == (2, 3_000, 3_000, moved, NAMES)


def test_an_empty_roster_is_a_plan_as_well(path: Path) -> None:
    store = RosterStore(path, "run-1")
    assert store.commit(EMPTY, {}, 1_000)
    assert not store.commit(EMPTY, {}, 2_000)
    assert read_roster(path) == (1, 1_000, 2_000, EMPTY, {})


def test_the_name_of_one_who_left_is_kept_and_they_may_come_again(path: Path) -> None:
    store = RosterStore(path, "run-1")
    store.commit(PLAN, NAMES, 1_000)
    left = ChannelPlan(slots={Slot(0, 0): frozenset({"a"})})
    store.commit(left, {"a": "Ann"}, 2_000)
    assert read_roster(path).names == {"a": "Ann"}
    assert read_names(path).users == NAMES
    store.commit(PLAN, NAMES, 3_000)
    assert read_roster(path) == (3, 3_000, 3_000, PLAN, NAMES)


def test_queues_keep_their_names(path: Path) -> None:
    store = RosterStore(path, "run-1")
    store.name_queues({"q1": "Sales", "q2": "Support"})
    store.name_queues({"q1": "Sales EU"})
    assert read_names(path) == RosterNames({}, {"q1": "Sales EU", "q2": "Support"})


def test_another_run_takes_the_file_over(path: Path) -> None:
    orphan = RosterStore(path, "run-1")
    orphan.commit(PLAN, NAMES, 1_000)
    prepare(path, "run-2")
    with pytest.raises(LocalError, match="Another runtime has taken over"):
        orphan.commit(EMPTY, {}, 2_000)
    with pytest.raises(LocalError, match="Another runtime has taken over"):
        orphan.name_queues({"q1": "Sales"})
    assert orphan.roster.plan == PLAN
    with pytest.raises(LocalError, match="is owned by run 'run-2'"):
        RosterStore(path, "run-1")
    assert RosterStore(path, "run-2").roster.plan == PLAN


def test_only_its_owner_may_read_the_names(path: Path) -> None:
    store = RosterStore(path, "run-1")
    store.commit(PLAN, NAMES, 1_000)
    modes = {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert modes == {0o600}


def test_a_damaged_file_is_named_with_its_cure(path: Path) -> None:
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(ConfigurationError, match="repair"):
        read_roster(path)
    with pytest.raises(ConfigurationError, match="repair"):
        prepare(path, "run-2")


def test_a_file_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot open .*cloud\.db"):
        read_roster(tmp_path / "cloud.db")


rosters = st.lists(st.sets(st.sampled_from("abcdefgh")), max_size=6)


@settings(max_examples=25, deadline=None)
@given(rosters, st.integers(0, 3))
def test_what_is_read_is_what_was_committed_last_whatever_the_course(
    course: list[set[str]], clients: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cloud.db"
        prepare(path, "run-1")
        ever: dict[str, str] = {}
        now, version = EMPTY, 0
        for at_us, users in enumerate(course, 1):
            store = RosterStore(path, "run-1")
            planned = plan(
                store.roster.plan,
                sorted(users),
                clients,
                1,
                Limits(topics_per_channel_max=2, channels_per_client_max=1),
            )
            names = {user: f"{user}{at_us}" for user in users}
            assert store.commit(planned, names, at_us) == (version == 0 or planned != now)
            version += version == 0 or planned != now
            now, ever = planned, ever | names
            store.close()
            told = read_roster(path)
            assert (told.version, told.plan, told.names) == (version, now, names)
            assert read_names(path).users == ever
