"""Page: what of machine and outbox the words of the sender's counters show.

Knows no ring and no file. The page outlives its sender: a successor counts on from what it finds
there, with the buckets of the latencies, so that averages and percentiles are those of all lives
since the runtime was started.
"""

from __future__ import annotations

from typing import Final

from actors.sender.active_commands import COUNTED
from actors.sender.commands import CommandStep
from actors.sender.latency import Latency
from actors.sender.machine import CommandMachine
from actors.sender.store import OutboxCounts
from actors.sender.words import BUCKETS, LATENCIES, PERCENTILES
from runtime.counters import Counters

_TOOK: Final = (CommandStep.CONFIRMED, CommandStep.UNCONFIRMED)
_DID_NOT: Final = (CommandStep.REFUSED, CommandStep.UNKNOWN)


class SenderPage:
    """One life's view of the page."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._counted_before = {word: counters.get(word) for word in COUNTED}
        self._latency_before = {
            name: Latency(map(counters.get, BUCKETS[name]), counters.get(f"{name}_sum_us") / 1000)
            for name in LATENCIES
        }
        self._measured = dict.fromkeys(LATENCIES, 0)

    def show(self, machine: CommandMachine) -> None:
        put, get = self._counters.set, self._counters.get
        for word, count in machine.counts.items():
            put(word, self._counted_before[word] + count)
        took, did_not = sum(map(get, _TOOK)), sum(map(get, _DID_NOT))
        put("success_permille", round(1000 * took / (took + did_not)) if took + did_not else 0)
        put("unsettled", machine.unsettled)
        put("validating", machine.validating)
        put("waiting", machine.waiting)
        put("in_flight", machine.in_flight)
        put("pending_now", machine.pending)
        put("departures", machine.departures)
        self._show_latency("acknowledgement", machine.to_acknowledgement)
        self._show_latency("confirmation", machine.to_confirmation)

    def show_outbox(self, pending: OutboxCounts) -> None:
        put = self._counters.set
        put("webhooks_waiting", pending.waiting)
        put("webhooks_dead", pending.dead)
        put("webhooks_oldest_us", pending.oldest_us or 0)

    def _show_latency(self, name: str, measured: Latency) -> None:
        if measured.count == self._measured[name]:
            return
        self._measured[name] = measured.count
        put, latency = self._counters.set, self._latency_before[name] + measured
        for word, count in zip(BUCKETS[name], latency.buckets, strict=True):
            put(word, count)
        put(f"{name}_sum_us", round(latency.sum_ms * 1000))
        put(f"{name}_average_us", round(latency.average_ms * 1000))
        for percent in PERCENTILES:
            put(f"{name}_p{percent}_us", round(latency.quantile_ms(percent / 100) * 1000))
