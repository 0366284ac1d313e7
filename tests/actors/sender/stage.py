"""A sender's actor between real rings and a real store; the loop's part is played by the test."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from actors.genesys.http import GatewayAddress
from actors.messages.commands import (
    CommandRequest,
    OutcomeRecord,
    Resend,
    decode_outcome,
    encode_request,
)
from actors.messages.partition import shard_of
from actors.messages.queries import (
    AgentRecord,
    Answer,
    AskAgent,
    Question,
    Watch,
    decode_question,
    encode_answer,
)
from actors.sender import signals
from actors.sender.actor import Ends, Host, SenderActor
from actors.sender.arguments import SenderArguments
from actors.sender.store import prepare
from actors.sender.words import SENDER_WORDS
from actors.settings.sender import SenderSettings
from runtime.block import Block
from runtime.child import Child
from runtime.counters import Counters
from runtime.doorbell import Doorbell
from runtime.inbox import RingInbox
from runtime.ring import KIND_CONTROL, Consumer, Producer, ring_bytes
from runtime.ring_actor import wait_for

SHARDS = 2
RUN = "run"
RING_BYTES = 64 << 10
DEADLINE_S = 20.0
T = TypeVar("T")


class FakeHost:
    """Keeps what the actor wishes, but for the times at which it wants to be woken."""

    def __init__(self) -> None:
        self.wishes: list[signals.Wish] = []
        self.due_s = float("inf")
        self.ticked_s = float("inf")

    def wish(self, wishes: Iterable[signals.Wish]) -> None:
        for wish in wishes:
            if isinstance(wish, signals.WakeAt):
                self.due_s = wish.due_s
            else:
                self.wishes.append(wish)


class Stage:
    """`start` begins a life of the actor, `end` stops it; rings and file outlive it."""

    def __init__(self, folder: Path, settings: SenderSettings, **more: Any) -> None:
        self.bell, self.web_bell = Doorbell.create("sender"), Doorbell.create("web")
        self.shard_bells = tuple(Doorbell.create(f"shard-{i}") for i in range(SHARDS))
        self.counters = Counters.create("sender", SENDER_WORDS)
        self.arguments = SenderArguments(
            address=GatewayAddress(api_url="http://127.0.0.1:1", credentials=lambda: ("", "")),
            settings=settings,
            path=folder / "sender.db",
            run=RUN,
            retention_days=7.0,
            orders=_ring("orders"),
            outcomes=_ring("outcomes"),
            questions=tuple(_ring(f"questions {i}") for i in range(SHARDS)),
            answers=tuple(_ring(f"answers {i}") for i in range(SHARDS)),
            doorbell=self.bell,
            web_doorbell=self.web_bell,
            shard_doorbells=self.shard_bells,
            **more,
        )
        prepare(self.arguments.path, RUN)
        self._orders = Producer(self.arguments.orders, generation=1, doorbell=self.bell)
        self._outcomes = Consumer(self.arguments.outcomes, generation=1)
        self._questions = [Consumer(ring, generation=1) for ring in self.arguments.questions]
        self._answers = [
            Producer(ring, generation=1, doorbell=self.bell) for ring in self.arguments.answers
        ]
        self.generation = 0
        self.host = FakeHost()

    def start(self, host: Host | None = None) -> None:
        """`host`: a real loop, which somebody else lets live."""
        self.generation += 1
        arguments, generation = self.arguments, self.generation
        ends = Ends(
            orders=Consumer(arguments.orders, generation=generation),
            answers=tuple(Consumer(ring, generation=generation) for ring in arguments.answers),
            outcomes=Producer(arguments.outcomes, generation=generation, doorbell=self.web_bell),
            questions=tuple(
                Producer(ring, generation=generation, doorbell=bell)
                for ring, bell in zip(arguments.questions, self.shard_bells, strict=True)
            ),
        )
        inbox = RingInbox(ends.consumers, arguments.doorbell, beat_s=0.02)
        child = Child("sender", generation, self.counters)
        self.host = FakeHost()
        self.actor = SenderActor.start(child, arguments, ends, inbox, host or self.host)

    def end(self) -> None:
        self.actor.stop(block=False)
        assert wait_for(self.actor, DEADLINE_S)

    # web's part

    def order(self, *orders: CommandRequest | Resend) -> None:
        self.order_bytes(*map(encode_request, orders))

    def order_bytes(self, *payloads: bytes) -> None:
        """All in one batch."""
        for payload in payloads:
            assert self._orders.stage(payload, KIND_CONTROL)
        self._orders.publish()

    def outcomes(self) -> Iterator[OutcomeRecord]:
        """Those that come, one after the other, each within the deadline."""
        yield from map(decode_outcome, self._records(self._outcomes))

    # the shards' part

    def questions(self, shard: int) -> Iterator[Question]:
        yield from map(decode_question, self._records(self._questions[shard]))

    def answer(self, shard: int, answer: Answer) -> None:
        assert self._answers[shard].stage(encode_answer(answer), KIND_CONTROL)
        self._answers[shard].publish()

    def tell_agent(self, user_id: str, state: str, queue: str | None = None, **more: Any) -> None:
        """Waits for the question about this agent and answers it."""
        shard = shard_of(user_id, SHARDS)
        asked = next(q for q in self.questions(shard) if isinstance(q, AskAgent))
        assert asked.user_id == user_id
        told = AgentRecord(asked.question, user_id, state, None, queue, 1, None)
        self.answer(shard, told._replace(**more))

    def watch(self, user_id: str) -> Watch:
        return next(q for q in self.questions(shard_of(user_id, SHARDS)) if isinstance(q, Watch))

    # the loop's part

    def tell(self, signal: signals.Signal) -> None:
        self.actor.tell(signal)

    def wished(self, kind: type[T]) -> T:
        """The next wish of this kind, taken."""
        deadline_s = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline_s:
            for place, wish in enumerate(list(self.host.wishes)):
                if isinstance(wish, kind):
                    del self.host.wishes[place]
                    return wish
            self._pause()
        raise AssertionError(f"no {kind.__name__} within {DEADLINE_S} s: {self.host.wishes}")

    def until(self, fact: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + DEADLINE_S
        while not fact():
            assert time.monotonic() < deadline_s, f"not within {DEADLINE_S} s"
            self._pause()

    def _pause(self) -> None:
        assert self.actor.is_alive(), "the actor has ended"
        time.sleep(0.002)  # between two looks
        if time.monotonic() >= self.host.due_s:
            self.host.due_s = float("inf")
            self.actor.tell(signals.Due())

    def _records(self, consumer: Consumer) -> Iterator[bytes]:
        deadline_s = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline_s:
            batch = consumer.peek(1)
            if batch is None:
                self._pause()
                continue
            payload = batch.frame(0)
            consumer.commit(batch.cursor_to)
            yield payload
        raise AssertionError(f"nothing came within {DEADLINE_S} s")


def order(number: int, user_id: str, to_state: str = "busy") -> CommandRequest:
    command_id = f"00000000-0000-4000-8000-{number:012d}"
    return CommandRequest(
        number, command_id, command_id, "uid:0", user_id, to_state, "", None, False, 1
    )


def _ring(name: str) -> Block:
    return Block.create(name, ring_bytes(RING_BYTES))


def acknowledged(correlation: str) -> signals.Acknowledged:
    return signals.Acknowledged(correlation, True, 200, "", "", None)
