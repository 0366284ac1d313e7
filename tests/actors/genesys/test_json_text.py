"""What a strict parser refuses is read all the same, and can be written again."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.genesys.json_text import DEPTH_MAX, parsed

READ = [
    pytest.param(rb'{"a":"x \ud83d","b":1}', {"a": "x \ufffd", "b": 1}, id="a high half"),
    pytest.param(rb'{"a":"\ude00 x"}', {"a": "\ufffd x"}, id="a low half"),
    pytest.param(rb'["\ude00\ud83d"]', ["\ufffd\ufffd"], id="halves in the wrong order"),
    pytest.param(rb'["\ud83d\ud83d\ude00"]', ["\ufffd\U0001f600"], id="a half before a whole"),
    pytest.param(rb'["\\ud83d", "\ud83d"]', [r"\ud83d", "\ufffd"], id="an escaped backslash"),
    pytest.param(rb'{"\ud83d":1}', {"\ufffd": 1}, id="in a key"),
    pytest.param(b'["a\tb\x0b\x00"]', ["a\tb\x0b\x00"], id="control characters"),
    pytest.param(b'["\xff\xfe", 1]', ["\ufffd\ufffd", 1], id="no UTF-8"),
    pytest.param(b'["\xed\xa0\xbd"]', ["\ufffd\ufffd\ufffd"], id="half an emoji in UTF-8"),
    pytest.param(rb'["\x41 \u12 \q"]', [r"\x41 \u12 \q"], id="escapes that are none"),
    pytest.param(b'\xef\xbb\xbf{"a":1}', {"a": 1}, id="a byte order mark"),
    pytest.param(b'\x00 {"a":1}\x00\r\n\x00', {"a": 1}, id="NUL around"),
    pytest.param(b"[1e400, NaN, -Infinity, 5]", [None, None, None, 5], id="numbers out of range"),
    pytest.param(b'["\t", 1' + b"0" * 5000 + b"]", ["\t", None], id="5,001 digits"),
    pytest.param(b'["\t", 18446744073709551616]', ["\t", 18446744073709551616.0], id="65 bits"),
]


@pytest.mark.parametrize(("raw", "value"), READ)
def test_what_is_damaged_costs_itself(raw: bytes, value: Any) -> None:
    assert parsed(raw) == value
    assert orjson.loads(orjson.dumps(parsed(raw))) == parsed(raw)


@pytest.mark.parametrize("deep", [DEPTH_MAX + 1, 1_100, 100_000])
def test_what_is_nested_too_deep_is_null_and_its_neighbours_stay(deep: int) -> None:
    value = parsed(b'{"a":' + b'[{"b":' * deep + b"1" + b"}]" * deep + b',"c":"]","d":2}')
    assert (value["c"], value["d"]) == ("]", 2)


@pytest.mark.parametrize(
    "raw",
    [b"", b"\x00", b"{", b"[1,", b'{"a" 1}', b'"open', b"[" * 100_000, b"{} {}", b'{"a":1}x', b"]"],
)
def test_what_is_no_json_even_so_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parsed(raw)


@pytest.mark.parametrize("unit", [rb"\"", b"[", rb"\ud83d", b"\\", b'"'])
def test_a_long_hostile_text_is_read_in_one_pass(unit: bytes) -> None:
    with suppress(ValueError):
        parsed(b'{"a":"' + unit * 500_000)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 53), 1 << 53) | st.text(),
    lambda of: st.lists(of) | st.dictionaries(st.text(), of),
)


@given(JSON)
def test_patience_reads_what_is_whole_as_it_is(value: Any) -> None:
    assert parsed(b"\xef\xbb\xbf" + orjson.dumps(value)) == value


@given(st.binary())
def test_no_bytes_end_in_anything_but_a_value_or_a_refusal(raw: bytes) -> None:
    try:
        value = parsed(b"\x00" + raw)
    except ValueError:
        return
    orjson.dumps(value)
