"""The link: orders are written until they are answered; what was told is known, and nobody waits
for a word that was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from actors.messages.commands import (
    Accepted,
    CommandRequest,
    Rejected,
    Resend,
    StatusChanged,
    decode_request,
    encode_outcome,
    encode_request,
)
from actors.web.arguments import WEB_WORDS
from actors.web.link import ORDERS_PER_LIFE, STOPPING, TOLD_KEPT_MAX, SenderLink
from runtime.block import Block
from runtime.counters import Counters
from runtime.doorbell import Doorbell
from runtime.ring import KIND_CONTROL, Consumer, Producer, ring_bytes

AGAIN_S = 0.05
PATIENCE_S = 30.0


class Ends:
    """Both rings, the far ends in the hands of the test."""

    def __init__(self, *, generation: int = 1, order_bytes: int = 1 << 16) -> None:
        self.generation = generation
        self.orders = Block.create("orders", ring_bytes(order_bytes))
        self.outcomes = Block.create("outcomes", ring_bytes(1 << 16))
        self.bell, self.sender_bell = Doorbell.create("web"), Doorbell.create("sender")
        self.counters = Counters.create("web", WEB_WORDS)
        self.reader = Consumer(self.orders, generation=1)
        self.writer = Producer(self.outcomes, generation=1, doorbell=self.bell)

    def link(self) -> SenderLink:
        link = SenderLink(
            Producer(self.orders, generation=self.generation, doorbell=self.sender_bell),
            Consumer(self.outcomes, generation=self.generation),
            self.bell,
            self.counters,
            ask_again_s=AGAIN_S,
        )
        link.open()
        return link

    def asked(self) -> list[CommandRequest | Resend]:
        batch = self.reader.peek()
        if batch is None:
            return []
        orders = [decode_request(batch.frame(i)) for i in range(batch.count)]
        self.reader.commit(batch.cursor_to)
        return orders

    async def next_order(self) -> CommandRequest | Resend:
        async with asyncio.timeout(PATIENCE_S):
            while not (orders := self.asked()):
                await asyncio.sleep(0.001)
        return orders[0]

    def say(self, *outcomes: Accepted | StatusChanged | Rejected) -> None:
        for outcome in outcomes:
            self.say_bytes(encode_outcome(outcome))

    def say_bytes(self, payload: bytes) -> None:
        assert self.writer.stage(payload, KIND_CONTROL)
        self.writer.publish()


def resend(order: int) -> Resend:
    return Resend(order=order, message_id="msg_1", who="uid:1")


def told(command_id: str, step: str = "sent") -> StatusChanged:
    return StatusChanged(command_id, step, "", "", None)


@pytest.fixture
def ends() -> Ends:
    return Ends()


Play = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture
def play() -> Play:
    def run(work: Coroutine[Any, Any, None]) -> None:
        async def within() -> None:
            async with asyncio.timeout(PATIENCE_S):
                await work

        asyncio.run(within())

    return run


def test_an_order_is_answered_by_its_number(ends: Ends, play: Play) -> None:
    async def scene() -> None:
        link = ends.link()
        first, second = (resend(link.number()) for _ in range(2))
        asking = [asyncio.create_task(link.ask(each, times=1_000)) for each in (first, second)]
        await ends.next_order()
        assert link.waiting == 2
        refused = Rejected(second.order, "no", "because")
        ends.say(refused, Accepted(first.order, "id", is_repeated=False))
        assert await asking[0] == Accepted(first.order, "id", is_repeated=False)
        assert await asking[1] == refused
        assert link.waiting == ends.counters.get("orders_waiting") == 0
        link.close()

    play(scene())


def test_an_order_is_written_again_until_it_is_answered(ends: Ends, play: Play) -> None:
    async def scene() -> None:
        link = ends.link()
        order = resend(link.number())
        asking = asyncio.create_task(link.ask(order, times=1_000))
        assert [await ends.next_order() for _ in range(3)] == [order] * 3
        ends.say(Accepted(order.order, "id", is_repeated=False))
        await asking
        assert ends.counters.get("orders_repeated") >= 2
        link.close()

    play(scene())


def test_an_order_whose_answer_was_lost_is_found_elsewhere(ends: Ends, play: Play) -> None:
    async def scene() -> None:
        link = ends.link()
        order = resend(link.number())
        found = Accepted(order.order, "id", is_repeated=False)
        looks = iter([None, found])

        async def look() -> Accepted | None:
            return next(looks)

        assert await link.ask(order, times=1_000, look=look) == found
        assert ends.counters.get("orders") == 2
        link.close()

    play(scene())


def test_an_order_that_nobody_answers_is_given_up(ends: Ends, play: Play) -> None:
    async def scene() -> None:
        link = ends.link()
        assert await link.ask(resend(link.number()), times=3) is None
        assert len(ends.asked()) == 3
        ends.say(Accepted(link.number(), "id", is_repeated=False))  # too late, and for nobody
        link.look()
        link.close()

    play(scene())


def test_a_full_ring_is_counted_and_the_order_written_once_there_is_room(play: Play) -> None:
    ends = Ends(order_bytes=256)

    async def scene() -> None:
        link = ends.link()
        filling = [
            asyncio.create_task(link.ask(resend(link.number()), times=1_000)) for _ in "1234567"
        ]
        await asyncio.sleep(0)
        assert ends.counters.get("orders_without_room") > 0
        met: set[int] = set()
        while len(met) < len(filling):
            for order in ends.asked():
                met.add(order.order)
                ends.say(Accepted(order.order, "id", is_repeated=False))
            await asyncio.sleep(0.001)
        await asyncio.gather(*filling)
        link.close()

    play(scene())


def test_numbers_of_two_lives_never_meet(play: Play) -> None:
    ends = Ends()

    async def scene() -> None:
        first = ends.link()
        last_of_first = first.number()
        first.close()
        ends.generation = 2
        second = ends.link()
        assert second.number() > last_of_first + ORDERS_PER_LIFE // 2
        second.close()

    play(scene())


def test_what_is_told_is_known_also_by_whoever_asks_later(ends: Ends, play: Play) -> None:
    async def scene() -> None:
        link = ends.link()
        ends.say(told("id", "sent"), told("id", "confirmed"))
        link.look()
        assert link.told("id") == told("id", "confirmed")
        assert link.told("other") is None
        link.close()

    play(scene())


def test_whoever_listens_is_woken_and_others_are_not(ends: Ends, play: Play) -> None:
    async def scene() -> None:
        link = ends.link()
        listening = [asyncio.create_task(link.news("id", PATIENCE_S)) for _ in range(2)]
        await asyncio.sleep(0)
        other = asyncio.create_task(link.news("other", PATIENCE_S))
        await asyncio.sleep(0)
        ends.say(told("id"))
        assert await asyncio.gather(*listening) == [True, True]
        assert await other is False  # after a moment: look into the database
        link.close()

    play(scene())


def test_what_is_kept_has_a_bound(ends: Ends, play: Play) -> None:
    async def scene() -> None:
        link = ends.link()
        for i in range(TOLD_KEPT_MAX + 10):
            ends.say(told(str(i)))
            if i % 100 == 0:
                link.look()
        await asyncio.sleep(0)
        link.look()
        assert link.told("5") is None
        assert link.told(str(TOLD_KEPT_MAX + 9)) is not None
        link.close()

    play(scene())


def test_an_odd_outcome_is_counted_and_stops_nothing(ends: Ends, play: Play) -> None:
    async def scene() -> None:
        link = ends.link()
        ends.say_bytes(b"\xff")
        ends.say_bytes(encode_request(resend(1)))
        ends.say(told("id"))
        link.look()
        assert ends.counters.get("outcomes_odd") == 2
        assert link.told("id") is not None
        link.close()

    play(scene())


def test_a_link_that_closes_lets_nobody_wait(ends: Ends, play: Play) -> None:
    async def scene() -> None:
        link = ends.link()
        order = resend(link.number())
        asking = asyncio.create_task(link.ask(order, times=1_000))
        listening = asyncio.create_task(link.news("id", PATIENCE_S))
        await ends.next_order()
        link.close()
        answer = await asking
        assert isinstance(answer, Rejected)
        assert answer.code == STOPPING
        await listening

    play(scene())
