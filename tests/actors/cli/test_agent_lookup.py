"""Whom a person means: an id, a full name, or nearly one; and what is told of one who is nobody."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import main as cli
from actors.cli import agent_lookup
from actors.cli.agent_resolver import NamedAgent, resolve
from actors.genesys.channel_plan import ChannelPlan, Slot
from actors.genesys.cloud import user_id_of
from actors.messages.spelling import folded
from actors.planner import store
from actors.sender import reader
from actors.storage.data_dir import LOCK, DataDir, GatewayIdentity
from runtime.errors import EXIT_CLEAN, EXIT_FAILURE, EXIT_TEMPORARY
from tests.actors.shard.lending import A, B, event
from tests.actors.shard.rig import Rig

NAMES = {"u-1": "Anna Meier", "u-2": "Bert Öz", "u-3": "Anna Mayer", "u-4": "Cem", "u-5": "cem"}
IDS = {*NAMES, "u-6", "Anna Meier the id"}


def test_an_id_in_capitals_is_the_same_agent_s() -> None:
    user = "8b67e4d1-9758-4285-8c45-b49fedff3f99"
    assert resolve(f" {user.upper()} ", {user}, {}).agent == NamedAgent(user)
    assert resolve(user.upper(), {user.upper(), user}, {}).agent == NamedAgent(user.upper())


@pytest.mark.parametrize(
    ("said", "user_id"),
    [
        ("u-1", "u-1"),
        ("u-6", "u-6"),
        ("Anna Meier", "u-1"),
        (" anna   MEIER ", "u-1"),
        ("bert o\u0308z", "u-2"),  # as a keyboard of another system writes it
        ("Anna Meier the id", "Anna Meier the id"),
    ],
)
def test_an_id_comes_first_and_then_the_one_who_is_called_so(said: str, user_id: str) -> None:
    agent = resolve(said, IDS, NAMES).agent
    assert agent is not None
    assert agent.user_id == user_id


@pytest.mark.parametrize("said", [A, A.upper(), f" {A.title()}"])
def test_an_id_is_the_same_in_whatever_letter_case(said: str) -> None:
    assert resolve(said, {A, B}, {}).agent == NamedAgent(A)
    assert resolve(A.upper(), {A, A.upper()}, {}).agent == NamedAgent(A.upper()), "as it is held"


def test_of_two_who_are_called_so_neither_is_meant() -> None:
    assert resolve("CEM", IDS, NAMES) == (
        None,
        (NamedAgent("u-4", "Cem"), NamedAgent("u-5", "cem")),
        (),
    )


@pytest.mark.parametrize("said", ["Anna Meyer", "Meier", "anna meie"])
def test_who_is_near_is_named(said: str) -> None:
    found = resolve(said, IDS, NAMES)
    assert found.agent is None
    assert "Anna Meier (u-1)" in map(str, found.alike)


@given(st.text(), st.sets(st.text(max_size=5)), st.dictionaries(st.text(max_size=5), st.text()))
def test_nobody_is_found_who_is_not_there(said: str, ids: set[str], names: dict[str, str]) -> None:
    found = resolve(said, ids, names)
    everybody = {*ids, *names}
    assert {each.user_id for each in (*found.namesakes, *found.alike)} <= everybody
    if found.agent is not None:
        user_id = found.agent.user_id
        assert user_id in everybody
        is_id = user_id in (said, said.strip(), user_id_of(said.strip()))
        assert is_id or folded(names[user_id]) == folded(said)


def test_blanks_name_nobody() -> None:
    assert resolve(" \r", {"", "0"}, {}).agent is None


# -- on the command line -------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith(("PRESENCE_", "GENESYSCLOUD_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Of two agents, while no runtime is running."""
    path = tmp_path / "presence-data"
    identity = GatewayIdentity(dialect="wsp", gateway="https://api.mypurecloud.com")
    claimed = DataDir.claim(path, identity, shards=1)
    claimed.record_store(True)
    claimed.lock.release()
    (path / LOCK).write_text("")
    rig = Rig(path / "shard-00.db")
    rig.begin()
    rig.feed(
        event(1_001, A, "Available", "2026-11-21T22:00:00.000Z"),
        event(1_002, B, "Talking", "2026-11-21T22:00:02.500Z"),
    )
    rig.journal.close()
    (tmp_path / "names.csv").write_text(f"id,name\n{A},Anna Meier\nq-1,Sales\n")
    (tmp_path / "presence-runtime.toml").write_text('[web]\nnames_file = "names.csv"\n')
    return path


