"""The cloud dialect: hosts, topics, times, names, and how a frame is told apart."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.genesys.cloud import (
    EVENT_KINDS,
    ROUTING_STATUSES,
    SYSTEM_PRESENCES,
    ChannelLost,
    Closing,
    CloudEvent,
    Frame,
    Heartbeat,
    InvalidCloudFrame,
    Pong,
    SubscriptionAccepted,
    SubscriptionChanged,
    TopicsSetting,
    hosts,
    is_user_id,
    mapped,
    normal_name,
    parse_time_us,
    read_frame,
    snapshot_topic,
    subscribed_topic,
    subscribed_user,
    user_id_of,
)
from actors.genesys.presences import PRESENCES
from actors.messages.control import STATES

ID = "8b67e4d1-9758-4285-8c45-b49fedff3f99"


def test_a_region_has_three_hosts_and_a_base_url_stands_for_all() -> None:
    assert hosts("eu-central-1") == (
        "https://login.mypurecloud.de",
        "https://api.mypurecloud.de",
        "wss://streaming.mypurecloud.de",
    )
    assert hosts("new.pure.cloud").token_url == "https://login.new.pure.cloud/oauth/token"
    base = "http://127.0.0.1:9"
    assert hosts("eu-central-1", base) == (base, base, "ws://127.0.0.1:9")
    assert hosts("", "https://gateway.test").streaming_url == "wss://gateway.test"


# -- frames --------------------------------------------------------------------------------------


def frame(topic: str, body: Any) -> bytes:
    return orjson.dumps({"topicName": topic, "version": "2", "eventBody": body})


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (
            frame(f"v2.users.{ID}.activity", {}),
            CloudEvent(f"v2.users.{ID}.activity", ID, "activity"),
        ),
        (
            frame(f"V2.Users.{ID}.RoutingSTATUS", {}),
            CloudEvent(f"V2.Users.{ID}.RoutingSTATUS", ID, "routingStatus"),
        ),
        (
            frame(f"v2.users.{ID.upper()}.activity", {}),
            CloudEvent(f"v2.users.{ID.upper()}.activity", ID, "activity"),
        ),
        (
            frame(f"v2.users.{ID}.presence", {}),
            CloudEvent(f"v2.users.{ID}.presence", ID, "presence"),
        ),
        (frame("channel.metadata", {"message": "WebSocket Heartbeat"}), Heartbeat()),
        (frame("Channel.Metadata", {"message": "websocket heartbeat"}), Heartbeat()),
        (frame("channel.metadata", {"message": "pong"}), Pong()),
        (frame("channel.metadata", {"message": "?"}), Heartbeat()),
        (frame("Channel.Metadata", []), Heartbeat()),
        (frame("v2.system.heartbeat", {}), Heartbeat()),
        (b'{"message":"WebSocket Heartbeat"}', Heartbeat()),
        (b'{"message":"Pong"}', Pong()),
        (
            frame("v2.system.socket_closing", {"message": "in a minute"}),
            Closing("in a minute"),
        ),
        (
            frame("v2.system.no_longer_subscribed.abc", {"message": "why"}),
            ChannelLost("no_longer_subscribed", "why"),
        ),
        (frame("v2.system.No_Longer_Subscribed", None), ChannelLost("no_longer_subscribed", "")),
        (frame("v2.system.token_revoked.abc", {}), ChannelLost("token_revoked", "")),
        (frame("v2.system.subscription_changed.abc", {"message": "x"}), SubscriptionChanged("x")),
        (frame("V2.System.Subscription_Changed", None), SubscriptionChanged("")),
        (b'{"eventBody":{"message":"WebSocket Heartbeat"}}', Heartbeat()),
        (b'\xef\xbb\xbf{"message":"pong"}', Pong()),
        (b'{"result":404.0}', ChannelLost("404", "")),
        (b'{"result":"404","message":"no channel"}', ChannelLost("404", "no channel")),
        (b'{"result":404}', ChannelLost("404", "")),
        (b'{"result":"400","message":"bad"}', ChannelLost("400", "bad")),
        (b'{"result":401}', ChannelLost("401", "")),
        (b'{"result":"403"}', ChannelLost("403", "")),
        (b'{"result":"410","message":"gone"}', ChannelLost("410", "gone")),
        (b'{"result":"200","status":"subscribed"}', SubscriptionAccepted()),
    ],
)
def test_a_frame_is_told_apart(payload: bytes, expected: Frame) -> None:
    assert read_frame(payload) == expected
    assert type(read_frame(payload)) is type(expected)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        b"[]",
        b"1",
        b"{}",
        b'{"topicName":5}',
        b'{"result":"500"}',
        b'{"result":"200"}',
        b'{"result":"429"}',
        b'{"result":[]}',
        frame("v2.system.subscription_changed_at_all", {}),
        frame("v2.system.no_longer_subscribed_at_all", {}),
        frame("v2.users", {}),
        frame("v2.users.", {}),
        frame(f"v2.users.{ID}", {}),
        frame("v2.users..activity", {}),
        frame("v2.users.a.b.activity", {}),
        frame("v2.users.a/b.activity", {}),
        frame(f"v2.users.{'a' * 129}.activity", {}),
        frame(f"v2.users.{ID}.conversations", {}),
        frame(f"v2.users.{ID}.activity", None),
        frame(f"v2.users.{ID}.activity", [1]),
    ],
)
def test_what_is_none_of_them_is_odd(payload: bytes) -> None:
    assert isinstance(read_frame(payload), InvalidCloudFrame)


def test_a_snapshot_is_ours_and_cannot_come_over_a_socket() -> None:
    assert isinstance(read_frame(frame(snapshot_topic(ID), {"id": ID})), InvalidCloudFrame)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise(payload: bytes) -> None:
    read_frame(payload)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    ),
    st.sampled_from(["topicName", "result"]),
    st.sampled_from(["v2.users.a.activity", "channel.metadata", "v2.system.token_revoked", "404"]),
)
def test_no_json_raises(body: Any, key: str, name: str) -> None:
    read_frame(orjson.dumps(body))
    read_frame(orjson.dumps({key: name, "eventBody": body, "message": body, "status": body}))


@pytest.mark.parametrize("topics", ["activity", "combined"])
def test_who_was_subscribed_is_found_in_the_topic(topics: TopicsSetting) -> None:
    topic = subscribed_topic(ID, topics)
    assert subscribed_user(topic) == ID
    assert subscribed_user(topic.upper()) == ID
    assert subscribed_user("v2.users..activity") is None
    assert subscribed_user("v2.queues.x.activity") is None
    assert subscribed_user(f"v2.users.{ID}.conversations") is None


@pytest.mark.parametrize("text", ["", "a.b", "a/b", "..", "a?b", "é", "a" * 129, 5, None])
def test_what_would_name_something_else_is_no_user_id(text: object) -> None:
    assert not is_user_id(text)
    assert is_user_id(ID)


@settings(deadline=None)
@given(st.uuids(), st.lists(st.booleans(), min_size=36, max_size=36))
def test_a_uuid_has_one_spelling(user: UUID, upper: list[bool]) -> None:
    spelt = "".join(c.upper() if up else c for c, up in zip(str(user), upper, strict=True))
    assert user_id_of(spelt) == str(user)


@pytest.mark.parametrize("text", ["", "User-A", ID.upper()[:-1], f"{ID.upper()}\n", "Ä" * 36])
def test_what_is_no_uuid_keeps_its_spelling(text: str) -> None:
    assert user_id_of(text) == text


# -- times ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "time_us"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-11-21T22:00:17Z", 1_795_298_417_000_000),
        ("2026-11-21T22:00:17.067Z", 1_795_298_417_067_000),
        ("2026-11-21T22:00:17.067001Z", 1_795_298_417_067_001),
        ("2026-11-21T23:00:17.067+01:00", 1_795_298_417_067_000),
        ("2026-11-21T22:00:17.067+0000", 1_795_298_417_067_000),
    ],
)
def test_a_time_is_an_integer(text: str, time_us: int) -> None:
    assert parse_time_us(text) == time_us


def test_a_time_with_a_fraction_is_later_than_one_without_though_not_as_text() -> None:
    whole, with_fraction = "2026-11-21T22:00:17Z", "2026-11-21T22:00:17.067Z"
    assert with_fraction < whole
    assert parse_time_us(whole) < parse_time_us(with_fraction)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-21T22:00:17", 5, None, "2" * 41, []])
def test_what_is_no_time_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="ISO-8601"):
        parse_time_us(text)


@settings(deadline=None)
@given(st.datetimes(timezones=st.timezones()).filter(lambda moment: 1970 < moment.year < 9999))
def test_no_time_loses_a_microsecond(moment: Any) -> None:
    text = moment.isoformat()
    if moment.utcoffset().microseconds == 0 and len(text) <= 40:
        assert parse_time_us(text) == round(moment.replace(microsecond=0).timestamp()) * 10**6 + (
            moment.microsecond
        )


# -- names and states ----------------------------------------------------------------------------


@pytest.mark.parametrize("spelt", ["OnQueue", "ON_QUEUE", "On Queue", "on-queue", "onqueue"])
def test_a_name_has_one_spelling(spelt: str) -> None:
    assert normal_name(spelt) == "ON_QUEUE"


def test_a_name_that_nobody_knows_stays_as_it_is_and_what_is_none_is_empty() -> None:
    assert normal_name("Sabbatical") == "Sabbatical"
    assert len(normal_name("x" * 10_000)) == 64
    assert normal_name(None) == normal_name(5) == ""


@settings(deadline=None)
@given(st.sampled_from((*SYSTEM_PRESENCES, *ROUTING_STATUSES)))
def test_a_normal_name_is_its_own(name: str) -> None:
    assert normal_name(name) == name


@pytest.mark.parametrize(
    ("presence", "routing", "expected"),
    [
        ("ON_QUEUE", "IDLE", ("Available", "available")),
        ("ON_QUEUE", "INTERACTING", ("Talking", "busy")),
        ("ON_QUEUE", "COMMUNICATING", ("Talking", "busy")),
        ("MEAL", "COMMUNICATING", ("Talking", "busy")),
        ("ON_QUEUE", "NOT_RESPONDING", ("Not Available", "busy")),
        ("AVAILABLE", "OFF_QUEUE", ("Not Available", "available")),
        ("OFFLINE", "OFF_QUEUE", ("Not Available", "offline")),
        ("MEAL", "OFF_QUEUE", ("Not Available", "break")),
        ("MEETING", "OFF_QUEUE", ("Not Available", "busy")),
        ("Sabbatical", "OFF_QUEUE", ("Not Available", "break")),
        ("", "", ("Not Available", "break")),
    ],
)
def test_native_values_are_shown_in_the_tutorials_words(
    presence: str, routing: str, expected: tuple[str, str]
) -> None:
    assert mapped(presence, routing) == expected


@settings(deadline=None)
@given(
    st.sampled_from((*SYSTEM_PRESENCES, "")) | st.text(max_size=10),
    st.sampled_from((*ROUTING_STATUSES, "")) | st.text(max_size=10),
)
def test_nobody_is_available_by_assumption(presence: str, routing: str) -> None:
    shown = mapped(presence, routing)
    assert shown.state in STATES
    assert shown.presence in PRESENCES
    assert (shown.state == "Available") == (presence == "ON_QUEUE" and routing == "IDLE")


def test_every_kind_of_event_has_a_topic() -> None:
    for kind in EVENT_KINDS:
        event = read_frame(frame(f"v2.users.{ID}.{kind}", {}))
        assert isinstance(event, CloudEvent)
        assert event.kind == kind
