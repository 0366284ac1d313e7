"""The rate budget against gateways that count in fixed windows, wherever those begin."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actors.genesys.rate_budget import (
    ALLOWED_HEADER,
    COUNT_HEADER,
    LENT_SPARE,
    RESET_HEADER,
    SLACK_S,
    WINDOW_S,
    Budget,
    borrowed_most,
    lent_most,
    planner_share,
    shares,
)

Headers = dict[str, str]

numbers = st.integers(-5, 700).map(str) | st.sampled_from(["", "x", "nan", "inf", "1e9", "-0"])
lies = st.dictionaries(st.sampled_from([COUNT_HEADER, ALLOWED_HEADER, RESET_HEADER]), numbers)


@dataclass
class Asker:
    """Asks as often as it may; each answer takes its time, and is counted at some point of it."""

    budget: Budget
    now_s: float = 0.0
    under_way: list[tuple[float, float]] = field(default_factory=list)  # (answered, counted)
    counted_s: list[float] = field(default_factory=list)

    def ask(self, latency_s: float, counted_at: float) -> None:
        while (wait_s := self.budget.grant(self.now_s)) > 0.0:
            self.pass_time(wait_s)
        counted_s = self.now_s + latency_s * counted_at
        self.under_way.append((self.now_s + latency_s, counted_s))
        self.counted_s.append(counted_s)

    def pass_time(self, seconds: float, headers: Headers | None = None) -> None:
        self.now_s += seconds
        for answer in [each for each in self.under_way if each[0] <= self.now_s]:
            self.under_way.remove(answer)
            self.budget.ended(self.now_s)
            if headers is not None:
                self.budget.corrected(headers, self.now_s)


requests = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 0.0, 0.5, 5.0, 30.0, 61.0, 130.0]),  # idle before it
        st.sampled_from([0.0, 0.1, 2.0, 10.0]) | st.floats(0, 70),  # latency
        st.floats(0, 1),  # when in it the gateway counts
        lies,
    ),
    max_size=60,
)


@settings(deadline=None)
@given(st.integers(1, 10), requests, st.floats(0, WINDOW_S))
def test_no_window_holds_more_than_the_share_whatever_the_headers_say(
    share: int, course: list[tuple[float, float, float, Headers]], begin_s: float
) -> None:
    asker = Asker(Budget(share, total=max(share, 5)))
    for idle_s, latency_s, counted_at, headers in course:
        asker.pass_time(idle_s, headers)
        asker.ask(latency_s, counted_at)
    windows = Counter((counted_s - begin_s) // WINDOW_S for counted_s in asker.counted_s)
    assert max(windows.values(), default=0) <= share
    for first_s in asker.counted_s:  # the worst of all windows begins with a request
        assert sum(first_s <= each < first_s + WINDOW_S for each in asker.counted_s) <= share


@settings(deadline=None)
@given(st.integers(1, 10), lies, st.floats(0, 1e6))
def test_no_header_holds_a_request_back_for_longer_than_a_window(
    share: int, headers: Headers, now_s: float
) -> None:
    budget = Budget(share, total=max(share, 5))
    assert budget.grant(now_s) == 0.0
    budget.ended(now_s)
    budget.corrected(headers, now_s)
    assert budget.wait_s(now_s) <= WINDOW_S + SLACK_S
    later_s = now_s + WINDOW_S + 2 * SLACK_S
    assert budget.grant(later_s) == 0.0


@dataclass
class Gateway:
    """Counts all requests of a client in fixed windows, tells the truth, and is strict."""

    begin_s: float
    allowed: int = 300
    counts: Counter[float] = field(default_factory=Counter)

    def take(self, now_s: float) -> Headers:
        window = (now_s - self.begin_s) // WINDOW_S
        self.counts[window] += 1
        assert self.counts[window] <= self.allowed, "429"
        reset_s = WINDOW_S - (now_s - self.begin_s) % WINDOW_S
        return {
            COUNT_HEADER: str(self.counts[window]),
            ALLOWED_HEADER: str(self.allowed),
            RESET_HEADER: str(int(reset_s)),
        }


@settings(deadline=None)
@given(st.floats(0, WINDOW_S), st.integers(0, 3), st.lists(st.floats(0, 300), max_size=40))
@example(0.0, 0, [])
def test_writes_are_never_held_back_by_reads_however_greedy(
    begin_s: float, first: int, bursts_s: list[float]
) -> None:
    """Planner and receiver read all they can from the first moment on, in tenths of seconds; every
    write finds its place at once as long as writes keep to their own share."""
    gateway = Gateway(begin_s)
    planner, receiver, sender = (Budget(share) for share in shares())
    written = Budget(shares().sender)  # the same without a gateway: what is granted in any case
    readers = (planner, receiver) if first % 2 else (receiver, planner)
    for tenth in range(1, 3000, 7):
        now_s = tenth / 10
        for reader in readers:
            while reader.grant(now_s) == 0.0:
                headers = gateway.take(now_s)
                reader.ended(now_s)
                reader.corrected(headers, now_s)
        wanted = 3 + 20 * sum(now_s <= burst_s < now_s + 0.7 for burst_s in bursts_s)
        for _ in range(wanted):
            is_free = written.grant(now_s) == 0.0
            assert (sender.grant(now_s) == 0.0) == is_free
            if is_free:
                headers = gateway.take(now_s)
                for budget in (sender, written):
                    budget.ended(now_s)
                sender.corrected(headers, now_s)


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 299), st.integers(1, 59))
def test_what_strangers_used_is_not_asked_for_again(mine: int, foreign: int, reset_s: int) -> None:
    budget = Budget(120)
    for _ in range(mine):
        assert budget.grant(0.0) == 0.0
        budget.ended(0.0)
    headers = {
        COUNT_HEADER: str(mine + foreign),
        ALLOWED_HEADER: "300",
        RESET_HEADER: str(reset_s),
    }
    budget.corrected(headers, 0.0)
    granted = 0
    while budget.grant(1.0) == 0.0:
        granted += 1
    assert granted == max(0, min(120 - mine, 300 - mine - foreign))


def test_what_is_under_way_and_counted_already_is_held_back_only_until_its_answer() -> None:
    budget = Budget(120)
    headers = {COUNT_HEADER: "290", ALLOWED_HEADER: "300", RESET_HEADER: "30"}
    for _ in range(10):
        assert budget.grant(0.0) == 0.0
    budget.corrected(headers, 1.0)  # of the first: the count may hold all ten of ours, or one
    budget.ended(1.0)
    assert budget.grant(1.0) == 0.0
    assert 0.0 < budget.grant(1.0) <= 31.0
    for _ in range(10):
        budget.corrected(headers, 2.0)
        budget.ended(2.0)
    granted = 0
    while budget.grant(2.0) == 0.0:
        granted += 1
    assert granted == 10


def test_a_request_whose_answer_was_lost_counts_as_one() -> None:
    budget = Budget(120)
    headers = {COUNT_HEADER: "298", ALLOWED_HEADER: "300", RESET_HEADER: "30"}
    assert budget.grant(0.0) == 0.0
    budget.corrected(headers, 0.0)
    budget.ended(0.0)
    assert budget.grant(0.0) == 0.0
    budget.ended(10.0)
    assert budget.grant(10.0) == 0.0
    assert budget.grant(10.0) > 0.0


def test_an_answer_of_the_window_before_says_nothing_of_this_one() -> None:
    budget = Budget(120)
    old = {COUNT_HEADER: "300", ALLOWED_HEADER: "300", RESET_HEADER: "1"}
    new = {COUNT_HEADER: "2", ALLOWED_HEADER: "300", RESET_HEADER: "60"}
    for headers in (new, old):
        assert budget.grant(0.0) == 0.0
        budget.corrected(headers, 0.0)
        budget.ended(0.0)
    assert budget.grant(0.0) == 0.0


def test_a_client_that_is_allowed_less_shares_the_less() -> None:
    budget = Budget(shares().sender)
    headers = {COUNT_HEADER: "0", ALLOWED_HEADER: "100", RESET_HEADER: "30"}
    budget.corrected(headers, 0.0)
    granted = 0
    while budget.grant(1.0) == 0.0:
        granted += 1
    assert granted == 40


def test_a_refusal_is_waited_for_as_long_as_it_says_or_a_window() -> None:
    budget = Budget(10)
    budget.refused(7.0, 100.0)
    assert budget.grant(100.0) == 7.0
    assert budget.grant(107.0) == 0.0
    budget.refused(None, 107.0)
    assert budget.grant(107.0) == WINDOW_S
    budget.refused(1.0, 107.0)
    assert budget.wait_s(107.0) == WINDOW_S


def test_a_request_without_an_answer_keeps_its_place_until_it_is_given_up() -> None:
    budget = Budget(1)
    assert budget.grant(0.0) == 0.0
    assert 0.0 < budget.grant(1000.0) < 1.0
    budget.ended(1000.0)
    assert budget.grant(1000.0) == pytest.approx(WINDOW_S + SLACK_S)
    assert budget.grant(1000.0 + WINDOW_S + SLACK_S) == 0.0


@settings(deadline=None)
@given(st.integers(1, 10), st.integers(0, 12))
def test_a_successor_has_what_its_predecessor_left(share: int, used: int) -> None:
    budget = Budget(share, total=10, used=used, used_at_s=50.0)
    assert budget.used(60.0) == min(used, share)
    granted = 0
    while budget.grant(60.0) == 0.0:
        granted += 1
    assert granted == share - min(used, share)
    assert Budget(share, total=10, used=used, used_at_s=50.0).used(111.0) == 0


@settings(deadline=None)
@given(st.integers(3, 3000))
def test_the_shares_are_never_more_than_all(total: int) -> None:
    parts = shares(total)
    assert sum(parts) == total
    assert min(parts) >= 1


def test_of_300_writes_have_120_and_reads_180() -> None:
    assert shares() == (45, 135, 120)


class Three:
    """Planner, receiver and sender of one client; each sees at once what the others use."""

    def __init__(self, total: int, *, begin_s: float) -> None:
        self.gateway = Gateway(begin_s)
        self.now_s, self.is_borrowing, self.waiting = 0.0, True, 0
        own = shares(total)
        self.planner = Budget(own.planner, total=total, most=lambda: self._planner(total))
        self.receiver = Budget(own.receiver, total=total, most=lambda: self._lent("receiver"))
        self.sender = Budget(own.sender, total=total, most=lambda: self._lent("sender"))
        self.own = own

    def _planner(self, total: int) -> int:
        if not self.is_borrowing:
            return self.own.planner
        others = self.receiver.used(self.now_s) + self.sender.used(self.now_s) + self.waiting
        return borrowed_most(total, self.own.planner, others)

    def _lent(self, who: str) -> int:
        share = self.own._asdict()[who]
        other = self.sender if who == "receiver" else self.receiver
        used, others = self.planner.used(self.now_s), other.used(self.now_s)
        return lent_most(sum(self.own), share, self.own.planner, used, others)

    def asks(self, budget: Budget, count: int) -> int:
        """So often, if it may; how often it might."""
        for granted in range(count):
            if budget.grant(self.now_s) > 0.0:
                return granted
            self.gateway.take(self.now_s)
            budget.ended(self.now_s)
        return count


steps = st.lists(
    st.tuples(
        st.sampled_from(["planner", "receiver", "sender", "borrowing"]),
        st.integers(0, 300),
        st.sampled_from([0.0, 0.1, 1.0, 20.0, 59.0, 61.0]),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(st.floats(0, WINDOW_S), steps)
@example(0.0, [("planner", 300, 0.0), ("sender", 300, 0.0), ("receiver", 300, 0.0)])
@example(0.0, [("sender", 120, 0.0), ("receiver", 135, 0.0), ("planner", 300, 0.0)])
def test_no_window_holds_more_than_all_whoever_borrows(
    begin_s: float, doings: list[tuple[str, int, float]]
) -> None:
    three = Three(300, begin_s=begin_s)
    for who, count, pause_s in doings:
        if who == "borrowing":
            three.is_borrowing = not three.is_borrowing
        else:
            three.asks(getattr(three, who), count)
        three.now_s += pause_s
        assert three.planner.used(three.now_s) <= 210  # and the gateway has refused nobody


def test_the_planner_borrows_seventy_of_a_hundred_at_most_and_leaves_thirty() -> None:
    three = Three(300, begin_s=0.0)
    assert three.asks(three.planner, 300) == 210
    assert three.asks(three.sender, 300) == 90 - LENT_SPARE


def test_what_receiver_and_sender_use_is_not_borrowed() -> None:
    three = Three(300, begin_s=0.0)
    assert three.asks(three.sender, 120) == 120
    assert three.asks(three.receiver, 60) == 60
    assert three.asks(three.planner, 300) == 300 - 120 - 60 - 30


def test_nothing_is_borrowed_while_writes_wait_and_they_have_what_becomes_free() -> None:
    three = Three(300, begin_s=0.0)
    assert three.asks(three.planner, 300) == 210
    three.asks(three.sender, 300)
    three.waiting, three.now_s = 30, WINDOW_S / 2
    assert three.asks(three.planner, 1) == 0
    three.now_s = WINDOW_S + 2 * SLACK_S
    assert three.asks(three.sender, 30) == 30
    three.waiting = 0
    assert three.asks(three.planner, 300) == 210


def test_who_borrows_no_more_leaves_each_its_share() -> None:
    three = Three(300, begin_s=0.0)
    three.asks(three.planner, 300)
    three.is_borrowing = False
    assert three.asks(three.planner, 1) == 0
    three.now_s = WINDOW_S + 2 * SLACK_S
    found = [three.asks(each, 300) for each in (three.planner, three.receiver, three.sender)]
    assert found == list(shares())


@given(st.integers(20, 3000), st.integers(0, 3000), st.booleans())
def test_the_planner_never_has_less_than_its_own_share(
    total: int, others: int, has_sender: bool
) -> None:
    own = planner_share(total, has_sender=has_sender)
    assert borrowed_most(total, own, others) >= own
