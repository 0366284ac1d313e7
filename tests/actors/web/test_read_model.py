"""The read model: what it shows of rows, entries and sessions, and when it says that it may be old.

That it ends equal to a shard whatever happens is held by `tests/models/test_feed_model.py`.
"""

from __future__ import annotations

from typing import Any

import pytest

from actors.shard.native import Native
from actors.shard.sessions import Scope
from actors.web.read_model import LAST_MAX, MINUTE_US, NEVER, READING, ChildHealth, ReadModel
from actors.web.rendering import health_shown

AT_US = 1_795_000_000_000_000
CONFIRMED = Scope(session=1, is_up=True, stale_since_us=None).to_json()


def entry(number: int, user_id: str, state: str | None = "Available", **more: Any) -> list[Any]:
    told = {
        "at_us": AT_US, "queue": None, "presence": None, "epoch": 1, "sequence": 1,
        "scope": "", "named": 0, "native": None, "is_placed": True, **more,
    }  # fmt: skip
    return [number, user_id, state, *told.values()]


def row(number: int, to_state: str, *, queue: str | None = None, cause: str = "live") -> list[Any]:
    return [1, number, 0, "Before", to_state, AT_US + 1, AT_US + 2, 1, 2, queue, None, None, cause]


def whole(*entries: list[Any], dialect: Any = "wsp", scope: Any = CONFIRMED) -> ReadModel:
    """Of one shard, in step."""
    model = ReadModel(1, dialect)
    model.begin_snapshot(0)
    model.tell_scopes(0, {"all" if dialect == "wsp" else "c0/0": scope})
    model.tell_agents(0, entries)
    model.end_snapshot(0)
    return model


def test_a_transition_changes_its_agent_and_the_counts() -> None:
    model = whole(entry(1, "a", queue="sales"), entry(2, "b"))
    model.take_changes()
    model.tell_rows(0, [row(1, "Talking", queue="service")])
    assert [view.user_id for view in model.take_changes()] == ["a"]
    assert model.take_changes() == []
    view = model.agents["a"]
    assert (view.state, view.since_us, view.received_us) == ("Talking", AT_US + 1, AT_US + 2)
    assert (view.epoch, view.sequence) == (1, 2)
    assert model.by_state == {"Talking": 1, "Available": 1}
    assert model.by_queue == {"service": {"Talking": 1}}
    assert model.transitions == 1
    (last,) = model.last
    assert last == ("a", "Before", "Talking", AT_US + 1, "service", "live")


def test_late_rows_and_gaps_change_nothing() -> None:
    model = whole(entry(1, "a"))
    model.take_changes()
    model.tell_rows(0, [row(1, "Talking", cause="late"), row(0, "", cause="gap")])
    assert model.take_changes() == []
    assert model.agents["a"].state == "Available"
    assert model.transitions == 0


def test_only_so_many_transitions_are_kept() -> None:
    model = whole(entry(1, "a"))
    model.tell_rows(0, [row(1, str(number)) for number in range(LAST_MAX + 5)])
    assert len(model.last) == LAST_MAX
    assert model.last[-1].to_state == str(LAST_MAX + 4)
    assert model.transitions == LAST_MAX + 5


def test_an_agent_without_a_state_is_not_shown_until_it_has_one() -> None:
    model = whole(entry(1, "a", None), entry(2, "b"))
    assert set(model.agents) == {"b"}
    model.tell_rows(0, [row(1, "Talking")])
    assert model.agents["a"].state == "Talking"


def test_a_snapshot_that_does_not_name_an_agent_takes_it_away() -> None:
    model = whole(entry(1, "a", queue="sales"), entry(2, "b"))
    before = model.removals
    model.begin_snapshot(0)
    model.tell_agents(0, [entry(1, "b")])
    assert set(model.agents) == {"a", "b"}
    assert model.is_lagging
    model.end_snapshot(0)
    assert set(model.agents) == {"b"}
    assert model.removals == before + 1
    assert model.by_state == {"Available": 1}
    assert model.by_queue == {}


