"""What one process sees of another's share of the same client, by the words of its page."""

from __future__ import annotations

import asyncio

from actors.genesys.pacer import WAITING_WORD, Neighbour, borrowed, kept_pacer, lent
from actors.genesys.rate_budget import LENT_SPARE, WINDOW_S, shares
from runtime.clock import ManualClock
from runtime.counters import Counters

WORDS = ("budget_used", "budget_used_ns", WAITING_WORD)
TOTAL = 300


def page(name: str) -> Counters:
    return Counters.create(name, WORDS)


def test_a_request_stands_on_the_page_before_it_is_sent_and_until_a_window_behind_its_answer() -> (
    None
):
    async def test() -> None:
        clock, counters = ManualClock(), page("receiver")
        pacer = kept_pacer(counters, 10, TOTAL, clock)
        seen = Neighbour(counters=counters)
        async with pacer.turn():
            assert seen.used(clock.now_ns()) == 1
            clock.advance(30.0)
        clock.advance(WINDOW_S - 1.0)  # since it was asked for it is more than a window
        assert seen.used(clock.now_ns()) == 1
        clock.advance(2.0)
        assert seen.used(clock.now_ns()) == 0

    asyncio.run(test())


def test_who_waits_is_seen_by_the_planner_and_a_successor_waits_anew() -> None:
    async def test() -> None:
        clock, counters = ManualClock(), page("sender")
        pacer = kept_pacer(counters, 1, TOTAL, clock, waiting=WAITING_WORD)
        seen = Neighbour(counters=counters, waiting=WAITING_WORD)
        async with pacer.turn():
            waiting = asyncio.create_task(pacer.turn().__aenter__())
            await asyncio.sleep(0)
            assert (seen.used(clock.now_ns()), seen.wanted(clock.now_ns())) == (1, 2)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        assert seen.wanted(clock.now_ns()) == 1
        counters.set(WAITING_WORD, 7)  # it was killed
        kept_pacer(counters, 1, TOTAL, clock, waiting=WAITING_WORD)
        assert seen.wanted(clock.now_ns()) == 1

    asyncio.run(test())


def test_a_successor_of_one_that_borrowed_knows_all_that_was_used() -> None:
    clock, counters = ManualClock(), page("planner")
    counters.set("budget_used", 200)
    counters.set("budget_used_ns", clock.now_ns())
    most = borrowed(45, TOTAL, clock, (Neighbour(counters=page("receiver")),), lambda: False)
    pacer = kept_pacer(counters, 45, TOTAL, clock, most=most)
    assert pacer.budget.used(clock.now_s()) == 200
    assert pacer.budget.wait_s(clock.now_s()) > 0.0


def test_the_sender_has_what_the_planner_and_the_receiver_leave_of_its_share() -> None:
    clock, planner, receiver = ManualClock(), page("planner"), page("receiver")
    most = lent(
        shares().sender,
        TOTAL,
        clock,
        Neighbour(counters=planner),
        Neighbour(counters=receiver),
        is_sender=True,
    )
    assert most is not None
    assert most() == 120
    for counters, used in ((planner, 210), (receiver, 20)):
        counters.set("budget_used", used)
        counters.set("budget_used_ns", clock.now_ns())
    assert most() == 300 - 210 - 20 - LENT_SPARE
    clock.advance(2 * WINDOW_S)
    assert most() == 120


def test_who_has_no_neighbour_lends_and_borrows_nothing() -> None:
    clock = ManualClock()
    assert lent(135, TOTAL, clock, None, None) is None
    assert borrowed(45, TOTAL, clock, (), lambda: True) is None
