"""A shard and its journal together: what a kill between any two steps leaves."""

from __future__ import annotations

import random
from pathlib import Path

import apsw
import pytest

from actors.messages.control import SCOPE_ALL, Watermark
from actors.shard.checkpoint import CYCLE_ROWS, CYCLE_S
from actors.shard.journal import Journal, prepare
from actors.shard.shard import Shard
from runtime.errors import LocalError
from tests.actors.shard.lending import A, B, Record, batch, control, event
from tests.actors.shard.rig import RUN, Rig

T0, T1, T2 = (f"2026-11-21T22:00:0{second}.000Z" for second in range(3))


def stream(count: int, agents: int, seed: int = 7, first: int = 1_001) -> list[Record]:
    """Real changes, a second apart, of agents in random order."""
    rng = random.Random(seed)
    states = ("Available", "Talking", "Reserved", "Wrapped Up")
    return [
        event(
            1_001 + i,
            f"user-{rng.randrange(agents):05d}",
            states[i % len(states)],
            f"2026-11-21T{i // 3600 % 24:02d}:{i // 60 % 60:02d}:{i % 60:02d}.000Z",
        )
        for i in range(first - 1_001, first - 1_001 + count)
    ]


def test_a_restart_knows_all_that_was_committed(rig: Rig) -> None:
    rig.begin()
    rig.feed(*stream(500, 40))
    rig.feed(event(1_001, A), event("x", B), control(Watermark(1, 1_700)))
    before = rig.standing()
    rig.restart()
    assert rig.standing() == before


def test_a_restart_in_the_middle_of_a_checkpoint_knows_all(rig: Rig) -> None:
    rig.begin()
    for part in range(12):  # 1,500 agents are six pages, four a transaction
        rig.now_s += CYCLE_S / 4
        rig.feed(*stream(300, 1_500, seed=part, first=1_001 + part * 300))
        before = rig.standing()
        rig.restart()
        assert rig.standing() == before


def test_a_kill_before_the_commit_changes_nothing(rig: Rig) -> None:
    rig.begin()
    rig.feed(event(1_001, A, "Talking", T0))
    before = rig.standing()
    rig.shard.take(batch([event(1_002, A, "Available", T1)]), rig.now_s)
    rig.shard.prepare(rig.now_s)  # and then killed
    rig.restart()
    assert rig.standing() == before
    rig.feed(event(1_002, A, "Available", T1))
    assert rig.state(A) == "Available"
    assert len(rig.rows()) == 2


def test_a_kill_after_the_commit_leaves_the_cursor_behind_the_batch(rig: Rig) -> None:
    rig.shard.take(batch([event(1_001, A)], cursor_to=4_096), rig.now_s)
    rig.commit()
    rig.restart()
    assert rig.shard.cursors == [4_096]


def test_replayed_duplicates_of_content_are_no_late_rows_after_a_restart(rig: Rig) -> None:
    rig.begin()
    rig.feed(
        event(1_001, A, "Talking", T0),
        event(1_002, A, "Talking", T0),  # says what is held: dropped, and no row knows it
        event(1_003, A, "Available", T1),
    )
    rig.restart()
    rig.feed(event(1_001, A, "Talking", T0), event(1_002, A, "Talking", T0))
    assert rig.causes() == ["live", "live"]
    assert rig.counts["duplicates"] == 3


def test_a_live_event_that_repeated_a_history_is_no_late_row_when_it_is_replayed(rig: Rig) -> None:
    """Neither a row nor a hash knows it: only the sequences that were handled without one."""
    rig.begin(newest=1_000)
    rig.feed(event(990, A, "Talking", T0, history=True))
    rig.end_history()
    rig.feed(event(1_001, A, "Talking", T0), event(1_002, A, "Available", T1))
    rig.restart()
    rig.feed(event(1_001, A, "Talking", T0))
    assert rig.causes() == ["history", "live"]
    rig.restart()  # and a second time, from what the first life inherited
    rig.feed(event(1_001, A, "Talking", T0))
    assert rig.causes() == ["history", "live"]
    assert rig.counts["duplicates"] == 3