def test_an_agent_of_whom_a_new_shard_knows_no_more_than_the_name_is_shown_no_more() -> None:
    model = whole(entry(1, "a"))
    model.begin_snapshot(0)
    model.tell_agents(0, [entry(1, "a", None)])
    model.end_snapshot(0)
    assert model.agents == {}
    assert (model.by_state, model.removals) == ({}, 1)
    model.tell_rows(0, [row(1, "Talking")])
    assert model.agents["a"].state == "Talking"


def test_a_snapshot_that_says_what_is_known_changes_nobody() -> None:
    model = whole(entry(1, "a"))
    model.take_changes()
    model.begin_snapshot(0)
    model.tell_agents(0, [entry(1, "a")])
    model.end_snapshot(0)
    assert model.take_changes() == []


def test_what_is_told_of_a_shard_that_is_not_read_is_not_heard() -> None:
    model = whole(entry(1, "a"))
    model.lose(0)
    model.tell_rows(0, [row(1, "Talking")])
    model.tell_agents(0, [entry(2, "b")])
    assert model.agents["a"].state == "Available"
    assert "b" not in model.agents


def test_a_transition_of_nobody_is_an_error_unless_a_snapshot_is_read() -> None:
    model = whole(entry(1, "a"))
    with pytest.raises(ValueError, match="agent 2, of whom nothing was told"):
        model.tell_rows(0, [row(2, "Talking")])
    model.begin_snapshot(0)
    model.tell_rows(0, [row(2, "Talking")])
    with pytest.raises(ValueError, match="the end of no snapshot"):
        ReadModel(1).end_snapshot(0)


# -- health ----------------------------------------------------------------------------------------


def test_all_is_live_when_every_shard_is_whole_and_every_session_up() -> None:
    health = whole(entry(1, "a")).health(AT_US)
    assert health == (True, False, None, 0, (), ())


def test_before_anything_was_told_nothing_is_live() -> None:
    health = ReadModel(2).health(AT_US)
    assert (health.is_live, health.is_lagging, health.stale_since_us) == (False, True, 0)
    assert health.reasons == (READING,)
    model = ReadModel(1)
    model.begin_snapshot(0)
    model.end_snapshot(0)
    assert model.health(AT_US).reasons == (NEVER,)


def test_without_a_session_every_agent_is_stale_since_then() -> None:
    ended = Scope(session=1, stale_since_us=AT_US).to_json()
    model = whole(entry(1, "a"), entry(2, "b"), scope=ended)
    health = model.health(AT_US + 5)
    assert (health.is_live, health.stale_since_us, health.stale_agents) == (False, AT_US, 2)
    assert health.reasons == ("no session since 2026-11-18T11:06:40.000Z",)
    assert model.stale_since_us(model.agents["a"]) == AT_US


def test_a_shard_that_lags_is_told_of_and_shown_as_it_was() -> None:
    model = whole(entry(1, "a"))
    model.lose(0)
    health = model.health(AT_US)
    assert (health.is_live, health.is_lagging, health.reasons) == (False, True, (READING,))
    assert model.agents["a"].state == "Available"


def test_a_child_that_does_not_live_makes_all_stale_whatever_its_last_words_were() -> None:
    model = whole(entry(1, "a"))
    model.vitals = ChildHealth(AT_US, ("receiver-0 does not respond",))
    reasons = ("receiver-0 does not respond",)
    assert model.health(AT_US) == (False, False, AT_US, 1, reasons, ())
    assert model.stale_since_us(model.agents["a"]) == AT_US


def test_a_warning_is_told_and_makes_nothing_stale() -> None:
    model = whole(entry(1, "a"))
    model.vitals = ChildHealth(warnings=("receiver-0: nothing heard for 21 s",))
    health = model.health(AT_US)
    assert (health.is_live, health.stale_agents) == (True, 0)
    assert health_shown(health)["reasons"] == ["receiver-0: nothing heard for 21 s"]


