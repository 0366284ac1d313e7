"""DemoProgress: how far a runtime has come with its gateway, by what their pages and status say.

One for each dialect: only wsp numbers its events, so that what is still to come can be counted; in
the cloud dialect nothing new for a while is all that can be seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from actors.app.topology import Runtime
from runtime.clock import Clock, SystemClock

QUIET_S: Final = 2.0
"""What a gateway has sent is in a shard long before that, whatever one of them waits for."""


class LoadProgress(Protocol):
    def unconfirmed(self) -> list[str]:
        """Why what is held may not be shown as true; nothing when all is."""
        ...

    def behind(self, status: Mapping[str, Any], quiet_s: float, /) -> list[str]:
        """What is still to come. `quiet_s`: since a shard received something."""
        ...


def progress_of(runtime: Runtime) -> LoadProgress:
    is_cloud = any(spec.name == runtime.planner.name for spec in runtime.specs)
    return CloudProgress(runtime, SystemClock()) if is_cloud else WspProgress(runtime)


def _not_confirmed(runtime: Runtime) -> list[str]:
    return [
        f"{page.name} has not confirmed its agents"
        for page in runtime.shards
        if page.get("stale_since_us")
    ]


class WspProgress:
    """One receiver, one numbering."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def unconfirmed(self) -> list[str]:
        receiver = self._runtime.receivers[0]
        found = _not_confirmed(self._runtime)
        if not receiver.get("connected"):
            found.append("no session is up")
        elif receiver.get("history_running"):
            found.append("a history is running")
        return found

    def behind(self, status: Mapping[str, Any], _quiet_s: float, /) -> list[str]:
        receiver = self._runtime.receivers[0]
        newest = int(status["newest_sequence"])
        found = []
        if receiver.note != status["epoch"]:
            found.append("the gateway's current numbering is not known yet")
        found += [
            f"{page.name} is at {page.get('mark_sequence'):,} of epoch {page.get('mark_epoch')}, "
            f"the gateway at {newest:,}"
            for page in self._runtime.shards
            if page.get("mark_epoch") != receiver.get("gateway_epoch")
            or page.get("mark_sequence") != newest
        ]
        return found


class CloudProgress:
    """A plan, and channels that follow it."""

    def __init__(self, runtime: Runtime, clock: Clock) -> None:
        self._runtime = runtime
        self._clock = clock
        self._held_back_s = float("-inf")  # when the gateway last kept back what it has to send

    def unconfirmed(self) -> list[str]:
        planner, receivers = self._runtime.planner, self._runtime.receivers
        version = planner.get("plan_version")
        if not version:
            return ["there is no plan yet"]
        found = _not_confirmed(self._runtime)
        if unmonitored := planner.get("agents_unmonitored"):
            found.append(f"{unmonitored} agents are on no channel")
        for page in receivers:
            if page.get("plan_version") != version:
                found.append(f"{page.name} does not follow the current plan yet")
            if (current := page.get("channels_current")) < (of := page.get("channels_planned")):
                found.append(f"{page.name} has {current} of {of} channels current")
        planned = sum(page.get("channels_planned") for page in receivers)
        if planned != planner.get("channels_planned"):
            found.append(f"{planned} of {planner.get('channels_planned')} planned channels exist")
        return found

    def behind(self, status: Mapping[str, Any], quiet_s: float, /) -> list[str]:
        if paused := status["sockets_paused"]:  # a stall may be longer than QUIET_S
            self._held_back_s = self._clock.now_s()
            return [f"the gateway has paused {paused} sockets"]
        varied = status.get("variations") or {}
        if to_come := varied.get("unsettled"):
            return [f"the gateway has {to_come} changes left that are to come by themselves"]
        if unheard := varied.get("unheard"):
            return [f"{unheard} agents whose topics were lost have changed, and nobody has asked"]
        quiet_s = min(quiet_s, self._clock.now_s() - self._held_back_s)
        return [] if quiet_s >= QUIET_S else ["events are still arriving"]