def test_a_mass_unknown_pushes_no_live_event_out_of_the_window(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.shard.shard.WINDOW_WIDTH", 100)
    rig.begin()
    rig.feed(*stream(50, 40))
    rig.commit(finish=True)
    rig.begin(session=2, newest=2_000)
    rig.end_history(session=2)
    rig.begin(session=3, newest=2_000)
    rig.feed(*(event(900, f"user-{i:05d}", "Talking", T0, history=True) for i in range(40)))
    rig.end_history(session=3)
    before = len(rig.rows())
    rig.commit(finish=True)
    rig.restart()
    rig.feed(*stream(50, 40))
    assert len(rig.rows()) == before
    assert rig.counts["duplicates"] == 50


def test_what_an_earlier_life_knew_is_not_forgotten_for_a_new_duplicate(rig: Rig) -> None:
    rig.begin()
    pairs = [
        (f"2026-11-21T22:{i // 60:02d}:{i % 60:02d}.000Z", 1_001 + 2 * i) for i in range(1_500)
    ]
    for stamp, sequence in pairs:  # each change, then the same again under another sequence
        rig.feed(event(sequence, A, "Talking", stamp), event(sequence + 1, A, "Talking", stamp))
    rig.restart()
    again = event(4_001, A, "Talking", pairs[-1][0])
    rig.feed(again)
    rig.restart()
    rig.feed(*(event(sequence + 1, A, "Talking", stamp) for stamp, sequence in pairs))
    assert rig.counts.get("late", 0) == 0


def test_hashes_survive_a_restart(rig: Rig) -> None:
    rig.begin()
    rig.feed(event(1_001, A, "Available", T0), event(1_002, A, "Talking", T1))
    rig.restart()
    rig.feed(event(1_003, A, "Available", T0))
    assert rig.state(A) == "Talking"
    assert rig.counts["duplicates"] == 1


def test_a_full_disk_loses_nothing_and_repeats_nothing(rig: Rig, tmp_path: Path) -> None:
    rig.begin()
    rig.feed(*stream(50, 10))
    connection = rig.journal._connection
    pages = connection.pragma("page_count")
    connection.pragma("max_page_count", pages)
    rig.shard.take(batch(stream(5_000, 10, first=1_051)), rig.now_s)
    transaction = rig.shard.prepare(rig.now_s)
    with pytest.raises(apsw.FullError):
        rig.journal.commit(transaction)
    assert len(rig.rows()) == 50
    connection.pragma("max_page_count", pages + 10_000)
    rig.journal.commit(transaction)  # the same prepared rows
    assert [row.sequence for row in rig.rows()] == list(range(1_001, 6_051))
    assert rig.counts["applied"] == 5_050


def test_an_orphan_of_an_earlier_run_commits_nothing(rig: Rig) -> None:
    rig.begin()
    prepare(rig.path, "run-2")
    rig.shard.take(batch([event(1_001, A)]), rig.now_s)
    with pytest.raises(LocalError, match="Another runtime"):
        rig.commit()
    assert rig.rows() == []
    with pytest.raises(LocalError, match="run-2"):
        Journal(rig.path, RUN).stored()


def test_a_new_run_is_stale_until_its_first_history_and_obeys_session_one(rig: Rig) -> None:
    rig.begin(session=7)
    rig.feed(event(1_001, A, "Talking", T0))
    rig.end_history(session=7)
    rig.feed()  # says when the last transaction was durable
    rig.journal.close()
    prepare(rig.path, "run-2")
    journal = Journal(rig.path, "run-2")
    shard = Shard(0, 1, rings=1, now_s=0.0)
    shard.restore(journal, 0.0, lambda: None)
    assert shard.cursors == [0]
    scope = shard.sessions.scopes[SCOPE_ALL]
    assert (scope.session, scope.is_up, scope.history_runs) == (0, False, False)
    assert scope.stale_since_us == 1_795_000_000_000_000
    assert shard.merge.mark == 1_001
    journal.close()


def test_a_clean_stop_leaves_nothing_to_replay(rig: Rig) -> None:
    rig.begin()
    rig.feed(*stream(2_000, 700))
    rig.commit(finish=True)
    stored = rig.journal.stored().progress
    assert stored.replay_from == stored.next_row - 1 == 2_000
    before = rig.standing()
    rig.restart()
    assert rig.standing() == before


def test_a_checkpoint_is_due_by_time_and_by_rows(rig: Rig) -> None:
    rig.begin()
    rig.feed(*stream(10, 5))
    assert not rig.shard.checkpoint.is_due(10, rig.now_s)
    assert rig.shard.checkpoint.is_due(CYCLE_ROWS, rig.now_s)
    assert rig.shard.checkpoint.is_due(10, rig.now_s + CYCLE_S)
    rig.now_s += CYCLE_S
    rig.commit()
    assert rig.journal.stored().progress.replay_from == 10
    assert not rig.shard.checkpoint.is_due(10, rig.now_s + CYCLE_S)  # nothing is new


def test_a_checkpoint_writes_only_pages_that_changed(rig: Rig) -> None:
    rig.begin()
    rig.feed(*(event(1_001 + i, f"user-{i:05d}", "Talking", T0) for i in range(600)))
    rig.commit(finish=True)
    assert [page.upto for page in rig.journal.pages()] == [600, 600, 600]
    rig.feed(event(2_000, "user-00300", "Available", T1))
    rig.commit(finish=True)
    assert [page.upto for page in rig.journal.pages()] == [600, 601, 600]


def test_without_a_journal_states_and_counts_are_written_at_the_stop(tmp_path: Path) -> None:
    path = tmp_path / "shard-00.db"
    prepare(path, RUN)
    shard = Shard(0, 1, rings=1, now_s=0.0, journalled=False)
    shard.take(batch(stream(500, 40)), 0.0)
    journal = Journal(path, RUN)
    journal.commit(shard.prepare(0.0, finish=True))
    assert list(journal.rows_behind(0)) == []
    assert journal.stored().progress.counts["applied"] == 500
    assert {user_id for _, user_id in journal.agents()} == set(shard.agent_table.by_user)
    assert len(list(journal.pages())) == 1
    journal.close()
