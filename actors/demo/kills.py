"""Kills of a demo: which child is killed when, and how long it takes until its successor works.

Decides and watches; the signal itself is sent by whoever owns the processes.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from runtime.counters import LOADED, Counters

RECEIVER: Final = "receiver"
SHARD: Final = "shard"
# Of a successor's page: what grows with the events that it takes, and what else tells of them. The
# other roles take none, and are back when they are ready.
_TAKEN: Final = {
    RECEIVER: ("events_routed", "sessions_begun"),
    SHARD: ("batches", "received"),
}


class KillPlan:
    """Random times with a mean distance, up to `until_s`; every role in turn, in each role any
    child that runs."""

    def __init__(self, every_s: float | None, seed: int, until_s: float | None = None) -> None:
        self._every_s = every_s
        self._until_s = float("inf") if until_s is None else until_s
        self._rng = random.Random(f"kills {seed}")  # noqa: S311 - a plan, no secret
        self._deck: list[str] = []
        self._next_s = self._distance_s()

    def due(self, elapsed_s: float, running: Mapping[str, Sequence[str]]) -> str | None:
        """Whom to kill now, of those that run (by role)."""
        if elapsed_s < self._next_s or elapsed_s > self._until_s:
            return None
        roles = [role for role, names in running.items() if names]
        if not roles:
            return None  # soon somebody will
        self._next_s = elapsed_s + self._distance_s()
        role = next((role for role in self._deck if role in roles), None)
        if role is None:
            self._deck = sorted(running)
            self._rng.shuffle(self._deck)
            role = next(role for role in self._deck if role in roles)
        self._deck.remove(role)
        return self._rng.choice(sorted(running[role]))

    def _distance_s(self) -> float:
        return self._rng.expovariate(1 / self._every_s) if self._every_s else float("inf")


@dataclass(slots=True, kw_only=True)
class KillRecord:
    """One, and what became of it. Times from the signal on; None: not seen before the end
    of the run or of the successor."""

    child: str
    role: str
    generation: int
    at_s: float  # since the load began
    loaded_s: float | None = None  # the successor is ready
    event_s: float | None = None  # … and an event that it took is committed
    victim: int = 0  # the pid
    killed_s: float = 0.0
    is_over: bool = False  # nothing more can be seen of it
    base: tuple[int, int] | None = None  # what its words said when it was dead
    received: int | None = None  # by all shards, when the new receiver's first event was routed

    def to_json(self) -> dict[str, Any]:
        return {
            "child": self.child,
            "generation": self.generation,
            "at_s": round(self.at_s, 3),
            "loaded_s": None if self.loaded_s is None else round(self.loaded_s, 3),
            "event_s": None if self.event_s is None else round(self.event_s, 3),
        }


class Kills:
    """All kills of a run. Reads the children's pages."""

    def __init__(self, pages: Mapping[str, Counters], roles: Mapping[str, str]) -> None:
        self._pages = pages
        self._roles = roles
        self.kills: list[KillRecord] = []

    def note(self, child: str, pid: int, now_s: float, elapsed_s: float) -> None:
        """The child has just been sent its signal. What came of a kill before it is not seen any
        more: the life that would have shown it has ended, too."""
        for earlier in self.kills:
            earlier.is_over |= earlier.child == child
        self.kills.append(
            KillRecord(
                child=child,
                role=self._roles[child],
                generation=self._pages[child].get("generation"),
                at_s=elapsed_s,
                victim=pid,
                killed_s=now_s,
            )
        )

    def watch(self, pids: Mapping[str, int | None], now_s: float) -> None:
        """Looks how the successors are getting on."""
        for kill in self.kills:
            if not kill.is_over and pids.get(kill.child) != kill.victim:
                self._follow(kill, now_s)

    def _follow(self, kill: KillRecord, now_s: float) -> None:
        page = self._pages[kill.child]
        words = _TAKEN.get(kill.role, ("generation", "generation"))
        found = (page.get(words[0]), page.get(words[1]))
        if kill.base is None:
            kill.base = found  # a successor takes longer to start than we to look
            return
        if page.get("generation") <= kill.generation:
            return
        if kill.loaded_s is None and page.get("phase") >= LOADED:
            kill.loaded_s = now_s - kill.killed_s
            kill.is_over = kill.role not in _TAKEN
        # Without a journal what was received is counted anew.
        has_worked = found[0] > kill.base[0] and found[1] != kill.base[1]
        if kill.is_over or kill.loaded_s is None or not has_worked:
            return
        if kill.role == RECEIVER:
            received = sum(each.get("received") for each in self._shards())
            if kill.received is None:
                kill.received = received
            if received <= kill.received:
                return
        kill.event_s, kill.is_over = now_s - kill.killed_s, True

    def _shards(self) -> list[Counters]:
        return [page for name, page in self._pages.items() if self._roles[name] == SHARD]

    def by_role(self) -> dict[str, dict[str, Any]]:
        """How many, and how long the next life took."""
        told: dict[str, dict[str, Any]] = {}
        for role in sorted({kill.role for kill in self.kills}):
            mine = [kill for kill in self.kills if kill.role == role]
            told[role] = {
                "kills": len(mine),
                "loaded_s": spread([k.loaded_s for k in mine]),
                "event_s": spread([k.event_s for k in mine]),
            }
        return told


def spread(times_s: Sequence[float | None]) -> dict[str, float | int | None]:
    """Of those that are known: how many, the median, the worst."""
    known = [time_s for time_s in times_s if time_s is not None]
    return {
        "count": len(known),
        "p50": round(median(known), 3) if known else None,
        "max": round(max(known), 3) if known else None,
    }
