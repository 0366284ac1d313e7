"""Owns the rate budget: how many requests one process may make in the name of one OAuth client.

Pure: time is an argument. It knows no request; `actors.genesys.pacer` waits for what it says.

The gateway counts in fixed windows of 60 s, and nobody knows where they begin. So a request takes
its place from the moment it is granted until 60 s after its answer: whenever the gateway counted it
was in between, and however its windows lie, none of them holds more than the share. Shares are
fixed: reads cannot starve writes, because they cannot touch what writes may use.

With one exception, which ends by itself: until it knows whom to watch and the queues of everybody,
the planner may have what receiver and sender leave of their shares (`borrowed_most`). Each writes
down what it uses, so that none of the three goes beyond what the two others leave (`lent_most`).
Whoever lent has at least 30 of a hundred, and the planner asks nothing while a write waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

WINDOW_S: Final = 60.0
SLACK_S: Final = 0.25  # clocks run at different speeds, and a window's end is cut to something
REQUESTS_PER_MINUTE: Final = 300
COUNT_HEADER: Final = "inin-ratelimit-count"
ALLOWED_HEADER: Final = "inin-ratelimit-allowed"
RESET_HEADER: Final = "inin-ratelimit-reset"
SAME_WINDOW_S: Final = 3.0  # resets are told in whole seconds, and answers take their time
REFUSED_LEAST_S: Final = 1.0  # whatever a refusal asks for: many callers wait by this budget
WAIT_LEAST_S: Final = 0.01  # while all of the share is under way, nobody knows how long
WAIT_LENT_S: Final = 0.1  # while others hold all that was lent: they say when they are done
BORROWED_MOST: Final = 70
"""Of a hundred: what the planner may use in all while it borrows."""
BORROWED_SPARE: Final = 10
"""Of a hundred, that it leaves beside what receiver and sender use."""
LEFT_OF_OWN: Final = 30
LEFT_OF_BORROWED: Final = 5
"""Of a hundred: what who asks modestly leaves to others of the same process."""
LENT_SPARE: Final = 4
"""Requests: two processes may be granted one at the same moment, before either writes it down."""


class Shares(NamedTuple):
    """Requests in a window, by use. Planner and receivers read and subscribe, the sender writes."""

    planner: int
    receiver: int
    sender: int


def shares(requests_per_minute: int = REQUESTS_PER_MINUTE) -> Shares:
    """15, 45 and 40 of a hundred, never more than all, each at least one.

    Of an OAuth client that a sender uses, which is the first one at most. Of any other the planner
    has the sender's share as well (`planner_alone`). The receiver's share is the same for each
    client, so that one number describes it.
    """
    assert requests_per_minute >= len(Shares._fields), requests_per_minute
    planner = max(requests_per_minute * 15 // 100, 1)
    receiver = max(requests_per_minute * 45 // 100, 1)
    return Shares(planner, receiver, requests_per_minute - planner - receiver)


def planner_alone(requests_per_minute: int = REQUESTS_PER_MINUTE) -> int:
    """The planner's share of an OAuth client that no sender uses: 165 of 300. Members of queues are
    100 a page, so 20,000 agents are some 200 calls, and need a second client for their channels
    anyway: 45 and 165 a minute."""
    found = shares(requests_per_minute)
    return found.planner + found.sender


def borrowed_most(total: int, share: int, others: int) -> int:
    """How much the planner may use while it borrows. `others`: what receiver and sender use, and
    how many writes wait. Never less than its own share, which it does not need to borrow."""
    left = total - others - max(total * BORROWED_SPARE // 100, 1)
    return max(share, min(total * BORROWED_MOST // 100, left))


def lent_most(total: int, share: int, planner_share: int, planner: int, other: int) -> int:
    """How much receiver or sender may use of their share. `planner`, `other`: what the planner and
    the one of the two that does not ask use now."""
    if planner <= planner_share:  # nothing is borrowed, so that the shares do not touch
        return share
    return max(min(share, total - planner - other - LENT_SPARE), 0)


def planner_share(total: int, *, has_sender: bool) -> int:
    """Of a client; a sender uses the first one at most."""
    return shares(total).planner if has_sender else planner_alone(total)


class Budget:
    """The share of one process in one client. One thread uses it.

    `used`, `used_at_s`: how much of it a predecessor had taken by when. A process that is restarted
    keeps them on its page, or else hands in its whole share as of now. `most`: how much may be
    used at this moment, if that is not always the share.
    """

    def __init__(
        self,
        share: int,
        window_s: float = WINDOW_S,
        *,
        total: int = REQUESTS_PER_MINUTE,
        used: int = 0,
        used_at_s: float = float("-inf"),
        most: Callable[[], int] | None = None,
    ) -> None:
        assert 0 < share <= total, (share, total)
        self.share = share
        self._most = most
        self._total = total
        self._window_s = window_s
        self._under_way = 0
        self._ended_s = deque(
            [used_at_s] * min(used, share if most is None else total)
        )  # when answered; ascending
        # What headers told of the gateway's window, which ends then:
        self._window_ends_s = float("-inf")
        self._counted = 0.0  # of the whole client, in that window
        self._allowed = float("inf")
        self._headers = 0  # answers that told it, of requests that have not ended yet
        self._refused_until_s = float("-inf")

    def grant(self, now_s: float) -> float:
        """0.0: a request may be sent now, and counts from now; `ended` must follow. Else what to
        wait before the next question; nothing was taken then."""
        wait_s = self.wait_s(now_s)
        if wait_s == 0.0:
            self._under_way += 1
        return wait_s

    def wait_s(self, now_s: float, keep: int = 0) -> float:
        """What `grant` would say, without taking anything; or if so many were to be left to others
        of this process."""
        self._forget(now_s)
        if now_s < self._refused_until_s:
            return self._refused_until_s - now_s
        if self._under_way + len(self._ended_s) + keep >= self._share_now:
            if not self._ended_s:
                return WAIT_LEAST_S if self._under_way else WAIT_LENT_S
            return max(self._ended_s[0] + self._life_s - now_s, WAIT_LEAST_S)
        # What is under way may be in the count already; once it has ended, the count is exact.
        if self._counted + self._under_way + 1 > self._allowed:
            return max(self._window_ends_s - now_s, WAIT_LEAST_S)
        return 0.0

    def free(self, now_s: float, *, modestly: bool = False) -> int:
        """How many requests could be sent without a wait, as far as the share goes; `modestly`: if
        some are left to others of this process: of what is borrowed less than of our own."""
        self._forget(now_s)
        share = int(self._share_now)
        if modestly:
            kept = LEFT_OF_OWN if share <= self.share else LEFT_OF_BORROWED
            share -= share * kept // 100
        return share - self._under_way - len(self._ended_s)

    def used(self, now_s: float) -> int:
        """How much of the share is taken: what a successor must know."""
        self._forget(now_s)
        return self._under_way + len(self._ended_s)

    def ended(self, now_s: float) -> None:
        """A granted request was answered, or never will be; `corrected` stands before it."""
        assert self._under_way > 0, "ended without a grant"
        self._under_way -= 1
        self._ended_s.append(now_s)
        if self._headers:
            self._headers -= 1
        else:
            self._counted += 1  # nobody said so, but it may well have been

    def corrected(self, headers: Mapping[str, str], now_s: float) -> None:
        """What an answer says of the client as a whole, in the gateway's present window: others use
        it, too. It only ever takes from the share, and for one window at most; headers that make no
        sense say nothing. A client that is allowed less than we planned for shares the less."""
        count = _number(headers.get(COUNT_HEADER))
        allowed = _number(headers.get(ALLOWED_HEADER))
        reset_s = _number(headers.get(RESET_HEADER))
        if count is None or allowed is None or reset_s is None:
            return
        self._headers += 1
        ends_s = now_s + min(reset_s, self._window_s) + SLACK_S
        self._forget(now_s)
        if ends_s > self._window_ends_s + SAME_WINDOW_S:
            self._counted = count
        elif ends_s < self._window_ends_s - SAME_WINDOW_S:
            return  # of a window before: it was long on its way
        else:
            self._counted = max(self._counted, count)
        self._window_ends_s, self._allowed = ends_s, allowed

    def refused(self, retry_after_s: float | None, now_s: float) -> None:
        """An answer of 429: nothing before that, one window if it does not say."""
        wait_s = self._window_s if retry_after_s is None else max(retry_after_s, REFUSED_LEAST_S)
        self._refused_until_s = max(self._refused_until_s, now_s + wait_s)

    @property
    def _life_s(self) -> float:
        return self._window_s + SLACK_S

    @property
    def _share_now(self) -> float:
        """Less, if the client is allowed less; never nothing, unless all of it is lent."""
        share = self.share if self._most is None else self._most()
        return max(min(share, share * self._allowed / self._total), min(share, 1.0))

    def _forget(self, now_s: float) -> None:
        while self._ended_s and now_s >= self._ended_s[0] + self._life_s:
            self._ended_s.popleft()
        if now_s >= self._window_ends_s:
            self._counted, self._allowed = 0.0, float("inf")


def _number(header: str | None) -> float | None:
    try:
        number = float(header) if header is not None else None
    except ValueError:
        return None
    return None if number is None or not 0 <= number < float("inf") else number
