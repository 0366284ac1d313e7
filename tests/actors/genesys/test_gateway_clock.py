"""How far the gateway's clock is ahead, whatever dates its answers bear."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from actors.genesys.gateway_clock import GatewayClock

NOW_US = 1_795_298_400_000_000


def date(at_us: int) -> str:
    return formatdate(at_us // 1_000_000, usegmt=True)


@pytest.mark.parametrize("ahead_s", [-86_400, -10, 0, 0.4, 10, 3_600])
def test_a_quick_answer_tells_it_to_a_second(ahead_s: float) -> None:
    clock = GatewayClock()
    clock.told(date(NOW_US + round(ahead_s * 1e6)), NOW_US, NOW_US + 100_000)
    assert clock.ahead_us is not None
    assert abs(clock.ahead_us - ahead_s * 1e6) <= 1_000_000


def test_a_slow_answer_does_not_spoil_what_quick_ones_told() -> None:
    clock = GatewayClock()
    for number in range(10):
        at_us = NOW_US + number * 1_370_000
        clock.told(date(at_us), at_us, at_us + 50_000)
    before = clock.ahead_us
    assert before is not None
    assert abs(before) < 300_000, "many of them tell it better than a second"
    clock.told(date(NOW_US + 20_000_000), NOW_US + 20_000_000, NOW_US + 29_000_000)
    assert clock.ahead_us == before


@pytest.mark.parametrize("jump_s", [-3_600, -10, 10, 3_600])
def test_a_clock_that_was_set_counts_from_the_next_answer(jump_s: int) -> None:
    clock = GatewayClock()
    clock.told(date(NOW_US), NOW_US, NOW_US)
    ours_us = NOW_US + jump_s * 1_000_000
    clock.told(date(NOW_US), ours_us, ours_us)
    assert clock.ahead_us is not None
    assert abs(clock.ahead_us + jump_s * 1_000_000) <= 1_000_000


@pytest.mark.parametrize("odd", [None, "", "soon", "Mon, 99 Foo 2026 25:61:61 GMT", "0", "-1"])
def test_what_is_no_date_says_nothing(odd: str | None) -> None:
    clock = GatewayClock()
    clock.told(odd, NOW_US, NOW_US)
    assert clock.ahead_us is None
    clock.told(date(NOW_US + 10_000_000), NOW_US, NOW_US)
    known = clock.ahead_us
    clock.told(odd, NOW_US, NOW_US)
    clock.told(date(NOW_US), NOW_US + 5, NOW_US)
    assert clock.ahead_us == known, "ours was set back between question and answer"
