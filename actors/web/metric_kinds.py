"""MetricKinds: what is said of a metric before it has a value: its name, its help, its words.

Names follow Prometheus' conventions: base units, and `_total` is appended to what only grows. All
that a label may say stands beside its word, so that nothing from outside ever becomes one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple


class Word(NamedTuple):
    role: str
    word: str
    said: str = ""
    """What the metric's own label says of it."""


class Metric(NamedTuple):
    """One or several words; each sample is labelled with the child that its page belongs to."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    words: tuple[Word, ...]
    label: str = ""
    scale: float = 1


class Histogram(NamedTuple):
    """`buckets`: words that are not cumulated yet, each with its upper bound in seconds."""

    name: str
    help: str
    role: str
    buckets: tuple[tuple[str, float], ...]
    sum_us: str  # a word


def counter(name: str, told: str, *words: Word, label: str = "") -> Metric:
    return Metric(name, "counter", told, words, label)


def gauge(name: str, told: str, *words: Word, label: str = "", scale: float = 1) -> Metric:
    return Metric(name, "gauge", told, words, label, scale)


def each(role: str, words: Iterable[str], prefix: str = "") -> Iterable[Word]:
    """Words that say themselves what they are."""
    return (Word(role, prefix + word, word) for word in words)
