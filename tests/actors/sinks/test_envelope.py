"""Rows as CloudEvents: what stands in them, by value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
from hypothesis import given
from hypothesis import strategies as st

from actors.genesys.times import iso_ms
from actors.messages.transition import GapRow, JournalRow
from actors.sinks.envelope import EventEnvelope, LostRows, SinkFilter, source_of
from tests.actors.sinks.rig import BEGAN_US, SOURCE, lines_sink

S_US = 1_000_000
ROW = JournalRow(
    journal="0badcafe",
    row=41,
    user_id="u1",
    from_state="Available",
    to_state="Talking",
    at_us=BEGAN_US,
    received_us=BEGAN_US + 2_500,
    epoch=1,
    sequence=977,
    queue="q1",
    presence="busy",
    correlation=None,
    cause="live",
)
GAP = ROW._replace(
    user_id=None,
    from_state=None,
    to_state="",
    cause="gap",
    gap=GapRow(41, "all", 1, 5, 9, BEGAN_US, "closed too long", BEGAN_US - 1_000_000),
)


def event(row: JournalRow) -> dict[str, object]:
    told: dict[str, object] = orjson.loads(EventEnvelope(SOURCE).row(row).body)
    return told


def test_a_transition_says_who_what_when_why_and_in_which_order() -> None:
    assert event(ROW) == {
        "specversion": "1.0",
        "id": f"0badcafe-41-{BEGAN_US + 2_500:x}",
        "source": SOURCE,
        "type": "io.presence-runtime.agent.transition",
        "subject": "u1",
        "time": iso_ms(BEGAN_US),
        "datacontenttype": "application/json",
        "data": {
            "from": "Available",
            "to": "Talking",
            "at": iso_ms(BEGAN_US),
            "received_at": iso_ms(BEGAN_US + 2_500),
            "queues": ["q1"],
            "queue": "q1",
            "presence": "busy",
            "cause": "live",
            "position": {"epoch": 1, "sequence": 977},
        },
    }


def test_a_gap_is_about_nobody_in_particular_and_says_why() -> None:
    told = event(GAP)
    assert told["type"] == "io.presence-runtime.agent.gap"
    assert "subject" not in told
    assert told["data"] == {
        "scope": "all",
        "since": iso_ms(BEGAN_US - 1_000_000),
        "until": iso_ms(BEGAN_US),
        "received_at": iso_ms(BEGAN_US + 2_500),
        "cause": "gap",
        "epoch": 1,
        "first_sequence": 5,
        "last_sequence": 9,
        "reason": "closed too long",
    }


def test_what_a_sink_missed_is_an_event_of_its_own() -> None:
    missed = EventEnvelope(SOURCE).missed(
        LostRows("0badcafe", 3, 9, "past its retention", BEGAN_US)
    )
    told = orjson.loads(missed.body)
    assert (missed.id, missed.subject) == ("0badcafe-3..9", None)
    assert told["type"] == "io.presence-runtime.sink.gap"
    assert told["data"] == {
        "journal": "0badcafe",
        "first_row": 3,
        "last_row": 9,
        "reason": "past its retention",
    }


def test_a_row_of_whom_was_forgotten_is_a_transition_of_nobody() -> None:
    told = event(ROW._replace(user_id=None))
    assert told["type"] == "io.presence-runtime.agent.transition"
    assert "subject" not in told


def test_who_caused_it_and_what_the_cloud_says_itself_stand_there_if_known() -> None:
    packed = [
        "Meeting",
        "def-1",
        "back at 3",
        5 * S_US,
        "IDLE",
        6 * S_US,
        ["q1", "q2"],
        0,
        True,
        8 * S_US,
        0,
    ]
    row = ROW._replace(correlation="c-1", native=orjson.dumps(packed).decode())
    data = event(row)["data"]
    assert isinstance(data, dict)
    assert data["correlation"] == "c-1"
    assert data["native"] == {
        "presence": {
            "system_presence": "Meeting",
            "definition": "def-1",
            "message": "back at 3",
            "since": "1970-01-01T00:00:05.000Z",
        },
        "routing_status": "IDLE",
        "routing_since": "1970-01-01T00:00:06.000Z",
        "queues": ["q1", "q2"],
        "queues_since": None,  # it was told without
        "out_of_office": True,
        "out_of_office_since": "1970-01-01T00:00:08.000Z",
    }


def test_a_row_has_one_id_for_ever_and_no_other_row_has_it() -> None:
    others = [ROW._replace(journal="1badcafe"), ROW._replace(row=42), ROW._replace(received_us=1)]
    envelope = EventEnvelope(SOURCE)
    assert envelope.row(ROW) == envelope.row(ROW)
    assert len({envelope.row(each).id for each in [ROW, *others]}) == 4


@given(st.integers(min_value=0, max_value=4_000_000_000_000_000))
def test_a_time_is_written_as_the_standard_library_writes_it(at_us: int) -> None:
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at_us)
    assert iso_ms(at_us) == at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_a_source_names_the_gateway_and_the_runtime() -> None:
    url = "https://api.mypurecloud.com"
    assert source_of(url, "east") == "//api.mypurecloud.com/presence-runtime/east"
    assert source_of(url, "") == "//api.mypurecloud.com/presence-runtime"


def test_a_filter_passes_what_enters_or_leaves_a_state_and_every_gap_it_does_not_name() -> None:
    assert SinkFilter(lines_sink()).is_open
    leaves = SinkFilter(lines_sink(states=["Available"]))
    assert [leaves.wants(each) for each in (ROW, ROW._replace(from_state="Idle"), GAP)] == [
        True, False, True,
    ]  # fmt: skip
    assert SinkFilter(lines_sink(states=["Talking"])).wants(ROW)
    assert SinkFilter(lines_sink(queues=["q1"])).wants(ROW)
    assert not SinkFilter(lines_sink(queues=["q2"])).wants(ROW)
    only_live = SinkFilter(lines_sink(causes=["live"]))
    assert [only_live.wants(each) for each in (ROW, ROW._replace(cause="late"), GAP)] == [
        True, False, False,
    ]  # fmt: skip


def test_a_sink_that_wants_a_queue_is_given_who_is_in_it_among_others() -> None:
    both = ROW._replace(queue='["q1","q2"]')
    assert SinkFilter(lines_sink(queues=["q2"])).wants(both)
    assert SinkFilter(lines_sink(queues=["q1"])).wants(both)
    assert not SinkFilter(lines_sink(queues=["q3"])).wants(both)
    told = event(both)["data"]
    assert isinstance(told, dict)
    assert (told["queues"], told["queue"]) == (["q1", "q2"], "q1")
