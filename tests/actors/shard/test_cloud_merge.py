"""Which events and snapshots of the cloud dialect change what is held: per field, by its time."""

from __future__ import annotations

import orjson
import pytest

from actors.genesys.times import iso_ms
from actors.messages.control import UNKNOWN, session_flags
from actors.messages.queues import queues_of
from actors.shard import cloud_merge
from actors.shard.native import native_json
from tests.actors.shard.cloud_lending import (
    DEFINITION,
    activity,
    at,
    at_us,
    begins,
    body_of,
    frame,
    native,
    presence,
    routing,
    snapshot,
    watches,
)
from tests.actors.shard.lending import QUEUE, RECEIVED_NS, A, B, Record
from tests.actors.shard.rig import Rig


def test_an_event_that_is_newer_in_one_field_is_one_row_at_that_fields_time(cloud: Rig) -> None:
    cloud.feed(activity("ON_QUEUE", 1, "INTERACTING", 10))
    row = cloud.rows()[-1]
    assert (row.cause, row.from_state, row.to_state) == ("live", "Available", "Talking")
    assert (row.at_us, row.epoch, row.sequence) == (at_us(10), 1, at_us(10))
    assert (row.queue, row.presence, row.correlation) == (QUEUE, "busy", None)


def test_a_new_presence_can_be_known_again_by_its_time(cloud: Rig) -> None:
    cloud.feed(activity("MEAL", 10.067))
    row = cloud.rows()[-1]
    assert (row.to_state, row.presence) == ("Not Available", "break")
    assert row.correlation == f"presence@{at_us(10.067)}"


def test_an_event_that_comes_again_changes_nothing(cloud: Rig) -> None:
    event = activity("MEAL", 10, "OFF_QUEUE", 10)
    cloud.feed(event)
    rows, held = cloud.rows(), cloud.standing()["natives"]
    cloud.feed(event, event)
    assert (cloud.rows(), cloud.standing()["natives"]) == (rows, held)
    assert cloud.counts["duplicates"] == 2


def test_an_older_event_that_comes_later_changes_nothing(cloud: Rig) -> None:
    cloud.feed(activity("MEAL", 10, "OFF_QUEUE", 10))
    cloud.feed(activity("ON_QUEUE", 9, "IDLE", 9))
    assert cloud.state(A) == "Not Available"
    assert cloud.counts["duplicates"] == 1


@pytest.mark.parametrize("first", ["full", "fraction"])
def test_a_full_second_is_older_than_its_fractions_though_its_text_is_greater(
    cloud: Rig, first: str
) -> None:
    events = [activity("MEAL", 17), activity("BUSY", 17.067)]
    assert at(17) > at(17.067)
    cloud.feed(*(events if first == "full" else reversed(events)))
    assert native(cloud).system_presence == "BUSY"
    assert native(cloud).presence_us == at_us(17.067)


def test_fields_are_judged_by_their_own_times(cloud: Rig) -> None:
    cloud.feed(activity("MEAL", 20, "IDLE", 1))
    cloud.feed(activity("ON_QUEUE", 1, "OFF_QUEUE", 10))  # newer in routing alone
    assert (native(cloud).system_presence, native(cloud).routing_status) == ("MEAL", "OFF_QUEUE")
    assert cloud.rows()[-1].at_us == at_us(10)


@pytest.mark.parametrize("is_live_first", [True, False])
def test_a_snapshot_never_wins_a_tie(cloud: Rig, is_live_first: bool) -> None:
    live, told = activity("MEAL", 10), snapshot("BUSY", 10)
    cloud.feed(*([live, told] if is_live_first else [told, live]))
    assert native(cloud).system_presence == "MEAL"


def test_an_event_that_repeats_what_a_snapshot_told_is_a_duplicate(cloud: Rig) -> None:
    cloud.feed(activity("MEAL", 10), snapshot("BUSY", 20))
    rows = cloud.rows()
    cloud.feed(activity("BUSY", 20))
    assert (cloud.rows(), cloud.counts["duplicates"]) == (rows, 1)
    cloud.feed(snapshot("AWAY", 20))
    assert native(cloud).system_presence == "BUSY"


def test_queues_of_before_a_snapshot_are_kept_and_make_no_row(cloud: Rig) -> None:
    cloud.feed(activity("MEAL", 10), snapshot("BUSY", 20))
    rows, unchanged = cloud.rows(), cloud.counts.get("unchanged", 0)
    cloud.feed(activity("MEAL", 15, activeQueueIds=["q2"], dateActiveQueuesChanged=at(15)))
    assert (cloud.agent(A).queue, native(cloud).system_presence) == ("q2", "BUSY")
    assert (cloud.rows(), cloud.counts["unchanged"]) == (rows, unchanged + 1)
    standing = cloud.standing()
    cloud.commit(finish=True)
    cloud.restart()
    assert cloud.standing() == standing


def test_a_snapshot_that_is_newer_is_applied_as_history(cloud: Rig) -> None:
    cloud.feed(snapshot("MEAL", 10, "OFF_QUEUE", 10))
    row = cloud.rows()[-1]
    assert (row.cause, row.to_state, row.at_us) == ("history", "Not Available", at_us(10))
    assert row.correlation == f"presence@{at_us(10)}"


def test_a_snapshot_that_tells_nothing_new_names_its_agent_and_makes_no_row(cloud: Rig) -> None:
    rows = cloud.rows()
    cloud.feed(begins(2), snapshot(session=2))
    assert (cloud.rows(), cloud.counts["unchanged"]) == (rows, 1)
    assert native(cloud).named == 2


@pytest.mark.parametrize("spelt", ["OnQueue", "ON_QUEUE", "On Queue", "on-queue"])
def test_a_presence_has_one_name_however_it_is_spelt(cloud: Rig, spelt: str) -> None:
    cloud.feed(activity("MEAL", 5), activity(spelt, 10))
    assert native(cloud).system_presence == "ON_QUEUE"
    assert cloud.state(A) == "Available"


def test_a_presence_that_is_not_the_primary_one_is_kept_apart(cloud: Rig) -> None:
    rows = cloud.rows()
    other = presence("OFFLINE", 30, primary=False, source="MICROSOFTTEAMS", message="m")
    cloud.feed(frame("presence", other))
    assert (native(cloud).system_presence, native(cloud).presence_us) == ("ON_QUEUE", at_us(1))
    assert native(cloud).apart == {"MICROSOFTTEAMS": ("OFFLINE", DEFINITION, "m", at_us(30))}
    assert (cloud.rows(), cloud.counts["unchanged"]) == (rows, 1)
    cloud.feed(frame("presence", presence("BUSY", 29, primary=False, source="MICROSOFTTEAMS")))
    assert native(cloud).apart == {"MICROSOFTTEAMS": ("OFFLINE", DEFINITION, "m", at_us(30))}
    cloud.feed(frame("presence", presence("AWAY", 20, primary=True, message="")))
    assert native(cloud).system_presence == "AWAY"


def test_sources_that_are_kept_apart_are_bounded(cloud: Rig) -> None:
    for number in range(cloud_merge.SOURCES_MAX + 3):
        cloud.feed(frame("presence", presence("AWAY", 10, primary=False, source=f"s{number}")))
    assert len(native(cloud).apart or {}) == cloud_merge.SOURCES_MAX


def test_a_part_says_nothing_of_the_others(cloud: Rig) -> None:
    cloud.feed(frame("routingStatus", {"id": A, "routingStatus": routing("COMMUNICATING", 9)}))
    assert cloud.state(A) == "Talking"
    cloud.feed(frame("presence", presence("BUSY", 10, primary=True, message="m")))
    assert cloud.state(A) == "Talking"
    cloud.feed(frame("routingStatus", {"id": A, "routingStatus": routing("OFF_QUEUE", 11)}))
    assert (cloud.state(A), cloud.agent(A).presence) == ("Not Available", "busy")
    assert native(cloud).message == "m"


def test_a_part_alone_makes_no_state_of_an_agent_whose_state_is_not_known(cloud: Rig) -> None:
    cloud.feed(frame("presence", presence("ON_QUEUE", 10), B))
    cloud.feed(frame("routingStatus", {"id": B, "routingStatus": routing("IDLE", 11)}, B))
    assert cloud.state(B) == UNKNOWN
    cloud.feed(snapshot("ON_QUEUE", 10, "IDLE", 11, user_id=B))
    assert cloud.state(B) == "Available"


def test_missing_fields_leave_what_is_held(cloud: Rig) -> None:
    body = body_of("MEAL", 10)
    for name in ("routingStatus", "outOfOffice", "activeQueueIds", "dateActiveQueuesChanged"):
        del body[name]
    cloud.feed(frame("activity", body))
    assert (native(cloud).system_presence, native(cloud).routing_status) == ("MEAL", "IDLE")
    cloud.feed(frame("activity", {"id": A}), frame("activity", {}))
    assert cloud.counts["duplicates"] == 2
    assert "quarantined" not in cloud.counts


