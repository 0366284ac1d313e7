"""Frames of a channel with one odd thing: what can be read of one applies, and to one agent only.

As receiver and shard do it together: what the fast path routes goes to the shard as it is, of the
rest what is told apart as an event; and what is none is set aside with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest

from actors.genesys.cloud import (
    ChannelLost,
    Closing,
    CloudEvent,
    Frame,
    Heartbeat,
    InvalidCloudFrame,
    Pong,
    SubscriptionAccepted,
    read_frame,
)
from actors.messages.control import session_flags
from actors.receiver.topic_routing import routed_topic
from tests.actors.shard.cloud_lending import at, body_of
from tests.actors.shard.lending import A, Record, rejected
from tests.cases.shards import cloud_shard

Body = dict[str, Any]
TOPIC = f"v2.users.{A}.activity"


def body(**other: Any) -> Body:
    return body_of("MEAL", 10, "OFF_QUEUE", 10) | other


def changed(change: Callable[[Body], object]) -> Body:
    made = body()
    change(made)
    return made


def event(of: Any, topic: str = TOPIC, **other: Any) -> bytes:
    value = {"topicName": topic, "version": "2", "eventBody": of}
    return orjson.dumps({**value, **other})


def saying(message: bytes) -> bytes:
    """An event whose message is written so, byte for byte."""
    made = body()
    made["presence"]["presenceMessage"] = "x"
    return event(made).replace(b'"presenceMessage":"x"', b'"presenceMessage":"%b"' % message)


def agent_table(number: bytes) -> bytes:
    """An event with a further value that is written so."""
    return event(body(), extra=1).replace(b'"extra":1', b'"extra":%b' % number)


class Handled(NamedTuple):
    """What a frame left in a shard that knows A as idle and on queue."""

    states: Mapping[str, str | None]
    quarantined: int


APPLIED = Handled({A: "Not Available"}, 0)
NOTHING_SAID = Handled({A: "Available"}, 0)
SET_ASIDE = Handled({A: "Available"}, 1)


def handled(folder: Path, raw: bytes) -> Handled:
    rig = cloud_shard(folder)
    frame: Frame | None = None if routed_topic(raw) is not None else read_frame(raw)
    if frame is None or isinstance(frame, CloudEvent):
        rig.feed(Record(raw, flags=session_flags(1)))
    elif isinstance(frame, InvalidCloudFrame):
        rig.feed(rejected(frame.reason, raw))
    states = {user: rig.state(user) for user in rig.shard.agent_table.by_user}
    return Handled(states, rig.counts.get("quarantined", 0))


TEXTS = [
    pytest.param(saying(rb"lunch \ud83d"), id="half an emoji"),
    pytest.param(saying(rb"a\u0000b"), id="NUL"),
    pytest.param(saying(b"a\tb"), id="a raw tab"),
    pytest.param(saying(b"\xff\xfe"), id="no UTF-8"),
    pytest.param(
        event(changed(lambda b: b["presence"].update(presenceMessage=None))), id="null"
    ),
    pytest.param(event(changed(lambda b: b["presence"].pop("presenceMessage"))), id="none"),
]  # fmt: skip


@pytest.mark.parametrize("raw", TEXTS)
def test_whatever_the_message_the_presence_applies(tmp_path: Path, raw: bytes) -> None:
    assert handled(tmp_path, raw) == APPLIED


FUTURE = {"id": "d-x", "systemPresence": "BREAK"}
ENVELOPES = [
    pytest.param(event(body()), id="plain"),
    pytest.param(b"\xef\xbb\xbf" + event(body()), id="a byte order mark before"),
    pytest.param(event(body()) + b"\n", id="a newline after"),
    pytest.param(event(body()) + b"\0", id="a NUL after"),
    pytest.param(event(body(), version=2), id="version as a number"),
    pytest.param(
        orjson.dumps({"eventBody": body(), "metadata": {}, "topicName": TOPIC, "version": "2"}),
        id="keys in another order",
    ),
    pytest.param(
        event(body()).replace(b'"version":"2"', b'"version":1e400'),
        id="a number out of range",
    ),
    pytest.param(agent_table(b"NaN"), id="NaN"),
    pytest.param(agent_table(b"1" + b"0" * 40), id="an integer of 41 digits"),
    pytest.param(agent_table(b'{"a":' * 1100 + b"{}" + b"}" * 1100), id="nesting"),
]


@pytest.mark.parametrize("raw", ENVELOPES)
def test_whatever_is_around_the_body_the_event_applies(tmp_path: Path, raw: bytes) -> None:
    assert handled(tmp_path, raw) == APPLIED


EPOCH_MS = 1_795_298_410_000
ERROR = {"errorInfo": {"errorCode": "X"}}
PARTS = [
    pytest.param(
        changed(lambda b: b["presence"].update(futurePresenceDefinition=FUTURE)),
        id="a future presence",
    ),
    pytest.param(
        body(routingStatus={"status": "ACW", "startTime": at(10)}), id="unknown routing status"
    ),
    pytest.param(
        changed(lambda b: b["presence"]["presenceDefinition"].update(systemPresence="ERROR")),
        id="unknown system presence",
    ),
    pytest.param(
        changed(lambda b: b["presence"]["presenceDefinition"].pop("systemPresence")),
        id="no system presence",
    ),
    pytest.param(body(activeQueueIds=None), id="queues null"),
    pytest.param(body(outOfOffice=None), id="out of office null"),
    pytest.param(body(outOfOffice={"active": "false"}), id="out of office as text"),
    pytest.param(body(dateActiveQueuesChanged=EPOCH_MS), id="time of the queues as a number"),
    pytest.param(
        changed(lambda b: b["routingStatus"].update(startTime=EPOCH_MS)),
        id="startTime as a number",
    ),
    pytest.param(
        changed(lambda b: b["presence"].update(modifiedDate="2026-11-21T22:00:10.000")),
        id="modifiedDate without an offset",
    ),
    pytest.param(body(routingStatus=ERROR), id="an error for a routing status"),
]


@pytest.mark.parametrize("of", PARTS)
def test_beside_an_odd_part_the_others_apply(tmp_path: Path, of: Body) -> None:
    assert handled(tmp_path, event(of)) == APPLIED


UPPER = A.upper()


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(event(body(), f"v2.users.{UPPER}.activity"), id="topic"),
        pytest.param(event(body(id=UPPER)), id="body"),
        pytest.param(event(body(id=UPPER), f"v2.users.{UPPER}.activity"), id="both"),
    ],
)
def test_an_id_in_other_letter_case_is_the_same_agent(tmp_path: Path, raw: bytes) -> None:
    assert handled(tmp_path, raw) == APPLIED


def test_an_event_that_tells_an_error_only_says_nothing(tmp_path: Path) -> None:
    error = {"id": A, "errorInfo": {"errorCode": "X", "userMessage": "y"}}
    raw = event(error, f"v2.users.{A}.routingStatus")
    assert handled(tmp_path, raw) == NOTHING_SAID


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"[" + event(body()) + b"]", id="an array of one event"),
        pytest.param(event(orjson.dumps(body()).decode()), id="the body as a text"),
    ],
)
def test_what_is_no_event_is_set_aside_and_touches_nobody(tmp_path: Path, raw: bytes) -> None:
    assert handled(tmp_path, raw) == SET_ASIDE


# -- frames of the channel itself ------------------------------------------------------------------


def channel_says(message: str) -> Frame:
    return read_frame(
        orjson.dumps({"topicName": "channel.metadata", "eventBody": {"message": message}})
    )


@pytest.mark.parametrize(
    "message",
    [
        "WebSocket Heartbeat",
        "websocket heartbeat",
        "WebSocket heartbeat.",
        "WebSocket Heartbeat ",
        "Heartbeat",
    ],
)
def test_a_heartbeat_is_one_in_whatever_words(message: str) -> None:
    assert isinstance(channel_says(message), Heartbeat)


@pytest.mark.parametrize("message", ["pong", "PONG"])
def test_a_pong_is_one_in_either_case(message: str) -> None:
    assert isinstance(channel_says(message), Pong)


def test_metadata_without_words_is_a_sign_of_life() -> None:
    assert not isinstance(channel_says(""), InvalidCloudFrame)


def system(topic: str, **body: Any) -> dict[str, Any]:
    return {"topicName": topic, **body}


KINDS = [
    pytest.param(
        system("v2.system.socket_closing", eventBody={"message": "x"}), Closing, id="closing"
    ),
    pytest.param(
        system("V2.System.Socket_Closing", eventBody=None), Closing, id="closing in capitals"
    ),
    pytest.param(system("v2.system.socket_closing"), Closing, id="closing without a body"),
    pytest.param(
        system("v2.system.no_longer_subscribed.streaming-1-a", eventBody={"reason": "x"}),
        ChannelLost,
        id="no longer subscribed",
    ),
    pytest.param(
        {"result": 404, "message": "channel not found"}, ChannelLost, id="404 as a number"
    ),
    pytest.param({"result": "404"}, ChannelLost, id="404 as a text"),
    pytest.param({"status": "subscribed", "result": "200"}, SubscriptionAccepted, id="subscribed"),
    pytest.param({"message": "Connection throttled"}, InvalidCloudFrame, id="a message alone"),
    pytest.param({"error": "x"}, InvalidCloudFrame, id="an error alone"),
]


@pytest.mark.parametrize(("frame", "kind"), KINDS)
def test_a_frame_of_the_channel_is_told_apart(frame: Any, kind: type[Frame]) -> None:
    assert isinstance(read_frame(orjson.dumps(frame)), kind)


UNDERSTOOD = [
    pytest.param(
        system(
            "v2.system.subscription_changed.streaming-1-a",
            eventBody={"channelId": "c", "systemTopicType": "SUBSCRIPTION_CHANGED"},
        ),
        "subscription_changed",
        id="subscription changed",
    ),
    pytest.param({"result": "400", "status": "failure", "message": "x"}, "400", id="400"),
    pytest.param({"result": "401", "message": "expired"}, "401", id="401"),
    pytest.param({"result": "410"}, "410", id="410"),
]


@pytest.mark.parametrize(("frame", "name"), UNDERSTOOD)
def test_what_the_platform_says_of_a_channel_is_understood_or_named(frame: Any, name: str) -> None:
    told = read_frame(orjson.dumps(frame))
    assert not isinstance(told, InvalidCloudFrame) or name in told.reason
