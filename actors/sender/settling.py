"""Settling: what an answer of the gateway means, and when a command is tried again.

Pure: knows no command and no socket; the tables of protocol.md §1.3.
"""

from __future__ import annotations

import random
from typing import Final

from actors.genesys.reconnect import doubled_s
from actors.sender.commands import Code, Refusal
from actors.sender.signals import Acknowledged
from actors.settings.sender import SenderSettings

FORBIDDEN: Final = 403
TOO_MANY: Final = 429
BACKOFF_FIRST_S: Final = 1.0
BACKOFF_MOST_S: Final = 5.0
BACKOFF_JITTER_S: Final = (0.1, 0.5)

_REFUSALS: Final[dict[int, tuple[Code, str]]] = {
    400: (Code.BAD_REQUEST, "the gateway rejected the update as malformed"),
    401: (Code.UNAUTHORISED, "the gateway rejected the access token"),
    404: (Code.NO_SUCH_USER, "the gateway does not know this user"),
    TOO_MANY: (Code.GATEWAY_RATE, "the gateway limits the rate of updates"),
}


def refusal_of(answer: Acknowledged, forbidden: str) -> Refusal:
    """Of a negative acknowledgement. `forbidden`: what a 403 means."""
    failed = (Code.GATEWAY_ERROR, f"the gateway responded with {answer.status}")
    code, meaning = _REFUSALS.get(answer.status, failed)
    if answer.status == FORBIDDEN:
        code, meaning = Code.SCOPE, forbidden
    said = " ".join(part for part in (answer.code, answer.message) if part)
    return Refusal(code, f"{meaning}: {said}" if said else meaning)


def no_permit(missing: Code, waited_s: float, settings: SenderSettings) -> Refusal:
    """The rate or the number of updates in flight was at its limit for so long."""
    is_rate = missing is Code.RATE
    rate, in_flight = settings.updates_per_s, settings.in_flight_max
    most = f"{rate:g} updates per second" if is_rate else f"{in_flight} updates in flight"
    return Refusal(missing, f"not sent within {waited_s:g} s: limit of {most} reached")


def backoff_s(tries: int, rng: random.Random) -> float:
    """How long after so many tries, of which there was one at least, before the next one."""
    assert tries >= 1, tries
    return doubled_s(tries - 1, BACKOFF_FIRST_S, BACKOFF_MOST_S) + rng.uniform(*BACKOFF_JITTER_S)


def retry_delay_s(answer: Acknowledged, tries: int, rng: random.Random) -> float:
    """What the gateway asked for, if that is longer."""
    return max((answer.retry_after_ms or 0) / 1000.0, backoff_s(tries, rng))
