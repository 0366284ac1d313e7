"""RetryAfter: how long an answer asks to wait, in whatever form it says so, and what is made of it.

Pure; time is an argument. Every caller of the gateway and of a webhook waits by these two: what is
asked for is a lower bound of our own back-off and never takes its place, because a gateway that
says `0` would be asked a thousand times a second (RFC 9110 §10.2.3).
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from actors.genesys.reconnect import BACKOFF_FIRST_S, BACKOFF_MOST_S, backoff_s
from actors.genesys.times import microseconds

WAIT_MOST_S: Final = 600.0
"""Whatever is asked for: a date of next year is a mistake, and nobody would look for it."""
HEADER: Final = "Retry-After"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CHARS_MAX: Final = 1000
SECOND_US: Final = 1_000_000
_SECONDS: Final = re.compile(r"\+?([0-9]{1,400}(?:\.[0-9]{0,30})?(?:[eE]\+?[0-9]{1,3})?)\s*s?")
_DATE: Final = re.compile(  # of HTTP, in its three forms, or as in JSON
    r"(?:[A-Za-z]{3,9},?\s+)?[0-9A-Za-z]{1,9}[ -][A-Za-z0-9]{1,9}[ -]?[0-9: ]{8,15}"
    r"(?:[A-Z]{2,4}|[+-][0-9]{4})?"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{5,20}(?:Z|[+-][0-9:]{4,6})"
)


def wait_s(
    failures: int,
    rng: random.Random,
    asked_s: float | None,
    *,
    first_s: float = BACKOFF_FIRST_S,
    most_s: float = BACKOFF_MOST_S,
) -> float:
    """What to wait after so many failures in a row: our back-off, and at least what was asked."""
    return max(backoff_s(failures, rng, first_s=first_s, most_s=most_s), asked_s or 0.0)


def asked_wait_s(headers: Mapping[str, str], wall_us: int) -> float | None:
    """What the headers of an answer ask for. `wall_us`: our clock, for want of a better one."""
    return retry_after_s(headers.get(HEADER), date=headers.get("Date"), wall_us=wall_us)


def retry_after_s(
    header: str | None, *, date: str | None = None, wall_us: int = 0, most_s: float = WAIT_MOST_S
) -> float | None:
    """Seconds from 0 to `most_s`; None if the header is absent or makes no sense. Of several values
    the longest. A date is judged by the answer's own `Date`: clocks differ."""
    if header is None or len(header) > _CHARS_MAX:
        return None
    now_us = http_date_us(date)
    now_us = wall_us if now_us is None else now_us
    found = [
        max(at_us - now_us, 0) / 1e6
        for text in _DATE.findall(header)
        if (at_us := http_date_us(text)) is not None
    ]
    numbers = map(_SECONDS.fullmatch, map(str.strip, _DATE.sub("", header).split(",")))
    found += [float(number[1]) for number in numbers if number is not None]
    return min(max(found), most_s) if found else None


def http_date_us(text: str | None) -> int | None:
    """A date of a header as µs since 1970; None for none, and for what is no date."""
    if text is None:
        return None
    try:
        return microseconds(text)
    except ValueError:
        pass
    try:
        without, leaps = re.subn(r"(:[0-9]{2}):60\b", r"\1:59", text)
        moment = parsedate_to_datetime(without)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        return (moment - _EPOCH) // timedelta(microseconds=1) + leaps * SECOND_US
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