def test_what_is_told_without_a_time_counts_as_of_its_receipt(cloud: Rig) -> None:
    body = {"id": B, "presence": presence("AVAILABLE", None), "routingStatus": {"status": "IDLE"}}
    cloud.feed(frame("activity", body, B))
    assert cloud.state(B) == "Not Available"
    assert cloud.rows()[-1].at_us == RECEIVED_NS // 1000  # for nobody says since when
    body["presence"] = presence("BUSY", None)
    cloud.feed(frame("activity", body, B))
    assert native(cloud, B).system_presence == "BUSY"
    body["presence"] = presence("MEAL", at(1))
    cloud.feed(frame("activity", body, B))
    assert native(cloud, B).system_presence == "MEAL"


def test_nothing_that_is_not_newer_than_what_it_replaced_replaces_what_has_no_time(
    cloud: Rig,
) -> None:
    cloud.feed(activity("ON_QUEUE", 1, "INTERACTING", 10))
    untimed = activity("ON_QUEUE", 1, "OFF_QUEUE", 10)
    cloud.feed(Record(untimed.payload.replace(b'"startTime":', b'"began":'), flags=untimed.flags))
    row = cloud.rows()[-1]
    assert (row.to_state, row.at_us) == ("Not Available", RECEIVED_NS // 1000)
    assert native_json(native(cloud))["routing_since"] == iso_ms(RECEIVED_NS // 1000)
    standing = cloud.standing()
    cloud.restart()
    assert cloud.standing() == standing
    for older in (activity("ON_QUEUE", 1, "INTERACTING", 10), activity("ON_QUEUE", 1, "IDLE", 9)):
        cloud.feed(older)
    cloud.feed(snapshot("ON_QUEUE", 1, "INTERACTING", 10))
    assert native(cloud).routing_status == "OFF_QUEUE"
    cloud.feed(activity("ON_QUEUE", 1, "IDLE", 10.5))
    assert (native(cloud).routing_status, cloud.state(A)) == ("IDLE", "Available")
    assert native(cloud).untimed is None


def test_a_presence_without_a_time_is_nobodys_change(cloud: Rig) -> None:
    cloud.feed(activity("MEAL", 10))
    cloud.feed(frame("presence", presence("BUSY", None, primary=True)))
    assert cloud.rows()[-1].correlation is None
    assert native(cloud).correlation == ""


def test_a_snapshot_without_times_heals_what_no_event_has_told_since_the_session_began(
    cloud: Rig,
) -> None:
    def told(status: str, session: int, *, office: bool = True) -> Record:
        body = {"id": A, "presence": presence("ON_QUEUE", None), "outOfOffice": {"active": office}}
        return frame("snapshot", body | {"routingStatus": routing(status, None)}, session=session)

    cloud.feed(activity("ON_QUEUE", 1, "INTERACTING", 10))
    cloud.feed(told("OFF_QUEUE", 1))
    assert (native(cloud).routing_status, native(cloud).is_out_of_office) == ("INTERACTING", False)
    cloud.feed(begins(2), told("OFF_QUEUE", 2))
    assert (native(cloud).routing_status, native(cloud).is_out_of_office) == ("OFF_QUEUE", True)
    assert native(cloud).named == 2


def test_a_snapshot_of_the_same_time_heals_only_before_the_first_event(cloud: Rig) -> None:
    cloud.feed(activity("MEAL", 10))
    cloud.feed(snapshot("BUSY", 10))
    assert native(cloud).system_presence == "MEAL"
    cloud.feed(begins(2), snapshot("BUSY", 10, session=2))
    assert native(cloud).system_presence == "BUSY"


@pytest.mark.parametrize("statuses", [("IDLE",), ("IDLE", "INTERACTING", "IDLE", "OFF_QUEUE")])
def test_of_changes_of_one_instant_the_last_one_holds_and_a_later_copy_does_not(
    cloud: Rig, statuses: tuple[str, ...]
) -> None:
    cloud.feed(activity("ON_QUEUE", 1, "INTERACTING", 10))
    for status in statuses:
        cloud.feed(activity("ON_QUEUE", 1, status, 10))
        assert native(cloud).routing_status == status
    rows = cloud.rows()
    copy = orjson.loads(activity("ON_QUEUE", 1, "INTERACTING", 10).payload)
    cloud.shard.merge.events([copy], [RECEIVED_NS + 10**9], [1], bytes([session_flags(1)]), 0.0)
    assert native(cloud).routing_status == statuses[-1]
    assert cloud.rows() == rows


def test_a_tie_is_seen_beside_another_change_and_in_every_field(cloud: Rig) -> None:
    cloud.feed(activity("MEAL", 10, "OFF_QUEUE", 10))
    cloud.feed(activity("MEAL", 10, "IDLE", 11))
    assert native(cloud).usual_in == 1  # the usual way from here on
    body = body_of("BUSY", 10, "INTERACTING", 12, activeQueueIds=["q2"])
    body["outOfOffice"]["active"] = True
    body["presence"]["presenceDefinition"]["id"] = "d-busy"
    cloud.feed(frame("activity", body))
    held = native(cloud)
    assert (held.system_presence, held.routing_status) == ("BUSY", "INTERACTING")
    assert (held.queues, held.is_out_of_office) == (("q2",), True)


def test_parts_that_come_one_by_one_confirm_an_agent_when_all_of_its_state_was_told(
    cloud: Rig,
) -> None:
    cloud.feed(begins(2))
    cloud.feed(frame("snapshot", {"id": A, "presence": presence("MEAL", 1)}, session=2))
    assert cloud.shard.sessions.stale_of(cloud.agent(A)) is not None
    cloud.restart()  # what was told is not forgotten
    cloud.feed(frame("routingStatus", {"routingStatus": routing("IDLE", 1)}, session=1))
    assert cloud.shard.sessions.stale_of(cloud.agent(A)) is not None  # by an old socket
    cloud.feed(frame("snapshot", {"id": A, "routingStatus": routing("IDLE", 1)}, session=2))
    assert cloud.shard.sessions.stale_of(cloud.agent(A)) is None


def test_the_second_part_makes_the_state_of_somebody_new(cloud: Rig) -> None:
    cloud.feed(watches(B))
    cloud.feed(frame("snapshot", {"id": B, "presence": presence("ON_QUEUE", 3)}, B))
    assert cloud.state(B) == UNKNOWN
    cloud.feed(frame("snapshot", {"id": B, "routingStatus": routing("IDLE", 2)}, B))
    assert cloud.state(B) == "Available"


def test_who_was_never_told_a_routing_status_has_no_state_yet(cloud: Rig) -> None:
    cloud.feed(frame("snapshot", {"id": B, "presence": presence("BUSY", 3)}, B))
    assert (cloud.state(B), native(cloud, B).system_presence) == (UNKNOWN, "BUSY")


def test_a_held_time_in_the_far_future_yields_to_a_plausible_one(cloud: Rig) -> None:
    cloud.feed(
        frame("activity", body_of() | {"presence": presence("MEAL", "2999-01-01T00:00:00Z")})
    )
    assert native(cloud).system_presence == "MEAL"
    cloud.feed(activity("BUSY", 20))
    assert (native(cloud).system_presence, native(cloud).presence_us) == ("BUSY", at_us(20))


def test_a_message_is_cut_and_queues_are_bounded(cloud: Rig) -> None:
    queues = [f"q{number}" for number in range(500)]
    body = body_of("MEAL", 10, activeQueueIds=queues, dateActiveQueuesChanged=at(10))
    body["presence"]["presenceMessage"] = "m" * 10_000
    cloud.feed(frame("activity", body))
    assert len(native(cloud).message) == 250
    assert len(native(cloud).queues) == 64
    assert queues_of(cloud.agent(A).queue) == tuple(queues[:64])


def test_who_is_active_in_no_queue_has_none(cloud: Rig) -> None:
    cloud.feed(activity(activeQueueIds=[], dateActiveQueuesChanged=at(10)))
    assert cloud.agent(A).queue is None


def test_topics_are_compared_without_regard_to_case(cloud: Rig) -> None:
    record = activity("MEAL", 10)
    cloud.feed(Record(record.payload.replace(b"v2.users", b"V2.Users"), flags=record.flags))
    assert native(cloud).system_presence == "MEAL"


def test_the_native_values_survive_a_kill_and_a_checkpoint(cloud: Rig) -> None:
    cloud.feed(watches(B))
    cloud.feed(frame("presence", presence("AWAY", 10, primary=False, source="TEAMS")))
    cloud.commit(finish=True)
    cloud.feed(activity("MEAL", 10.5, "OFF_QUEUE", 11, activeQueueIds=["q"] * 2))
    standing = cloud.standing()
    cloud.restart()
    assert cloud.standing() == standing
