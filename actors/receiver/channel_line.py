"""Owns what a channel's machine knows of one channel and of one line, and what a silence means.

Pure. It knows no other channel and no decision but that of the watchdog (protocol.md §2.3).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from actors.genesys import reconnect
from actors.genesys.retry_after import wait_s
from actors.receiver.cloud_arguments import BACKOFF_MOST_S, ROTATE_AFTER_S

PROVEN_AFTER_S: Final = 10.0
"""A line this old forgives all tries before it. Not 60 s as in the other dialect, where a session
costs the gateway a whole history: here it costs two or three calls, which the budget bounds, and
a channel that waits for half a minute keeps 950 agents stale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelPolicy:
    """The numbers by which a channel lives."""

    rotate_after_s: float = ROTATE_AFTER_S
    rotate_spread: float = 0.1  # so much of that earlier, at random: never all at once
    refused_retry_s: float = 1_800.0  # a missing permission may have been granted since
    hopeless_retry_s: float = 300.0  # a subscription of which nothing at all is taken
    token_margin_most_s: float = 900.0  # replaced so long before the token ends that made it
    trust_first_s: float = 10.0  # from one doubt to the next; doubled each time
    trust_most_s: float = 3_600.0
    own_change_s: float = 30.0  # how long after our own subscription its echo may come
    backoff_first_s: float = reconnect.BACKOFF_FIRST_S
    backoff_most_s: float = BACKOFF_MOST_S
    proven_after_s: float = PROVEN_AFTER_S
    ping_after_s: tuple[float, ...] = reconnect.PING_AFTER_S
    dead_after_s: float = reconnect.DEAD_AFTER_S
    tick_most_s: float = reconnect.TICK_MOST_S
    doubted_after: int = 2  # handshakes in a row that fail: perhaps the channel is gone


@dataclass(slots=True, eq=False)
class ManagedChannel:
    """One channel of the gateway's, from the wish for it on."""

    number: int
    is_made: bool = False
    is_proven: bool = False  # it was subscribed before, so that it is lost if it cannot be now
    subscribed_s: float = float("-inf")  # when we changed its topics last
    users: frozenset[str] = frozenset()  # of the last subscription
    refused: Mapping[str, str] = field(default_factory=dict)  # among them, and why
    invalid: frozenset[str] = frozenset()  # of them, whose topics failed whole calls
    is_doubted: bool = True  # the subscription is to be made again
    is_busy: bool = False  # a call is under way
    retry_at_s: float = float("-inf")
    rotate_at_s: float = float("inf")
    handshakes_failed: int = 0  # in a row
    is_doubtful: bool = False  # it brings no events, or not all: to be replaced

    @property
    def heard(self) -> frozenset[str]:
        """Whose events it brings."""
        return self.users - self.refused.keys()

    def date(
        self,
        policy: ChannelPolicy,
        rng: random.Random,
        now_s: float,
        age_s: float,
        left_s: float | None,
    ) -> None:
        """When it is to be replaced: by its age, or before the token ends that made it, because it
        may end with that (protocol.md §4, R9)."""
        after_s = policy.rotate_after_s - rng.uniform(0.0, policy.rotate_after_s) * (
            policy.rotate_spread
        )
        self.rotate_at_s = now_s + min(after_s - age_s, lives_for_s(left_s, policy))


def lives_for_s(left_s: float | None, policy: ChannelPolicy) -> float:
    """How long a channel is relied on whose token has so much left; None: nobody knows."""
    if left_s is None:
        return float("inf")
    return left_s - min(policy.token_margin_most_s, left_s / 4)


@dataclass(slots=True, eq=False)
class Trust:
    """Whether channels may be doubted now: again and again for longer each time, for it may not be
    their fault."""

    policy: ChannelPolicy
    doubts: int = 0  # one after the other
    until_s: float = float("-inf")

    def may_doubt(self, now_s: float) -> bool:
        """True: and it is done."""
        policy = self.policy
        if now_s < self.until_s:
            return False
        if now_s >= self.until_s + policy.trust_most_s:
            self.doubts = 0
        wait_s = min(policy.trust_first_s * 2**self.doubts, policy.trust_most_s)
        self.doubts, self.until_s = self.doubts + 1, now_s + wait_s
        return True


@dataclass(slots=True, eq=False)
class Tries:
    """How often in a row something of a slot has failed, and when to try again."""

    policy: ChannelPolicy
    rng: random.Random
    count: int = 0
    told: str = ""  # the reason that was told last

    def is_news(self, reason: str) -> bool:
        """Whether a failure is worth a line: another reason, or the same for twice as long."""
        is_other, self.told = reason != self.told, reason
        return is_other or self.count & (self.count - 1) == 0

    def failed(self, now_s: float, retry_after_s: float | None) -> float:
        """Once more; the next try is at that time: full jitter, never before we are asked to."""
        self.count += 1
        return self.wait_until_s(now_s, retry_after_s)

    def wait_until_s(self, now_s: float, asked_s: float | None = None) -> float:
        first_s, most_s = self.policy.backoff_first_s, self.policy.backoff_most_s
        before = max(self.count - 1, 0)
        return now_s + wait_s(before, self.rng, asked_s, first_s=first_s, most_s=most_s)

    def forgive(self, line: ChannelConnection, now_s: float) -> None:
        """A line that has lived for long enough proves that all is well."""
        if now_s - line.opened_s >= self.policy.proven_after_s:
            self.count, self.told = 0, ""


class Silence(Enum):
    NOTHING = "nothing"
    PING = "ping"
    DEAD = "dead"


@dataclass(slots=True, eq=False)
class ChannelConnection:
    """One socket on a channel."""

    number: int
    channel: ManagedChannel
    is_told_closing: bool = False
    opened_s: float = 0.0
    frames: int = 0
    quiet_s: float = 0.0  # of reading
    pings: int = 0

    def observe(self, frames: int, read_s: float, policy: ChannelPolicy) -> Silence:
        """We have read for `read_s` more seconds, and so many frames came since it opened."""
        if frames != self.frames:
            self.frames, self.quiet_s, self.pings = frames, 0.0, 0
            return Silence.NOTHING
        self.quiet_s += read_s
        if self.quiet_s >= policy.dead_after_s:
            return Silence.DEAD
        due = policy.ping_after_s[self.pings : self.pings + 1]
        if due and self.quiet_s >= due[0]:
            self.pings += 1
            return Silence.PING
        return Silence.NOTHING
