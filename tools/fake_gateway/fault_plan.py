"""FaultPlan: when faults happen: by the profile of a gateway, or by a timeline that somebody wrote.

Pure: times are arguments. Knows no kind of fault.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import orjson

from tools.fake_gateway.faults import Fault

F = TypeVar("F", bound=Fault)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultProfile(Generic[F]):
    """Faults in turn, at random times with a mean distance; and how the gateway is all the time,
    unless an option says otherwise. `late`: every so-manieth step's frames come again, so many
    later. `is_varied`: whether what the platform's texts leave open is varied (cloud)."""

    faults: tuple[F, ...] = ()
    mean_s: float = 0.0
    duplicates: float = 0.0
    reorder: int = 0
    token_life_s: float = 3600.0
    late: tuple[int, int] = (0, 0)
    is_varied: bool = False


class FaultPlan(Generic[F]):
    """A profile as it is lived: at random times with a mean distance, every fault in turn."""

    def __init__(self, profiles: Mapping[str, FaultProfile[F]], name: str, seed: str) -> None:
        if name not in profiles:
            raise ValueError(
                f"Unknown fault profile {name!r}; expected one of {', '.join(profiles)}"
            )
        self._faults, self._mean_s = profiles[name].faults, profiles[name].mean_s
        self.rng = random.Random(seed)
        self._deck: list[F] = []
        self._next_s = self._distance_s()

    @property
    def kinds(self) -> list[str]:
        """That will come, if there is time."""
        return sorted({fault.kind for fault in self._faults})

    def due(self, elapsed_s: float) -> list[F]:
        """What has to happen since the last question."""
        due: list[F] = []
        while self._faults and elapsed_s >= self._next_s:
            if not self._deck:
                self._deck = list(self._faults)
                self.rng.shuffle(self._deck)
            due.append(self._deck.pop())
            self._next_s += self._distance_s()
        return due

    def _distance_s(self) -> float:
        return self.rng.expovariate(1 / self._mean_s) if self._mean_s else float("inf")


class FaultSchedule(Generic[F]):
    """A timeline that somebody wrote: each fault once, at its second of the load."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, F]] = []

    def add(self, entries: list[tuple[float, F]]) -> None:
        self._entries = sorted([*self._entries, *entries], key=lambda entry: entry[0])

    def due(self, elapsed_s: float) -> list[F]:
        """What has to happen since the last question."""
        due = [fault for at_s, fault in self._entries if at_s <= elapsed_s]
        del self._entries[: len(due)]
        return due

    def clear(self) -> None:
        self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)


def parse_schedule(kind: type[F], asked: Any) -> list[tuple[float, F]]:
    """Of a list of faults that each have an `at_s`. Raises ValueError that names what is wrong."""
    if not isinstance(asked, list):
        raise ValueError("a timeline is a list of faults, each with at_s")
    entries = []
    for number, each in enumerate(asked, start=1):
        at_s = each.get("at_s") if isinstance(each, dict) else None
        if isinstance(at_s, bool) or not isinstance(at_s, int | float) or not at_s >= 0:
            raise ValueError(f"number {number} of the timeline has no at_s of 0 or more")
        try:
            fault = kind.parse({name: value for name, value in each.items() if name != "at_s"})
        except ValueError as error:
            raise ValueError(f"number {number} of the timeline: {error}") from None
        entries.append((float(at_s), fault))
    return sorted(entries, key=lambda entry: entry[0])


def read_schedule(kind: type[F], path: Path | None) -> tuple[tuple[float, F], ...]:
    """A file of JSON lines; None: there is no timeline. Raises ValueError or OSError."""
    if path is None:
        return ()
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    try:
        asked = [orjson.loads(line) for line in lines]
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{path} does not hold a JSON object in each line: {error}") from None
    return tuple(parse_schedule(kind, asked))
