"""Owns the numbers by which both sockets wait, try again and call a line dead (protocol.md §1.2).

Pure. What happened, and what is tried next, is for the machines of receiver and sender to decide.
"""

from __future__ import annotations

import random
from typing import Final

BACKOFF_FIRST_S: Final = 2.0  # doubled before each try, then fully jittered
BACKOFF_MOST_S: Final = 30.0
PROVEN_AFTER_S: Final = 60.0  # a line this old forgives all tries before it
ANSWER_TIMEOUT_S: Final = 5.0  # for the gateway's first word after ours
PING_AFTER_S: Final = (15.0, 25.0)
DEAD_AFTER_S: Final = 35.0
TICK_MOST_S: Final = 1.0  # a longer step between two ticks was a sleep, not silence
REPLACE_GAP_S: Final = 10.0  # between two controlled reconnects

CLOSED_WITHOUT_CODE: Final = 1005
CLOSED_WITHOUT_FRAME: Final = 1006
_DOUBLINGS_MAX: Final = 30  # 2 ** 30 is above any bound, and still a float


def backoff_s(
    tries: int,
    rng: random.Random,
    *,
    first_s: float = BACKOFF_FIRST_S,
    most_s: float = BACKOFF_MOST_S,
    least: float = 0.0,
) -> float:
    """What to wait after so many failures in a row: from `least` of a doubling bound to all of it;
    0.0 is full jitter."""
    bound_s = doubled_s(tries, first_s, most_s)
    return rng.uniform(least * bound_s, bound_s)


def doubled_s(times: int, first_s: float, most_s: float) -> float:
    """The bound, doubled so many times."""
    return min(first_s * 2.0 ** min(times, _DOUBLINGS_MAX), most_s)


def refusal_of(status: int, at: str) -> str:
    """What a log says of a handshake that was answered so. `at`: the host, and the proxy if there
    is one; empty where nobody knows it."""
    return f"{at}: handshake refused with {status}" if at else f"handshake refused with {status}"
