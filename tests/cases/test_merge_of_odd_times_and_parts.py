"""Times that are equal, missing or impossible, and parts that are missing: what a shard then holds.

Of one instant the last change sent is the newest. What is missing was not told: it neither confirms
nor unsays anything. And whatever was taken in, the next life of the shard reads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.messages.control import UNKNOWN
from tests.actors.shard import cloud_lending as cloud
from tests.actors.shard.cloud_lending import activity, body_of, frame, native, snapshot
from tests.actors.shard.lending import A, event
from tests.actors.shard.rig import Rig
from tests.cases.shards import (
    cloud_shard,
    empty_cloud_shard,
    is_confirmed,
    reasons,
    restarted,
    shown,
    wsp_shard,
)

# -- ties ------------------------------------------------------------------------------------------


def test_of_two_routing_statuses_of_one_millisecond_the_last_one_sent_is_held(
    tmp_path: Path,
) -> None:
    rig = cloud_shard(tmp_path)
    rig.feed(activity("ON_QUEUE", 1, "INTERACTING", 10))
    rig.feed(activity("ON_QUEUE", 1, "IDLE", 10))
    assert (native(rig).routing_status, rig.state(A)) == ("IDLE", "Available")


def test_of_two_presences_of_one_millisecond_the_last_one_sent_is_held(tmp_path: Path) -> None:
    rig = cloud_shard(tmp_path)
    rig.feed(activity("MEAL", 10, "OFF_QUEUE", 10))
    rig.feed(activity("AVAILABLE", 10, "OFF_QUEUE", 10))
    assert native(rig).system_presence == "AVAILABLE"


def test_after_a_tie_snapshots_of_the_last_one_sent_leave_it_held(tmp_path: Path) -> None:
    rig = cloud_shard(tmp_path)
    rig.feed(activity("ON_QUEUE", 1, "INTERACTING", 10))
    rig.feed(activity("ON_QUEUE", 1, "IDLE", 10))
    rig.feed(snapshot("ON_QUEUE", 1, "IDLE", 10))
    rig.feed(cloud.begins(2), cloud.watches(A))
    rig.feed(snapshot("ON_QUEUE", 1, "IDLE", 10, session=2))
    rig.feed(cloud.ends_history(2))
    assert (native(rig).routing_status, rig.state(A)) == ("IDLE", "Available")


# -- times that are missing ------------------------------------------------------------------------


def test_off_queue_without_a_time_applies(tmp_path: Path) -> None:
    rig = cloud_shard(tmp_path)
    rig.feed(activity("ON_QUEUE", 1, "INTERACTING", 10))
    body = body_of("ON_QUEUE", 1, "IDLE", 1)
    body["routingStatus"] = {"status": "OFF_QUEUE"}
    rig.feed(frame("activity", body))
    assert (native(rig).routing_status, rig.state(A)) == ("OFF_QUEUE", "Not Available")


def test_a_presence_without_a_time_applies(tmp_path: Path) -> None:
    rig = cloud_shard(tmp_path)
    body = body_of("OFFLINE", 1, "OFF_QUEUE", 10)
    del body["presence"]["modifiedDate"]
    rig.feed(frame("activity", body))
    assert native(rig).system_presence == "OFFLINE"
    assert rig.agent(A).presence == "offline"


# -- parts that are missing ------------------------------------------------------------------------


def body_without(*parts: str) -> dict[str, Any]:
    """Of a snapshot whose `expand` was not carried out in full."""
    body = body_of("ON_QUEUE", 1, "IDLE", 1)
    for part in (*parts, "activeQueueIds", "dateActiveQueuesChanged"):
        del body[part]
    return body


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param(("presence",), id="presence"),
        pytest.param(("routingStatus",), id="routing status"),
        pytest.param(("presence", "routingStatus"), id="both"),
    ],
)
def test_who_is_known_and_lacks_a_part_is_neither_confirmed_nor_forgotten(
    tmp_path: Path, parts: tuple[str, ...]
) -> None:
    rig = cloud_shard(tmp_path)
    rig.feed(cloud.begins(2), cloud.watches(A))
    rig.feed(frame("snapshot", body_without(*parts), session=2))
    rig.feed(cloud.ends_history(2))
    assert not is_confirmed(rig)
    assert rig.state(A) == "Available"


def first_told(folder: Path, *missing: str) -> Rig:
    rig = empty_cloud_shard(folder)
    rig.feed(frame("snapshot", body_without(*missing)))
    rig.feed(cloud.ends_history(1))
    return rig


def test_who_is_new_and_lacks_the_routing_status_is_not_confirmed(tmp_path: Path) -> None:
    rig = first_told(tmp_path, "routingStatus")
    assert native(rig).system_presence == "ON_QUEUE", "what was told is held"
    assert not is_confirmed(rig)
    assert rig.state(A) != "Not Available"


def test_who_is_new_and_lacks_the_presence_is_not_confirmed(tmp_path: Path) -> None:
    rig = first_told(tmp_path, "presence")
    assert native(rig).routing_status == "IDLE", "what was told is held"
    assert not is_confirmed(rig)
    assert rig.state(A) in (UNKNOWN, None)


# -- times at the ends of the calendar -------------------------------------------------------------

LAST, BEHIND_LAST = "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999-05:00"
FIRST, BEFORE_FIRST = "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00"
LEAP_SECOND = "2016-12-31T23:59:60Z"


def with_presence_at(folder: Path, stamp: str) -> Rig:
    rig = cloud_shard(folder)
    body = body_of("MEAL", 1, "OFF_QUEUE", 10)
    body["presence"]["modifiedDate"] = stamp
    rig.feed(frame("activity", body))
    return rig


@pytest.mark.parametrize(
    "stamp",
    [
        LAST,
        BEHIND_LAST,
        BEFORE_FIRST,
        FIRST,
        LEAP_SECOND,
    ],
)
def test_cloud_whatever_the_time_it_can_be_shown_and_the_next_life_reads_it(
    tmp_path: Path, stamp: str
) -> None:
    rig = with_presence_at(tmp_path, stamp)
    before = rig.state(A)
    assert (shown(rig), restarted(rig), shown(rig)) == ("ok", "ok", "ok")
    assert rig.state(A) == before


@pytest.mark.parametrize(
    "stamp",
    [
        LAST,
        BEHIND_LAST,
        BEFORE_FIRST,
        FIRST,
        LEAP_SECOND,
    ],
)
def test_cloud_beside_an_impossible_time_the_other_parts_apply(tmp_path: Path, stamp: str) -> None:
    rig = with_presence_at(tmp_path, stamp)
    assert (native(rig).routing_status, rig.state(A)) == ("OFF_QUEUE", "Not Available")


def test_second_60_is_a_time(tmp_path: Path) -> None:
    rig = cloud_shard(tmp_path)
    body = body_of("MEAL", 1, "OFF_QUEUE", 10)
    body["presence"]["modifiedDate"] = "2026-11-21T23:59:60Z"
    rig.feed(frame("activity", body))
    assert native(rig).system_presence == "MEAL"


KNOWN = pytest.mark.parametrize("is_known", [True, False], ids=["known", "new"])


def at_in_wsp(folder: Path, stamp: str, *, is_known: bool) -> Rig:
    rig = wsp_shard(folder)
    if is_known:
        rig.feed(event(1001, A, "Available"))
    rig.feed(event(1002, A, "Talking", stamp))
    return rig


@KNOWN
@pytest.mark.parametrize(
    "stamp",
    [
        LAST,
        BEHIND_LAST,
        BEFORE_FIRST,
        FIRST,
    ],
)
def test_wsp_whatever_the_time_the_next_life_reads_it(
    tmp_path: Path, stamp: str, is_known: bool
) -> None:
    rig = at_in_wsp(tmp_path, stamp, is_known=is_known)
    before = rig.standing()
    assert restarted(rig) == "ok"
    assert rig.standing()["agents"] == before["agents"]


@KNOWN
@pytest.mark.parametrize(
    "stamp",
    [
        BEHIND_LAST,
        BEFORE_FIRST,
    ],
)
def test_wsp_a_time_that_leaves_the_calendar_is_quarantined_with_its_reason(
    tmp_path: Path, stamp: str, is_known: bool
) -> None:
    rig = at_in_wsp(tmp_path, stamp, is_known=is_known)
    assert len(reasons(rig)) == 1
    assert "time" in reasons(rig)[0]
