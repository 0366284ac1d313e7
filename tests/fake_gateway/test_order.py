"""The delivery order: every event comes, displaced no further than the window, some twice."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.fake_gateway.wsp.order import DeliveryOrder

SEEDS = st.integers(0, 1 << 63)
WINDOWS = st.sampled_from((0, 1, 2, 7, 100, 1000))


def test_without_disorder_positions_are_numbers() -> None:
    order = DeliveryOrder(seed=7)
    assert order.is_plain
    assert list(order.numbers(3, 9)) == [3, 4, 5, 6, 7, 8]
    assert order.sendable(9) == order.begin_of(9) == order.whole(9) == 9


@given(SEEDS, WINDOWS, st.integers(0, 3000))
def test_every_event_comes_once_and_within_the_window(seed: int, window: int, head: int) -> None:
    order = DeliveryOrder(seed, window)
    end = order.whole(head)
    assert head <= end <= head + window
    numbers = order.numbers(0, end)
    assert sorted(numbers) == list(range(end))
    assert all(abs(number - place) <= window for place, number in enumerate(numbers))


@given(SEEDS, WINDOWS, st.integers(0, 3000))
def test_nothing_is_sendable_before_it_happened(seed: int, window: int, head: int) -> None:
    order = DeliveryOrder(seed, window)
    sendable = order.sendable(head)
    assert max(order.numbers(0, sendable), default=-1) < head
    assert head - sendable <= 1
    assert order.sendable(order.whole(head)) == order.whole(head)


@given(SEEDS, WINDOWS, st.integers(0, 3000))
def test_a_replay_misses_nothing_behind_its_event(seed: int, window: int, number: int) -> None:
    order = DeliveryOrder(seed, window)
    end = order.whole(number + 1)
    assert set(range(number, end)) <= set(order.numbers(order.begin_of(number), end))


def test_neighbours_really_change_places() -> None:
    numbers = list(DeliveryOrder(seed=7, window=10).numbers(0, 1100))
    assert numbers != sorted(numbers)


@given(SEEDS, st.integers(1, 400))
def test_cuts_between_writes_change_nothing(seed: int, cut: int) -> None:
    order = DeliveryOrder(seed, window=5, duplicates=0.3)
    assert order.numbers(0, cut) + order.numbers(cut, 400) == order.numbers(0, 400)


def test_the_share_of_duplicates_is_kept_and_nothing_comes_three_times() -> None:
    counted = Counter(DeliveryOrder(seed=7, duplicates=0.25).numbers(0, 10_000))
    assert set(counted.values()) == {1, 2}
    assert 2300 < sum(counted.values()) - 10_000 < 2700


@pytest.mark.parametrize(("window", "duplicates"), [(-1, 0.0), (1001, 0.0), (0, 1.5), (0, -0.1)])
def test_impossible_orders_are_refused(window: int, duplicates: float) -> None:
    with pytest.raises(ValueError, match="must be"):
        DeliveryOrder(7, window, duplicates)
