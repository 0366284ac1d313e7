from array import array
from collections.abc import Sequence
from typing import NamedTuple

from tools.fake_gateway.cloud.definitions import WalkStep
from tools.fake_gateway.script import Script
from tools.fake_gateway.event_times import Stretch

class Held(NamedTuple):
    presence: int
    presence_ms: int
    message: str
    routing: int
    routing_ms: int
    is_away: bool
    away_ms: int
    queues: int
    queues_ms: int

class Traced(NamedTuple):
    agents: array[int]
    times_ms: array[int]
    presences: array[int]
    routings: array[int]
    queues: array[int]

class Activity:
    head: int
    steps: int
    copies: int
    def __init__(
        self,
        script: Script,
        walk: Sequence[WalkStep],
        *,
        late_every: int = 0,
        late_by: int = 0,
    ) -> None: ...
    def add_stretch(self, stretch: Stretch) -> None: ...
    def hear(self, audience: Sequence[tuple[int, array[int], bytes]]) -> None: ...
    def open(self, channel: int) -> None: ...
    def close(self, channel: int) -> None: ...
    def run(self, steps: int) -> None: ...
    def change(
        self,
        agent: int,
        at_ms: int,
        *,
        presence: int | None = None,
        routing: int | None = None,
        message: str | None = None,
    ) -> int: ...
    def set_source(self, agent: int, is_other: bool) -> None: ...
    def take(self) -> list[tuple[int, bytes, int]]: ...
    def held(self, agent: int) -> Held: ...
    def frame(self, agent: int, topic: int) -> bytes: ...
    def trace(self, steps: int) -> Traced: ...
