"""Capacity: whether a queue can spare one more agent, and who is leaving it already. Pure.

Knows no shard and no command beyond its id: counts and limits in, a reason or none out. Utilisation
is busy / (available + busy).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from actors.genesys.times import iso_ms
from actors.settings.sender import CapacitySettings, QueueLimits


class QueueCounts(NamedTuple):
    """The agents of one queue over all shards; only confirmed ones are available, busy or other."""

    available: int
    busy: int
    other: int
    unknown: int
    stale_since_us: int | None  # of any shard; 0: no session was ever up
    unplaced: int = 0  # agents of whom it is not known whether they are in this queue


class CapacityAnalyzer(Protocol):
    """Judges a change that takes an agent out of *available*."""

    def matters(self, queue: str, limits: CapacitySettings) -> bool:
        """Whether counts could refuse anything here: if not, no shard is asked."""
        ...

    def judge(
        self, queue: str, counts: QueueCounts, departures: int, limits: CapacitySettings
    ) -> str | None:
        """None if the queue can spare the agent, else why not, with the numbers.

        `departures`: so many are about to leave, and are still among the available.
        """
        ...


class LimitsAnalyzer:
    """`minimum_available` and `maximum_utilisation` of the settings."""

    def matters(self, queue: str, limits: CapacitySettings) -> bool:
        limit = _limits_of(queue, limits)
        return limit.minimum_available > 0 or limit.maximum_utilisation < 1.0

    def judge(
        self, queue: str, counts: QueueCounts, departures: int, limits: CapacitySettings
    ) -> str | None:
        if counts.stale_since_us is not None:
            since = iso_ms(counts.stale_since_us) if counts.stale_since_us else "the start"
            return f"queue {queue!r}: the agent counts are not confirmed since {since}"
        limit = _limits_of(queue, limits)
        left = max(0, counts.available - departures - 1)
        busy = counts.busy + counts.unplaced  # at worst; the available are so many at least
        utilisation = _utilisation(left, busy)
        now = (
            f"queue {queue!r}: {counts.available} available, {counts.busy} busy, {departures}"
            " about to leave"
        )
        if counts.unplaced:
            now += f", and the queues of {counts.unplaced} agents are not known yet"
        if left < limit.minimum_available:
            return f"{now}; {left} would remain, {limit.minimum_available} required"
        if utilisation > limit.maximum_utilisation:
            most = f"{limit.maximum_utilisation:.0%}"
            return f"{now}; utilisation would be {utilisation:.1%}, at most {most} allowed"
        return None


def _limits_of(queue: str, limits: CapacitySettings) -> QueueLimits:
    return limits.queues.get(queue, limits.default)


def _utilisation(available: int, busy: int) -> float:
    return busy / (available + busy) if busy else 0.0


class Departures:
    """Which commands are taking an agent out of which queues: out of each from the moment when its
    capacity let them pass until their end, so that two of them cannot both take the last one."""

    def __init__(self) -> None:
        self._queues_of: dict[str, list[str]] = {}
        self._leaving: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._queues_of)

    def of(self, queue: str) -> int:
        return self._leaving.get(queue, 0)

    def begin(self, command_id: str, queue: str) -> None:
        queues = self._queues_of.setdefault(command_id, [])
        assert queue not in queues, command_id
        queues.append(queue)
        self._leaving[queue] = self.of(queue) + 1

    def end(self, command_id: str) -> list[str]:
        """The queues that it left, or was to leave."""
        queues = self._queues_of.pop(command_id, [])
        for queue in queues:
            self._leaving[queue] -= 1
            if not self._leaving[queue]:
                del self._leaving[queue]
        return queues
