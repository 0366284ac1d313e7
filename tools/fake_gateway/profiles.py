"""Profiles: what a gateway does wrong by itself, and when. Pure: times are arguments."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tools.fake_gateway.faults import BREAKING, FRAME_FAULTS, Fault, parse_fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Faults in turn, at random times with a mean distance; and how the gateway is all the time,
    unless it is told otherwise."""

    faults: tuple[Fault, ...] = ()
    mean_s: float = 0.0
    duplicates: float = 0.0
    reorder: int = 0
    token_life_s: float = 3600.0


_FLAKY = (
    Fault(kind="drop"),
    Fault(kind="close", code=1012),
    Fault(kind="close", code=1001),
    Fault(kind="expire-tokens", seconds=0.5),
    Fault(kind="presence-drop"),
    Fault(kind="presence-close", code=1012),
    Fault(kind="ack-missing"),
    Fault(kind="update-lost"),
    Fault(kind="ack-negative", status=429, seconds=0.5),
)
_HOSTILE = (
    *_FLAKY,
    Fault(kind="close", code=None),
    Fault(kind="stall", seconds=3.0),
    Fault(kind="pause", seconds=1.0),
    Fault(kind="trickle", seconds=2.0, events=20),
    *(Fault(kind="refuse", status=status, count=2) for status in (401, 403, 429, 500)),
    Fault(kind="refuse", status=429, retry_after_s=1),
    Fault(kind="refuse", status=0),
    Fault(kind="refuse-tokens", status=500, count=2),
    Fault(kind="refuse-tokens", status=429, retry_after_s=1),
    Fault(kind="renumber", first_sequence=20_000_001),
    Fault(kind="renumber", named=False),
    Fault(kind="retention", events=100, seconds=5.0),
    Fault(kind="ignore-sequence"),
    Fault(kind="no-history-end"),
    Fault(kind="slow-history", events=500, seconds=0.2),
    Fault(kind="omit-agents", count=5),
    Fault(kind="poison", frame="oversized"),
    Fault(kind="presence-stall", seconds=3.0),
    Fault(kind="bind-missing"),
    Fault(kind="refuse-presence", status=500, count=2),
    Fault(kind="refuse-presence", status=429, retry_after_s=1),
    Fault(kind="ack-late", seconds=7.0),
    Fault(kind="ack-duplicate"),
    Fault(kind="ack-malformed", count=2),
    Fault(kind="ack-negative", status=500),
    Fault(kind="slow-users", seconds=1.0),
    Fault(kind="refuse-users", status=500),
    Fault(kind="refuse-users", status=429, retry_after_s=1),
    Fault(kind="refuse-webhooks", status=500, count=2),
    Fault(kind="refuse-webhooks", status=0),
    *(Fault(kind=kind, count=3) for kind in FRAME_FAULTS if kind not in BREAKING),
    *(Fault(kind=kind) for kind in BREAKING),
)
PROFILES: Mapping[str, Profile] = {
    "none": Profile(),
    "flaky": Profile(faults=_FLAKY, mean_s=2.5, duplicates=0.005, reorder=20, token_life_s=40.0),
    # All kinds of fault within a minute, reconnects included.
    "hostile": Profile(
        faults=_HOSTILE, mean_s=0.5, duplicates=0.02, reorder=100, token_life_s=25.0
    ),
}


class FaultPlan:
    """The timeline of a profile: at random times with a mean distance, every fault in turn."""

    def __init__(self, profile: str, seed: int) -> None:
        if profile not in PROFILES:
            raise ValueError(f"no such fault profile: {profile!r}; there are {', '.join(PROFILES)}")
        self._faults, self._mean_s = PROFILES[profile].faults, PROFILES[profile].mean_s
        self._rng = random.Random(f"faults {seed}")
        self._deck: list[Fault] = []
        self._next_s = self._distance_s()

    @property
    def kinds(self) -> list[str]:
        """That will come, if there is time."""
        return sorted({fault.kind for fault in self._faults})

    def due(self, elapsed_s: float) -> list[Fault]:
        """What has to happen since the last question."""
        due: list[Fault] = []
        while self._faults and elapsed_s >= self._next_s:
            if not self._deck:
                self._deck = list(self._faults)
                self._rng.shuffle(self._deck)
            due.append(self._deck.pop())
            self._next_s += self._distance_s()
        return due

    def _distance_s(self) -> float:
        return self._rng.expovariate(1 / self._mean_s) if self._mean_s else float("inf")


class Schedule:
    """A timeline that somebody wrote: each fault once, at its second of the load."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, Fault]] = []

    def add(self, entries: list[tuple[float, Fault]]) -> None:
        self._entries = sorted([*self._entries, *entries], key=lambda entry: entry[0])

    def due(self, elapsed_s: float) -> list[Fault]:
        """What has to happen since the last question."""
        due = [fault for at_s, fault in self._entries if at_s <= elapsed_s]
        del self._entries[: len(due)]
        return due

    def clear(self) -> None:
        self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)


def parse_schedule(asked: Any) -> list[tuple[float, Fault]]:
    """Of a list of faults that each have an `at_s`. Raises ValueError that names what is wrong."""
    if not isinstance(asked, list):
        raise ValueError("a timeline is a list of faults, each with at_s")
    entries = []
    for number, each in enumerate(asked, start=1):
        at_s = each.get("at_s") if isinstance(each, dict) else None
        if isinstance(at_s, bool) or not isinstance(at_s, int | float) or not at_s >= 0:
            raise ValueError(f"number {number} of the timeline has no at_s of 0 or more")
        try:
            fault = parse_fault({name: value for name, value in each.items() if name != "at_s"})
        except ValueError as error:
            raise ValueError(f"number {number} of the timeline: {error}") from None
        entries.append((float(at_s), fault))
    return entries


def read_schedule(path: Path) -> list[tuple[float, Fault]]:
    """A file of JSON lines. Raises ValueError or OSError."""
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    try:
        asked = [orjson.loads(line) for line in lines]
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{path} does not hold a JSON object in each line: {error}") from None
    return parse_schedule(asked)
