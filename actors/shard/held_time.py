"""Owns when a held time decides nothing, because a clock was wrong. Pure."""

from __future__ import annotations

from typing import Final

AHEAD_US: Final = 60_000_000
"""A time so far ahead of its receipt was told by a clock that is wrong: those of hosts that keep
time are seconds apart."""


def decides_nothing(held_us: int, at_us: int, received_us: int) -> bool:
    """Whether what is told at `at_us` and received now is not older than what is held, although its
    time is: the held one lies ahead of now by minutes.

    Where the new one is ahead as well, our own clock may be behind the gateway's; then the order
    of the two is kept, unless they are minutes apart.
    """
    if held_us <= received_us + AHEAD_US:
        return False
    return at_us <= received_us + AHEAD_US or held_us - at_us > AHEAD_US