@pytest.mark.parametrize("command", ["state", "history"])
@pytest.mark.parametrize("said", [A, "Anna Meier", "anna meier"])
def test_a_name_does_what_its_id_does(
    command: str, said: str, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([command, said]) == EXIT_CLEAN
    assert A in capsys.readouterr().out or command == "history"


@pytest.mark.parametrize("command", ["state", "history", "send"])
@pytest.mark.parametrize(
    ("said", "near"), [("Ana Meier", f"did you mean Anna Meier ({A})?"), (f"{A}x", f"Meier ({A})"),
                       ("Sales", "to list all agents")]
)  # fmt: skip
def test_who_is_nobody_is_told_with_who_is_near_and_is_in_no_audit(
    command: str, said: str, near: str, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["busy"] if command == "send" else []
    assert cli.main([command, said, *more]) == EXIT_FAILURE
    captured = capsys.readouterr()
    assert f"no agent {said}" in captured.err
    assert near in captured.err
    assert captured.out == ""
    assert not reader.has_store(data_dir)


def test_whoever_is_known_is_asked_of_the_runtime_and_so_is_anybody_with_force(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["anna meier", "busy"], ["nobody", "busy", "--force"]):
        assert cli.main(["send", *arguments]) == EXIT_TEMPORARY
        assert "no runtime is running" in capsys.readouterr().err


def test_where_no_sender_has_ever_begun_the_runtime_says_why_nothing_is_sent(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    identity = GatewayIdentity(dialect="wsp", gateway="https://api.mypurecloud.com")
    claimed = DataDir.claim(data_dir, identity, shards=1)
    claimed.record_store(False)
    claimed.lock.release()
    (data_dir / LOCK).write_text("")
    assert cli.main(["send", "nobody", "busy"]) == EXIT_TEMPORARY
    assert "no runtime is running" in capsys.readouterr().err


def test_of_many_that_are_asked_for_each_is_found_by_id_or_name(data_dir: Path) -> None:
    lookup = agent_lookup.Lookup(data_dir, None)
    assert [list(lookup.ids_of(said)) for said in (A, B, "anna  meier", "Sales", "nobody", "")] == [
        [A], [B], [A], [], [], [],
    ]  # fmt: skip


def test_the_planners_names_are_known_without_settings(
    data_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = data_dir.with_name("cloud")
    identity = GatewayIdentity(dialect="cloud", gateway="https://api.mypurecloud.com")
    claimed = DataDir.claim(path, identity, shards=1)
    claimed.record_store(True)
    claimed.lock.release()
    store.prepare(store.roster_path(path), "run-1")
    with closing(store.RosterStore(store.roster_path(path), "run-1")) as planned:
        slots = {Slot(0, 0): frozenset({"u-1", "u-4", "u-5"})}
        planned.commit(
            ChannelPlan(slots=slots), {each: NAMES[each] for each in ("u-1", "u-4", "u-5")}, 1
        )
    (path / LOCK).write_text("")
    for said, code, says in (
        ("Anna Meier", EXIT_TEMPORARY, "no runtime is running"),
        ("Ana Meier", EXIT_FAILURE, "did you mean Anna Meier (u-1)?"),
        ("Cem", EXIT_FAILURE, "2 agents are named Cem; specify an id: u-4, u-5"),
    ):
        assert cli.main(["send", said, "Busy", "--data-dir", str(path)]) == code
        assert says in capsys.readouterr().err


def test_a_person_may_be_forgotten_by_name_and_is_told_with_the_id(
    data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["forget", "Ana Meier", "--yes"]) == EXIT_FAILURE
    assert "did you mean Anna Meier" in capsys.readouterr().err
    assert cli.main(["forget", "Anna Meier", "--yes"]) == EXIT_CLEAN
    assert f"Anna Meier is {A}" in capsys.readouterr().err
    assert cli.main(["state", A]) == EXIT_FAILURE
