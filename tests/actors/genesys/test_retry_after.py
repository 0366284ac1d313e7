"""Retry-After: every form of it is understood, bounded, and never takes the place of a back-off."""

from __future__ import annotations

import random

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.genesys.reconnect import backoff_s
from actors.genesys.retry_after import WAIT_MOST_S, asked_wait_s, retry_after_s, wait_s

NOW_US = 1_792_992_800_000_000  # Sun, 26 Oct 2026 05:33:20 GMT


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("3", 3.0),
        (" 3 ", 3.0),
        ("0", 0.0),
        ("0.5", 0.5),
        ("+2", 2.0),
        ("30s", 30.0),
        ("1e2", 100.0),
        ("99999", WAIT_MOST_S),
        ("9" * 30, WAIT_MOST_S),
        ("9" * 400, WAIT_MOST_S),
        ("1e400", WAIT_MOST_S),
        ("-1", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("", None),
        ("5, 7", 7.0),
        ("soon, 7", 7.0),
        ("9" * 2000, None),
        ("\u0663", None),
        ("Mon, 26 Oct 2026 05:33:50 GMT", 30.0),
        ("Monday, 26-Oct-26 05:33:50 GMT", 30.0),
        ("Mon Oct 26 05:33:50 2026", 30.0),
        ("Mon, 26 Oct 2026 07:33:50 +0200", 30.0),
        ("2026-10-26T05:33:50Z", 30.0),
        ("Mon, 26 Oct 2026 05:33:60 GMT", 40.0),
        ("26 Oct 2026 05:33:50 GMT", 30.0),
        ("05:33:50 GMT, 7", 7.0),
        ("Mon, 26 Oct 2026 05:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 -0500", WAIT_MOST_S),
        ("Mon, 99 Oct 2026 05:33:50 GMT", None),
        ("Mon, 26 Oct 2026 05:33:50 GMT, Mon, 26 Oct 2026 05:34:00 GMT", 40.0),
        ("Mon, 26 Oct 2026 05:33:50 GMT, 50", 50.0),
    ],
)
def test_whatever_it_says_is_understood_and_bounded(
    header: str | None, seconds: float | None
) -> None:
    assert retry_after_s(header, wall_us=NOW_US) == seconds


def test_a_date_is_judged_by_the_clock_of_whoever_wrote_it() -> None:
    headers = {
        "Retry-After": "Mon, 26 Oct 2026 09:00:10 GMT",
        "Date": "Mon, 26 Oct 2026 09:00:00 GMT",
    }
    assert asked_wait_s(headers, NOW_US) == 10.0
    assert asked_wait_s(headers | {"Date": "none"}, NOW_US) == WAIT_MOST_S


def test_several_headers_of_one_answer_are_one_list() -> None:
    headers = httpx.Headers([("Retry-After", "5"), ("retry-after", "7")])
    assert asked_wait_s(headers, NOW_US) == 7.0


@given(st.text(max_size=80), st.text(max_size=40))
def test_no_text_raises_or_asks_for_more_than_the_bound(header: str, date: str) -> None:
    found = retry_after_s(header, date=date, wall_us=NOW_US)
    assert found is None or 0.0 <= found <= WAIT_MOST_S


@pytest.mark.parametrize("asked_s", [None, 0.0, 0.001])
def test_a_wait_of_nothing_leaves_the_back_off_as_it_is(asked_s: float | None) -> None:
    for failures in range(1, 8):
        own_s = backoff_s(failures, random.Random(failures))
        assert wait_s(failures, random.Random(failures), asked_s) == max(own_s, asked_s or 0.0)


def test_and_a_longer_one_is_waited() -> None:
    assert wait_s(1, random.Random(1), 90.0) == 90.0
