"""The fast routing of a channel's frame takes it only if a full parse would route it the same."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actors.genesys.cloud import EVENT_KINDS, CloudEvent, is_user_id, read_frame
from actors.messages.control import USER_ID_BYTES_MAX
from actors.messages.partition import partition
from actors.receiver.topic_routing import routed_topic

USER = "3f1c2d4e-0000-4000-8000-000000000001"
USUAL = (
    b'{"topicName":"v2.users.%s.activity","version":"2","eventBody":{"id":"%s","routingStatus":'
    b'{"status":"IDLE","startTime":"2026-11-22T04:00:00.000Z"},"activeQueueIds":["q"]},'
    b'"metadata":{"CorrelationId":"c"}}' % (USER.encode(), USER.encode())
)


def by_full_parse(frame: bytes) -> int | None:
    read = read_frame(frame)
    return partition(read.user_id) if isinstance(read, CloudEvent) else None


def assert_routed_as_parsed(frame: bytes) -> None:
    """What is no event is taken or not: the shard quarantines it."""
    taken, parsed = routed_topic(frame), by_full_parse(frame)
    assert taken is None or parsed in (taken, None), frame


@pytest.mark.parametrize("kind", EVENT_KINDS)
def test_the_usual_frame_of_each_kind_takes_the_short_cut(kind: str) -> None:
    for frame in (USUAL, USUAL.replace(b'"version":"2",', b"")):
        of_kind = frame.replace(b".activity", b"." + kind.encode())
        assert routed_topic(of_kind) == by_full_parse(of_kind) == partition(USER)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"{",
        b'{"topicName":"v2.users.',
        b'{"topicName":"v2.users.A.activity","eventBody"',
        # nobody's, or not an event
        b'{"topicName":"channel.metadata","eventBody":{"message":"WebSocket Heartbeat"}}',
        b'{"topicName":"v2.users..activity","eventBody":{}}',
        b'{"topicName":"v2.users.-_.activity","eventBody":{}}',
        b'{"topicName":"v2.users.A.B.activity","eventBody":{}}',
        b'{"topicName":"v2.users.A/B.activity","eventBody":{}}',
        b'{"topicName":"v2.users.A.snapshot","eventBody":{}}',
        b'{"topicName":"v2.users.A.activityx","eventBody":{}}',
        b'{"topicName":"v2.users.A.activity"}',
        b'{"topicName":"v2.users.A.activity","eventBody":null}',
        b'{"topicName":"v2.users.%s.activity","eventBody":{}}' % (b"x" * (USER_ID_BYTES_MAX + 1)),
        # another owner than the first one
        b'{"topicName":"v2.users.A.activity","eventBody":{},"topicName":"v2.users.B.activity"}',
        b'{"topicName":"v2.users.A.activity","eventBody":{},"eventBody":null}',
        b'{"topicName":"v2.users.A.activity","eventBody":{},"topic\\u004eame":"v2.users.B.activity"}',
        b'{"eventBody":{"topicName":"v2.users.A.activity","eventBody":{}}}',
        # rightly an agent's, but read by the parser
        b'{"topicName":"V2.Users.A.Activity","eventBody":{}}',
        b'{"eventBody":{},"topicName":"v2.users.A.activity"}',
        b'{"topicName":"v2.users.A.activity","eventBody":{"message":"say \\"hi\\""}}',
    ],
)
def test_whatever_could_be_read_otherwise_is_left_to_the_parser(frame: bytes) -> None:
    assert routed_topic(frame) is None


def test_the_longest_id_is_that_of_the_vocabulary() -> None:
    frame = USUAL.replace(USER.encode(), b"x" * USER_ID_BYTES_MAX)
    assert routed_topic(frame) == by_full_parse(frame) is not None


@given(st.text(st.sampled_from("aZ09-_./ é"), max_size=6))
def test_an_id_is_one_for_both_or_for_neither(user_id: str) -> None:
    frame = b'{"topicName":"v2.users.%s.activity","eventBody":{}}' % user_id.encode()
    assert (routed_topic(frame) is not None) is is_user_id(user_id)


@given(st.uuids().map(str), st.lists(st.booleans(), min_size=36, max_size=36))
def test_a_uuid_is_of_one_partition_in_whatever_letter_case(
    user_id: str, upper: list[bool]
) -> None:
    spelt = "".join(c.upper() if up else c for c, up in zip(user_id, upper, strict=True))
    frame = USUAL.replace(USER.encode(), spelt.encode())
    assert routed_topic(frame) == by_full_parse(frame) == partition(user_id)


@pytest.mark.parametrize(
    "user_id", ["User-A", f"{USER.upper()}0", "G" * 36, f"{'A' * 8}_{'A' * 27}"]
)
def test_what_is_no_uuid_is_routed_as_it_is_spelt(user_id: str) -> None:
    frame = USUAL.replace(USER.encode(), user_id.encode())
    assert routed_topic(frame) == by_full_parse(frame) == partition(user_id)


_KEYS = st.sampled_from(["topicName", "eventBody", "version", "id", "message"])
_LEAVES = st.one_of(
    st.sampled_from(["v2.users.B.activity", "topicName", "eventBody", "2", "Zoë", 'q"', "b\\", ""]),
    st.integers(-2, 2**63),
    st.none(),
)
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=6,
)


@settings(max_examples=400)
@given(st.data())
def test_shuffled_repeated_and_nested_members_are_routed_as_parsed(data: st.DataObject) -> None:
    members: list[tuple[str, object]] = [
        ("topicName", f"v2.users.A.{data.draw(st.sampled_from(EVENT_KINDS))}"),
        ("version", "2"),
        ("eventBody", data.draw(st.dictionaries(_KEYS, _TREES, max_size=3))),
    ]
    members += data.draw(st.lists(st.tuples(_KEYS, _TREES), max_size=2))
    if data.draw(st.booleans()):
        members = data.draw(st.permutations(members))
    space = data.draw(st.sampled_from([b"", b"", b" "]))
    spelt = [orjson.dumps(key) + b":" + space + orjson.dumps(value) for key, value in members]
    frame = b"{" + (b"," + space).join(spelt) + b"}"
    orjson.loads(frame)
    assert_routed_as_parsed(frame)


@settings(max_examples=400)
@example([(220, 0, b'"topicName":"v2.users.B.activity",')])
@given(
    st.lists(
        st.tuples(
            st.integers(0, 250),
            st.integers(0, 8),
            st.sampled_from(
                [b"", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b" ", b".", b"\x00",
                 b'"topicName":"v2.users.B.activity",', b'"eventBody":1,', b"\\u004e"]
            ),
        ),
        max_size=4,
    )
)  # fmt: skip
def test_cut_and_pasted_bytes_are_routed_as_parsed(cuts: list[tuple[int, int, bytes]]) -> None:
    frame = USUAL
    for at, length, pasted in cuts:
        frame = frame[:at] + pasted + frame[at + length :]
    assert_routed_as_parsed(frame)
