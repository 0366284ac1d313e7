"""Organisation: agents made up for the page, in the words of the HTTP contract. Knows no server."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

STATES = ["Available", "Not Available", "Reserved", "Talking", "Unknown", "Wrapped Up"]
WEIGHTS = [30, 12, 8, 38, 1, 11]
PRESENCE_OF = {"Available": "available", "Not Available": "break", "Unknown": None}
THRESHOLDS = {"Talking": [600, 1200], "Wrapped Up": [120, 300], "Not Available": [900, 1800]}
MINUTE_MS = 60_000
FIRST = (
    "Ada", "Ben", "Cleo", "Dario", "Elif", "Femi", "Greta", "Hana", "Ivo", "Jun", "Kaya", "Lior",
    "Mina", "Noor", "Otis", "Priya", "Quin", "Rosa",
)  # fmt: skip
LAST = (
    "Abara", "Brandt", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Haddad", "Ito",
    "Jansen", "Kim", "Lopez", "Moreau", "Novak",
)  # fmt: skip
SUBJECTS = (
    "Billing", "Claims", "Cards", "Loans", "Retention", "Sales", "Service", "Support", "Returns",
    "Travel", "Freight",
)  # fmt: skip
PLACES = (
    "North", "South", "East", "West", "Gold", "Web", "Chat", "Phone", "Night", "Partner",
)  # fmt: skip


@dataclass(slots=True)
class Agent:
    """As a row of the snapshot says it."""

    id: str
    name: str | None
    state: str
    since_ms: int
    queues: list[str]
    presence: str | None
    is_stale: bool = False

    def row(self, place_of: dict[str, int]) -> list[Any]:
        return [
            self.id,
            self.name,
            STATES.index(self.state),
            self.since_ms,
            place_of[self.queues[0]] if self.queues else -1,
            self.presence,
            int(self.is_stale),
            [place_of[each] for each in self.queues],
        ]

    def change(self) -> list[Any]:
        stale = int(self.is_stale)
        former = self.queues[0] if self.queues else None
        told = [self.id, self.name, self.state, self.since_ms, former, self.presence, stale]
        return [*told, None]  # they are as they were


@dataclass(slots=True)
class Organisation:
    """Who is there, and what they do next."""

    count: int
    at_ms: int
    seed: int = 7
    names: list[str] = field(default_factory=list)
    rng: random.Random = field(init=False)
    agents: list[Agent] = field(init=False)
    queues: dict[str, str | None] = field(init=False)
    by_state: Counter[str] = field(init=False)
    by_queue: dict[str, Counter[str]] = field(init=False)
    history: list[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        number = max(3, self.count // 60)
        self.queues = {f"q-{n:04}": _queue_name(n) for n in range(number)}
        self.agents = [self._agent(n) for n in range(self.count)]
        self.by_state = Counter(dict.fromkeys(STATES, 0))
        self.by_state.update(agent.state for agent in self.agents)
        self.by_queue = {queue: Counter() for queue in self.queues}
        for agent in self.agents:
            for queue in agent.queues:
                self.by_queue[queue][agent.state] += 1
        self.history = [self._minute(ago) for ago in range(60, 0, -1)]

    def _agent(self, n: int) -> Agent:
        rng = self.rng
        state = rng.choices(STATES, WEIGHTS)[0]
        age_ms = int(min(rng.expovariate(1 / 240_000), 5_400_000))
        name = f"{FIRST[n % len(FIRST)]} {LAST[(n // len(FIRST)) % len(LAST)]}"
        home = min(n // 60, len(self.queues) - 1)
        both = [home, (home + 1) % len(self.queues)] if n % 5 == 0 else [home]
        queues = [f"q-{each:04}" for each in both] if n % 17 else []
        return Agent(
            id=f"{rng.getrandbits(64):016x}-{n}",
            name=self.names[n] if n < len(self.names) else name,
            state=state,
            since_ms=self.at_ms - age_ms,
            queues=queues,
            presence=PRESENCE_OF.get(state, "busy"),
        )

    def _minute(self, ago: int) -> dict[str, Any]:
        by_state = dict(self.by_state)
        moved = int(self.count * 0.12 * (1 + self.rng.random() - 2 * abs(ago - 30) / 60))
        moved = max(0, min(moved, by_state["Available"]))
        by_state["Available"] -= moved
        by_state["Talking"] += moved
        return {"at": iso(self.at_ms - ago * MINUTE_MS), "by_state": by_state}

    def move(self, agent: Agent, state: str, at_ms: int) -> list[Any]:
        """The row of `last` that tells of it."""
        before = agent.state
        self.by_state[before] -= 1
        self.by_state[state] += 1
        for queue in agent.queues:
            self.by_queue[queue][before] -= 1
            self.by_queue[queue][state] += 1
        agent.state, agent.since_ms, agent.presence = state, at_ms, PRESENCE_OF.get(state, "busy")
        return [agent.id, before, state, at_ms, None, "live", agent.queues]

    def step(self, count: int, at_ms: int) -> tuple[list[Agent], list[list[Any]]]:
        """So many change."""
        moved = [self.rng.choice(self.agents) for _ in range(count)] if self.agents else []
        rows = [
            self.move(each, self.rng.choices(STATES[:4], WEIGHTS[:4])[0], at_ms) for each in moved
        ]
        return list({each.id: each for each in moved}.values()), rows


def _queue_name(n: int) -> str | None:
    if n == 2:  # one that nobody named
        return None
    number = n // (len(SUBJECTS) * len(PLACES))
    name = f"{SUBJECTS[n % len(SUBJECTS)]} {PLACES[n // len(SUBJECTS) % len(PLACES)]}"
    return f"{name} {number + 1}" if number else name


def iso(at_ms: int) -> str:
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03}Z"
