"""Native values beside the rows: kept, read, pruned and moved with them; answered to the sender."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actors import main as cli
from actors.genesys.presences import PRESENCE_OF_STATE
from actors.messages.partition import shard_of
from actors.messages.queries import Answer, AskAgent, Question, TransitionSeen, Watch
from actors.shard import reader
from actors.shard.journal import Journal, prepare
from actors.shard.native import native_of
from actors.shard.redistribute import settle
from actors.shard.replies import Replies
from actors.storage.data_dir import DataDir, GatewayIdentity
from tests.actors.shard.cloud_lending import (
    DEFINITION,
    OTHER_SCOPE,
    activity,
    at,
    at_us,
    begins,
    ends,
    ends_history,
    frame,
    native,
    presence,
    snapshot,
    unwatches,
    watch,
    watches,
)
from tests.actors.shard.lending import QUEUE, A, B, C
from tests.actors.shard.rig import RUN, Rig

IDENTITY = GatewayIdentity(dialect="cloud", gateway="https://api.example.test")


@pytest.fixture
def data_dir(tmp_path: Path) -> DataDir:
    return DataDir.claim(tmp_path / "data", IDENTITY, shards=1)


@pytest.fixture
def cloud(data_dir: DataDir) -> Rig:
    rig = Rig(data_dir.shard_path(0), "cloud")
    watch(rig, A, B)
    watch(rig, C, scope=OTHER_SCOPE, session=2)
    return rig


def answers(cloud: Rig, *questions: Question) -> list[Answer]:
    replies, shard = Replies(PRESENCE_OF_STATE), cloud.shard
    sessions = shard.sessions
    return list(
        replies.answer(
            questions, shard.agent_table, sessions.stale_since_us, cloud.now_s, sessions.stale_of
        )
    )


@pytest.mark.parametrize("is_checkpointed", [True, False])
def test_readers_see_native_values_and_since_when_each_agent_is_stale(
    cloud: Rig, data_dir: DataDir, is_checkpointed: bool
) -> None:
    cloud.feed(activity("MEAL", 10, "OFF_QUEUE", 11), ends(2, OTHER_SCOPE))
    cloud.commit(finish=is_checkpointed)
    by_user = {one.user_id: one for one in reader.read_states(data_dir.path)}
    assert {user: one.stale_since_us for user, one in by_user.items()} == {
        A: None, B: None, C: at_us(7)
    }  # fmt: skip
    told = by_user[A].native
    assert told is not None
    assert told.packed() == native(cloud).packed()
    assert told.scope == "c0/0"
    one = reader.read_state(data_dir.path, A)
    assert one is not None
    assert one.native is not None
    assert one.native.packed() == told.packed()


def test_a_history_shows_what_the_native_values_were_then(cloud: Rig, data_dir: DataDir) -> None:
    cloud.feed(activity("MEAL", 10), activity("BUSY", 20), unwatches())
    rows = list(reader.read_history(data_dir.path, A, 10))
    natives = [native_of(row.native) for row in rows]
    assert [native and native.system_presence for native in natives] == [
        None, "BUSY", "MEAL", "ON_QUEUE"
    ]  # fmt: skip


def test_the_command_line_shows_native_values(
    cloud: Rig, data_dir: DataDir, capsys: pytest.CaptureFixture[str]
) -> None:
    other = presence("AWAY", 3, primary=False, source="TEAMS", message="m")
    cloud.feed(activity("MEAL", 10), frame("presence", other))
    cloud.commit(finish=True)
    path = str(data_dir.path)
    assert cli.main(["state", A, "--json", "--data-dir", path]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["scope"] == "c0/0"
    assert shown["native"]["presence"] == {
        "system_presence": "MEAL",
        "definition": DEFINITION,
        "message": "",
        "since": at(10).replace("Z", ".000Z"),
    }
    assert shown["native"]["queues"] == [QUEUE]
    assert [each["source"] for each in shown["native"]["other_presences"]] == ["TEAMS"]
    assert cli.main(["state", "--data-dir", path]) == 0
    head, row = capsys.readouterr().out.splitlines()[:2]
    told = dict(zip(head.split("\t"), row.split("\t"), strict=True))
    assert (told["system presence"], told["routing status"]) == ("MEAL", "IDLE")
    assert cli.main(["history", A, "--data-dir", path]) == 0
    assert "routing status" in capsys.readouterr().out


def test_a_journal_of_the_other_dialect_is_as_it_was(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "shard-00.db")
    tables = {
        name
        for (name,) in rig.journal._connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        )
    }
    assert not tables & {"natives", "watched"}
    assert rig.journal.dialect == "wsp"


def test_native_values_go_with_their_rows(cloud: Rig) -> None:
    cloud.feed(activity("MEAL", 10), activity("BUSY", 20))
    end = cloud.shard.agent_table.next_row
    while cloud.journal.prune(
        older_than_us=1 << 62, bytes_max=1 << 40, keep_from=end - 1, slice_rows=2
    ):
        pass
    rows = cloud.journal._connection.execute("SELECT row FROM natives").fetchall()
    assert rows == [(end - 1,)]


def test_a_new_run_numbers_its_sessions_anew_and_nobody_is_named_by_the_last(cloud: Rig) -> None:
    cloud.journal.close()
    prepare(cloud.path, RUN)
    cloud._restore()
    cloud.feed(begins(1), ends_history(1))
    assert cloud.state(A) == "Unknown"
    assert cloud.state(C) == "Available"


def test_agents_move_to_other_shards_with_all_that_is_known_of_them(
    cloud: Rig, data_dir: DataDir
) -> None:
    users = [f"00000000-0000-4000-8000-0000000001{number:02d}" for number in range(20)]
    cloud.feed(*(watches(user) for user in users))
    cloud.feed(*(snapshot("MEAL", 2 + i / 100, user_id=user) for i, user in enumerate(users)))
    cloud.feed(unwatches(B))
    before = {
        one.user_id: (one.state, one.at_us, one.native.packed() if one.native else None)
        for one in reader.read_states(data_dir.path)
    }
    cloud.journal.close()
    assert settle(data_dir, 3)
    after = {
        one.user_id: (one.state, one.at_us, one.native.packed() if one.native else None)
        for one in reader.read_states(data_dir.path)
    }
    assert after == before
    for index in range(3):
        journal = Journal(data_dir.shard_path(index), "redistribution")
        assert journal.dialect == "cloud"
        numbers = dict(journal.agents())
        watched = {numbers[agent]: scope for agent, (scope, _) in journal.watched().items()}
        journal.close()
        assert watched == {
            user: OTHER_SCOPE if user == C else "c0/0" for user in numbers.values() if user != B
        }
        assert all(shard_of(user, 3) == index for user in numbers.values())


def test_the_sender_is_told_the_native_values_and_how_stale_that_agent_is(cloud: Rig) -> None:
    cloud.feed(activity("MEAL", 10, "INTERACTING", 11), ends(2, OTHER_SCOPE))
    told, other = answers(cloud, AskAgent(1, A), AskAgent(2, C))
    assert told[-4:] == (None, DEFINITION, "INTERACTING", False)
    assert other[-4] == at_us(7)


def test_a_presence_is_confirmed_by_its_time_however_long_it_has_been_held(cloud: Rig) -> None:
    cloud.feed(activity("MEAL", 10.067))
    for _ in range(3):
        cloud.restart()
        assert answers(cloud, Watch(A, f"presence@{at_us(10.067)}")) == [
            TransitionSeen(
                f"presence@{at_us(10.067)}", A, "Not Available", "break", at_us(10.067), DEFINITION
            )
        ]
        about = (at_us(10), at_us(11))
        assert len(answers(cloud, Watch(A, "of meal", DEFINITION.upper(), *about))) == 1
        assert answers(cloud, Watch(A, "of another", "another-definition", *about)) == []
        assert answers(cloud, Watch(A, "before", DEFINITION, at_us(9), at_us(10))) == []
    assert answers(cloud, Watch(A, f"presence@{at_us(10)}"), Watch("nobody", "presence@0")) == []


def test_a_presence_that_was_replaced_is_still_known_to_have_been(cloud: Rig) -> None:
    replies = Replies(PRESENCE_OF_STATE)
    cloud.feed(activity("MEAL", 10), activity("BUSY", 20))
    replies.note(cloud.shard.agent_table.correlated)
    (shown,) = replies.answer(
        [Watch(A, f"presence@{at_us(10)}")], cloud.shard.agent_table, None, cloud.now_s
    )
    assert isinstance(shown, TransitionSeen)
    assert shown.presence == "break"
