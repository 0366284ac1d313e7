"""What the command line reads from journals while their shards run."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from actors.messages.control import SCOPE_ALL, Gap
from actors.shard.journal import JOURNAL_FILE
from actors.shard.reader import read_history, read_state, read_states, summary
from runtime.errors import LocalError, TemporaryError
from tests.actors.shard.lending import A, B, control, event
from tests.actors.shard.rig import Rig
from tests.actors.shard.test_shard import stream

T0, T1, T2 = (f"2026-11-21T22:00:0{second}.000Z" for second in range(3))


def test_states_are_the_pages_and_the_rows_behind_them(rig: Rig) -> None:
    rig.begin()
    rig.feed(*stream(2_000, 700))
    rig.commit(finish=True)
    rig.feed(*stream(50, 700, seed=8, first=3_001), event(3_060, A, "Talking", T0))
    held = {agent.user_id: agent.state for agent in rig.shard.agent_table.by_id}
    assert {state.user_id: state.state for state in read_states(rig.path.parent)} == held
    state = read_state(rig.path.parent, A)
    assert state is not None
    assert (state.state, state.sequence, state.stale_since_us) == ("Talking", 3_060, 0)
    assert read_state(rig.path.parent, "nobody") is None


def test_a_history_is_walked_back_along_its_rows(rig: Rig) -> None:
    rig.begin()
    rig.feed(event(1_001, A, "Available", T0), event(1_002, B, "Reserved", T0))
    rig.commit(finish=True)
    rig.feed(event(1_004, A, "Wrapped Up", T2), event(1_003, A, "Talking", T1))
    rows = list(read_history(rig.path.parent, A, 10))
    assert [(row.to_state, row.cause) for row in rows] == [
        ("Talking", "late"),
        ("Wrapped Up", "live"),
        ("Available", "live"),
    ]
    assert [row.to_state for row in read_history(rig.path.parent, A, 1)] == ["Talking"]
    assert list(read_history(rig.path.parent, "nobody", 10)) == []


def test_a_history_ends_where_its_retention_does(rig: Rig) -> None:
    rig.begin()
    rig.feed(event(1_001, A, "Available", T0), event(1_002, A, "Talking", T1))
    rig.journal.prune(older_than_us=1 << 62, bytes_max=1, keep_from=2, slice_rows=10)
    assert [row.to_state for row in read_history(rig.path.parent, A, 10)] == ["Talking"]


def test_a_summary_shows_mark_counts_and_gaps(rig: Rig) -> None:
    rig.begin()
    rig.feed(
        event(1_001, A),
        event("x", A),
        control(Gap(1, SCOPE_ALL, 1, 1_002, 1_100, "not retained", 8)),
    )
    (shard,) = summary(rig.path.parent)
    assert (shard.mark_epoch, shard.mark_sequence) == (1, 1_100)
    assert (shard.agents, shard.transitions, shard.quarantined_kinds) == (1, 2, 1)
    assert shard.counts["received"] == 2
    (gap,) = shard.gaps
    assert (gap.first_sequence, gap.last_sequence, gap.reason) == (1_002, 1_100, "not retained")


def test_a_backup_is_whole_and_overwrites_nothing(rig: Rig, tmp_path: Path) -> None:
    rig.begin()
    rig.feed(*stream(500, 40))
    target = tmp_path / "copy"
    copy = JOURNAL_FILE.copy(rig.path, target / rig.path.name)
    assert copy == target / "shard-00.db"
    assert list(read_states(target)) == list(read_states(rig.path.parent))
    with pytest.raises(LocalError, match="does not overwrite files"):
        JOURNAL_FILE.copy(rig.path, target / rig.path.name)


def test_a_journal_that_nobody_has_begun_is_named(tmp_path: Path) -> None:
    apsw.Connection(str(tmp_path / "shard-00.db")).close()
    with pytest.raises(LocalError, match=r"shard-00\.db is empty"):
        summary(tmp_path)


def test_a_directory_without_journals_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="no journal"):
        list(read_states(tmp_path))


def test_a_journal_that_cannot_be_read_for_a_moment_is_named(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_connection: object) -> int:
        raise apsw.IOError("disk I/O error")

    monkeypatch.setattr("actors.shard.reader._replay_from", fail)
    with pytest.raises(TemporaryError, match=r"shard-00\.db cannot be read at the moment"):
        list(read_states(rig.path.parent))
