"""Times: what a gateway may write for one, and nothing else."""

from __future__ import annotations

import pytest

from actors.genesys.times import microseconds

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
