"""Facts of actors/shard/decode.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.genesys.times import iso_ms, microseconds
from actors.shard.decode import (
    JOINT,
    SEPARATOR,
    UNDECODABLE,
    InternedNames,
    StateEvent,
    Times,
    checked,
    parse_frames,
)
from tests.actors.shard.lending import event


def parse(*frames: bytes) -> list[object]:
    return parse_frames(b"[" + JOINT.join(frames) + b"]", len(frames), lambda index: frames[index])


def test_frames_keep_their_places() -> None:
    assert parse(b'{"a":1}', b'{"a":2}', b"3") == [{"a": 1}, {"a": 2}, 3]


def test_a_frame_that_opens_a_string_over_its_neighbour_forges_nothing() -> None:
    frames = (b"{7},{8}", b'{"sequence":8,"pad":["', b'"],"sequence":9}')
    assert parse(*frames) == [UNDECODABLE] * 3
    valid = (b'{"n":7},{"n":8}', b'{"sequence":8,"pad":["', b'"],"sequence":9}')
    assert parse(*valid) == [UNDECODABLE] * 3


def test_two_values_in_a_frame_are_no_frame_and_shift_no_neighbour() -> None:
    assert parse(b'{"n":1},{"n":2}', b'{"n":3}') == [UNDECODABLE, {"n": 3}]


def test_a_guessed_separator_is_still_one_frame_too_many() -> None:
    forged = b'{"n":1},%d,{"n":2}' % SEPARATOR
    assert parse(forged, b'{"n":3}') == [UNDECODABLE, {"n": 3}]


def test_a_string_over_a_neighbour_made_good_by_values_too_many_shifts_nobody() -> None:
    """The joined text parses, and has as many elements as it should: only their places tell."""
    halves = b'{"n":8,"pad":["', b'"],"n":9}'
    assert parse(b'{"n":7},{"n":8},{"n":9}', *halves) == [UNDECODABLE] * 3
    assert parse(*halves, b'{"n":7},{"n":8},{"n":9}') == [UNDECODABLE] * 3


@pytest.mark.parametrize(
    ("damaged", "read"),
    [
        (b'{"n":"a\xff"}', {"n": "a\ufffd"}),
        (b'{"n":"\\ud83d"}', {"n": "\ufffd"}),
        (b'{"n":"a\tb"}', {"n": "a\tb"}),
        (b'\xef\xbb\xbf{"n":NaN}\0', {"n": None}),
        (b'{"n":"\xff', UNDECODABLE),
    ],
)
def test_what_is_damaged_in_a_frame_hurts_only_itself(damaged: bytes, read: object) -> None:
    assert parse(damaged, b'{"n":3}') == [read, {"n": 3}]


_pieces = st.sampled_from(
    [b"{", b"}", b"[", b"]", b'"', b",", b":", b"1", b'"a"', b"\\", b"null", b'{"n":1}', b" "]
)


@given(st.lists(st.lists(_pieces, max_size=8).map(b"".join), min_size=1, max_size=6))
def test_joined_parsing_equals_parsing_one_by_one(frames: list[bytes]) -> None:
    assert parse(*frames) == [parse(frame)[0] for frame in frames]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sequence": True}, "sequence"),
        ({"sequence": 5.0}, "sequence"),
        ({"sequence": -5}, "sequence"),
        ({"sequence": 0}, "sequence"),
        ({"sequence": 1 << 62}, "sequence"),
        ({"sequence": (1 << 63)}, "sequence"),
        ({"sequence": "7"}, "sequence"),
        ({"user_id": ""}, "userId"),
        ({"user_id": "x" * 129}, "userId"),
        ({"user_id": 7}, "userId"),
        ({"state": "Unknown"}, "Unknown on the wire"),
        ({"state": "x" * 65}, "state"),
        ({"state": ["Talking"]}, "state"),
        ({"user_id": "a\ufffd"}, "userId"),
        ({"state": "Talk\ufffd"}, "state"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"timestamp": "2026-11-21T22:00:00.000"}, "timestamp"),
        ({"timestamp": "9999-99-99T22:00:00.000Z"}, "timestamp"),
        ({"queueId": 7}, "queueId"),
        ({"queueId": {}}, "queueId"),
        ({"queueId": ""}, "queueId"),
        ({"state": ""}, "state"),
        ({"presence": 7}, "presence"),
        ({"correlationId": "c" * 65}, "correlationId"),
    ],
)
def test_what_breaks_the_contract_is_refused_with_its_reason(
    changes: dict[str, object], reason: str
) -> None:
    record = event(**{"sequence": 7, **changes})  # type: ignore[arg-type]
    (value,) = parse(record.payload)
    outcome = checked(value)
    assert isinstance(outcome, str)
    assert reason in outcome


def test_a_usual_event_is_read_whole() -> None:
    (value,) = parse(event(7, queueId="q", presence="busy", correlationId="c").payload)
    outcome = checked(value)
    assert isinstance(outcome, StateEvent)
    assert outcome.sequence == 7
    assert (outcome.queue, outcome.presence, outcome.correlation) == ("q", "busy", "c")
    assert outcome.at_us == 1_795_298_400_000_000
    assert not outcome.is_history


def test_a_name_is_kept_once_and_queues_are_forgotten_rather_than_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("actors.shard.decode.QUEUES_MAX", 2)
    names = InternedNames()
    for queue in ("q1", "q2", "q3", "q2"):
        outcome = checked(parse(event(7, queueId=queue).payload)[0])
        assert isinstance(outcome, StateEvent)
        assert names.shared(outcome).queue == queue
        assert len(names.queues) <= 2


def test_times_are_integer_microseconds_whatever_their_text() -> None:
    assert microseconds("1970-01-01T00:00:01Z") == 1_000_000
    assert microseconds("1970-01-01T01:00:00.000001+01:00") == 1
    assert Times()["1970-01-01T00:00:00.017Z"] == 17_000


@given(st.integers(min_value=0, max_value=4_000_000_000_000))
def test_the_usual_text_of_a_time_reads_back(at_ms: int) -> None:
    assert microseconds(iso_ms(at_ms * 1000)) == at_ms * 1000
