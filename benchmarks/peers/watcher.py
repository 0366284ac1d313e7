"""Watcher: reads what the shards tell the page, and how old it is by then. Knows no page.

It shares two cores with what it watches. So while it watches it keeps the bytes and the time, and
decodes them when the load is over: else half of the capacity would be its own.
An event's age runs from its own timestamp, which the gateway's open loop gives it before it tries
to send: an event that waits for a full socket is as old as it is (no coordinated omission).
Timestamps have whole milliseconds, so an age is up to 1 ms too high.
"""

from __future__ import annotations

import threading
import time
from array import array
from collections import Counter
from collections.abc import Sequence
from typing import Final

import orjson
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]  # it has no types

from actors.messages.feed import SnapshotWanted, Tag, encode_want
from actors.web.arguments import FeedEnds
from benchmarks.harness import verify
from runtime.ring import KIND_CONTROL, Consumer, Producer

IDLE_S: Final = 0.0002
AGE_US_MAX: Final = 60_000_000
FIGURES: Final = 3
PERCENTILES: Final = {"p50": 50, "p90": 90, "p99": 99, "p99.9": 99.9, "p99.99": 99.99, "max": 100}
AT_US, CAUSE, LIVE = 5, 12, "live"  # of a row


class Watcher(threading.Thread):
    """Of all shards; from `watch` on it keeps every transition, some 150 bytes each."""

    def __init__(self, feeds: Sequence[FeedEnds]) -> None:
        super().__init__(daemon=True)
        self._consumers = [Consumer(each.feed, generation=1) for each in feeds]
        self._producers = [
            Producer(each.wants, generation=1, doorbell=each.doorbell) for each in feeds
        ]
        self._told: list[bytes] = []
        self._told_us = array("q")

    def watch(self) -> None:
        """Shards tell whoever has asked for a snapshot."""
        for producer in self._producers:
            assert producer.stage(encode_want(SnapshotWanted(1)), KIND_CONTROL)
            producer.publish()
        self.start()

    def run(self) -> None:
        while True:
            is_idle = True
            for consumer in self._consumers:
                batch = consumer.peek()
                if batch is None:
                    continue
                is_idle = False
                now_us, flags = time.time_ns() // 1000, batch.flags
                for index in range(batch.count):
                    if flags[index] == Tag.ROWS:
                        self._told.append(bytes(batch.frame(index)))
                        self._told_us.append(now_us)
                consumer.commit(batch.cursor_to)
            if is_idle:
                time.sleep(IDLE_S)

    def ages_ms(self, events: int) -> dict[str, float]:
        """By percentile. Raises WrongResultError if any event was not seen."""
        ages_us: Counter[int] = Counter()
        for now_us, rows in zip(self._told_us, self._told, strict=True):
            ages_us.update(now_us - row[AT_US] for row in orjson.loads(rows) if row[CAUSE] == LIVE)
        histogram = HdrHistogram(1, AGE_US_MAX, FIGURES)
        for age_us, count in ages_us.items():
            histogram.record_value(max(1, age_us), count)
        verify("events that were watched", histogram.get_total_count(), events)
        return {
            name: histogram.get_value_at_percentile(percent) / 1000
            for name, percent in PERCENTILES.items()
        }
