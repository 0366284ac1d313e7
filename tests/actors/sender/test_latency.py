from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.sender.latency import BOUNDS_MS, Latency


def test_nothing_measured_is_nothing() -> None:
    latency = Latency()
    assert (latency.count, latency.average_ms, latency.quantile_ms(0.99)) == (0, 0.0, 0.0)


def test_a_clock_that_was_set_back_measures_nothing_below_zero() -> None:
    latency = Latency()
    latency.add(-5.0)
    assert (latency.count, latency.average_ms) == (1, 0.0)


@given(
    st.lists(st.floats(0.0, 100_000.0), min_size=1, max_size=200),
    st.sampled_from([0.5, 0.9, 0.99, 1.0]),
)
def test_a_quantile_is_a_bound_that_is_at_most_a_fifth_above_the_truth(
    took_ms: list[float], share: float
) -> None:
    latency = Latency()
    for each in took_ms:
        latency.add(each)
    truth = sorted(took_ms)[math.ceil(share * len(took_ms)) - 1]
    assert truth <= latency.quantile_ms(share) <= max(BOUNDS_MS[0], truth * 1.2)
    assert latency.average_ms == pytest.approx(sum(took_ms) / len(took_ms))


@given(st.lists(st.floats(0.0, 1_000.0)), st.lists(st.floats(0.0, 1_000.0)))
def test_two_lives_together_are_as_one(first_ms: list[float], second_ms: list[float]) -> None:
    first, second, whole = Latency(), Latency(), Latency()
    for took_ms in first_ms:
        first.add(took_ms)
    for took_ms in second_ms:
        second.add(took_ms)
    for took_ms in first_ms + second_ms:
        whole.add(took_ms)
    both = first + second
    assert (both.buckets, both.count) == (whole.buckets, whole.count)
    assert both.sum_ms == pytest.approx(whole.sum_ms)


def test_what_took_longer_than_the_last_bound_counts_as_that() -> None:
    latency = Latency()
    latency.add(1e9)
    assert latency.quantile_ms(0.5) == BOUNDS_MS[-1]
