"""Time: the integer that it is here, and how it is read and written. Pure; knows no clock."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

CHARS_MAX: Final = 40
SECONDS_KEPT: Final = 4_096
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


_LEAP: Final = re.compile(r"(T[0-9]{2}:?[0-9]{2}:?)60(?:[.,][0-9]+)?(?![0-9])")


def microseconds(stamp: object) -> int:
    """An ISO-8601 time with its offset as integer µs since 1970 UTC; ValueError for all else."""
    if type(stamp) is not str or len(stamp) > CHARS_MAX:
        raise ValueError("timestamp is not ISO-8601")
    try:
        moment = _moment(stamp)
        if moment.tzinfo is None:
            raise ValueError
        past = moment - _EPOCH
    except (ValueError, OverflowError):
        raise ValueError("timestamp is not ISO-8601 with an offset") from None
    return (past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds


def _moment(stamp: str) -> datetime:
    """A leap second, which no clock of ours has, is the next second."""
    try:
        return datetime.fromisoformat(stamp)
    except ValueError:
        without, leaps = _LEAP.subn(r"\g<1>59", stamp)
        if not leaps:
            raise
        return datetime.fromisoformat(without) + timedelta(seconds=1)


def iso_ms(at_us: int) -> str:
    """ISO-8601, UTC, milliseconds: what a gateway of the wsp dialect writes, and what we show."""
    second, millisecond = divmod(at_us // 1_000, 1_000)
    return f"{_second(second)}.{millisecond:03d}Z"


@lru_cache(maxsize=SECONDS_KEPT)
def _second(second: int) -> str:
    """A quarter of the price where rows share seconds. timedelta, so that no float rounds."""
    return (_EPOCH + timedelta(seconds=second)).isoformat().removesuffix("+00:00")


def utc(at_us: int | None) -> str | None:
    """As `iso_ms`; None and 0 are no time."""
    return iso_ms(at_us) if at_us else None
