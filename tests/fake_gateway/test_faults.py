"""Faults: what a control call may ask for, what broken frames look like, and plans that repeat."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.fake_gateway.kept import settings
from tools.fake_gateway.script import LEAN, Script
from tools.fake_gateway.wsp.faults import (
    FRAME_FAULTS,
    WspFault,
    broken_frame,
)

EVENT = Script(settings()).frame(Script(settings()).change(0), 1001, 0, LEAN)


def test_a_control_call_becomes_a_fault() -> None:
    asked = {"kind": "close", "code": 1012, "socket": 3}
    assert WspFault.parse(asked) == WspFault(kind="close", code=1012, socket=3)


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        (None, "JSON object"),
        ({}, "kind is missing"),
        ({"kind": "fire"}, "Unknown fault"),
        ({"kind": "close", "code": 17}, "1000 to 4999"),
        ({"kind": "close", "code": "1000"}, "wrong type"),
        ({"kind": "refuse", "status": 200}, "status"),
        ({"kind": "refuse", "count": 0}, "at least 1"),
        ({"kind": "refuse", "count": True}, "wrong type"),
        ({"kind": "stall", "seconds": -1}, "negative"),
        ({"kind": "renumber", "named": 1}, "wrong type"),
        ({"kind": "poison", "frame": "malformed"}, "a poison is one of"),
        ({"kind": "stall", "minutes": 1}, "unknown: minutes"),
    ],
)
def test_a_call_that_makes_no_sense_is_told_why(asked: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        WspFault.parse(asked)


def frames(content: bytes) -> list[tuple[int, bytes]]:
    """(first byte, content) of each frame."""
    found = []
    while content:
        size, begin = content[1], 2
        if size == 126:
            size, begin = int.from_bytes(content[2:4], "big"), 4
        elif size == 127:
            size, begin = int.from_bytes(content[2:10], "big"), 10
        found.append((content[0], content[begin : begin + size]))
        content = content[begin + size :]
    return found


def test_a_malformed_and_a_truncated_frame_do_not_parse() -> None:
    for kind in ("malformed", "truncated", "non-utf8"):
        ((first, text),) = frames(broken_frame(kind, EVENT))
        assert first == 0x81
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(text)


def test_a_fragmented_frame_is_the_event_in_three_parts() -> None:
    parts = frames(broken_frame("fragmented", EVENT))
    assert [first for first, _ in parts] == [0x01, 0x00, 0x80]
    assert b"".join(text for _, text in parts) == EVENT[4:]


def test_a_binary_frame_is_the_event_under_another_opcode() -> None:
    assert frames(broken_frame("binary", EVENT)) == [(0x82, EVENT[4:])]


def test_an_unknown_state_or_type_is_well_formed() -> None:
    ((_, state),) = frames(broken_frame("unknown-state", EVENT))
    assert orjson.loads(state)["data"]["state"] == "Levitating"
    assert orjson.loads(state)["sequence"] == 1001
    ((_, type_),) = frames(broken_frame("unknown-type", EVENT))
    assert orjson.loads(type_)["type"] not in (None, "routing.agents.state")


def test_an_oversized_frame_is_well_formed_and_over_two_megabytes() -> None:
    ((_, text),) = frames(broken_frame("oversized", EVENT))
    assert len(text) > 2 << 20
    assert orjson.loads(text)["sequence"] == 1001


def test_reserved_bits_and_a_continuation_of_nothing_are_whole_events() -> None:
    assert frames(broken_frame("reserved-bits", EVENT)) == [(0xC1, EVENT[4:])]
    assert frames(broken_frame("bad-continuation", EVENT)) == [(0x80, EVENT[4:])]


def test_what_was_asked_for_is_told_where_it_is_not_the_usual() -> None:
    assert WspFault(kind="drop").detail == {}
    assert WspFault(kind="renumber", named=False, count=2).detail == {"named": False, "count": 2}


def test_every_kind_of_frame_fault_is_a_kind() -> None:
    assert set(FRAME_FAULTS) < set(WspFault.KINDS)
