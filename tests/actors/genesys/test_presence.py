"""The presence socket's frames: what we say, what we make of what is said (protocol.md §1.3)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors.genesys.presence import (
    BIND_FRAME,
    MESSAGE_CHARS_MAX,
    REASON_NO_CORRELATION,
    REASON_NO_STATUS,
    REASON_NO_SUCCESS,
    REASON_NO_TYPE,
    REASON_NOT_BOUND,
    REASON_NOT_JSON,
    RETRY_AFTER_MOST_MS,
    Bound,
    InvalidPresenceFrame,
    UpdateAcknowledgement,
    presence_url,
    read_frame,
    update_frame,
)

CORRELATION = "1b4e28ba-2fa1-41d2-883f-0016d3cca427"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def ack(**fields: Any) -> bytes:
    return orjson.dumps({"type": "presence.ack", "correlationId": CORRELATION} | fields)


def test_the_socket_stands_beside_rest_and_bears_no_token() -> None:
    assert presence_url("wss://api.example.com") == "wss://api.example.com/api/v2/ws"


def test_the_channel_is_bound_by_the_frame_of_the_contract() -> None:
    assert BIND_FRAME == b'{"type":"subscribe","channel":"presence"}'
    assert read_frame(b'{"type":"subscribed","channel":"presence"}') == Bound()


def test_an_update_is_the_bytes_of_the_contract() -> None:
    assert update_frame("u-1", "busy", "", CORRELATION) == (
        b'{"type":"presence","userId":"u-1","stateName":"busy","reasonId":""}'
        b"|corr:" + CORRELATION.encode()
    )


@given(TEXTS, TEXTS)
@example("u", f"|corr:{CORRELATION}")
@example("u|corr:x", "")
def test_what_stands_behind_the_last_separator_is_the_correlation_id(
    user_id: str, reason: str
) -> None:
    body, _, correlation = update_frame(user_id, "break", reason, CORRELATION).rpartition(b"|corr:")
    assert correlation.decode() == CORRELATION
    assert orjson.loads(body) == {
        "type": "presence",
        "userId": user_id,
        "stateName": "break",
        "reasonId": reason,
    }


def test_a_good_acknowledgement_has_status_200_whatever_else_it_says() -> None:
    good = UpdateAcknowledgement(CORRELATION, True, 200, "", "", None)
    assert read_frame(ack(success=True)) == good
    assert read_frame(ack(success=True, status=403, code="x", retryAfterMs=5)) == good


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_a_negative_acknowledgement_says_why(status: int) -> None:
    payload = ack(success=False, status=status, code="not.authorized", message="No.")
    assert read_frame(payload) == UpdateAcknowledgement(
        CORRELATION, False, status, "not.authorized", "No.", None
    )


@pytest.mark.parametrize(
    ("asked", "waited"),
    [(0, 0), (750, 750), (10**9, RETRY_AFTER_MOST_MS), (-1, None), (1.5, None), (True, None)],
)
def test_what_a_gateway_asks_us_to_wait_is_bounded(asked: object, waited: int | None) -> None:
    answer = read_frame(ack(success=False, status=429, retryAfterMs=asked))
    assert isinstance(answer, UpdateAcknowledgement)
    assert answer.retry_after_ms == waited


def test_an_explanation_that_is_none_does_not_spoil_the_answer() -> None:
    answer = read_frame(ack(success=False, status=400, code=7, message="x" * 10_000))
    assert isinstance(answer, UpdateAcknowledgement)
    assert (answer.code, len(answer.message)) == ("", MESSAGE_CHARS_MAX)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", REASON_NOT_JSON),
        (b"\xff", REASON_NOT_JSON),
        (b'{"type":"presence.ack"', REASON_NOT_JSON),
        (b"[]", REASON_NO_TYPE),
        (b"7", REASON_NO_TYPE),
        (b'{"type":"hello"}', REASON_NO_TYPE),
        (b'{"type":["subscribed"]}', REASON_NO_TYPE),
        (b'{"type":"subscribed"}', REASON_NOT_BOUND),
        (b'{"type":"subscribed","channel":"notifications"}', REASON_NOT_BOUND),
        (b'{"type":"presence.ack","success":true}', REASON_NO_CORRELATION),
        (ack(correlationId="", success=True), REASON_NO_CORRELATION),
        (ack(correlationId=5, success=True), REASON_NO_CORRELATION),
        (ack(correlationId="x" * 201, success=True), REASON_NO_CORRELATION),
        (ack(), REASON_NO_SUCCESS),
        (ack(success=1), REASON_NO_SUCCESS),
        (ack(success="true"), REASON_NO_SUCCESS),
        (ack(success=False), REASON_NO_STATUS),
        (ack(success=False, status="403"), REASON_NO_STATUS),
        (ack(success=False, status=403.0), REASON_NO_STATUS),
        (ack(success=False, status=True), REASON_NO_STATUS),
        (ack(success=False, status=200), REASON_NO_STATUS),
        (ack(success=False, status=99_999), REASON_NO_STATUS),
    ],
)
def test_a_malformed_frame_is_odd_and_says_why(payload: bytes, reason: str) -> None:
    assert read_frame(payload) == InvalidPresenceFrame(reason)


@given(st.binary() | JSON.map(orjson.dumps))
def test_no_payload_raises(payload: bytes) -> None:
    assert read_frame(payload) is not None  # now and then it is one that there is


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(
    ("correlationId", "success", "status", "code", "message", "retryAfterMs"), JSON
)))  # fmt: skip
def test_no_acknowledgement_raises(fields: dict[str, Any]) -> None:
    assert not isinstance(read_frame(ack(**fields)), Bound)
