"""Time: how a gateway writes one, and the integer that it is here. Pure; knows no clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

CHARS_MAX: Final = 40
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def microseconds(stamp: object) -> int:
    """An ISO-8601 time with its offset as integer µs since 1970 UTC; ValueError for all else."""
    if type(stamp) is not str or len(stamp) > CHARS_MAX:
        raise ValueError("timestamp is not ISO-8601")
    try:
        moment = datetime.fromisoformat(stamp)
        if moment.tzinfo is None:
            raise ValueError
        past = moment - _EPOCH
    except (ValueError, OverflowError):
        raise ValueError("timestamp is not ISO-8601 with an offset") from None
    return (past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds
