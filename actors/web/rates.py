"""Rates: what happened a second between two looks at the pages. Pure; knows no page and no clock.

A page outlives its child, so its counts only grow; one that shrank all the same belongs to another
run, and nothing is said of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, TypeAlias

from actors.shard.durations import bucket_words

Words: TypeAlias = Mapping[str, int]
RATES: Final[dict[str, tuple[str, str]]] = {
    "frames": ("receiver", "frames"),
    "events": ("shard", "received"),
    "transitions": ("shard", "transitions"),
    "duplicates": ("shard", "duplicates"),
    "late": ("shard", "late"),
    "shed": ("shard", "shed"),
    "quarantined": ("shard", "quarantined"),
    "commits": ("shard", "commits"),
    "commands": ("sender", "accepted"),
    "confirmed": ("sender", "confirmed"),
    "refused": ("sender", "refused"),
    "webhooks": ("sender", "webhooks_delivered"),
    "requests": ("web", "requests"),
}
"""By name: of which role's children which word is summed."""
_EVENTS: Final = bucket_words("event")


class CounterSample(NamedTuple):
    """What all pages said at one moment."""

    at_s: float
    counters: Mapping[str, Words]
    """By child."""


class Rates(NamedTuple):
    """Between two looks."""

    seconds: float
    per_s: dict[str, float]
    """The names of RATES whose role this runtime has."""
    lag_ms: float | None
    """From the receipt of an event to its commit, on average; None: there was none."""
    cpu_percent: dict[str, float]
    """By child: of one core."""


def role_of(child: str) -> str:
    """`shard` of `shard-3`."""
    return child.partition("-")[0]


def pace(before: CounterSample, after: CounterSample) -> Rates | None:
    """None: no time has passed between them."""
    seconds = after.at_s - before.at_s
    if seconds <= 0:
        return None
    roles = {role_of(child) for child in after.counters}
    grown = {
        name: _grown(before, after, role, (word,))
        for name, (role, word) in RATES.items()
        if role in roles
    }
    events = _grown(before, after, "shard", _EVENTS)
    took_us = _grown(before, after, "shard", ("event_sum_us",))
    cpu = {child: _growth(before, after, child, ("cpu_ns",)) for child in after.counters}
    return Rates(
        seconds=seconds,
        per_s={name: more / seconds for name, more in grown.items()},
        lag_ms=took_us / events / 1_000 if events else None,
        cpu_percent={child: more / 1e7 / seconds for child, more in cpu.items()},
    )


def _grown(before: CounterSample, after: CounterSample, role: str, words: Iterable[str]) -> int:
    children = [child for child in after.counters if role_of(child) == role]
    return sum(_growth(before, after, child, words) for child in children)


def _growth(before: CounterSample, after: CounterSample, child: str, words: Iterable[str]) -> int:
    then, now = before.counters.get(child), after.counters[child]
    if then is None:
        return 0
    return max(0, sum(now.get(word, 0) - then.get(word, 0) for word in words))
