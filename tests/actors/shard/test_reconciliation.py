"""What the roster proves against what a shard holds, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.genesys.times import iso_ms
from actors.messages.doubts import DOUBTS_MAX, Doubt, decode_doubt
from actors.shard.cloud_decode import AgentReading, Values
from actors.shard.native import (
    NOTHING_US,
    ROUTING,
    TIMELESS_US,
    Native,
    Presence,
    native_json,
)
from actors.shard.reconciliation import IN_FLIGHT_US, Doubts, proven
from tests.actors.shard.cloud_lending import (
    DEFINITION,
    SCOPE,
    activity,
    at,
    at_us,
    begins,
    ends,
    native,
    presence,
    routing,
    watch,
    watches,
)
from tests.actors.shard.lending import A, B, FakeBatch, Record
from tests.actors.shard.rig import Rig

NOW_S = 40.0  # when the roster is read, of the minute of all these events
LATE_NS = 1 << 62


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path / "shard-00.db", "cloud")
    watch(rig, A)
    yield rig
    rig.journal.close()


def show(
    rig: Rig,
    system: str = "ON_QUEUE",
    presence_s: float | None = 1,
    status: str = "IDLE",
    routing_s: float | None = 1,
    *,
    user_id: str = A,
    judged_ns: int = LATE_NS,
    **parts: Any,
) -> bool:
    """The roster shows this of one agent. Whether it corrected something, which is committed."""
    body = {
        "id": user_id,
        "presence": presence(system, presence_s),
        "routingStatus": routing(status, routing_s),
        **parts,
    }
    value = {"topicName": f"v2.users.{user_id}.snapshot", "version": "2", "eventBody": body}
    record = Record(orjson.dumps(value), sequence=at_us(NOW_S))
    batch = FakeBatch([record])
    batch.received_ns = [at_us(NOW_S) * 1_000]
    corrected = rig.shard.reconcile(batch, judged_ns, at_us(NOW_S + 1))
    rig.commit()
    return corrected


def doubted(rig: Rig) -> list[Doubt]:
    return [doubt for word in rig.shard.doubted if (doubt := decode_doubt(word)) is not None]


def test_what_no_event_told_is_corrected_counted_and_stands_in_history(rig: Rig) -> None:
    assert show(rig, "OFFLINE", 20, "OFF_QUEUE", 20)
    agent = rig.agent(A)
    assert (agent.state, agent.presence) == ("Not Available", "offline")
    row = rig.rows()[-1]
    assert (row.cause, row.at_us, row.received_us) == ("roster", at_us(20), at_us(NOW_S + 1))
    assert rig.counts["corrections"] == 1
    assert doubted(rig) == [Doubt(0, 0, 1)]
    rig.restart()
    assert rig.state(A) == "Not Available"
    assert rig.counts["corrections"] == 1


def test_one_part_that_is_newer_is_corrected_by_itself(rig: Rig) -> None:
    assert show(rig, "ON_QUEUE", 1, "INTERACTING", 20)
    assert rig.state(A) == "Talking"


def test_the_event_that_comes_after_all_changes_nothing_more(rig: Rig) -> None:
    show(rig, "OFFLINE", 20, "OFF_QUEUE", 20)
    rows = len(rig.rows())
    rig.feed(activity("OFFLINE", 20, "OFF_QUEUE", 20))
    assert rig.state(A) == "Not Available"
    assert len(rig.rows()) <= rows + 1  # it still tells of queues
    rig.feed(activity("ON_QUEUE", 21, "IDLE", 21))
    assert rig.state(A) == "Available"


@pytest.mark.parametrize(
    ("system", "presence_s", "status", "routing_s"),
    [
        ("BUSY", 0.5, "INTERACTING", 0.5),
        ("BUSY", 1, "INTERACTING", 1),
        ("BUSY", NOW_S - 1, "INTERACTING", NOW_S - 1),
        ("BUSY", None, "INTERACTING", None),
        ("ON_QUEUE", 20, "IDLE", 20),
    ],
    ids=["older", "of the same time", "in flight", "without times", "of the same value"],
)
def test_what_proves_nothing_changes_nothing(
    rig: Rig, system: str, presence_s: float | None, status: str, routing_s: float | None
) -> None:
    rows = len(rig.rows())
    assert not show(rig, system, presence_s, status, routing_s)
    assert len(rig.rows()) == rows
    assert doubted(rig) == []
    assert "corrections" not in rig.counts


@pytest.mark.parametrize(
    "shown",
    [
        {"presenceDefinition": {"systemPresence": "ON_QUEUE"}},
        {"presenceDefinition": {"systemPresence": "On Queue", "id": None}},
        {"presenceDefinition": {"systemPresence": "ON_QUEUE", "id": ["x"]}, "message": 5},
        {"presenceDefinition": {"systemPresence": "ON_QUEUE", "id": DEFINITION.upper()}},
    ],
)
def test_a_definition_or_a_message_that_is_not_told_proves_nothing(
    rig: Rig, shown: dict[str, Any]
) -> None:
    body = presence("ON_QUEUE", 10, presenceMessage="lunch")
    rig.feed(activity("ON_QUEUE", 10, "IDLE", 1, presence=body))
    rows = len(rig.rows())
    assert not show(rig, presence={"modifiedDate": at(20), **shown})
    assert (len(rig.rows()), doubted(rig)) == (rows, [])
    assert (native(rig).definition, native(rig).message) == (DEFINITION, "lunch")


def test_a_message_that_is_told_and_another_one_is_corrected_and_the_definition_stays(
    rig: Rig,
) -> None:
    shown = {"presenceDefinition": {"systemPresence": "ON_QUEUE"}, "message": "at the dentist"}
    assert show(rig, presence={"modifiedDate": at(20), **shown})
    assert (native(rig).definition, native(rig).message) == (DEFINITION, "at the dentist")


def test_a_value_without_a_time_is_not_corrected_by_what_was_before_it_came() -> None:
    held = Native()
    held.routing_status, held.routing_us = "INTERACTING", at_us(1)
    held.untimed = {ROUTING: at_us(25)}
    for shown_s, is_proven in ((20, False), (25, False), (26, True)):
        says = AgentReading(A, True, True, Values(routing=("IDLE", at_us(shown_s))))
        assert (proven(says, held, at_us(NOW_S)) is not None) is is_proven


def test_what_is_corrected_has_the_time_that_the_roster_tells(rig: Rig) -> None:
    event = activity("ON_QUEUE", 1, "INTERACTING", 10)
    rig.feed(Record(event.payload.replace(b'"startTime":', b'"began":'), flags=event.flags))
    assert native(rig).untimed
    assert show(rig, "ON_QUEUE", 1, "IDLE", 20)
    assert native(rig).untimed is None
    assert native_json(native(rig))["routing_since"] == iso_ms(at_us(20))


def test_while_events_of_before_the_read_are_waiting_nothing_is_proven(rig: Rig) -> None:
    before_ns = at_us(NOW_S) * 1_000 - 1
    assert not show(rig, "OFFLINE", 20, "OFF_QUEUE", 20, judged_ns=before_ns)
    assert show(rig, "OFFLINE", 20, "OFF_QUEUE", 20, judged_ns=before_ns + 1)


def test_of_whom_a_snapshot_is_on_its_way_nothing_is_proven(rig: Rig) -> None:
    rig.feed(begins(2))
    assert not show(rig, "OFFLINE", 20, "OFF_QUEUE", 20)


@pytest.mark.parametrize("user_id", [B, "nobody-yet"])
def test_who_is_not_held_is_not_corrected(rig: Rig, user_id: str) -> None:
    rig.feed(watches(B))
    assert not show(rig, "OFFLINE", 20, "OFF_QUEUE", 20, user_id=user_id)


@pytest.mark.parametrize(
    "part",
    [None, [], {}, "x", {"modifiedDate": "yesterday"}, {"presenceDefinition": 7}],
    ids=repr,
)
def test_an_odd_part_does_not_keep_the_other_from_being_shown(rig: Rig, part: Any) -> None:
    show(rig, status="INTERACTING", routing_s=20, presence=part)
    assert rig.state(A) in {"Talking", "Available"}  # as whoever reads the frame has it
    assert rig.shard.merge.counts["quarantined"] == 0


def test_a_session_is_doubted_until_another_one_begins(rig: Rig) -> None:
    show(rig, "OFFLINE", 20, "OFF_QUEUE", 20)
    assert show(rig, "AWAY", 21, "OFF_QUEUE", 20)
    assert doubted(rig) == [Doubt(0, 0, 1)]
    rig.feed(ends(1), begins(2))
    assert doubted(rig) == []
    assert not rig.shard.doubts.is_any


def test_what_is_doubted_outlives_the_shard_on_its_page() -> None:
    doubts, successor = Doubts(), Doubts()
    doubts.add(SCOPE, 7)
    successor.restore(doubts.shown({SCOPE: 7}))
    assert successor.shown({SCOPE: 7}) == doubts.shown({SCOPE: 7})
    assert successor.shown({SCOPE: 8}) == [0] * DOUBTS_MAX


def test_more_doubts_than_words_wait_for_their_turn() -> None:
    doubts = Doubts()
    scopes = {f"c{number}/1": 5 for number in range(DOUBTS_MAX + 1)}
    for scope in scopes:
        doubts.add(scope, 5)
    shown = [decode_doubt(word) for word in doubts.shown(scopes)]
    assert shown == [Doubt(number, 1, 5) for number in range(DOUBTS_MAX)]
    assert decode_doubt(doubts.shown({**scopes, "c0/1": 6})[-1]) == Doubt(DOUBTS_MAX, 1, 5)
    assert not Doubts().is_any


times = st.sampled_from([NOTHING_US, TIMELESS_US, *(at_us(second) for second in range(1, 50, 7))])


@given(
    shown=st.tuples(st.sampled_from(["BUSY", "AWAY"]), times, st.sampled_from(["IDLE", ""]), times),
    held=st.tuples(st.sampled_from(["BUSY", "AWAY"]), times, st.sampled_from(["IDLE", ""]), times),
    read_us=times,
)
def test_each_part_is_judged_by_itself(
    shown: tuple[str, int, str, int], held: tuple[str, int, str, int], read_us: int
) -> None:
    native = Native()
    native.system_presence, native.presence_us, native.routing_status, native.routing_us = held
    values = Values(Presence(shown[0], "", "", shown[1]), (shown[2], shown[3]))
    found = proven(AgentReading(A, True, True, values), native, read_us) or Values()

    def is_proven(is_other: bool, shown_us: int, held_us: int) -> bool:
        return is_other and TIMELESS_US < held_us < shown_us <= read_us - IN_FLIGHT_US

    is_presence = is_proven(shown[0] != held[0], shown[1], held[1])
    is_routing = is_proven(shown[2] != held[2], shown[3], held[3])
    assert (found.presence is not None) == is_presence
    assert (found.routing is not None) == is_routing
