"""The fast routing takes a frame only if a full parse would route it the same."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actors.genesys.wsp import OwnedEvent, read_frame
from actors.messages import partition
from actors.messages.control import SEQUENCE_END, STATE_EVENT, USER_ID_BYTES_MAX
from actors.receiver import routing

USUAL = (
    b'{"type":"routing.agents.state","sequence":12345,"data":{"userId":"user-7","state":"Talking",'
    b'"timestamp":"2026-11-21T22:00:00.000Z","queueId":"3f1c2d4e-0000-4000-8000-000000000001"}}'
)


def by_full_parse(frame: bytes) -> tuple[int, int] | None:
    """The route of a state event with a sequence that can be; None for every other frame."""
    read = read_frame(frame)
    if not isinstance(read, OwnedEvent) or read.type != STATE_EVENT or read.sequence == 0:
        return None
    return partition.partition(read.user_id), read.sequence


def is_json(frame: bytes) -> bool:
    try:
        orjson.loads(frame)
    except orjson.JSONDecodeError:
        return False
    return True


def assert_routed_as_parsed(frame: bytes) -> None:
    if not is_json(frame):
        return  # taken or not: the shard quarantines it
    for route in (routing.routed, routing.routed_usual, routing.routed_scanned):
        taken = route(frame)
        assert taken is None or taken == by_full_parse(frame), (route.__name__, frame)


@given(st.text(st.characters(codec="utf-8")))
def test_cython_and_python_partition_agree_on_every_id(user_id: str) -> None:
    assert routing.partition(user_id.encode()) == partition.partition(user_id)


@given(st.binary())
def test_cython_and_python_partition_agree_on_all_bytes(user_id: bytes) -> None:
    assert routing.partition(user_id) == partition.partition(user_id)


def test_the_usual_frame_takes_the_short_cut() -> None:
    assert routing.routed_usual(USUAL) == (partition.partition("user-7"), 12345)
    assert routing.routed_scanned(USUAL) == routing.routed_usual(USUAL)


@pytest.mark.parametrize(
    "frame",
    [
        USUAL.replace(b",", b" , ").replace(b'":', b'" :\n'),
        b'\r\n\t {"sequence":5,"data":{"x":"Talking","userId":"A"},"type":"routing.agents.state"} ',
        b'{"data":{"userId":"A"},"type":"routing.agents.state","sequence":5}',
        b'{"type":"routing.agents.state","sequence":5,"history":true,"data":{"userId":"A"}}',
        b'{"type":"routing.agents.state","sequence":5,"data":{"x":{"y":[{}]},"userId":"A"}}',
        b'{"type":"routing.agents.state","sequence":5,"data":{"userId":"A","state":"sequence"}}',
        b'{"type":"routing.agents.state","sequence":5,"data":{"userId":"A","state":"type"}}',
        b'{"x":"userId","type":"routing.agents.state","sequence":5,"data":{"userId":"A"}}',
        '{"type":"routing.agents.state","sequence":5,"data":{"userId":"Zoë"}}'.encode(),
    ],
)
def test_other_order_and_spacing_are_scanned(frame: bytes) -> None:
    assert routing.routed_scanned(frame) == by_full_parse(frame)
    assert routing.routed(frame) is not None


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"{",
        b"[]",
        b'"',
        b'{"type":"routing.agents.state"',
        # another owner than the first userId
        b'{"type":"routing.agents.state","sequence":5,"data":{"supervisor":{"userId":"B"},"userId":"A"}}',
        b'{"data":{"userId":"A"},"sequence":5,"type":"routing.agents.state","x":{"userId":"B"}}',
        b'{"type":"routing.agents.state","sequence":5,"userId":"B","data":{}}',
        b'{"type":"routing.agents.state","sequence":5,"data":[{"userId":"B"}]}',
        b'{"type":"routing.agents.state","sequence":5,"data":{"x":{"userId":"B"}}}',
        b'{"type":"routing.agents.state","sequence":5,"x":{"data":{"userId":"B"}}}',
        # keys more than once
        b'{"type":"routing.agents.state","sequence":5,"data":{"userId":"A","userId":"B"}}',
        b'{"type":"routing.agents.state","sequence":5,"data":{"userId":"A"},"data":{}}',
        b'{"type":"routing.agents.state","sequence":5,"data":{"userId":"A"},"data":null}',
        b'{"type":"routing.agents.state","sequence":5,"data":{"userId":"A"},"sequence":6}',
        b'{"type":"routing.agents.state","sequence":5,"data":{"userId":"A"},"type":"history.complete"}',
        b'{"type":"routing.agents.state","sequence":5,"data":{"userId":"A","sequence":6}}',
        # escapes
        b'{"type":"routing.agents.state","sequence":5,"data":{"userId":"\\u0041"}}',
        b'{"type":"routing.agents.state","sequence":5,"data":{"userId":"A","user\\u0049d":"B"}}',
        b'{"type":"routing.agents.state","sequence":5,"data":{"userId":"A\\"","x":1}}',
        # no sequence that can be
        *(
            b'{"type":"routing.agents.state","sequence":%s,"data":{"userId":"A"}}' % sequence
            for sequence in (
                b"0", b"-5", b"5.0", b"5e3", b"05", b'"5"', b"true", b"null", b"[5]",
                b"4611686018427387904", b"9223372036854775808", b"99999999999999999999999",
            )
        ),
        # no id that can be
        b'{"type":"routing.agents.state","sequence":5,"data":{"userId":""}}',
        b'{"type":"routing.agents.state","sequence":5,"data":{"userId":5}}',
        b'{"type":"routing.agents.state","sequence":5,"data":{"userId":"%s"}}'
        % (b"x" * (USER_ID_BYTES_MAX + 1)),
        # other types
        b'{"type":"history.complete","sequence":5,"data":{"userId":"A"}}',
        b'{"type":"routing.agents.statex","sequence":5,"data":{"userId":"A"}}',
        b'{"type":"routing.agents.apptent","sequence":5,"data":{"userId":"A"}}',
    ],
)  # fmt: skip
def test_whatever_could_be_read_otherwise_is_left_to_the_parser(frame: bytes) -> None:
    assert routing.routed(frame) is None


def test_the_bounds_of_ids_and_sequences_are_those_of_the_vocabulary() -> None:
    frame = b'{"type":"routing.agents.state","sequence":%d,"data":{"userId":"%s"}}'
    longest = frame % (SEQUENCE_END - 1, b"x" * USER_ID_BYTES_MAX)
    assert routing.routed_usual(longest) == by_full_parse(longest)
    assert routing.routed_scanned(longest) == by_full_parse(longest)
    assert routing.routed_usual(longest) is not None
    assert routing.routed(frame % (SEQUENCE_END, b"x")) is None


_KEYS = st.sampled_from(["type", "sequence", "data", "userId", "state", "history", "x"])
_LEAVES = st.one_of(
    st.sampled_from(
        [STATE_EVENT, "history.complete", "userId", "type", "A", "Zoë", 'q"', "b\\", ""]
    ),
    st.integers(-2, 2**63),
    st.booleans(),
    st.none(),
    st.floats(allow_nan=False, allow_infinity=False),
)
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=8,
)


@st.composite
def _nearly_usual(draw: st.DrawFn) -> bytes:
    """An event whose members are shuffled, repeated, nested elsewhere, respaced or replaced."""
    event = draw(st.permutations([("userId", "A"), ("state", "Talking"), ("queueId", "q")]))
    event = event[draw(st.integers(0, 1)) :] + draw(st.lists(st.tuples(_KEYS, _TREES), max_size=2))
    members: list[tuple[str, bytes]] = [
        ("type", orjson.dumps(STATE_EVENT)),
        ("sequence", b"%d" % draw(st.integers(0, 2**62))),
        ("data", _spelt(event)),
    ]
    members += [
        (k, orjson.dumps(v)) for k, v in draw(st.lists(st.tuples(_KEYS, _TREES), max_size=2))
    ]
    members = draw(st.permutations(members))
    space = draw(st.sampled_from([b"", b" ", b"\n\t"]))
    inner = (b"," + space).join(
        orjson.dumps(key) + space + b":" + space + value for key, value in members
    )
    return space + b"{" + inner + b"}" + space


def _spelt(members: Sequence[tuple[str, object]]) -> bytes:
    return b"{" + b",".join(orjson.dumps(k) + b":" + orjson.dumps(v) for k, v in members) + b"}"


@settings(max_examples=500)
@given(_nearly_usual())
def test_shuffled_repeated_and_nested_members_are_routed_as_parsed(frame: bytes) -> None:
    assert is_json(frame)
    assert_routed_as_parsed(frame)


@settings(max_examples=500)
@example(b'{"type":"routing.agents.state","sequence":5,"data":{"userId":"A"}} ', [])
@given(
    st.sampled_from(
        [USUAL, USUAL.replace(b",", b" ,\t").replace(b'"state"', b'"sup":{"a":[1]},"state"')]
    ),
    st.lists(
        st.tuples(
            st.integers(0, 250),
            st.integers(0, 8),
            st.sampled_from(
                [b"", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b" ", b"0", b"\xc3", b"\x00",
                 b'"userId":"B",', b'"type":1,', b'"data":{', b'\\u0049', b'"sequence":7,']
            ),
        ),
        max_size=4,
    ),
)  # fmt: skip
def test_cut_and_pasted_bytes_are_routed_as_parsed(
    frame: bytes, cuts: list[tuple[int, int, bytes]]
) -> None:
    for at, length, pasted in cuts:
        frame = frame[:at] + pasted + frame[at + length :]
    assert_routed_as_parsed(frame)
