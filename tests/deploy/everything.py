"""Everything: a scrape of a runtime that has all there is, of both dialects at once.

Its pages are laid out as they are for a real one, so that every metric that can be exposed is.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from prometheus_client import exposition, parser
from pydantic import SecretStr

from actors.app.shared_memory import SharedMemory
from actors.settings.model import Settings
from actors.settings.sinks import SinkSettings
from actors.web.metrics import Metrics
from runtime.clock import SystemClock

METRIC = re.compile(r"\bpresence_[a-z0-9_]+")


@dataclass(frozen=True)
class _Health:
    is_lagging: bool = True
    stale_agents: int = 1
    stale_since_us: int | None = 1_795_000_000_000_000


@dataclass(frozen=True)
class _Seen:
    by_state: Counter[str]

    def health(self, _now_us: int) -> _Health:
        return _Health()


@cache
def text() -> str:
    """As Prometheus is answered."""
    settings = Settings(
        dialect="cloud",
        client_id="c",
        client_secret=SecretStr("s"),
        ring_bytes=64 << 10,
        sinks=(SinkSettings(name="lines", kind="jsonl", path=Path("-")),),
    )
    shared = SharedMemory.create(settings)
    pages = (shared.supervisor, *shared.pages(settings))
    for page in pages:
        page.set("generation", 1)
    shared.receivers[0].set("watermark", 1)
    metrics = Metrics(
        pages, shared.rings, SystemClock(), _Seen(Counter(Talking=1)), version="0", dialect="cloud"
    )
    return exposition.generate_latest(metrics.registry()).decode()


@cache
def names() -> frozenset[str]:
    """Of all samples."""
    families = parser.text_string_to_metric_families(text())
    return frozenset(sample.name for family in families for sample in family.samples)


@cache
def label_values() -> dict[str, set[str]]:
    """Of all labels whose values are a closed set."""
    values: dict[str, set[str]] = {}
    for family in parser.text_string_to_metric_families(text()):
        for sample in family.samples:
            for label, value in sample.labels.items():
                values.setdefault(f"{sample.name}.{label}", set()).add(value)
    return values


def used_in(expression: str) -> set[str]:
    """The metrics that an expression asks for."""
    return set(METRIC.findall(expression))
