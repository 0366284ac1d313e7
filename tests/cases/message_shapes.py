"""What an event costs a shard's merge, by the shape of its message: counted, and timed.

Run as `python -m tests.cases.message_shapes` it times them in turns and compares the medians. The
machine's other work is in that, so the suite counts calls instead (`test_message_shapes`): how many
functions an event goes through is the same on every machine.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from actors.messages.control import session_flags
from tests.actors.shard.cloud_lending import DAY, body_of, frame, watch
from tests.actors.shard.lending import RECEIVED_NS
from tests.actors.shard.rig import Rig

RATIO_MAX: Final = 1.3
AGENTS: Final = 200
ROUNDS: Final = 7
EVENTS: Final = 6_000
BATCH: Final = 400

Presence = dict[str, Any]


def with_message(presence: Presence) -> None:
    """As the bundled gateway writes it."""


def without_message(presence: Presence) -> None:
    """As the maker's own samples show it."""
    del presence["presenceMessage"]


def message_null(presence: Presence) -> None:
    presence["presenceMessage"] = None


SHAPES: Final[Mapping[str, Callable[[Presence], None]]] = {
    "with a message": with_message,
    "without a message": without_message,
    "message null": message_null,
}


def user(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


def events(shape: Callable[[Presence], None], count: int) -> list[Any]:
    """Parsed. Each is a change of presence of its agent, a second after the one before."""
    values = []
    for index in range(count):
        turn, agent = divmod(index, AGENTS)
        minute, second = divmod(10 + turn, 60)
        body = body_of("MEAL" if turn % 2 else "BREAK", 1, "OFF_QUEUE", 1, user(agent))
        body["presence"]["modifiedDate"] = f"{DAY[:-3]}{minute:02d}:{second:02d}.067Z"
        shape(body["presence"])
        values.append(orjson.loads(frame("activity", body, user(agent)).payload))
    return values


class Merging:
    """A shard that has confirmed all agents, and has heard of each once since."""

    def __init__(self, folder: Path, shape: Callable[[Presence], None], count: int) -> None:
        self._rig = Rig(folder / "shard-00.db", "cloud")
        watch(self._rig, *map(user, range(AGENTS)))
        values = events(shape, AGENTS + count)
        self._take(values[:AGENTS])
        self._values = values[AGENTS:]

    def run(self) -> None:
        for first in range(0, len(self._values), BATCH):
            self._take(self._values[first : first + BATCH])

    def _take(self, values: list[Any]) -> None:
        count = len(values)
        merge = self._rig.shard.merge
        applied = merge.counts["applied"]
        findings = merge.events(
            values, [RECEIVED_NS] * count, [1] * count, bytes([session_flags(1)]) * count, 1.0
        )
        assert findings == []
        assert merge.counts["applied"] - applied == count, "each is a change"


def calls_per_event(folder: Path, shape: Callable[[Presence], None], count: int = 400) -> float:
    """Functions of Python and of C that an event goes through."""
    merging, calls = Merging(folder, shape, count), 0

    def note(_frame: object, what: str, _argument: object) -> None:
        nonlocal calls
        calls += what in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        merging.run()
    finally:
        sys.setprofile(before)
    return calls / count


def median_us(rounds: int = ROUNDS) -> dict[str, float]:
    """Of each shape, µs an event; in turns, so that a slow moment meets all of them."""
    taken: dict[str, list[float]] = {name: [] for name in SHAPES}
    for _ in range(rounds):
        for name, shape in SHAPES.items():
            with tempfile.TemporaryDirectory() as folder:
                merging = Merging(Path(folder), shape, EVENTS)
                began_s = time.process_time()
                merging.run()
                taken[name].append((time.process_time() - began_s) / EVENTS * 1e6)
    return {name: statistics.median(each) for name, each in taken.items()}


def main() -> int:
    """0: all shapes are within RATIO_MAX of the usual one."""
    medians = median_us()
    usual_us = medians["with a message"]
    for name, us in medians.items():
        print(f"{name:20} {us:6.2f} us an event, {us / usual_us:.2f} times the usual")
    return int(max(medians.values()) > RATIO_MAX * usual_us)


if __name__ == "__main__":
    sys.exit(main())
