"""Product and gateway speak the same on the presence socket, each with code of its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.genesys.presence import (
    BIND_FRAME,
    Bound,
    InvalidPresenceFrame,
    UpdateAcknowledgement,
    read_frame,
    update_frame,
)
from actors.genesys.presences import PRESENCES as PRODUCT_PRESENCES
from tools.fake_gateway.script import PRESENCES
from tools.fake_gateway.wire import TEXT
from tools.fake_gateway.wsp.updates import (
    BOUND_FRAME,
    CODES,
    Update,
    UpdateAnswer,
    acknowledgement,
    is_binding,
    malformed_acknowledgement,
    parse_update,
)

CORRELATION = "1b4e28ba-2fa1-41d2-883f-0016d3cca427"


def payload(frame: bytes) -> bytes:
    return frame[2 if frame[1] < 126 else 4 :]


def test_binding_and_its_answer_are_understood() -> None:
    assert is_binding(BIND_FRAME)
    assert read_frame(payload(BOUND_FRAME)) == Bound()


@given(st.text(min_size=1), st.sampled_from(PRODUCT_PRESENCES), st.text(max_size=500))
def test_an_update_arrives_as_it_was_meant(user: str, state: str, reason: str) -> None:
    update = parse_update(update_frame(user, state, reason, CORRELATION))
    assert update == Update(CORRELATION, user, PRESENCES.index(state), reason)


@pytest.mark.parametrize("status", sorted(CODES))
def test_a_negative_acknowledgement_arrives_as_it_was_meant(status: int) -> None:
    frame = acknowledgement(CORRELATION, UpdateAnswer(status, CODES[status], "no", 250))
    told = UpdateAcknowledgement(CORRELATION, False, status, CODES[status], "no", 250)
    assert read_frame(payload(frame)) == told


def test_a_good_acknowledgement_is_one_and_a_malformed_one_is_none() -> None:
    good = read_frame(payload(acknowledgement(CORRELATION, UpdateAnswer())))
    assert good == UpdateAcknowledgement(CORRELATION, True, 200, "", "", None)
    malformed = [malformed_acknowledgement(CORRELATION, turn) for turn in range(11)]
    texts = [payload(frame) for frame in malformed if frame[0] & 0x0F == TEXT]
    assert len(texts) == 10
    assert {type(read_frame(text)) for text in texts} == {InvalidPresenceFrame}
