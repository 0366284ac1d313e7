"""Permits: the limits hold to the permit, in the order of arrival, and come back exactly once."""

from __future__ import annotations

import random
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.sender.admission import Admission, Granted, Rate, TimedOut
from actors.sender.commands import Code, CommandStep
from tests.actors.sender.around import Around

CALLERS = 1_000


def grants_within(granted_s: list[float], window_s: float) -> int:
    """The most grants in any window of that length, its end not counted."""
    window: deque[float] = deque()
    most = 0
    for at_s in granted_s:
        window.append(at_s)
        while at_s >= window[0] + window_s:
            window.popleft()
        most = max(most, len(window))
    return most


@pytest.mark.parametrize(
    ("updates_per_s", "free_again_s"), [(5.0, 1.0), (1.0, 1.0), (2.5, 1.0), (0.5, 2.0)]
)
def test_the_window_slides(updates_per_s: float, free_again_s: float) -> None:
    rate = Rate(updates_per_s)
    granted = sum(rate.take(10.0) for _ in range(20))
    assert granted == max(1, int(updates_per_s))
    assert rate.free_at_s == 10.0 + free_again_s
    assert not rate.take(9.9 + free_again_s)
    assert rate.take(10.0 + free_again_s)


def test_what_is_used_late_counts_from_then() -> None:
    rate = Rate(2.0)
    assert rate.take(10.0)
    rate.used(10.1)
    assert rate.take(10.5)
    rate.used(13.0)
    assert rate.take(13.0)
    assert not rate.take(13.9)
    assert rate.take(14.0)


def test_a_start_knows_nothing_of_what_was_sent_before() -> None:
    admission = Admission(5.0, 10)
    admission.start(10.0)
    admission.enter("a")
    assert list(admission.decide(10.9)) == []
    assert admission.due_s == 11.0
    assert list(admission.decide(11.0)) == [Granted("a")]


def test_nobody_overtakes_and_what_is_missing_is_named() -> None:
    admission = Admission(2.0, 3)
    for holder in "abcde":
        admission.enter(holder, 10.1)
    assert list(admission.decide(10.0)) == [Granted("a"), Granted("b")]
    assert list(admission.decide(10.1)) == [TimedOut(each, "rate") for each in "cde"]
    for holder in "fghi":
        admission.enter(holder, 11.1)
    assert list(admission.decide(11.0)) == [Granted("f")]
    assert admission.due_s == 11.1
    assert list(admission.decide(11.2)) == [TimedOut(each, "in-flight") for each in "ghi"]


def test_a_permit_that_is_given_back_goes_to_the_first_who_waits() -> None:
    admission = Admission(100.0, 1)
    for holder in "abc":
        admission.enter(holder)
    assert list(admission.decide(0.0)) == [Granted("a")]
    admission.withdraw("b")
    admission.give_back("a")
    assert list(admission.decide(0.0)) == [Granted("c")]


def test_no_wait_at_all_still_takes_what_is_free() -> None:
    admission = Admission(1.0, 1)
    admission.enter("a", 10.0)
    admission.enter("b", 10.0)
    assert list(admission.decide(10.0)) == [Granted("a"), TimedOut("b", "rate")]


def test_a_permit_is_given_back_only_by_who_holds_it() -> None:
    admission = Admission(5.0, 10)
    with pytest.raises(AssertionError, match="holds no permit"):
        admission.give_back("a")


