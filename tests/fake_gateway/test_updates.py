"""Updates: what fits the schema is understood, all else is answered with what is wrong with it."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.fake_gateway.script import PRESENCES
from tools.fake_gateway.wsp.updates import (
    MalformedUpdateError,
    Update,
    UpdateAnswer,
    acknowledgement,
    is_binding,
    malformed_acknowledgement,
    parse_update,
)

CORRELATION = "1b4e28ba-2fa1-41d2-883f-0016d3cca427"
TAIL = f"|corr:{CORRELATION}".encode()
GOOD = {"type": "presence", "userId": "u", "stateName": "busy", "reasonId": ""}


@given(st.text(min_size=1), st.sampled_from(PRESENCES), st.text(max_size=500), st.uuids(version=4))
def test_whatever_stands_in_an_update_the_last_separator_splits_it(
    user: str, state: str, reason: str, correlation: object
) -> None:
    text = orjson.dumps(GOOD | {"userId": user, "stateName": state, "reasonId": reason})
    update = parse_update(text + f"|corr:{correlation}".encode())
    assert update == Update(str(correlation), user, PRESENCES.index(state), reason)


def test_a_separator_in_the_reason_forges_nothing() -> None:
    reason = f"|corr:{'0' * 8}-0000-4000-8000-000000000000"
    update = parse_update(orjson.dumps(GOOD | {"reasonId": reason}) + TAIL)
    assert (update.correlation, update.reason) == (CORRELATION, reason)


@pytest.mark.parametrize(
    ("frame", "complaint"),
    [
        (orjson.dumps(GOOD), "no correlation id"),
        (b"", "no correlation id"),
        (orjson.dumps(GOOD) + b"|corr:7", "not a UUID v4"),
        (orjson.dumps(GOOD) + b"|corr:\xff\xfe", "not a UUID v4"),
        (orjson.dumps(GOOD) + TAIL + b"\n", "not a UUID v4"),
        (b"{" + TAIL, "not JSON"),
        (b"\xff" + TAIL, "not JSON"),
        (b"[]" + TAIL, "not an object"),
        (orjson.dumps(GOOD | {"more": 1}) + TAIL, "unknown keys: more"),
        (orjson.dumps(GOOD | {"type": "weather"}) + TAIL, "the type is not presence"),
        (orjson.dumps(GOOD | {"userId": 7}) + TAIL, "userId is not a text"),
        (orjson.dumps(GOOD | {"userId": ""}) + TAIL, "userId is not a text"),
        (orjson.dumps(GOOD | {"stateName": "Busy"}) + TAIL, "stateName is not one of"),
        (orjson.dumps(GOOD | {"stateName": ["busy"]}) + TAIL, "stateName is not one of"),
        (orjson.dumps(GOOD | {"reasonId": None}) + TAIL, "reasonId is not a text"),
        (orjson.dumps(GOOD | {"reasonId": "x" * 501}) + TAIL, "reasonId is not a text"),
    ],
)
def test_what_does_not_fit_is_told_why(frame: bytes, complaint: str) -> None:
    with pytest.raises(MalformedUpdateError, match=complaint) as refused:
        parse_update(frame)
    is_named = frame.endswith(TAIL)
    assert refused.value.correlation == (CORRELATION if is_named else None)


def test_only_the_binding_binds() -> None:
    assert is_binding('{"channel": "presence", "type": "subscribe"}')
    for other in ("", "[]", '{"type":"subscribe"}', '{"type":"subscribe","channel":"weather"}'):
        assert not is_binding(other)


def test_acknowledgements_are_the_contracts() -> None:
    good = acknowledgement(CORRELATION, UpdateAnswer())
    assert orjson.loads(good[2:]) == {
        "type": "presence.ack", "correlationId": CORRELATION, "success": True,
    }  # fmt: skip
    bad = acknowledgement(CORRELATION, UpdateAnswer(429, "too.many.requests", "slower", 250))
    assert orjson.loads(bad[4:]) == {
        "type": "presence.ack", "correlationId": CORRELATION, "success": False, "status": 429,
        "code": "too.many.requests", "message": "slower", "retryAfterMs": 250,
    }  # fmt: skip


def test_malformed_acknowledgements_are_of_many_kinds_and_none_is_an_acknowledgement() -> None:
    frames = [malformed_acknowledgement(CORRELATION, turn) for turn in range(11)]
    assert len(set(frames)) == 11
    assert malformed_acknowledgement(CORRELATION, 11) == frames[0]
    for frame in frames:
        assert frame[0] & 0x0F in (1, 2)
        try:
            told = orjson.loads(frame[2 if frame[1] < 126 else 4 :])
        except orjson.JSONDecodeError:
            continue
        is_one = (
            isinstance(told, dict)
            and told.get("type") == "presence.ack"
            and told.get("correlationId") == CORRELATION
            and (told.get("success") is True or type(told.get("status")) is int)
        )
        assert not is_one
