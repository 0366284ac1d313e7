"""Metrics: what Prometheus is told, read anew from pages, rings and the read model at each scrape.

Knows no HTTP. Nothing is counted here: the words of a page outlive their child, so that what only
grows goes on growing whoever is restarted. No label's value comes from outside: states that nobody
knows share one.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from math import inf
from typing import Final, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from actors.messages.control import STATES, UNKNOWN
from actors.web.arguments import WebArguments
from actors.web.incoming_metrics import INCOMING, INCOMING_HISTOGRAMS
from actors.web.instruments import rss_bytes
from actors.web.metric_kinds import Histogram
from actors.web.metric_kinds import Metric as MetricKind
from actors.web.outgoing_metrics import OUTGOING, OUTGOING_HISTOGRAMS
from runtime.block import Block
from runtime.clock import Clock
from runtime.counters import PHASES, Counters
from runtime.ring_gauge import RingGauge

DISTRIBUTION: Final = "presence-runtime"
METRICS: Final = (*INCOMING, *OUTGOING)
HISTOGRAMS: Final = (*INCOMING_HISTOGRAMS, *OUTGOING_HISTOGRAMS)
OTHER: Final = "other"
SILENT_S: Final = 15.0
"""A child that did not beat for so long is as good as dead: its supervisor kills it now."""
_NS: Final = 1e-9
_US: Final = 1e-6


class HealthView(Protocol):
    @property
    def is_lagging(self) -> bool: ...
    @property
    def stale_agents(self) -> int: ...
    @property
    def stale_since_us(self) -> int | None: ...


class Seen(Protocol):
    """The part of the read model that is shown."""

    @property
    def by_state(self) -> Counter[str]: ...
    def health(self, now_us: int, /) -> HealthView: ...


class Metrics(Collector):
    """One collector for all. For the thread that renews the read model."""

    def __init__(
        self,
        pages: Sequence[Counters],
        rings: Sequence[Block],
        clock: Clock,
        seen: Seen | None = None,
        **build: str,
    ) -> None:
        """`build`: labels of `presence_build_info`, beside Python's version."""
        self._pages = pages
        self._gauges = [RingGauge(ring) for ring in rings]
        self._clock = clock
        self._seen = seen
        self._build = {**build, "python": platform.python_version()}

    def registry(self) -> CollectorRegistry:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return registry

    def describe(self) -> list[Metric]:
        """Nothing is promised before it is there; the registry need not collect to know."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Families without a sample, such as those of the other dialect, are left out."""
        pages = [(page.name, page.snapshot()) for page in self._pages]
        families = [
            *self._about(),
            *_children(pages, self._clock.now_ns()),
            *self._rings(),
            *_shards_standing(pages),
            *(_family(told, pages) for told in METRICS),
            *(_histogram(told, pages) for told in HISTOGRAMS),
            *_outbox(pages, self._clock.wall_us()),
            *self._agents(),
        ]
        yield from (family for family in families if family.samples)

    def _about(self) -> Iterator[Metric]:
        info = GaugeMetricFamily(
            "presence_build_info",
            "Always 1; the labels name version, dialect and Python.",
            labels=list(self._build),
        )
        info.add_metric(list(self._build.values()), 1)
        yield info

    def _rings(self) -> Iterator[Metric]:
        labels = ["producer", "consumer"]
        used = GaugeMetricFamily(
            "presence_ring_used_bytes", "Bytes waiting in a ring.", labels=labels
        )
        capacity = GaugeMetricFamily(
            "presence_ring_capacity_bytes", "Capacity of a ring, in bytes.", labels=labels
        )
        for gauge in self._gauges:
            producer, _, consumer = gauge.name.partition(" to ")
            used.add_metric([producer, consumer], gauge.used_bytes)
            capacity.add_metric([producer, consumer], gauge.capacity)
        return iter((used, capacity))

    def _agents(self) -> Iterator[Metric]:
        if self._seen is None:
            return
        health = self._seen.health(self._clock.wall_us())
        agents = GaugeMetricFamily(
            "presence_agents", "Agents by state, as shown on the page.", labels=["state"]
        )
        known = dict.fromkeys((*STATES, UNKNOWN, OTHER), 0)
        for state, count in self._seen.by_state.items():
            known[state if state in known else OTHER] += count
        for state, count in known.items():
            agents.add_metric([state], count)
        yield agents
        yield _one(
            "presence_agents_stale", "Agents whose state is not confirmed.", health.stale_agents
        )
        yield _one(
            "presence_page_lagging",
            "1: the page is still reading from a shard.",
            health.is_lagging,
        )
        if health.stale_since_us:
            yield _one(
                "presence_stale_since_timestamp_seconds",
                "Time since when an agent is not confirmed; absent if all are, or none ever was.",
                health.stale_since_us * _US,
            )


