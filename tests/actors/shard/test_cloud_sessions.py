"""Scopes: a history and an end touch only the agents that their own scope watches."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.genesys.presences import PRESENCE_OF_STATE
from actors.messages.control import END_EXHAUSTED, SCOPE_ALL, UNKNOWN
from actors.messages.queries import AskQueue, QueueRecord
from actors.shard.journal import connect, gap_rows
from actors.shard.replies import Replies
from tests.actors.shard.cloud_lending import (
    OTHER_SCOPE,
    SCOPE,
    activity,
    at_us,
    begins,
    ends,
    ends_history,
    gap,
    native,
    snapshot,
    unwatches,
    vacates,
    watch,
    watches,
)
from tests.actors.shard.lending import QUEUE, A, B, C, batch
from tests.actors.shard.rig import Rig


@pytest.fixture
def cloud(tmp_path: Path) -> Rig:
    """A and B are watched by one scope, C by another."""
    rig = Rig(tmp_path / "shard-00.db", "cloud")
    watch(rig, A, B)
    watch(rig, C, scope=OTHER_SCOPE, session=2)
    return rig


def stale(rig: Rig, user_id: str) -> int | None:
    return rig.shard.sessions.stale_of(rig.agent(user_id))


def test_a_history_makes_unknown_only_whom_its_own_scope_watches(cloud: Rig) -> None:
    cloud.feed(begins(3), watches(A), watches(B), snapshot(session=3), ends_history(3))
    assert [cloud.state(each) for each in (A, B, C)] == ["Available", UNKNOWN, "Available"]
    assert cloud.causes()[-1] == "lost"
    assert stale(cloud, C) is None


def test_who_was_never_told_of_becomes_unknown_as_well(cloud: Rig) -> None:
    who = "00000000-0000-4000-8000-00000000000d"
    cloud.feed(begins(3), watches(who), snapshot(session=3), snapshot(user_id=B, session=3))
    assert cloud.state(who) is None
    cloud.feed(ends_history(3))
    assert cloud.state(who) == UNKNOWN


def test_a_history_that_is_not_whole_makes_nobody_unknown(cloud: Rig) -> None:
    cloud.feed(begins(3), ends_history(3, complete=False))
    assert cloud.state(A) == "Available"
    assert stale(cloud, A) == at_us(5)


def test_an_event_of_the_session_confirms_its_agent_as_a_snapshot_does(cloud: Rig) -> None:
    cloud.feed(begins(3), activity("MEAL", 10, session=3), ends_history(3))
    assert (cloud.state(A), cloud.state(B)) == ("Not Available", UNKNOWN)


def test_what_the_session_before_still_brings_confirms_nobody(cloud: Rig) -> None:
    cloud.feed(begins(3), activity("MEAL", 10, session=1), ends_history(3))
    assert cloud.state(A) == UNKNOWN


def test_unknown_takes_its_state_from_a_snapshot_that_repeats_what_was_held(cloud: Rig) -> None:
    cloud.feed(begins(3), ends_history(3))
    assert cloud.state(A) == UNKNOWN
    cloud.feed(begins(4), snapshot(session=4), ends_history(4))
    row = cloud.rows()[-1]
    assert (row.from_state, row.to_state, row.cause) == (UNKNOWN, "Available", "history")
    assert row.at_us == at_us(1)


def test_unknown_takes_its_state_from_an_event_that_is_not_behind_what_was_held(
    cloud: Rig,
) -> None:
    cloud.feed(activity("MEAL", 10), begins(3), ends_history(3))
    cloud.feed(activity("ON_QUEUE", 9, session=3))
    assert cloud.state(A) == UNKNOWN
    cloud.feed(activity("MEAL", 10, session=3))
    assert cloud.state(A) == "Not Available"


def test_each_agent_is_stale_for_as_long_as_its_own_scope_is(cloud: Rig) -> None:
    cloud.feed(ends(1))
    assert (stale(cloud, A), stale(cloud, C)) == (at_us(7), None)
    assert cloud.shard.sessions.stale_since_us == at_us(7)
    cloud.feed(begins(3), snapshot(session=3), snapshot(user_id=B, session=3), ends_history(3))
    assert stale(cloud, A) is None


def test_a_gap_says_since_when_its_scope_was_not_confirmed(cloud: Rig) -> None:
    cloud.feed(ends(1), gap(3))
    (row,) = cloud.journal._connection.execute(
        "SELECT scope, first_sequence, last_sequence, since_us, at_us, reason FROM gaps"
    ).fetchall()
    assert row == (SCOPE, 0, 0, at_us(7), at_us(8), "socket lost")


def test_the_end_of_an_older_session_says_nothing(cloud: Rig) -> None:
    cloud.feed(begins(3), snapshot(session=3), snapshot(user_id=B, session=3), ends_history(3))
    cloud.feed(ends(1))
    assert stale(cloud, A) is None


@pytest.mark.parametrize(
    ("scope", "ended"),
    [(SCOPE_ALL, {A, B, C}), ("c0", {A, B, C}), (SCOPE, {A, B}), ("c", set()), ("c1", set())],
)
def test_a_receiver_that_starts_ends_the_sessions_of_its_clients(
    cloud: Rig, scope: str, ended: set[str]
) -> None:
    cloud.feed(ends(0, scope))
    assert {each for each in (A, B, C) if stale(cloud, each) is not None} == ended


def test_giving_up_makes_unknown_whom_that_scope_watches(cloud: Rig) -> None:
    cloud.feed(ends(1, reason=END_EXHAUSTED))
    assert [cloud.state(each) for each in (A, B, C)] == [UNKNOWN, UNKNOWN, "Available"]


def test_an_agent_that_moved_is_confirmed_by_its_snapshot(cloud: Rig) -> None:
    cloud.feed(watches(A, OTHER_SCOPE))
    assert stale(cloud, A) == at_us(1)
    cloud.feed(begins(3), ends_history(3))  # its old scope
    assert cloud.state(A) == "Available"
    cloud.feed(snapshot(session=2))
    assert stale(cloud, A) is None


def test_a_watch_that_is_said_again_changes_nothing(cloud: Rig) -> None:
    standing = cloud.standing()
    cloud.feed(watches(A), watches(B))
    assert cloud.standing() == standing


def test_who_is_not_watched_any_more_becomes_unknown(cloud: Rig) -> None:
    cloud.feed(unwatches(A))
    row = cloud.rows()[-1]
    assert (row.to_state, row.cause, row.at_us) == (UNKNOWN, "lost", at_us(9))
    assert stale(cloud, A) == at_us(9)
    assert cloud.state(B) == "Available"
    cloud.feed(begins(3), snapshot(user_id=B, session=3), ends_history(3))
    assert cloud.causes().count("lost") == 1


def test_a_scope_that_does_not_watch_an_agent_cannot_let_it_go(cloud: Rig) -> None:
    cloud.feed(watches(A, OTHER_SCOPE), unwatches(A, SCOPE), unwatches("nobody"))
    assert cloud.state(A) == "Available"


def test_who_is_watched_again_is_confirmed_by_its_snapshot(cloud: Rig) -> None:
    cloud.feed(unwatches(A), watches(A), snapshot())
    assert (cloud.state(A), stale(cloud, A)) == ("Available", None)


def test_a_scope_that_watches_nobody_any_more_is_not_stale_for_ever(cloud: Rig) -> None:
    cloud.feed(watches(C, SCOPE), ends(2, OTHER_SCOPE), snapshot(user_id=C))
    assert set(cloud.shard.sessions.scopes) == {SCOPE}
    assert cloud.shard.sessions.stale_since_us is None
    cloud.feed(ends(1), unwatches(A), unwatches(B), unwatches(C))
    assert not cloud.shard.sessions.scopes


def test_a_shard_without_agents_of_a_scope_is_confirmed_with_it(tmp_path: Path) -> None:
    cloud = Rig(tmp_path / "shard-00.db", "cloud")
    cloud.feed(begins(1), ends_history(1))
    assert cloud.shard.sessions.stale_since_us is None


def test_a_shard_that_is_killed_in_mid_history_still_knows_who_was_named(cloud: Rig) -> None:
    cloud.feed(begins(3), watches(A), watches(B), snapshot(session=3))
    cloud.restart()
    assert not cloud.shard.sessions.wants_history
    cloud.feed(ends_history(3))
    assert (cloud.state(A), cloud.state(B), cloud.state(C)) == ("Available", UNKNOWN, "Available")


def test_who_is_watched_where_survives_a_kill(cloud: Rig) -> None:
    cloud.feed(watches(B, OTHER_SCOPE), unwatches(A))
    standing = cloud.standing()
    cloud.restart()
    assert cloud.standing() == standing
    assert native(cloud, B).scope == OTHER_SCOPE
    cloud.feed(begins(4, OTHER_SCOPE), ends_history(4, OTHER_SCOPE))
    assert [cloud.state(each) for each in (B, C)] == [UNKNOWN, UNKNOWN]


def test_a_shard_that_began_with_nothing_says_so_for_life(cloud: Rig) -> None:
    """What it meets first may be from before, and which receiver has not looked yet nobody knows;
    each of them begins its sessions anew once in the life of a shard."""
    shard = cloud.shard
    shard.restart_empty(1, 0)
    assert shard.sessions.wants_history
    shard.take(batch([begins(3), ends_history(3)]), 0.0)
    assert shard.sessions.wants_history


def test_a_scope_that_vanished_while_no_receiver_lived_leaves_nobody_stale(cloud: Rig) -> None:
    cloud.feed(ends(0, SCOPE_ALL))
    cloud.feed(vacates(SCOPE), vacates("c7/7"))
    assert [cloud.state(each) for each in (A, B, C)] == [UNKNOWN, UNKNOWN, "Available"]
    assert list(cloud.shard.sessions.scopes) == [OTHER_SCOPE]
    assert native(cloud, A).scope == ""
    standing = cloud.standing()
    cloud.restart()
    assert cloud.standing() == standing


def test_who_moved_to_another_scope_is_not_lost_with_the_one_that_vanished(cloud: Rig) -> None:
    cloud.feed(begins(3, OTHER_SCOPE), watches(A, OTHER_SCOPE), vacates(SCOPE))
    assert [cloud.state(each) for each in (A, B)] == ["Available", UNKNOWN]


def test_who_was_named_in_the_session_that_is_up_does_not_wait_for_the_others(cloud: Rig) -> None:
    cloud.feed(ends(1, at_s=7), begins(3, at_s=8), snapshot(session=3))
    assert (stale(cloud, A), stale(cloud, B)) == (None, at_us(7))
    cloud.feed(ends(3, at_s=9))
    assert (stale(cloud, A), stale(cloud, B)) == (at_us(7), at_us(7))


def test_the_counts_of_a_queue_are_confirmed_as_soon_as_all_of_its_agents_are(cloud: Rig) -> None:
    """A and B are in the queue; C, of another scope, is not."""
    cloud.feed(activity(user_id=A, routing_s=2), activity(user_id=B, routing_s=2))
    replies, sessions = Replies(PRESENCE_OF_STATE), cloud.shard.sessions

    def since() -> list[int | None]:
        questions = [AskQueue(1, QUEUE), AskQueue(2, "nobody's")]
        told = replies.answer(
            questions, cloud.shard.agent_table, sessions.stale_since_us, 0.0, sessions.stale_of
        )
        return [each.stale_since_us for each in told if isinstance(each, QueueRecord)]

    assert since() == [None, None]
    cloud.feed(ends(2, OTHER_SCOPE, at_s=7))
    assert since() == [None, at_us(7)]
    cloud.feed(ends(1, SCOPE, at_s=8), begins(3), snapshot(routing_s=2, session=3))
    assert since() == [at_us(8), at_us(7)]
    cloud.feed(snapshot(routing_s=2, user_id=B, session=3))
    assert since() == [None, at_us(7)]


def told_gaps(rig: Rig) -> list[tuple[str, int, int]]:
    rows = gap_rows(connect(rig.path))
    return sorted((each.scope, each.since_us, each.at_us) for each in rows)


@pytest.mark.parametrize("committed_s", [5, 30])
def test_what_was_missed_between_two_runs_is_a_row_of_each_scope_since_it_was_heard_last(
    cloud: Rig, committed_s: float
) -> None:
    cloud.committed_us = at_us(committed_s)
    cloud.feed(activity("BUSY", 4))
    cloud.feed(activity("MEAL", 4.5))
    cloud.restart_whole()
    cloud.feed(begins(1, at_s=50), begins(2, OTHER_SCOPE, at_s=51), begins(3, at_s=60))
    since_us = at_us(committed_s)
    assert told_gaps(cloud) == [
        (SCOPE, since_us, at_us(50)),
        (OTHER_SCOPE, since_us, at_us(51)),
    ]


def test_a_session_that_was_ended_before_the_restart_was_missed_since_its_end(cloud: Rig) -> None:
    cloud.feed(ends(1, at_s=7))
    cloud.restart_whole()
    cloud.restart_whole()  # killed before a session of it began
    cloud.feed(begins(1, at_s=50))
    assert told_gaps(cloud) == [(SCOPE, at_us(7), at_us(50))]


def test_a_gap_that_the_receiver_has_told_is_not_told_again(cloud: Rig) -> None:
    cloud.feed(ends(1, at_s=7), gap(3, at_s=8), begins(3, at_s=8))
    assert told_gaps(cloud) == [(SCOPE, at_us(7), at_us(8))]
