"""Times: what a gateway may write for one, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.genesys.times import MOST_US, as_datetime, iso_ms, microseconds, utc

NEW_YEAR_US = 1_483_228_800_000_000  # 2017-01-01T00:00:00Z


@pytest.mark.parametrize(
    "stamp",
    [
        "2016-12-31T23:59:60Z",
        "2016-12-31T23:59:60.000Z",
        "2016-12-31T23:59:60.999Z",
        "2016-12-31T23:59:60+00:00",
        "2017-01-01T00:59:60+01:00",
        "20161231T235960Z",
        "2017-01-01T00:00:00Z",
    ],
)
def test_a_leap_second_is_the_next_second(stamp: str) -> None:
    assert microseconds(stamp) == NEW_YEAR_US


@pytest.mark.parametrize(
    "stamp",
    [
        "2016-12-31T23:59:61Z",
        "2016-12-31T23:60:60Z",
        "2016-12-31T23:59:600Z",
        "2016-12-31T23:59:60",
        "9999-12-31T23:59:60Z",
        "T00:00:60Z",
        "x" * 41,
        None,
        1,
    ],
)
def test_what_is_none_is_refused(stamp: object) -> None:
    with pytest.raises(ValueError, match="not ISO-8601"):
        microseconds(stamp)


@pytest.mark.parametrize(
    ("stamp", "why"),
    [
        ("0001-01-01T00:00:00Z", "before 1970"),
        ("0001-01-01T00:00:00+01:00", "before 1970"),
        ("0001-01-01T00:00:00+14:00", "before 1970"),
        ("1969-12-31T23:59:59.999999Z", "before 1970"),
        ("1970-01-01T00:00:00+00:01", "before 1970"),
        ("9999-12-31T23:59:59.999-05:00", "after the year 9999"),
        ("9999-12-31T23:59:59.999999-00:01", "after the year 9999"),
        ("9999-12-31T23:59:59-23:59", "after the year 9999"),
    ],
)
def test_what_leaves_the_calendar_in_utc_is_refused_with_its_reason(stamp: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"time is {why}"):
        microseconds(stamp)


@pytest.mark.parametrize(
    ("stamp", "shown"),
    [
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999Z"),
        ("9999-12-31T23:59:59.999999+14:00", "9999-12-31T09:59:59.999Z"),
        ("2026-11-21T22:00:17.123456789Z", "2026-11-21T22:00:17.123Z"),
    ],
)
def test_the_ends_of_what_is_accepted(stamp: str, shown: str) -> None:
    assert iso_ms(microseconds(stamp)) == shown


offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=offsets))
def test_every_time_that_is_accepted_is_shown_and_read_again(moment: datetime) -> None:
    try:
        at_us = microseconds(moment.isoformat())
    except ValueError:
        return
    assert as_datetime(at_us) == moment
    assert microseconds(iso_ms(at_us)) == at_us // 1_000 * 1_000


@given(st.integers() | st.sampled_from([MOST_US, MOST_US + 1, -(1 << 63), (1 << 63) - 1]))
def test_every_integer_is_shown(at_us: int) -> None:
    assert len(iso_ms(at_us)) == len("1970-01-01T00:00:00.000Z")
    assert as_datetime(at_us).tzinfo is UTC
    assert utc(at_us) == (iso_ms(at_us) if at_us else None)
