"""RateLimit: how much of one client is served, and that no crowd fills the memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.web.limits import AT_ONCE_MIN, RateLimit, client_of


def served(limit: RateLimit, client: str, count: int, now_s: float) -> int:
    return sum(limit.wait_s(client, now_s) == 0 for _ in range(count))


def test_a_burst_is_served_then_as_many_as_are_allowed_a_second() -> None:
    limit = RateLimit(50)
    assert served(limit, "a", 200, 0.0) == 100
    assert served(limit, "a", 200, 1.0) == 50
    assert served(limit, "a", 200, 60.0) == 100


def test_a_page_comes_whole_however_little_is_allowed() -> None:
    assert served(RateLimit(0.1), "a", 100, 0.0) == AT_ONCE_MIN


def test_who_is_refused_is_told_when_to_come_again_and_is_served_then() -> None:
    limit = RateLimit(2)
    assert served(limit, "a", AT_ONCE_MIN + 1, 0.0) == AT_ONCE_MIN
    wait_s = limit.wait_s("a", 0.0)
    assert wait_s == pytest.approx(0.5)
    assert limit.wait_s("a", wait_s + 0.001) == 0
    assert limit.wait_s("a", wait_s + 0.001) > 0


def test_one_client_takes_nothing_from_another() -> None:
    limit = RateLimit(50)
    served(limit, "a", 1_000, 0.0)
    assert served(limit, "b", 200, 0.0) == 100


def test_without_a_limit_nobody_is_counted() -> None:
    limit = RateLimit(0)
    assert served(limit, "a", 10_000, 0.0) == 10_000
    assert len(limit) == 0


def test_a_crowd_fills_no_memory() -> None:
    limit = RateLimit(50, clients_max=100)
    for number in range(1_000):
        assert limit.wait_s(str(number), 0.0) == 0
    assert len(limit) == 100


@given(st.lists(st.floats(0, 2), max_size=300), st.floats(1, 100))
def test_over_any_time_no_more_is_served_than_the_burst_and_the_rate(
    pauses_s: list[float], per_s: float
) -> None:
    limit, now_s, count = RateLimit(per_s), 0.0, 0
    for pause_s in pauses_s:
        now_s += pause_s
        count += limit.wait_s("a", now_s) == 0
        assert count <= max(2 * per_s, AT_ONCE_MIN) + now_s * per_s + 1


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.7", "10.0.0.7"),
        ("", ""),
    ],
)
def test_an_address_of_which_one_has_many_is_one_client(host: str, client: str) -> None:
    assert client_of(host) == client
