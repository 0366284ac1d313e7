"""Who agents are, from the answers of the gateway to those who read the planner's file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from actors.genesys.agent_profile import PROFILE_FIELDS, USUAL_FIELDS, unknown
from actors.genesys.channel_plan import EMPTY, ChannelPlan
from actors.planner import agent_reader, profiles
from actors.planner.agent_reader import AgentReader, read_agents
from actors.planner.profiles import GONE_AFTER, ProfileNotes
from actors.planner.store import KIND, RosterStore, has_profiles, keep_fields, prepare
from actors.storage.sqlite import reading

ANN = {"id": "a", "name": "Ann", "username": "ann", "email": "ann@x.test", "title": "Agent"}
BOB = {"id": "b", "name": "Bob", "username": "bob", "manager": {"id": "a"}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "cloud.db"
    prepare(path, "run")
    return path


@pytest.fixture
def store(path: Path) -> Iterator[RosterStore]:
    with closing(RosterStore(path, "run")) as store:
        watch(store, a="Ann", b="Bob")
        yield store


def watch(store: RosterStore, **names: str) -> None:
    plan = ChannelPlan(slots={}, unmonitored=frozenset(names), clients_needed=1)
    store.commit(plan if names else EMPTY, names, 1)


def notes_of(store: RosterStore, fields: tuple[Any, ...] = PROFILE_FIELDS) -> ProfileNotes:
    return ProfileNotes(store, fields, lambda work: work())


def noted(store: RosterStore, *users: dict[str, Any]) -> ProfileNotes:
    notes = notes_of(store)
    notes.note(users)
    end_read(notes)
    return notes


def end_read(notes: ProfileNotes) -> None:
    """… and time passes until all is written."""
    notes.end_read()
    while notes.is_due:
        notes.write()


def test_what_was_noted_of_those_who_are_watched_is_read_with_names(store: RosterStore) -> None:
    noted(store, ANN, BOB, {"id": "c", "username": "cid"})
    people = read_agents(store.path, ["a", "b", "c", "d"])
    assert people == {
        "a": unknown("a") | {"name": "Ann", "user_name": "ann", "email": "ann@x.test"}
        | {"title": "Agent"},
        "b": unknown("b") | {"name": "Bob", "user_name": "bob"}
        | {"manager": {"id": "a", "name": "Ann"}},
    }  # fmt: skip
    assert store.profiles(["a", "b", "c"]).keys() == {"a", "b"}


def test_who_is_not_planned_yet_is_kept_until_the_read_has_ended(store: RosterStore) -> None:
    notes = notes_of(store)
    notes.note([{"id": "c", "username": "cid"}])
    assert notes.write() == 0
    watch(store, a="Ann", c="Cid")
    assert notes.write() == 1
    assert read_agents(store.path, ["c"])["c"]["user_name"] == "cid"


def test_only_news_is_written(store: RosterStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "ROWS_MAX", 1)
    notes = noted(store, ANN, BOB)
    for news in (1, 0):
        notes.note([ANN, {**BOB, "title": "Lead"}])
        assert (notes.write(), notes.write()) == (0, news)  # one after the other
        assert not notes.is_due


def test_a_field_that_is_missing_once_was_left_out_and_always_is_gone(store: RosterStore) -> None:
    notes, without = noted(store, ANN), {"id": "a", "username": "ann", "title": "Agent"}
    for _ in range(GONE_AFTER - 1):
        notes.note([without])
        end_read(notes)
        assert read_agents(store.path, ["a"])["a"]["email"] == "ann@x.test"
    notes.note([ANN])  # it was there again
    end_read(notes)
    for _ in range(GONE_AFTER):
        assert read_agents(store.path, ["a"])["a"]["email"] == "ann@x.test"
        notes.note([without])
        end_read(notes)
    assert read_agents(store.path, ["a"])["a"]["email"] is None


def test_nothing_is_kept_of_what_the_settings_leave_out(store: RosterStore) -> None:
    notes = notes_of(store, ("title",))
    notes.note([ANN])
    end_read(notes)
    assert store.profiles(["a"]) == {"a": '{"title":"Agent"}'}
    nothing = notes_of(store, ())
    nothing.note([BOB])
    end_read(nothing)
    assert store.profiles(["b"]) == {}


@pytest.mark.parametrize("fields", [("title",), ()])
def test_what_is_left_out_later_is_taken_out_of_the_file(
    path: Path, fields: tuple[Any, ...]
) -> None:
    with closing(RosterStore(path, "run")) as store:
        watch(store, a="Ann")
        noted(store, ANN)
    keep_fields(path, fields)
    assert read_agents(path, ["a"])["a"]["email"] is None
    assert read_agents(path, ["a"])["a"]["title"] == ("Agent" if fields else None)
    for each in path.parent.iterdir():
        assert b"ann@x.test" not in each.read_bytes()


def test_a_file_of_the_last_release_is_read_and_gets_profiles_with_the_next_start(
    path: Path,
) -> None:
    with closing(RosterStore(path, "run")) as store:
        watch(store, a="Ann")
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("DROP TABLE profiles")
    assert read_agents(path, ["a"]) == {}
    reader = AgentReader(path, pytest.fail)
    reader.refresh()
    assert reader.agent("a") == unknown("a")
    prepare(path, "run-2")
    keep_fields(path, USUAL_FIELDS)
    with reading(path, KIND) as connection:
        assert has_profiles(connection)
    reader.refresh()
    assert reader.agent("a") == unknown("a") | {"name": "Ann"}
    reader.close()


# -- for whoever asks often ------------------------------------------------------------------------


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def reader(path: Path, told: list[str]) -> Iterator[AgentReader]:
    with closing(AgentReader(path, told.append)) as reader:
        yield reader


def test_a_reader_sees_what_was_written_since_from_its_next_refresh_on(
    store: RosterStore, reader: AgentReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_reader, "KEPT_MAX", 1)
    reader.refresh()
    assert reader.agent("a") == unknown("a") | {"name": "Ann"}
    noted(store, ANN, BOB)
    reader.refresh()
    assert reader.agent("a")["email"] == "ann@x.test"
    assert reader.agent("b")["manager"] == {"id": "a", "name": "Ann"}
    for nobody in ("nobody", "\ud800 alone", "\0", ""):
        assert reader.agent(nobody) == unknown(nobody)
        assert read_agents(store.path, [nobody]) == {}


def test_where_there_is_no_file_nobody_is_known(tmp_path: Path) -> None:
    reader = AgentReader(tmp_path / "cloud.db", pytest.fail)
    reader.refresh()
    assert reader.agent("a") == unknown("a")


def test_a_file_that_cannot_be_read_is_told_once_and_read_again_when_it_can(
    store: RosterStore, reader: AgentReader, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise apsw.IOError("the disk")

    with monkeypatch.context() as context:
        context.setattr(agent_reader, "connect", fail)
        for _ in range(3):
            reader.refresh()
            assert reader.agent("a") == unknown("a")
    assert told == ["the disk"]
    reader.refresh()
    assert reader.agent("a")["name"] == "Ann"


def _damaged(text: str) -> Callable[[apsw.Connection], object]:
    return lambda connection: connection.execute("UPDATE profiles SET profile = ?", (text,))


@pytest.mark.parametrize("text", ["{", "[]", '{"manager": 7, "email": "ann@x.test"}'])
def test_a_profile_that_is_damaged_costs_itself_and_is_written_again(
    store: RosterStore, text: str
) -> None:
    notes = noted(store, ANN)
    with closing(apsw.Connection(str(store.path))) as connection:
        _damaged(text)(connection)
    assert read_agents(store.path, ["a"])["a"]["name"] == "Ann"
    prepare(store.path, "run")
    keep_fields(store.path, USUAL_FIELDS)  # as a start does
    notes.note([ANN])
    end_read(notes)
    assert read_agents(store.path, ["a"])["a"]["email"] == "ann@x.test"
