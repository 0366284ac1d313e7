from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.clock import Clock, ManualClock, SystemClock


def test_the_system_clock_is_the_one_that_other_processes_read() -> None:
    clock: Clock = SystemClock()
    before_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    now_ns, now_s = clock.now_ns(), clock.now_s()
    after_ns = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    assert before_ns <= now_ns <= after_ns
    assert before_ns / 1e9 <= now_s <= after_ns / 1e9


def test_wall_time_is_utc_in_microseconds() -> None:
    before_us = time.time_ns() // 1_000
    assert before_us <= SystemClock().wall_us() <= time.time_ns() // 1_000


def test_a_manual_clock_stands_still_until_it_is_advanced() -> None:
    clock: Clock = ManualClock(5.0)
    assert (clock.now_s(), clock.now_ns()) == (5.0, 5_000_000_000)
    assert (clock.now_s(), clock.now_ns()) == (5.0, 5_000_000_000)


def test_both_times_of_a_manual_clock_advance_together() -> None:
    clock = ManualClock(5.0, wall_start_us=1_000)
    clock.advance(0.25)
    assert clock.now_s() == 5.25
    assert clock.wall_us() == 251_000


@given(st.lists(st.integers(0, 10_000_000), max_size=50))
def test_many_small_advances_make_exactly_their_sum(advances_us: list[int]) -> None:
    clock = ManualClock(wall_start_us=0)
    for advance_us in advances_us:
        clock.advance(advance_us / 1e6)
    assert clock.now_ns() == sum(advances_us) * 1_000
    assert clock.wall_us() == sum(advances_us)


def test_a_manual_clock_refuses_to_run_backwards() -> None:
    with pytest.raises(AssertionError, match="negative time"):
        ManualClock().advance(-0.001)
