"""What others see of a receiver, over its lives."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from actors.messages.control import APPOINTMENT_EVENT
from actors.receiver.connection import SHED_TYPES_MAX, ConnectionCounts
from actors.receiver.gauges import RECEIVER_WORDS, Gauges
from runtime.counters import Counters


@dataclass
class Tokens:
    refreshes: int = 0
    failures: int = 0
    seconds_left: float = 0.0
    last_failure: str = "401"


def gauges(counters: Counters, tokens: Tokens, tally: ConnectionCounts) -> Gauges:
    return Gauges(counters, tokens, tally, structlog.get_logger())  # type: ignore[arg-type]


def test_counts_go_on_where_the_last_receiver_ended() -> None:
    counters = Counters.create("receiver-0", RECEIVER_WORDS)
    for _ in range(2):
        tally = ConnectionCounts(control_frames=3)
        tally.add_shed("x")
        gauges(counters, Tokens(refreshes=2, seconds_left=9.9), tally).show()
    assert counters.get("control_frames") == 6
    assert counters.get("token_refreshes") == 4
    assert counters.get("shed") == 2
    assert counters.get("token_seconds_left") == 9


def test_what_was_shed_is_told_by_type_and_no_name_of_the_gateway_becomes_one() -> None:
    counters = Counters.create("receiver-0", RECEIVER_WORDS)
    tally = ConnectionCounts()
    for kind in (APPOINTMENT_EVENT, APPOINTMENT_EVENT, "x", None):
        tally.add_shed(kind)
    gauges(counters, Tokens(), tally).show()
    by_type = [counters.get(word) for word in ("shed", "shed_appointments", "shed_others")]
    assert by_type == [4, 2, 2]


def test_stale_since_is_when_the_last_session_ended() -> None:
    counters = Counters.create("receiver-0", RECEIVER_WORDS)
    shown = gauges(counters, Tokens(), ConnectionCounts())
    shown.start(5)
    shown.start(7)
    assert counters.get("stale_since_us") == 5
    shown.show_session(True, True, 8)
    assert (counters.get("stale_since_us"), counters.get("history_running")) == (0, 1)
    shown.show_session(False, False, 9)
    assert (counters.get("stale_since_us"), counters.get("connected")) == (9, 0)


def test_a_ring_that_is_full_again_and_again_is_told_once_in_a_while() -> None:
    counters = Counters.create("receiver-0", RECEIVER_WORDS)
    with structlog.testing.capture_logs() as lines:
        shown = gauges(counters, Tokens(), ConnectionCounts())
        for tick in range(50):
            shown.show_pressure(True, tick * 0.5)
            shown.show_pressure(False, tick * 0.5)
    assert [line["event"] for line in lines] == ["pressure.on", "pressure.off"] * 3
    assert counters.get("pauses") == 50


def test_a_token_failure_is_told_once() -> None:
    counters = Counters.create("receiver-0", RECEIVER_WORDS)
    with structlog.testing.capture_logs() as lines:
        shown = gauges(counters, Tokens(failures=1), ConnectionCounts())
        shown.show()
        shown.show()
    assert [(line["event"], line["reason"]) for line in lines] == [("token.failed", "401")]


def test_hostile_types_do_not_grow_the_table_of_what_is_shed() -> None:
    tally = ConnectionCounts()
    for number in range(1000):
        tally.add_shed(f"type-{number}")
        tally.add_shed(None)
    assert len(tally.shed) <= SHED_TYPES_MAX + 1
    assert tally.shed.total() == 2000


def test_made_up_types_grow_neither_the_tally_nor_its_names() -> None:
    tally = ConnectionCounts()
    for kind in (*(f"type {i}" for i in range(100)), "x" * 65, "x" * 10_000, None, ["x"], 5):
        tally.add_shed(kind)
    assert tally.shed.total() == tally.take_shed() == 105
    assert tally.take_shed() == 0
    assert len(tally.shed) == 17
    assert max(map(len, tally.shed)) <= 64
