"""Admission: who may send now, by rate and by number in flight, in the order of arrival. Pure.

Knows no command, clock or socket: holders are ids. Both permits are granted at one moment or none
is, so that nobody holds the one while it waits for the other; the one in flight is given back, by
its holder and once, the other one comes back by itself after a second.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple, TypeAlias

from actors.sender.deadlines import NEVER_S, Deadlines

Missing: TypeAlias = Literal["rate", "in-flight"]
_WINDOW_LEAST_S: Final = 1.0


class Granted(NamedTuple):
    holder: str


class TimedOut(NamedTuple):
    """It waited for as long as it would, and this was still missing."""

    holder: str
    missing: Missing


Verdict: TypeAlias = Granted | TimedOut


class Rate:
    """A sliding window: in no second are there more grants than `updates_per_s`.

    Below one a second: one per 1 / updates_per_s.
    """

    def __init__(self, updates_per_s: float) -> None:
        most = max(1, int(updates_per_s))
        self._window_s = max(_WINDOW_LEAST_S, 1.0 / updates_per_s)
        self._granted: deque[float] = deque([-NEVER_S] * most, maxlen=most)
        self._fresh = 0  # granted, and not used yet as far as is known

    @property
    def free_at_s(self) -> float:
        return self._granted[0] + self._window_s

    def take(self, now_s: float) -> bool:
        if now_s < self.free_at_s:
            return False
        self._granted.append(now_s)  # the oldest falls out at the other end
        self._fresh = min(self._fresh + 1, len(self._granted))
        return True

    def used(self, now_s: float) -> None:
        """What was granted since is used only now: a second after its grant is not enough."""
        for index in range(len(self._granted) - self._fresh, len(self._granted)):
            self._granted[index] = now_s
        self._fresh = 0

    def exhaust(self, now_s: float) -> None:
        """As if all had just been granted."""
        self._granted.extend([now_s] * len(self._granted))


class Admission:
    """Two permits for each holder, and the queue before them."""

    def __init__(self, updates_per_s: float, in_flight_max: int) -> None:
        self._rate = Rate(updates_per_s)
        self._closed_until_s = -NEVER_S
        self._in_flight_max = in_flight_max
        self._holders: dict[str, None] = {}
        self._queue: OrderedDict[str, float] = OrderedDict()  # holder: it waits until then
        self._deadlines: Deadlines[str] = Deadlines()

    @property
    def in_flight(self) -> int:
        return len(self._holders)

    @property
    def waiting(self) -> int:
        return len(self._queue)

    @property
    def holders(self) -> tuple[str, ...]:
        return tuple(self._holders)

    @property
    def queue(self) -> tuple[str, ...]:
        return tuple(self._queue)

    @property
    def due_s(self) -> float:
        """When `decide` may have something to say without anything else happening."""
        is_rate_all = bool(self._queue) and len(self._holders) < self._in_flight_max
        return min(self._deadlines.due_s, self.rate_free_at_s if is_rate_all else NEVER_S)

    @property
    def rate_free_at_s(self) -> float:
        return max(self._closed_until_s, self._rate.free_at_s)

    def missing(self, now_s: float) -> Missing:
        """Why the first of the queue waits, or waited: if there is room for it by now, it was the
        rate, for the permits in flight come back one by one, and to whoever is first."""
        is_full = len(self._holders) >= self._in_flight_max
        return "in-flight" if is_full and now_s >= self.rate_free_at_s else "rate"

    def holds(self, holder: str) -> bool:
        return holder in self._holders

    def start(self, now_s: float) -> None:
        """Nobody knows what a predecessor sent a moment ago: the bucket of the second is empty. How
        much of a minute it used is known to whoever keeps the budget."""
        self._rate.exhaust(now_s)

    def close_until(self, until_s: float) -> None:
        """Others have used what we thought was ours, or a predecessor has."""
        self._closed_until_s = max(self._closed_until_s, until_s)

    def used(self, now_s: float) -> None:
        """Whoever was granted its permits since the last time sends only now."""
        self._rate.used(now_s)

    def occupy(self, holder: str) -> None:
        """What a predecessor sent is in flight, even beyond the limit."""
        assert holder not in self._holders, holder
        assert holder not in self._queue, holder
        self._holders[holder] = None

    def enter(self, holder: str, until_s: float = NEVER_S) -> None:
        """Wait for both permits, behind everyone who waits already, until then at most."""
        assert holder not in self._holders, holder
        assert holder not in self._queue, holder
        self._queue[holder] = until_s
        if until_s != NEVER_S:
            self._deadlines.set(holder, until_s)

    def withdraw(self, holder: str) -> None:
        """It waits no longer, if it did."""
        self._queue.pop(holder, None)
        self._deadlines.drop(holder)

    def give_back(self, holder: str) -> None:
        """The permit in flight, exactly once."""
        assert holder in self._holders, f"{holder} holds no permit"
        del self._holders[holder]

    def decide(self, now_s: float) -> Iterator[Verdict]:
        """Who may send now, who waited in vain. The caller may enter and give back meanwhile.

        Whose time is over gets nothing, even if there would be a permit by now; whose time ends at
        this very moment still may.
        """
        while self._deadlines.due_s < now_s:
            yield self._timed_out(now_s)
        while self._queue and self._has_room(now_s):
            is_taken = self._rate.take(now_s)
            assert is_taken, "there was room for it"
            holder, _ = self._queue.popitem(last=False)
            self._deadlines.drop(holder)
            self._holders[holder] = None
            yield Granted(holder)
        while self._deadlines.due_s <= now_s:
            yield self._timed_out(now_s)

    def _has_room(self, now_s: float) -> bool:
        return len(self._holders) < self._in_flight_max and now_s >= self.rate_free_at_s

    def _timed_out(self, now_s: float) -> TimedOut:
        holder = self._deadlines.take(now_s)
        assert holder is not None, "due_s said so"
        del self._queue[holder]
        return TimedOut(holder, self.missing(now_s))
