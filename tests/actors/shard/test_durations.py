"""Durations: each of them is counted once, in the bucket that it belongs to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.shard.durations import BOUNDS_US, Durations, bucket_words, duration_words
from runtime.counters import Counters
from runtime.ring import KIND_CONTROL, KIND_EVENT, KIND_REJECTED

NOW_NS = 1_795_000_000_000_000_000
TOOK_NS = st.integers(min_value=-1_000_000_000, max_value=200_000_000_000)
WORDS = bucket_words("wait")


def page() -> Counters:
    return Counters.create("shard-0", duration_words("wait"))


def buckets(counters: Counters) -> list[int]:
    return [counters.get(word) for word in WORDS]


def test_a_duration_stands_with_the_first_bound_that_it_does_not_exceed() -> None:
    counters = page()
    durations = Durations(counters, "wait")
    for took_ns in (0, 500_000, 500_001, 1_000_000, 60_000_000_000, 60_000_000_001):
        durations.add(took_ns)
    assert buckets(counters) == [2, 2, *[0] * 13, 1, 1]
    assert counters.get("wait_sum_us") == 0 + 500 + 500 + 1_000 + 60_000_000 + 60_000_000
    assert len(WORDS) == len(BOUNDS_US) + 1


def test_a_successor_counts_on() -> None:
    counters = page()
    Durations(counters, "wait").add(700_000)
    Durations(counters, "wait").add(700_000)
    assert counters.get("wait_le_1000_us") == 2
    assert counters.get("wait_sum_us") == 1_400


@given(st.lists(TOOK_NS, min_size=1, max_size=40))
def test_many_at_once_are_the_same_as_one_by_one(took_ns: list[int]) -> None:
    together, alone = page(), page()
    Durations(together, "wait").add_since([NOW_NS - each for each in took_ns], NOW_NS)
    for each in took_ns:
        Durations(alone, "wait").add(each)
    assert buckets(together) == buckets(alone)
    assert sum(buckets(together)) == len(took_ns)


def test_the_sum_of_many_is_that_of_each() -> None:
    counters = page()
    Durations(counters, "wait").add_since([NOW_NS - 3_000_000, NOW_NS - 5_000_000], NOW_NS)
    assert counters.get("wait_sum_us") == 8_000


def test_only_events_are_measured() -> None:
    counters = page()
    kinds = bytes([KIND_CONTROL, KIND_EVENT, KIND_REJECTED])
    received_ns = [NOW_NS - 1_000_000, NOW_NS - 2_000_000, NOW_NS - 3_000_000]
    Durations(counters, "wait").add_events(kinds, received_ns, NOW_NS)
    Durations(counters, "wait").add_events(kinds[:1], received_ns[:1], NOW_NS)
    assert sum(buckets(counters)) == 1
    assert counters.get("wait_sum_us") == 2_000