def make_metrics(arguments: WebArguments, clock: Clock, seen: Seen) -> Metrics:
    """For the web child."""
    above = () if arguments.supervisor is None else (arguments.supervisor,)
    try:
        release = version(DISTRIBUTION)
    except PackageNotFoundError:  # a clone that was not installed
        release = "unknown"
    build = {"version": release, "dialect": arguments.dialect}
    return Metrics((*above, *arguments.pages), arguments.rings, clock, seen, **build)


Page = tuple[str, Mapping[str, int]]
"""A child's name, and its words."""


def _one(name: str, told: str, value: float) -> Metric:
    return GaugeMetricFamily(name, told, value=value)


def role_of(child: str) -> str:
    """`shard-3`, `shard`."""
    return child.partition("-")[0]


def _family(told: MetricKind, pages: Sequence[Page]) -> Metric:
    labels = ["child", told.label] if told.label else ["child"]
    made = CounterMetricFamily if told.kind == "counter" else GaugeMetricFamily
    family = made(told.name, told.help, labels=labels)
    for child, words in pages:
        for role, word, said in told.words:
            if role == role_of(child) and word in words:
                value = words[word] * told.scale
                family.add_metric([child, said] if told.label else [child], value)
    return family


def _histogram(told: Histogram, pages: Sequence[Page]) -> Metric:
    family = HistogramMetricFamily(told.name, told.help, labels=["child"])
    for child, words in pages:
        if role_of(child) != told.role or told.sum_us not in words:
            continue
        counts: Counter[float] = Counter()
        for word, bound in told.buckets:
            counts[bound] += words[word]
        cumulated, buckets = 0, []
        for bound, count in sorted(counts.items()):
            cumulated += count
            buckets.append(("+Inf" if bound == inf else repr(bound), float(cumulated)))
        family.add_metric([child], buckets, words[told.sum_us] * _US)
    return family


# -- what is more than a word ------------------------------------------------------------------


def _children(pages: Sequence[Page], now_ns: int) -> Iterator[Metric]:
    up = GaugeMetricFamily(
        "presence_child_up", "1: the process is running and responds.", labels=["child"]
    )
    phase = GaugeMetricFamily(
        "presence_child_phase",
        "1 for the current phase of the process; waiting: for the disk or the gateway.",
        labels=["child", "phase"],
    )
    age = GaugeMetricFamily(
        "presence_child_beat_age_seconds",
        "Seconds since the last heartbeat of the process.",
        labels=["child"],
    )
    restarts = CounterMetricFamily(
        "presence_child_restarts", "Restarts of the process.", labels=["child"]
    )
    cpu = CounterMetricFamily(
        "presence_child_cpu_seconds",
        "CPU time of the process, over all restarts.",
        labels=["child"],
    )
    memory = GaugeMetricFamily(
        "presence_child_resident_memory_bytes",
        "Resident memory of the process, shared rings included.",
        labels=["child"],
    )
    for child, words in pages:
        resident = rss_bytes(words["pid"]) or 0
        age_s = max(0, now_ns - words["beat_ns"]) * _NS
        is_started = words["generation"] > 0
        name = PHASES[words["phase"]] if is_started else "starting"
        lives = is_started and name != "stopped" and resident > 0 and age_s < SILENT_S
        up.add_metric([child], lives)
        for each in PHASES:
            phase.add_metric([child, each], each == name)
        restarts.add_metric([child], max(0, words["generation"] - 1))
        cpu.add_metric([child], words["cpu_ns"] * _NS)
        memory.add_metric([child], resident)
        if is_started:
            age.add_metric([child], age_s)
    return iter((up, phase, age, restarts, cpu, memory))


def _shards_standing(pages: Sequence[Page]) -> Iterator[Metric]:
    stale = GaugeMetricFamily(
        "presence_shard_stale",
        "1: agents of this shard are not confirmed because a session is down.",
        labels=["child"],
    )
    behind = GaugeMetricFamily(
        "presence_shard_behind_sequences",
        "Lag between routed and committed events, in sequence numbers of the gateway.",
        labels=["child"],
    )
    routed = {
        words["gateway_epoch"]: words["watermark"]
        for child, words in pages
        if role_of(child) == "receiver" and "watermark" in words
    }
    for child, words in pages:
        if role_of(child) == "shard" and "stale_since_us" in words:
            stale.add_metric([child], words["stale_since_us"] != 0)
            if (newest := routed.get(words["mark_epoch"], 0)) > 0:
                behind.add_metric([child], max(0, newest - words["mark_sequence"]))
    return iter((stale, behind))


def _outbox(pages: Sequence[Page], now_us: int) -> Iterator[Metric]:
    oldest = GaugeMetricFamily(
        "presence_webhook_oldest_seconds",
        "Age of the oldest waiting webhook message, in seconds; 0: none.",
        labels=["child"],
    )
    for child, words in pages:
        if "webhooks_oldest_us" in words:
            since_us = words["webhooks_oldest_us"]
            oldest.add_metric([child], max(0, now_us - since_us) * _US if since_us else 0.0)
    return iter((oldest,))