def test_in_the_cloud_an_agent_is_as_stale_as_its_own_scope() -> None:
    named: dict[str, Any] = {"scope": "c0/0", "named": 1}
    model = whole(entry(1, "a", **named), entry(2, "b", scope="c0/1"), dialect="cloud")
    assert model.stale_since_us(model.agents["a"]) is None
    assert model.stale_since_us(model.agents["b"]) == AT_US
    assert model.health(AT_US).stale_agents == 1
    model.take_changes()
    gone = Scope(session=1, stale_since_us=AT_US + 7).to_json()
    model.tell_scopes(0, {"c0/0": gone})
    assert [view.user_id for view in model.take_changes()] == ["a"]
    assert model.stale_since_us(model.agents["a"]) == AT_US + 7
    assert model.health(AT_US + 5_000_000).stale_agents == 2


def test_in_the_cloud_the_native_values_come_with_rows_and_entries() -> None:
    native = Native()
    native.system_presence, native.routing_status = "ON_QUEUE", "IDLE"
    native.presence_us = AT_US
    model = whole(entry(1, "a", native=native.packed()), dialect="cloud")
    shown = model.agents["a"].native
    assert shown is not None
    assert shown["presence"]["system_presence"] == "ON_QUEUE"
    assert shown["presence"]["since"] == "2026-11-18T11:06:40.000Z"
    native.routing_status = "INTERACTING"
    model.tell_rows(0, [[*row(1, "Talking"), native.packed()], [*row(1, "Talking"), None]])
    shown = model.agents["a"].native
    assert shown is not None
    assert shown["routing_status"] == "INTERACTING"


def test_each_minute_keeps_its_counts() -> None:
    model = whole(entry(1, "a"))
    for passed_us in (0, 1, MINUTE_US // 2, MINUTE_US, 3 * MINUTE_US):
        model.pass_minute(AT_US + passed_us)
    first = AT_US - AT_US % MINUTE_US
    times = [minute.at_us for minute in model.history]
    assert times == [first, first + MINUTE_US, first + 3 * MINUTE_US]
    assert model.history[0].by_state == {"Available": 1}


def test_a_clock_that_was_set_back_does_not_stop_the_last_hour() -> None:
    model = whole(entry(1, "a"))
    for minute in (0, 1, 90, 91, 2, 3):  # 90 and 91 were never
        model.pass_minute(AT_US + minute * MINUTE_US)
    first = AT_US - AT_US % MINUTE_US
    times = [minute.at_us for minute in model.history]
    assert times == [first + minute * MINUTE_US for minute in (0, 1, 2, 3)]


def test_an_agent_counts_in_each_of_its_queues_until_it_leaves_one() -> None:
    model = whole(entry(1, "a", queue='["q1","q2"]'), entry(2, "b", queue="q2"))
    assert model.by_queue == {"q1": {"Available": 1}, "q2": {"Available": 2}}
    model.tell_rows(0, [row(1, "Talking", queue='["q2","q3"]')])
    assert model.by_queue == {"q2": {"Available": 1, "Talking": 1}, "q3": {"Talking": 1}}
    assert model.agents["a"].queues == ("q2", "q3")


def test_of_how_many_the_queues_are_not_known_is_counted_of_those_who_are_watched() -> None:
    unknown: dict[str, Any] = {"scope": "c0/0", "is_placed": False}
    model = whole(
        entry(1, "a", **unknown), entry(2, "b", scope="c0/0"), entry(3, "c", is_placed=False),
        entry(4, "d", None, **unknown), dialect="cloud",
    )  # fmt: skip
    assert model.unplaced == 1
    model.tell_rows(0, [[*row(4, "Available"), None]])
    assert model.unplaced == 2
    model.take_changes()
    model.tell_agents(0, [entry(1, "a", scope="c0/0")])
    assert (model.unplaced, [view.user_id for view in model.take_changes()]) == (1, ["a"])
    model.begin_snapshot(0)
    model.end_snapshot(0)
    assert model.unplaced == 0
