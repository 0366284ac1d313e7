"""Variations: what the platform's texts leave open, one row each, and when which is due. Pure.

Each happens at jittered times with a mean distance, whatever the load and however many agents there
are; where there is no chance at its time, it waits for one. Times are arguments.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

AT_LEAST = 10  # of each
IN_S = 120.0
EVERY_S, RARELY_S = 5.0, 9.5  # the latter of what costs a channel or a call: it heals, too
OWED_MAX = 12
TOKEN_LIFE_S = 30.0  # with few agents: no channel lives longer
TOKEN_LIFE_S_MORE = 30.0  # … with LARGE agents: new channels cost calls
LARGE = 20_000
HAMMERED, IN_USE = "hammered", "ended-in-use"
"""What is noted beside the variations: a client that does not back off, and a channel that was in
use when its token ended."""


class Variation(NamedTuple):
    """`owed`: so many are due at once in the beginning; `waiting`: that wait for a chance."""

    name: str
    meaning: str
    every_s: float = EVERY_S
    owed: int = 1
    waiting: int = 3  # at most, or as many as were owed


REST = (
    Variation("presence-left-out", "`expand=presence`, and a user without it (R3)", 2.0, OWED_MAX),
    Variation(
        "routing-left-out", "`expand=routingStatus`, and a user without it (R3)", 2.0, OWED_MAX
    ),
    Variation("page-order", "users of a page in another order", 2.0, 4),
    Variation("page-shift", "a user stands on two pages, or twice on one, or on none", 2.0, 4),
    Variation("optional-field", "a field is absent or null that may be", 2.0, OWED_MAX),
    Variation("large-entity", "a user of 40 KB", 3.0, OWED_MAX),
    Variation("other-source", "a presence that is not the primary one, in REST or beside events"),
    Variation("broken-name", "half an emoji or a control character in a name (R6)", 3.0, OWED_MAX),
    Variation("broken-label", "… in a label of a definition", 60.0, 2),
    Variation("odd-time-rest", "a time of REST that is missing, far or ahead (R7)", 3.0, OWED_MAX),
    Variation("foreign-case-rest", "an id in upper case in an answer (R16)", 3.0, OWED_MAX),
    Variation(
        "invalid-topic", "deleted a moment ago: its topic makes the whole call a 400 (R4)", RARELY_S
    ),
    Variation("expires-in", "`expires_in` as a text, or as a number with a fraction (R14)", 3.0, 4),
)
WRITES = (
    Variation("pending", "a PATCH answered with the presence as it was; the new one comes (R5)"),
    Variation("pending-never", "… and never comes"),
    Variation("not-primary", "a PATCH answered with `primary: false`; nothing changes (R5)"),
    Variation("other-date", "a reply whose modifiedDate is not the event's, by milliseconds", 3.0),
)
REFUSALS = (
    Variation("retry-after-zero", "429 or 503 with `Retry-After: 0` (R11)", RARELY_S, waiting=1),
    Variation("retry-after-fraction", "… with a fraction of a second", RARELY_S, waiting=1),
    Variation("retry-after-date", "… with a date", RARELY_S, waiting=1),
    Variation("retry-after-absent", "… without", RARELY_S, waiting=1),
)
FRAMES = (
    Variation("optional-part", "an event without presenceMessage, metadata or version (R13)", 3.0),
    Variation("several-queues", "more active queues than two", 3.0),
    Variation("broken-message", "half an emoji or a control character in a message (R6)"),
    Variation("odd-part", "one part is of another type; the others tell the change (R12)"),
    Variation("odd-time", "an event whose times are missing, far or an hour ahead (R7)"),
    Variation("foreign-case", "ids in upper case in topic, body or both (R16)"),
    Variation("tie", "two changes of one agent in one millisecond: the last one sent holds (R7)"),
)
CHANNELS = (
    Variation("token-ends-channel", "a channel ends with its token (R9)", 0.0),
    Variation(
        "deaf", "topics of a channel are lost without a word; heartbeats go on (R10)", RARELY_S
    ),
    Variation(
        "socket-result", "a socket is told 400, 401 or 410, and its channel is gone (R19)", 8.0
    ),
    Variation("heartbeat", "a heartbeat in other words (R19)", 2.5),
    Variation("comes-and-goes", "somebody is inactive for a few seconds", 6.0),
)
VARIATIONS: Sequence[Variation] = (*REST, *WRITES, *REFUSALS, *FRAMES, *CHANNELS)
BY_NAME: Mapping[str, Variation] = {one.name: one for one in VARIATIONS}


def token_life_s(agents: int) -> float:
    """So short that channels end often enough, and long enough to be replaced within a budget."""
    return TOKEN_LIFE_S + TOKEN_LIFE_S_MORE * min(1.0, agents / LARGE)


class Variations:
    """`rates`: those that are wanted. What is taken is counted by whoever lets it happen."""

    def __init__(self, seed: str, rates: Sequence[Variation] = VARIATIONS) -> None:
        self.rng = random.Random(f"variations {seed}")
        self.is_on = bool(rates)
        self._rows = {one.name: one for one in rates}
        self._owed = {one.name: one.owed for one in rates if one.every_s}
        self._next_s: dict[str, float] = {}

    @property
    def names(self) -> list[str]:
        return list(self._rows)

    def owed(self, name: str, now_s: float) -> int:
        """How many may happen now."""
        if not self.is_on or name not in self._owed:
            return 0
        row = self._rows[name]
        due_s = self._next_s.setdefault(name, now_s + self._distance_s(row))
        while due_s <= now_s:
            self._owed[name] = min(self._owed[name] + 1, max(row.owed, row.waiting))
            due_s += self._distance_s(row)
        self._next_s[name] = due_s
        return self._owed[name]

    def take(self, name: str, now_s: float) -> bool:
        """Whether one happens now."""
        if not self.owed(name, now_s):
            return False
        self._owed[name] -= 1
        return True

    def give_back(self, name: str) -> None:
        """One that was taken could not happen."""
        self._owed[name] += 1

    def shuffled(self, names: Sequence[str]) -> list[str]:
        return self.rng.sample(names, len(names))

    def _distance_s(self, row: Variation) -> float:
        return row.every_s * self.rng.uniform(0.7, 1.3)