def test_what_a_predecessor_sent_counts_even_beyond_the_limit() -> None:
    admission = Admission(5.0, 1)
    admission.occupy("a")
    admission.occupy("b")
    admission.enter("c")
    assert list(admission.decide(1.0)) == []
    admission.give_back("a")
    assert list(admission.decide(1.0)) == []
    admission.give_back("b")
    assert list(admission.decide(1.0)) == [Granted("c")]


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_limits_hold_under_a_thousand_concurrent_callers(data: st.DataObject) -> None:
    """Each comes when it likes, waits 100 ms at most, and holds its permit for as long as it
    likes. Replayed against plain lists."""
    per_s = data.draw(st.integers(1, 50), "updates a second")
    most = data.draw(st.integers(1, 20), "in flight at most")
    rng = random.Random(data.draw(st.integers(0, 2**32), "seed"))
    spread_s = data.draw(st.sampled_from([0.0, 0.5, 5.0, 60.0]), "arrivals spread over")
    arrivals = sorted((rng.uniform(0, spread_s), f"caller {n}") for n in range(CALLERS))
    admission = Admission(float(per_s), most)
    releases: list[tuple[float, str]] = []
    granted_s: dict[str, float] = {}
    timed_out: set[str] = set()
    entered: dict[str, float] = {}
    now_s = 0.0
    while arrivals or admission.waiting or releases:
        upcoming = [admission.due_s, *(each[0][0] for each in (arrivals, releases) if each)]
        now_s = max(now_s, min(upcoming))
        while arrivals and arrivals[0][0] <= now_s:
            holder = arrivals.pop(0)[1]
            entered[holder] = now_s
            admission.enter(holder, now_s + 0.1)
        while releases and releases[0][0] <= now_s:
            admission.give_back(releases.pop(0)[1])
        for verdict in admission.decide(now_s):
            assert verdict.holder not in granted_s
            assert verdict.holder not in timed_out
            if isinstance(verdict, TimedOut):
                timed_out.add(verdict.holder)
                continue
            granted_s[verdict.holder] = now_s
            assert now_s <= entered[verdict.holder] + 0.1
            releases.append((now_s + rng.choice([0.0, 0.01, 0.3, 2.0]), verdict.holder))
            releases.sort()
        assert admission.in_flight == len(releases) <= most
    assert len(granted_s) + len(timed_out) == CALLERS
    assert grants_within(list(granted_s.values()), 1.0) <= per_s
    assert list(granted_s) == sorted(granted_s, key=list(entered).index), "somebody overtook"
    assert admission.in_flight == 0


def test_a_thousand_orders_at_once_send_five_and_refuse_the_rest_within_100_ms() -> None:
    around = Around()
    command_ids = [around.order(f"agent {number}") for number in range(CALLERS)]
    assert len(around.sent) == 5
    around.pass_s(0.1)
    refused = [each for each in command_ids if around.command(each).step is CommandStep.REFUSED]
    assert len(refused) == CALLERS - 5
    command = around.command(refused[0])
    assert (command.code, command.key) == (Code.RATE, None)
    assert command.detail == "not sent within 0.1 s: limit of 5 updates per second reached"
    assert around.told(refused[0]).retry_after_ms == pytest.approx(901, abs=1)
    assert (around.machine.in_flight, around.machine.waiting) == (5, 0)


def test_the_eleventh_in_flight_is_refused_until_one_comes_back() -> None:
    around = Around()
    in_flight: list[str] = []
    for _ in range(2):
        in_flight += [around.order(f"agent {len(in_flight)} {number}") for number in range(5)]
        around.pass_s(1.0)
    assert around.machine.in_flight == 10
    command_id = around.order("ann", key="k")
    around.pass_s(0.05)
    assert around.command(command_id).step is CommandStep.VALIDATED
    around.pass_s(0.06)
    command = around.command(command_id)
    assert (command.step, command.code, command.key) == (CommandStep.REFUSED, Code.IN_FLIGHT, None)
    assert command.detail == "not sent within 0.1 s: limit of 10 updates in flight reached"
    assert around.told(command_id).retry_after_ms == 1_000
    waiting = around.order("ann")
    around.pass_s(0.05)
    around.acknowledge(in_flight[0])
    assert around.command(waiting).step is CommandStep.SENT


def test_whoever_is_looked_at_late_is_not_told_of_permits_in_flight_that_were_free() -> None:
    admission = Admission(1, 10)
    admission.enter("a", 0.1)
    admission.enter("b", 0.1)
    assert list(admission.decide(0.0)) == [Granted("a")]
    assert list(admission.decide(5.0)) == [TimedOut("b", "rate")]  # there is room by now


def test_a_retry_takes_a_new_permit_of_the_rate_and_waits_for_it() -> None:
    around = Around()
    around.decline(around.order("ann"), 429, retry_after_ms=3_000)
    around.pass_s(2.999)
    for number in range(5):
        around.order(f"agent {number}")
    around.pass_s(0.1)
    assert len(around.sent) == 6
    around.pass_s(0.9)
    assert len(around.sent) == 7
    assert around.sent[-1].correlation == around.sent[0].correlation


def test_a_command_that_waits_for_its_next_try_holds_nothing() -> None:
    around = Around()
    command_id = around.order()
    around.pass_s(5.0)
    assert around.command(command_id).step is CommandStep.UNANSWERED
    assert around.machine.in_flight == 0
    around.pass_s(7.0)
    assert around.tries(command_id) == 2
    assert around.machine.in_flight == 1


def test_what_the_disk_held_back_counts_from_when_it_went_out() -> None:
    around = Around()
    for number in range(5):
        around.order(f"agent {number}")
    around.now_s += 0.9
    around.machine.carried_out(around.now_s)
    late = around.order("ann")
    around.pass_s(0.1)
    assert around.command(late).code == Code.RATE
