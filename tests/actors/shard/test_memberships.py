"""How a shard hears in which queues its agents are, and that each counts in all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.genesys.channel_plan import EMPTY
from actors.messages.queries import AskAgent, AskQueue, QueueRecord
from actors.planner.arguments import PLANNER_WORDS
from actors.planner.store import RosterStore, prepare
from actors.shard import memberships
from actors.shard.agent_table import Agent, AgentTable
from actors.shard.memberships import Memberships
from actors.shard.native import Native
from actors.shard.replies import Replies, earliest_stale, queue_counts
from runtime.counters import Counters
from runtime.errors import TemporaryError

NOW_S = 10.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "cloud.db"
    prepare(path, "run")
    return path


@pytest.fixture
def store(path: Path) -> RosterStore:
    store = RosterStore(path, "run")
    store.commit(EMPTY, {}, 1)
    return store


@pytest.fixture
def planner() -> Counters:
    return Counters.create("planner", PLANNER_WORDS)


@pytest.fixture
def reader(path: Path, planner: Counters) -> Memberships:
    return Memberships(path, planner)


def watched(table: AgentTable, user_id: str, state: str = "Available") -> Agent:
    agent = table.admit(user_id)
    agent.native = Native()
    agent.native.scope, agent.state = "c0/0", state
    return agent


def tell(store: RosterStore, planner: Counters, memberships: dict[str, list[str]]) -> None:
    planner.set("memberships_version", store.keep_memberships(memberships, 2).version)


def read_all(reader: Memberships, table: AgentTable, now_s: float = NOW_S) -> int:
    """How many pieces that took."""
    pieces = 0
    while reader.has_more(table, now_s):
        reader.look(table, now_s)
        pieces += 1
    return pieces


def test_nothing_is_known_until_the_planner_has_read_all_queues(
    reader: Memberships, planner: Counters, store: RosterStore
) -> None:
    table = AgentTable()
    ann = watched(table, "ann")
    reader.start(table, NOW_S)
    assert not reader.has_more(table, NOW_S)
    assert not ann.is_placed
    tell(store, planner, {"ann": ["q2", "q1"], "somebody": ["q1"]})
    read_all(reader, table)
    assert (ann.is_placed, ann.queue) == (True, '["q1","q2"]')
    assert table.touched == {1}


def test_a_start_knows_what_an_earlier_run_read_before_any_planner_speaks(
    reader: Memberships, store: RosterStore
) -> None:
    store.keep_memberships({"ann": ["q1"]}, 2)
    table = AgentTable()
    ann, bob = watched(table, "ann"), watched(table, "bob")
    reader.start(table, NOW_S)
    assert (ann.is_placed, ann.queue, bob.is_placed) == (True, "q1", False)


def test_a_change_reaches_whom_it_concerns_and_whoever_comes_later_is_looked_up(
    reader: Memberships, planner: Counters, store: RosterStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memberships, "PIECE", 2)
    table = AgentTable()
    users = [f"user-{n}" for n in range(7)]
    agents = [watched(table, user) for user in users]
    tell(store, planner, {user: ["q1"] for user in users})
    reader.start(table, NOW_S)
    table.touched.clear()
    tell(store, planner, {user: ["q1", "q2"] if user > "user-2" else ["q1"] for user in users})
    late = watched(table, "late")
    tell(store, planner, {user: ["q2"] if user > "user-2" else ["q1"] for user in (*users, "late")})
    assert read_all(reader, table) > 3
    assert [agent.queue for agent in agents] == ["q1"] * 3 + ["q2"] * 4
    assert (late.is_placed, late.queue) == (True, "q1")
    assert table.touched == {4, 5, 6, 7, 8}
    assert read_all(reader, table) == 0


def test_a_file_that_cannot_be_read_is_read_later(
    reader: Memberships, planner: Counters, store: RosterStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = AgentTable()
    ann = watched(table, "ann")
    tell(store, planner, {"ann": ["q1"]})

    def locked(*_: object) -> dict[str, str | None]:
        raise TemporaryError("locked")

    with monkeypatch.context() as patch:
        patch.setattr(memberships, "read_memberships_of", locked)
        reader.start(table, NOW_S)
    assert not ann.is_placed
    assert not reader.has_more(table, NOW_S)
    read_all(reader, table, NOW_S + 2.0)
    assert ann.queue == "q1"


def test_what_is_the_same_as_before_a_restart_is_told_and_not_written_again() -> None:
    table = AgentTable()
    ann = watched(table, "ann")
    ann.queue = "q1"
    table.place(ann, "q1")
    assert (table.touched, table.appointed) == ({1}, set())
    table.place(ann, "q2")
    assert table.appointed == {1}


# -- each agent counts in each of its queues -------------------------------------------------------


def test_an_agent_counts_in_each_of_its_queues_and_is_stale_in_each() -> None:
    table = AgentTable()
    for user, state, queue in (
        ("ann", "Available", '["q1","q2"]'),
        ("bob", "Talking", "q2"),
        ("cem", "Unknown", '["q1","q3"]'),
        ("dan", "Available", None),
    ):
        watched(table, user, state).queue = queue
    presence_of = {"Available": "available", "Talking": "busy"}
    counts = queue_counts(table.by_id, {"q1", "q2", "q9"}, presence_of)
    assert counts == {"q1": (1, 0, 0, 1), "q2": (1, 1, 0, 0), "q9": (0, 0, 0, 0)}
    since = {"ann": 7, "bob": None, "cem": 3}
    stale = earliest_stale(table.by_id, {"q1", "q2"}, lambda agent: since[agent.user_id])
    assert stale == {"q1": 3, "q2": 7}


def test_an_answer_says_of_how_many_agents_the_queues_are_not_known() -> None:
    table = AgentTable()
    for user in ("ann", "bob", "cem"):
        watched(table, user)
    table.place(table.by_user["ann"], '["q1","q2"]')
    gone = table.by_user["cem"].native
    assert gone is not None
    gone.scope = ""  # nobody watches them any more
    replies = Replies({"Available": "available"})
    told, one, other = replies.answer(
        [AskQueue(1, "q2"), AskAgent(2, "ann"), AskAgent(3, "bob")],
        table,
        None,
        NOW_S,
        stale_of=lambda _: None,
    )
    assert told == QueueRecord(1, "q2", 1, 0, 0, 0, None, unplaced=1)
    assert [getattr(each, "is_placed", None) for each in (one, other)] == [True, False]
