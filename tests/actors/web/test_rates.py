"""Rates between two looks at the pages, by value."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from actors.receiver.gauges import RECEIVER_WORDS
from actors.sender.words import SENDER_WORDS
from actors.shard.arguments import SHARD_WORDS
from actors.web.arguments import WEB_WORDS
from actors.web.rates import RATES, CounterSample, pace


def look(at_s: float, **counters: Mapping[str, int]) -> CounterSample:
    named = {name.replace("_", "-"): {"cpu_ns": 0, **words} for name, words in counters.items()}
    return CounterSample(at_s, named)


def test_a_word_is_summed_over_all_children_of_its_role_and_told_a_second() -> None:
    before = look(10.0, shard_0={"received": 100}, shard_1={"received": 50}, web={"requests": 7})
    after = look(12.0, shard_0={"received": 140}, shard_1={"received": 70}, web={"requests": 8})
    paced = pace(before, after)
    assert paced is not None
    assert paced.seconds == 2.0
    assert (paced.per_s["events"], paced.per_s["requests"]) == (30.0, 0.5)


def test_nothing_is_said_of_roles_that_this_runtime_has_not() -> None:
    paced = pace(look(1.0, web={}), look(2.0, web={}))
    assert paced is not None
    assert list(paced.per_s) == ["requests"]


def test_cpu_is_told_in_percent_of_a_core() -> None:
    paced = pace(look(1.0, web={"cpu_ns": 10**9}), look(3.0, web={"cpu_ns": 15 * 10**8}))
    assert paced is not None
    assert paced.cpu_percent == {"web": 25.0}


def test_lag_is_the_average_of_the_events_between_the_looks() -> None:
    before = look(1.0, shard_0={"event_le_500_us": 5, "event_sum_us": 1_000})
    after = look(2.0, shard_0={"event_le_500_us": 7, "event_longer": 1, "event_sum_us": 7_000})
    paced = pace(before, after)
    assert paced is not None
    assert paced.lag_ms == 2.0


def test_without_an_event_there_is_no_lag() -> None:
    paced = pace(look(1.0, shard_0={"event_sum_us": 9}), look(2.0, shard_0={"event_sum_us": 9}))
    assert paced is not None
    assert paced.lag_ms is None


def test_a_child_that_is_new_or_began_anew_has_no_past() -> None:
    before = look(1.0, shard_0={"received": 9_000})
    after = look(2.0, shard_0={"received": 3}, shard_1={"received": 500})
    paced = pace(before, after)
    assert paced is not None
    assert paced.per_s["events"] == 0.0


@pytest.mark.parametrize("at_s", [1.0, 0.5])
def test_without_time_between_them_there_is_no_rate(at_s: float) -> None:
    assert pace(look(1.0, web={}), look(at_s, web={})) is None


def test_every_word_that_is_summed_is_on_the_page_of_its_role() -> None:
    pages = {
        "receiver": RECEIVER_WORDS,
        "shard": SHARD_WORDS,
        "sender": SENDER_WORDS,
        "web": WEB_WORDS,
    }
    assert [name for name, (role, word) in RATES.items() if word not in pages[role]] == []
    assert {"event_sum_us", "event_longer"} <= set(SHARD_WORDS)
