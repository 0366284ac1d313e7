"""Forgetting: whom nobody knows any more, and that nothing else of a journal has changed."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from actors.messages.mention import mentions
from actors.shard import reader
from actors.shard.checkpoint import PAGE_AGENTS
from actors.shard.forgetting import ForgottenRows, forget
from actors.shard.journal import KIND, Journal
from actors.storage import sqlite
from tests.actors.shard.cloud_lending import OTHER_SCOPE, activity, watch
from tests.actors.shard.lending import A, B, C, Record, event, rejected
from tests.actors.shard.rig import RUN, Rig

NOBODY_MENTIONED = re.compile(rb"(?!)")


def user(number: int) -> str:
    return f"{number:08d}-0000-4000-8000-000000000000"


def change(number: int, step: int, state: str = "Available") -> Record:
    stamp = f"2026-11-21T22:{step:02d}:00.000Z"
    return event(1_000 * step + number, user(number), state, stamp, queue=f"q{number}")


def known(rig: Rig) -> dict[str, Any]:
    """By user, all that is held of them; numbers may be others."""
    agents = rig.shard.agent_table.by_id
    assert [agent.id for agent in agents] == list(range(1, len(agents) + 1))
    return {
        agent.user_id: (agent.state, agent.at_us, agent.queue, agent.epoch, agent.sequence)
        for agent in agents
    }


def states(data_dir: Path) -> dict[str, Any]:
    """As readers see them, native values apart."""
    return {
        each.user_id: (each._replace(native=None), each.native and each.native.packed())
        for each in reader.read_states(data_dir)
    }


def rest_of(standing: dict[str, Any]) -> dict[str, Any]:
    return {name: standing[name] for name in standing if name not in {"agents", "natives"}}


@pytest.mark.parametrize("forgotten", [1, 2, PAGE_AGENTS, PAGE_AGENTS + 1, PAGE_AGENTS + 5])
@pytest.mark.parametrize("checkpoint", ["none", "before", "between", "behind"])
def test_all_others_are_as_they_were_whatever_was_checkpointed(
    tmp_path: Path, forgotten: int, checkpoint: str
) -> None:
    rig = Rig(tmp_path / "shard-00.db")
    rig.begin(newest=0)
    rig.end_history()
    everybody = range(1, PAGE_AGENTS + 6)
    rig.commit(finish=checkpoint == "before")
    rig.feed(*(change(number, 1) for number in everybody))
    rig.commit(finish=checkpoint == "between")
    rig.feed(*(change(number, 2, "Talking") for number in everybody))
    rig.commit(finish=checkpoint == "behind")
    expected, standing = known(rig), rest_of(rig.standing())
    assert expected.pop(user(forgotten))[0] == "Talking"
    rig.journal.close()

    told = forget(rig.path, user(forgotten), NOBODY_MENTIONED)
    assert told == ForgottenRows(agents=1, transitions=2, quarantined=0)

    rig.restart()
    assert known(rig) == expected
    assert rest_of(rig.standing()) == standing
    # Life goes on: new rows, a checkpoint that must have all that was moved, and another life.
    rig.feed(change(7, 3, "Available"))
    rig.commit(finish=True)
    rig.restart()
    assert known(rig) == {**expected, user(7): known(rig)[user(7)]}
    assert known(rig)[user(7)][0] == "Available"
    for number in (3, 7):
        steps = list(reader.read_history(tmp_path, user(number), 10))
        assert len(steps) == (3 if number == 7 else 2)
        assert {step.user_id for step in steps} == {user(number)}
    rig.journal.close()


def test_what_is_told_again_of_them_was_handled(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "shard-00.db")
    rig.begin(newest=0)
    rig.feed(change(1, 1), change(2, 1))
    rig.journal.close()
    forget(rig.path, user(1), NOBODY_MENTIONED)
    rig.restart()
    rig.feed(change(1, 1))
    assert rig.counts["duplicates"] == 1
    assert user(1) not in rig.shard.agent_table.by_user
    rig.journal.close()


def test_the_last_person_of_a_journal_can_be_forgotten_and_come_back(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "shard-00.db")
    rig.begin(newest=0)
    rig.feed(change(1, 1))
    rig.commit(finish=True)
    rig.journal.close()
    forget(rig.path, user(1), NOBODY_MENTIONED)
    rig.restart()
    assert known(rig) == {}
    rig.feed(change(1, 2, "Talking"))
    rig.restart()
    assert known(rig)[user(1)][0] == "Talking"
    rig.journal.close()


def test_frames_that_mention_them_go_and_others_stay(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "shard-00.db")
    rig.begin(newest=0)
    rig.feed(event("x", A), event("x", B), rejected(f"odd: {A}", b"frame"))
    rig.journal.close()
    told = forget(rig.path, A, re.compile(A.encode()))
    assert told == ForgottenRows(agents=0, transitions=0, quarantined=2)
    with closing(apsw.Connection(str(rig.path))) as connection:
        (frame,) = [row[0] for row in connection.execute("SELECT frame FROM quarantine")]
    assert B.encode() in frame


def test_a_short_id_behind_an_escape_is_found_in_what_the_frame_says(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "shard-00.db")
    rig.begin(newest=0)
    rig.feed(rejected("odd", b'{"x":["y\\nagent-1"]}'), rejected("odd", b'{"x":"y\\nagent-12"}'))
    rig.journal.close()
    assert forget(rig.path, "agent-1", mentions("agent-1")).quarantined == 1


def test_native_values_and_the_place_on_a_channel_go_too(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "shard-00.db", "cloud")
    watch(rig, A, B)
    watch(rig, C, scope=OTHER_SCOPE, session=2)
    rig.feed(activity("MEAL", 10, "OFF_QUEUE", 11))
    rig.commit(finish=True)
    rig.feed(activity("ON_QUEUE", 20, "IDLE", 21))
    before = states(tmp_path)
    assert before.pop(A)[1] is not None
    rig.journal.close()
    told = forget(rig.path, A, NOBODY_MENTIONED)
    assert told.agents == 1
    rig.restart()
    rig.journal.close()
    assert states(tmp_path) == before
    with closing(Journal(rig.path, RUN, "cloud")) as journal:
        assert set(journal.watched()) == {1, 2}
    with closing(apsw.Connection(str(rig.path))) as connection:
        orphans = "SELECT count(*) FROM natives JOIN transitions ON id = row WHERE agent = 0"
        assert connection.execute(orphans).get == 0


def test_a_purged_file_holds_no_byte_of_them_and_is_the_same_journal(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "shard-00.db")
    rig.begin(newest=0)
    rig.feed(*(change(number, 1) for number in range(1, 300)))
    rig.commit(finish=True)
    rig.feed(change(9, 2, "Talking"), event("x", user(9)))
    rig.commit(finish=True)
    rig.journal.close()
    with closing(apsw.Connection(str(rig.path))) as connection:
        connection.pragma("application_id", 77)
    rig.path.chmod(0o600)
    assert user(9).encode() in rig.path.read_bytes()
    forget(rig.path, user(9), re.compile(user(9).encode()))
    sqlite.purge(rig.path, KIND)
    assert [each.name for each in tmp_path.iterdir()] == ["shard-00.db"]
    assert user(9).encode() not in rig.path.read_bytes()
    assert rig.path.stat().st_mode & 0o777 == 0o600
    with closing(apsw.Connection(str(rig.path))) as connection:
        assert connection.pragma("application_id") == 77
        assert connection.pragma("user_version") == KIND.format
    rig.restart()
    assert len(known(rig)) == 298
    rig.journal.close()
