"""Another shard count: every agent moves with its state, and no crash on the way loses one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actors.messages.control import RESUME_MARGIN, SCOPE_ALL, SEQUENCE_END, Gap, SessionBegins
from actors.messages.partition import shard_of
from actors.shard.journal import Journal, prepare
from actors.shard.reader import read_history, read_states, summary
from actors.shard.redistribute import settle
from actors.shard.shard import Shard
from actors.storage.data_dir import DataDir, GatewayIdentity
from tests.actors.shard.lending import batch, control, event
from tests.actors.shard.test_shard import stream

IDENTITY = GatewayIdentity(dialect="wsp", gateway="http://127.0.0.1")


@pytest.fixture
def data_dir(tmp_path: Path) -> DataDir:
    """Two shards with 60 agents, stopped in the middle of things."""
    data_dir = DataDir.claim(tmp_path / "data", IDENTITY, shards=2)
    for index in range(2):
        fill(data_dir.shard_path(index), index)
    return data_dir


def fill(path: Path, index: int) -> None:
    prepare(path, "run")
    journal = Journal(path, "run")
    shard = Shard(index, 2, rings=1, now_s=0.0)
    begins = control(SessionBegins(1, SCOPE_ALL, 1, "", 1_000, None, 5))
    mine = [
        record
        for place, record in enumerate(stream(400, 60))
        if shard_of(user_of(record.payload), 2) == index and place < 380 + 20 * index
    ]
    shard.take(batch([begins, *mine]), 0.0)
    journal.commit(shard.prepare(0.0))
    journal.close()


def user_of(payload: bytes) -> str:
    return payload.split(b'"userId":"')[1].split(b'"')[0].decode()


def states(data_dir: DataDir) -> dict[str, tuple[Any, ...]]:
    return {state.user_id: state[1:7] for state in read_states(data_dir.path)}


def test_every_agent_keeps_its_state_in_the_shard_that_owns_it(data_dir: DataDir) -> None:
    before = states(data_dir)
    marks = [shard.mark_sequence for shard in summary(data_dir.path)]
    received = sum(shard.counts["received"] for shard in summary(data_dir.path))
    assert settle(data_dir, 3)
    assert states(data_dir) == before
    assert data_dir.meta.shards == 3
    shards = summary(data_dir.path)
    assert len(shards) == 3
    assert {shard.mark_sequence for shard in shards} == {min(marks)}
    assert sum(shard.counts.get("received", 0) for shard in shards) == received
    for index, shard in enumerate(shards):
        journal = Journal(shard.path, "redistribution")
        assert all(shard_of(user_id, 3) == index for _, user_id in journal.agents())
        journal.close()


def test_an_unchanged_count_touches_nothing(data_dir: DataDir) -> None:
    assert not settle(data_dir, 2)
    assert not list(data_dir.path.glob("archive-*"))


def test_old_histories_are_still_read(data_dir: DataDir) -> None:
    before = [row.to_state for row in read_history(data_dir.path, "user-00007", 100)]
    settle(data_dir, 3)
    settle(data_dir, 1)
    after = [row.to_state for row in read_history(data_dir.path, "user-00007", 100)]
    assert after == before


def test_what_comes_again_after_a_redistribution_is_still_a_duplicate(data_dir: DataDir) -> None:
    settle(data_dir, 1)
    path = data_dir.shard_path(0)
    prepare(path, "run-2")
    journal = Journal(path, "run-2")
    shard = Shard(0, 1, rings=1, now_s=0.0)
    shard.restore(journal, 0.0, lambda: None)
    applied = shard.merge.counts["applied"]
    # The lower of the two marks was 20 events behind: all of them come again, most were handled.
    shard.take(batch(stream(400, 60)), 0.0)
    causes = {row[-1] for row in shard.agent_table.take().rows}
    assert causes <= {"live"}
    assert shard.merge.counts["late"] == 0
    assert shard.merge.counts["applied"] - applied <= 20
    shard.take(batch([event(5_000, "user-00007", "Reserved", "2026-11-22T00:00:00.000Z")]), 0.0)
    assert shard.agent_table.by_user["user-00007"].state == "Reserved"
    journal.close()


def test_what_a_shard_of_an_older_numbering_was_not_told_of_its_end_is_a_gap(
    data_dir: DataDir,
) -> None:
    path = data_dir.shard_path(1)
    prepare(path, "run-2")
    journal = Journal(path, "run-2")
    shard = Shard(1, 2, rings=1, now_s=0.0)
    shard.restore(journal, 0.0, lambda: None)
    anew = Gap(2, SCOPE_ALL, 1, 400, SEQUENCE_END - 1, "the gateway numbers anew", 5)
    begins = SessionBegins(2, SCOPE_ALL, 2, "", 7, 0, 6)
    shard.take(batch([control(anew), control(begins)]), 0.0)
    journal.commit(shard.prepare(0.0))
    journal.close()
    (behind,) = [each.mark_sequence for each in summary(data_dir.path) if each.mark_epoch == 1]
    settle(data_dir, 3)
    gaps = [gap for each in summary(data_dir.path) for gap in each.gaps]
    assert [(gap.epoch, gap.first_sequence, gap.last_sequence) for gap in gaps] == [
        (1, behind - RESUME_MARGIN, SEQUENCE_END - 1)
    ]
    assert {(each.mark_epoch, each.mark_sequence) for each in summary(data_dir.path)} == {(2, 0)}


class KilledError(Exception):
    pass


@pytest.mark.parametrize("step", range(12))
def test_a_kill_at_any_step_is_made_good_by_the_next_start(
    data_dir: DataDir, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = states(data_dir)
    remaining = step

    def dying(original: Callable[..., Any]) -> Callable[..., Any]:
        def step_or_die(*args: Any, **kwargs: Any) -> Any:
            nonlocal remaining
            remaining -= 1
            if remaining < 0:
                raise KilledError
            return original(*args, **kwargs)

        return step_or_die

    with monkeypatch.context() as patch:
        for name in ("rename", "mkdir", "rmdir"):
            patch.setattr(Path, name, dying(getattr(Path, name)))
        patch.setattr(DataDir, "record", dying(DataDir.record))
        try:
            settle(data_dir, 3)
        except KilledError:
            pass
    settle(data_dir, 3)
    assert states(data_dir) == before
    assert len(summary(data_dir.path)) == 3
    assert not list(data_dir.path.glob("redistribution*"))
