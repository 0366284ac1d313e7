"""Control records survive their encoding, and nothing else is taken for one."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages.control import (
    ControlRecord,
    Gap,
    HistoryEnds,
    SessionBegins,
    SessionEnds,
    Shed,
    Unwatches,
    Vacates,
    Watches,
    Watermark,
    decode_control,
    encode_control,
    session_flags,
)

_INTEGERS = st.integers(min_value=0, max_value=2**63 - 1)
_TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
_RECORDS = st.one_of(
    st.builds(
        SessionBegins,
        _INTEGERS,
        _TEXTS,
        _INTEGERS,
        _TEXTS,
        _INTEGERS,
        st.none() | _INTEGERS,
        _INTEGERS,
    ),
    st.builds(HistoryEnds, _INTEGERS, _TEXTS, st.booleans(), _INTEGERS),
    st.builds(SessionEnds, _INTEGERS, _TEXTS, _TEXTS, _INTEGERS),
    st.builds(Gap, _INTEGERS, _TEXTS, _INTEGERS, _INTEGERS, _INTEGERS, _TEXTS, _INTEGERS),
    st.builds(Watches, _TEXTS, _TEXTS),
    st.builds(Unwatches, _TEXTS, _TEXTS, _TEXTS, _INTEGERS),
    st.builds(Vacates, _TEXTS, _INTEGERS),
    st.builds(Watermark, _INTEGERS, _INTEGERS),
    st.builds(Shed, _INTEGERS),
)


@given(_RECORDS)
def test_a_control_record_survives_its_encoding(record: ControlRecord) -> None:
    decoded = decode_control(encode_control(record))
    assert decoded == record
    assert type(decoded) is type(record)


@given(st.integers(1, 2**40))
def test_a_sessions_flags_are_a_byte_that_says_something_and_not_its_neighbours(
    session: int,
) -> None:
    assert 1 <= session_flags(session) <= 255
    assert session_flags(session) != session_flags(session + 1)


def test_the_payload_is_a_tagged_json_array() -> None:
    assert orjson.loads(encode_control(Watermark(2, 7))) == ["watermark", 2, 7]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"[1]",
        b'["watermark"]',
        b'["watermark",1,2,3]',
        b'["watermark",1,true]',
        b'["watermark",1,5.0]',
        b'["watermark",1,"5"]',
        b'["history ends",1,"all",1,0]',
        b'["session begins",1,"all",1,null,5,null,0]',
        b'["never heard of",1]',
        b'["watermark",1,2',
    ],
)
def test_anything_else_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_control(payload)
