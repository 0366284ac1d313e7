"""Profiles: what a gateway does wrong by itself, and when. Pure: times are arguments."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

from tools.fake_gateway.faults import FRAME_FAULTS, Fault


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
)
_HOSTILE = (
    *_FLAKY,
    Fault(kind="close", code=None),
    Fault(kind="stall", seconds=3.0),
    Fault(kind="pause", seconds=1.0),
    *(Fault(kind="refuse", status=status, count=2) for status in (401, 403, 429, 500)),
    Fault(kind="refuse-tokens", status=500, count=2),
    Fault(kind="refuse-tokens", status=429, retry_after_s=1),
    Fault(kind="ignore-sequence"),
    *(Fault(kind=kind, count=3) for kind in FRAME_FAULTS if kind != "oversized"),
)
PROFILES: Mapping[str, Profile] = {
    "none": Profile(),
    "flaky": Profile(faults=_FLAKY, mean_s=5.0, duplicates=0.005, reorder=20, token_life_s=40.0),
    "hostile": Profile(
        faults=_HOSTILE, mean_s=1.2, duplicates=0.02, reorder=100, token_life_s=25.0
    ),
}


class FaultPlan:
    """The timeline of a profile: at random times with a mean distance, every fault in turn."""

    def __init__(self, profile: str, seed: int) -> None:
        if profile not in PROFILES:
            raise ValueError(f"no such fault profile: {profile!r}; there are {', '.join(PROFILES)}")
        self._faults, self._mean_s = PROFILES[profile].faults, PROFILES[profile].mean_s
        self._chance = random.Random(f"faults {seed}")
        self._deck: list[Fault] = []
        self._next_s = self._distance_s()

    @property
    def has_faults(self) -> bool:
        return bool(self._faults)

    def due(self, elapsed_s: float) -> list[Fault]:
        """What has to happen since the last question."""
        due: list[Fault] = []
        while self._faults and elapsed_s >= self._next_s:
            if not self._deck:
                self._deck = list(self._faults)
                self._chance.shuffle(self._deck)
            due.append(self._deck.pop())
            self._next_s += self._distance_s()
        return due

    def _distance_s(self) -> float:
        return self._chance.expovariate(1 / self._mean_s) if self._mean_s else float("inf")
