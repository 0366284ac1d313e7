"""One odd part of an event costs itself: what is read beside it, and what is set aside."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.shard.native import native_json
from actors.shard.shard import Shard
from tests.actors.shard.cloud_lending import (
    activity,
    at,
    begins,
    body_of,
    frame,
    native,
    presence,
    routing,
    snapshot,
    watch,
    watches,
)
from tests.actors.shard.lending import A, B, batch
from tests.actors.shard.rig import Rig


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ([], "an event without a body"),
        ({"id": B}, "the body is another agent's"),
        ({"id": 7}, "id is not a user's"),
        ({"presence": []}, "presence is no object"),
        ({"presence": {"presenceDefinition": "MEAL"}}, "presenceDefinition is no object"),
        ({"presence": presence("", 1)}, "systemPresence is missing or too long"),
        ({"presence": presence("x" * 65, 1)}, "systemPresence is missing or too long"),
        ({"presence": presence("MEAL", 1, primary=0)}, "primary is neither true nor false"),
        ({"routingStatus": {"status": 5}}, "status is missing or too long"),
        ({"activeQueueIds": {}}, "activeQueueIds is no list"),
        ({"activeQueueIds": ["x" * 129]}, "activeQueueIds names a queue by what is no id"),
        ({"activeQueueIds": [""]}, "activeQueueIds names a queue by what is no id"),
        ({"outOfOffice": {"active": 1}}, "outOfOffice is neither true nor false"),
    ],
)
def test_a_frame_of_which_nothing_can_be_read_is_set_aside_and_changes_nothing(
    cloud: Rig, body: Any, reason: str
) -> None:
    held = cloud.standing()
    findings = cloud.shard.merge.events(
        [{"topicName": f"v2.users.{A}.activity", "eventBody": body}], [10**18], [1], b"\2", 0.0
    )
    assert [finding.reason for finding in findings] == [reason]
    assert cloud.standing()["agents"] == held["agents"]
    assert cloud.standing()["natives"] == held["natives"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            {"presence": presence("MEAL", "2026")},
            "modifiedDate: timestamp is not ISO-8601 with an offset",
        ),
        (
            {"presence": presence("MEAL", "1969-01-01T00:00:00Z")},
            "modifiedDate: time is before 1970",
        ),
        (
            {"presence": {"presenceDefinition": {"systemPresence": "MEAL", "id": "x" * 129}}},
            "presenceDefinition is not a short text",
        ),
        ({"presence": presence("MEAL", 10, presenceMessage=5)}, "message is no text"),
        (
            {"routingStatus": {"status": "OFF_QUEUE", "startTime": 5}},
            "startTime: timestamp is not ISO-8601",
        ),
        ({"id": 7, "routingStatus": routing("OFF_QUEUE", 10)}, "id is not a user's"),
    ],
)
def test_what_is_odd_beside_a_value_costs_itself_and_is_counted(
    cloud: Rig, body: Any, reason: str
) -> None:
    value = {"topicName": f"v2.users.{A}.activity", "eventBody": body}
    assert cloud.shard.merge.events([value], [10**18], [1], b"\2", 0.0) == []
    assert cloud.state(A) == "Not Available"
    assert cloud.shard.merge.unreadable == {reason: 1}


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("v2.users.ACTIVITY", "no agent in the topic's name"),
        ("v2.users..activity", "no agent in the topic's name"),
        (f"v2.users.{'x' * 129}.activity", "no agent in the topic's name"),
        (f"v2.users.{A}.{B}.activity", "no agent in the topic's name"),
        (f"v2.users.{A}.conversations", "a topic that nobody subscribed to"),
        ("channel.metadata", "a topic that nobody subscribed to"),
    ],
)
def test_hostile_names_are_set_aside_and_grow_nothing(cloud: Rig, topic: str, reason: str) -> None:
    value = {"topicName": topic, "eventBody": body_of()}
    findings = cloud.shard.merge.events([value, 5], [10**18] * 2, [1, 1], b"\2\2", 0.0)
    assert [finding.reason for finding in findings] == [reason, "not an event"]
    assert len(cloud.shard.agent_table.by_id) == 1


# -- any value in the place of any part ------------------------------------------------------------

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(
        [
            "",
            "x" * 5_000,
            "\ufffd",
            "2026-11-21T22:00:10.000",
            "2026-11-21T22:00:10.123456789+05:30",
            "2026-11-21T22:00:60Z",
            "0001-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59.999-05:00",
            "9999-12-31T23:59:59.999Z",
            1_795_298_410_000,
        ]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=8) | st.sampled_from(["id", "status"]), inner, max_size=3
        )
    ),
    max_leaves=5,
)
PLACES: list[tuple[str, ...]] = [
    ("presence",),
    ("presence", "presenceDefinition"),
    ("presence", "presenceDefinition", "id"),
    ("presence", "presenceDefinition", "systemPresence"),
    ("presence", "presenceMessage"),
    ("presence", "modifiedDate"),
    ("presence", "primary"),
    ("presence", "source"),
    ("routingStatus",),
    ("routingStatus", "status"),
    ("routingStatus", "startTime"),
    ("outOfOffice",),
    ("outOfOffice", "active"),
    ("outOfOffice", "modifiedDate"),
    ("activeQueueIds",),
    ("dateActiveQueuesChanged",),
    ("dateOfSomethingNew",),
]


def with_value(body: dict[str, Any], place: tuple[str, ...], value: Any) -> dict[str, Any]:
    changed = orjson.loads(orjson.dumps(body))
    part = changed
    for name in place[:-1]:
        part = part[name]
    part[place[-1]] = value
    return dict(changed)


def fresh() -> Shard:
    """A is on queue and idle, as a snapshot and an event of session 1 said."""
    shard = Shard(0, 1, rings=1, now_s=0.0, journalled=False, dialect="cloud")
    shard.take(batch([begins(1), watches(A), snapshot(), activity("ON_QUEUE", 1, "IDLE", 2)]), 0.0)
    return shard


TOLD = {
    "presence": lambda held: held.system_presence == "MEAL",
    "routingStatus": lambda held: held.routing_status == "OFF_QUEUE",
    "outOfOffice": lambda held: held.is_out_of_office,
    "activeQueueIds": lambda held: held.queues == ("q2",),
}
BESIDE_A_VALUE = {"modifiedDate", "startTime", "dateActiveQueuesChanged", "presenceMessage"}
NEW = body_of("MEAL", 10, "OFF_QUEUE", 10, activeQueueIds=["q2"], dateActiveQueuesChanged=at(10))
NEW["outOfOffice"] = {"active": True, "modifiedDate": at(10)}


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(PLACES), anything, st.sampled_from(["activity", "snapshot"]))
def test_whatever_stands_in_the_place_of_a_part_the_other_parts_apply(
    place: tuple[str, ...], value: Any, kind: str
) -> None:
    shard = fresh()
    shard.take(batch([frame(kind, with_value(NEW, place, value))]), 0.0)
    counts = shard.merge.counts
    assert counts["quarantined"] == 0
    assert counts["received"] == sum(n for name, n in counts.items() if name != "received")
    held = shard.agent_table.by_user[A].native
    assert held is not None
    part = "activeQueueIds" if place[0] == "dateActiveQueuesChanged" else place[0]
    others: dict[str, Callable[[Any], bool]] = {n: t for n, t in TOLD.items() if n != part}
    assert all(is_told(held) for is_told in others.values())
    if kind == "activity" and place[-1] in BESIDE_A_VALUE and not isinstance(value, str):
        assert TOLD[part](held), "as of its receipt, or without the message"
    orjson.dumps(native_json(held))


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(PLACES), anything), max_size=4), anything)
def test_no_event_raises_and_what_was_taken_is_restored_and_shown(
    changes: list[tuple[tuple[str, ...], Any]], body: Any
) -> None:
    made = NEW
    for place, value in sorted(changes, key=lambda change: -len(change[0])):
        made = with_value(made, place, value)
    with tempfile.TemporaryDirectory() as folder:
        rig = Rig(Path(folder) / "shard-00.db", "cloud")
        watch(rig, A)
        for kind in ("activity", "presence", "routingStatus", "snapshot"):
            rig.feed(frame(kind, made), frame(kind, body))
        standing = rig.standing()
        rig.restart()
        assert rig.standing() == standing
        orjson.dumps(native_json(native(rig)))
        rig.journal.close()


statuses = st.sampled_from(["IDLE", "INTERACTING", "OFF_QUEUE", "COMMUNICATING"])
presences = st.sampled_from(["ON_QUEUE", "MEAL", "AVAILABLE", "BUSY"])


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(presences, statuses), min_size=1, max_size=6), st.booleans())
def test_of_changes_of_one_instant_the_last_one_sent_is_held(
    told: list[tuple[str, str]], is_timed: bool
) -> None:
    shard = fresh()
    for system, status in told:
        body = body_of(system, 10, status, 10)
        if not is_timed:
            del body["presence"]["modifiedDate"], body["routingStatus"]["startTime"]
        shard.take(batch([frame("activity", body)]), 0.0)
        held = shard.agent_table.by_user[A].native
        assert held is not None
        assert (held.system_presence, held.routing_status) == (system, status)
