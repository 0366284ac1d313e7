"""Time: the integer that it is here, and how it is read and written. Pure; knows no clock.

The one place that bounds what comes in (1970 to 9999, in UTC), and whose writing fails for no
integer: files that an older version wrote may hold any.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

CHARS_MAX: Final = 40
SECONDS_KEPT: Final = 4_096
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_S: Final = 86_400

_LEAP: Final = re.compile(r"(T[0-9]{2}:?[0-9]{2}:?)60(?:[.,][0-9]+)?(?![0-9])")


def epoch_us(moment: datetime) -> int:
    """A time with its offset, as integer µs; of any year."""
    past = moment - _EPOCH
    return (past.days * _DAY_S + past.seconds) * 1_000_000 + past.microseconds


LEAST_US: Final = epoch_us(datetime.min.replace(tzinfo=UTC))
MOST_US: Final = epoch_us(datetime.max.replace(tzinfo=UTC))
"""The first and the last time that can be written: the years 1 to 9999."""


def microseconds(stamp: object) -> int:
    """An ISO-8601 time with its offset as integer µs since 1970 UTC; ValueError for all else, and
    for what is before 1970 or, in UTC, after the year 9999."""
    if type(stamp) is not str or len(stamp) > CHARS_MAX:
        raise ValueError("timestamp is not ISO-8601")
    try:
        moment = _moment(stamp)
        if moment.tzinfo is None:
            raise ValueError
        at_us = epoch_us(moment)
    except (ValueError, OverflowError):
        raise ValueError("timestamp is not ISO-8601 with an offset") from None
    if not 0 <= at_us <= MOST_US:
        raise ValueError(f"time is {'before 1970' if at_us < 0 else 'after the year 9999'}")
    return at_us


def _moment(stamp: str) -> datetime:
    """A leap second, which no clock of ours has, is the next second."""
    try:
        return datetime.fromisoformat(stamp)
    except ValueError:
        without, leaps = _LEAP.subn(r"\g<1>59", stamp)
        if not leaps:
            raise
        return datetime.fromisoformat(without) + timedelta(seconds=1)


def bounded(at_us: object) -> int:
    """A time that stands in a file: what a calendar cannot write is its first or last day.
    TypeError for what is no integer."""
    if type(at_us) is not int:
        raise TypeError(f"a time is {type(at_us).__name__}, expected an integer")
    return min(max(at_us, LEAST_US), MOST_US)


def as_datetime(at_us: int) -> datetime:
    """In UTC, whatever the integer: what is out of a calendar's reach is its first or last day."""
    return _EPOCH + timedelta(microseconds=bounded(at_us))


def iso_ms(at_us: int) -> str:
    """ISO-8601, UTC, milliseconds: what a gateway of the wsp dialect writes, and what we show. Of
    any integer, as `as_datetime`."""
    if not LEAST_US <= at_us <= MOST_US:
        at_us = bounded(at_us)
    second, millisecond = divmod(at_us // 1_000, 1_000)
    return f"{_second(second)}.{millisecond:03d}Z"


@lru_cache(maxsize=SECONDS_KEPT)
def _second(second: int) -> str:
    """A quarter of the price where rows share seconds. timedelta, so that no float rounds."""
    return (_EPOCH + timedelta(seconds=second)).isoformat().removesuffix("+00:00")


def utc(at_us: int | None) -> str | None:
    """As `iso_ms`; None and 0 are no time."""
    return iso_ms(at_us) if at_us else None
