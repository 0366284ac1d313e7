"""Owns what others see of a receiver of channels: the words of its page. It is told what to show.

Counts go on where the last receiver's ended; what is true only now is set anew by each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from actors.genesys.tokens import TokenProvider
from actors.receiver.channel import ChannelMachine
from actors.receiver.cloud_client import CloudClient
from actors.receiver.connection import ConnectionCounts
from actors.receiver.snapshot_scheduler import SnapshotScheduler
from runtime.counters import Counters

QUIET_S: Final = 20.0
"""So long a socket is never silent: a ping after 15 s is answered at once."""
_COUNTED: Final = (
    "control_frames",
    "requests",
    "requests_refused",
    "token_refreshes",
    "token_failures",
)


class CloudGauges:
    """For one receiver and all of its clients."""

    def __init__(
        self,
        counters: Counters,
        *,
        clients: Sequence[CloudClient],
        scheduler: SnapshotScheduler,
        tokens: Sequence[TokenProvider],
        tally: ConnectionCounts,
        log: Any,
    ) -> None:
        self._counters = counters
        self._clients = clients
        self._scheduler = scheduler
        self._tokens = tokens
        self._tally = tally
        self._log = log
        self._before = {word: counters.get(word) for word in _COUNTED}
        self._failures_told = 0

    def show(self, machines: Iterable[ChannelMachine], at_us: int) -> None:
        self._show_counts()
        self._show_channels([each for each in machines if not each.is_empty], at_us)

    def _show_counts(self) -> None:
        tokens, rests = self._tokens, [client.rest for client in self._clients]
        failures = sum(each.failures for each in tokens)
        counted = {
            "control_frames": self._tally.control_frames,
            "requests": sum(each.requests for each in rests),
            "requests_refused": sum(each.rate_limited for each in rests),
            "token_refreshes": sum(each.refreshes for each in tokens),
            "token_failures": failures,
        }
        for word, count in counted.items():
            self._counters.set(word, self._before[word] + count)
        left_s = min((each.seconds_left for each in tokens), default=0.0)
        self._counters.set("token_seconds_left", int(left_s))
        if failures != self._failures_told:
            self._failures_told = failures
            reasons = sorted({each.last_failure for each in tokens if each.failures})
            self._log.warning("token.failed", reasons=reasons)

    def _show_channels(self, machines: Sequence[ChannelMachine], at_us: int) -> None:
        put = self._counters.set
        connected = sum(each.is_up for each in machines)
        current = sum(each.is_current for each in machines)
        put("channels_planned", len(machines))
        put("channels_connected", connected)
        put("channels_current", current)
        self._show_heard(machines)
        put("connected", int(connected > 0))
        put("history_running", int(connected > current))
        put("topics_refused", sum(len(each.refused) for each in machines))
        partly = (client.partly_refused(each.slot) for client in self._clients for each in machines)
        put("topics_partly_refused", sum(partly))
        put("channels_foreign", sum(client.foreign for client in self._clients))
        put("snapshots_waiting", self._scheduler.waiting)
        if current == len(machines) > 0:
            put("stale_since_us", 0)
        elif self._counters.get("stale_since_us") == 0:
            heard = [each.heard_us for each in machines if not each.is_current and each.heard_us]
            put("stale_since_us", min(heard, default=self._counters.get("heard_us") or at_us))

    def _show_heard(self, machines: Sequence[ChannelMachine]) -> None:
        """The time of the last frame outlives us, and whoever is quiet is not drowned by others."""
        put, heard_us = self._counters.set, self._counters.get("heard_us")
        put("heard_us", max((each.heard_us for each in machines), default=0) or heard_us)
        quiet = [each.quiet_s for each in machines]
        put("quiet_s", int(max(quiet, default=0.0)))
        put("channels_quiet", sum(each >= QUIET_S for each in quiet))
