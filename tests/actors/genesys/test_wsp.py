"""The wsp dialect: what is asked for, and how a frame is told apart."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.genesys.wsp import (
    Frame,
    GapRecord,
    HistoryComplete,
    InvalidFrame,
    OwnedEvent,
    SubscriptionAcknowledgement,
    notifications_url,
    read_frame,
    subscription,
)
from actors.messages.control import APPOINTMENT_EVENT, STATE_EVENT

EVENT = b'{"type":"routing.agents.state","sequence":5,"data":{"userId":"A"}}'
WHOLE = EVENT.replace(b'"A"', b'"A","state":"Talking","timestamp":"2026-11-21T22:00:00.000Z"')
APPOINTMENT = (
    b'{"type":"routing.agents.apptent","sequence":5,"data":{"userId":"A",'
    b'"start":"2026-11-21T22:00:00Z","end":"2026-11-21T23:00:00Z","timestamp":"2026-11-21T21:00:00Z"}}'
)


def test_the_token_is_quoted_into_the_url() -> None:
    url = notifications_url("wss://api.example.com", "a/b+c=&d")
    assert url == "wss://api.example.com/wsp/v2/notifications?access_token=a%2Fb%2Bc%3D%26d"


def test_the_first_subscription_asks_for_a_history_and_no_replay() -> None:
    assert orjson.loads(subscription(resource="queue-1")) == {
        "events": [
            {
                "type": "routing.agents.state",
                "properties": [
                    "userId",
                    "state",
                    "timestamp",
                    "queueId",
                    "presence",
                    "correlationId",
                ],
            }
        ],
        "filter": {"includeHistory": True, "resource": "queue-1"},
    }


def test_a_resume_names_sequence_and_epoch() -> None:
    frame = orjson.loads(subscription(resume_after=0, epoch_name="e1"))
    assert (frame["sequence"], frame["epoch"]) == (0, "e1")
    assert "epoch" not in orjson.loads(subscription(resume_after=5))


def test_what_a_shard_needs_is_always_requested() -> None:
    asked = orjson.loads(subscription(properties=["queueId", "state"]))["events"][0]
    assert asked["properties"] == ["userId", "state", "timestamp", "queueId"]


def test_appointments_are_asked_for_only_when_they_are_wanted() -> None:
    assert len(orjson.loads(subscription())["events"]) == 1
    state, appointment = orjson.loads(subscription(appointments=True))["events"]
    assert state["type"] == "routing.agents.state"
    assert appointment == {
        "type": "routing.agents.apptent",
        "properties": ["userId", "start", "end", "timestamp"],
    }


@pytest.mark.parametrize(
    ("payload", "frame"),
    [
        (
            b'{"type":"subscription","status":"subscribed","sequence":0,"epoch":"e"}',
            SubscriptionAcknowledgement(0, "e"),
        ),
        (
            b'{"type":"subscription","status":"subscribed","sequence":7}',
            SubscriptionAcknowledgement(7, ""),
        ),
        (b'{"type":"subscription","status":"refused","sequence":7}', InvalidFrame("no owner")),
        (
            b'{"type":"subscription","status":"subscribed","sequence":true}',
            InvalidFrame("no owner"),
        ),
        (b'{"type":"subscription","status":"subscribed","sequence":-1}', InvalidFrame("no owner")),
        (
            b'{"type":"subscription","status":"subscribed","sequence":1,"epoch":5}',
            InvalidFrame("no owner"),
        ),
        (
            b'{"type":"subscription","status":"subscribed","sequence":1,"epoch":"%s"}'
            % (b"x" * 201),
            InvalidFrame("no owner"),
        ),
        (b'{"type":"history.complete","sequence":9}', HistoryComplete(9)),
        (b'{"type":"history.complete","data":{"userId":"A"}}', HistoryComplete(0)),
        (b'{"type":"gap","from":1,"to":1}', GapRecord(1, 1)),
        (b'{"type":"gap","from":0,"to":1}', InvalidFrame("gap without a range")),
        (b'{"type":"gap","from":2,"to":1}', InvalidFrame("gap without a range")),
        (b'{"type":"gap","from":1.0,"to":2}', InvalidFrame("gap without a range")),
        (EVENT, OwnedEvent(STATE_EVENT, "A", 5, is_history=False, is_whole=False)),
        (WHOLE, OwnedEvent(STATE_EVENT, "A", 5, is_history=False, is_whole=True)),
        (
            WHOLE.replace(b"Talking", b"a state that nobody knows"),
            OwnedEvent(STATE_EVENT, "A", 5, is_history=False, is_whole=True),
        ),
        (
            WHOLE.replace(b'"Talking"', b"7"),
            OwnedEvent(STATE_EVENT, "A", 5, is_history=False, is_whole=False),
        ),
        (
            WHOLE.replace(b"agents.state", b"agents.apptent"),
            OwnedEvent(APPOINTMENT_EVENT, "A", 5, is_history=False, is_whole=False),
        ),
        (
            WHOLE.replace(b"agents.state", b"agents.apptent").replace(b"state", b"start"),
            OwnedEvent(APPOINTMENT_EVENT, "A", 5, is_history=False, is_whole=False),
        ),
        (
            APPOINTMENT,
            OwnedEvent(APPOINTMENT_EVENT, "A", 5, is_history=False, is_whole=True),
        ),
        (
            EVENT.replace(b'"data"', b'"history":true,"data"'),
            OwnedEvent(STATE_EVENT, "A", 5, is_history=True, is_whole=False),
        ),
        (
            EVENT.replace(b'"data"', b'"history":1,"data"'),
            OwnedEvent(STATE_EVENT, "A", 5, is_history=False, is_whole=False),
        ),
        (
            EVENT.replace(b":5", b":4611686018427387904"),
            OwnedEvent(STATE_EVENT, "A", 0, is_history=False, is_whole=False),
        ),
        (
            EVENT.replace(b":5", b":5.0"),
            OwnedEvent(STATE_EVENT, "A", 0, is_history=False, is_whole=False),
        ),
        (
            WHOLE.replace(STATE_EVENT.encode(), b"x"),
            OwnedEvent("x", "A", 5, is_history=False, is_whole=False),
        ),
        (EVENT.replace(b'"A"', b'""'), InvalidFrame("no owner")),
        (EVENT.replace(b'"A"', b"7"), InvalidFrame("no owner")),
        (b'{"data":[]}', InvalidFrame("no owner")),
        (b"17", InvalidFrame("no owner")),
        (b"{", InvalidFrame("not JSON")),
        (b"\xff", InvalidFrame("not JSON")),
        (b"", InvalidFrame("not JSON")),
    ],
)
def test_frames_are_told_apart(payload: bytes, frame: Frame) -> None:
    assert read_frame(payload) == frame
    assert type(read_frame(payload)) is type(frame)


@given(st.binary() | st.text(st.characters(codec="utf-8")).map(str.encode))
def test_no_frame_raises(payload: bytes) -> None:
    read_frame(payload)
