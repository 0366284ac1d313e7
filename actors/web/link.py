"""SenderLink: web's end of the rings to and from the sender. Knows no HTTP and no database.

Nothing here waits for the sender's loop to be quick, and no record is ever the only one: an order
is written again until it is answered (the sender knows it by its id), and whoever waits for news of
a command looks into the database as well, because a full ring drops.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeAlias

import structlog

from actors.messages.commands import (
    Accepted,
    OutcomeRecord,
    Rejected,
    RequestRecord,
    StatusChanged,
    decode_outcome,
    encode_request,
)
from runtime.counters import Counters
from runtime.doorbell import Doorbell
from runtime.ring import KIND_CONTROL, Batch, Consumer, Producer

ASK_AGAIN_S: Final = 1.0
TOLD_KEPT_MAX: Final = 10_000
ORDERS_PER_LIFE: Final = 1 << 32
Look: TypeAlias = Callable[[], Awaitable[Accepted | None]]
STOPPING: Final = "stopping"  # a code of NotTaken, ours


class SenderLink:
    """One life. All of it runs on one loop, in one thread."""

    def __init__(
        self,
        producer: Producer,
        consumer: Consumer,
        doorbell: Doorbell,
        counters: Counters,
        *,
        ask_again_s: float = ASK_AGAIN_S,
    ) -> None:
        self._producer = producer
        self._consumer = consumer
        self._doorbell = doorbell
        self._counters = counters
        self._ask_again_s = ask_again_s
        self._log = structlog.get_logger("actors.web")
        self._loop = asyncio.get_running_loop()
        # Unlike those of any life before: an answer that comes late finds nobody, not somebody else
        self._next_order = producer.generation * ORDERS_PER_LIFE
        self._asked: dict[int, asyncio.Future[Accepted | Rejected]] = {}
        self._told: OrderedDict[str, StatusChanged] = OrderedDict()
        self._listeners: dict[str, set[asyncio.Future[None]]] = {}
        self._is_odd_told = False
        self.is_closed = False

    def open(self) -> None:
        self._loop.add_reader(self._doorbell.fileno(), self._on_bell)
        self.look()

    def close(self) -> None:
        """Whoever waits here is told that nothing more will come."""
        self.is_closed = True
        self._loop.remove_reader(self._doorbell.fileno())
        for order, answer in self._asked.items():
            if not answer.done():
                answer.set_result(
                    Rejected(order, STOPPING, "the runtime is stopping or restarting")
                )
        for listeners in self._listeners.values():
            _wake(listeners)

    @property
    def waiting(self) -> int:
        """Orders that are not answered yet."""
        return len(self._asked)

    # Down: orders

    def number(self) -> int:
        """Of the next order."""
        self._next_order += 1
        return self._next_order

    async def ask(
        self, order: RequestRecord, *, times: int, look: Look | None = None
    ) -> Accepted | Rejected | None:
        """Writes it, and again about once a second; before that, `look` may find elsewhere that it
        was taken. None if so many times brought no answer: it may be taken all the same, later."""
        answer: asyncio.Future[Accepted | Rejected] = self._loop.create_future()
        self._asked[order.order] = answer
        self._counters.set("orders_waiting", len(self._asked))
        try:
            for time in range(times):
                self._write(order)
                if time:
                    self._counters.add("orders_repeated")
                await asyncio.wait({answer}, timeout=self._ask_again_s)
                found = None if answer.done() or look is None else await look()
                if answer.done():
                    return answer.result()
                if found is not None:
                    return found
            return None
        finally:
            del self._asked[order.order]
            self._counters.set("orders_waiting", len(self._asked))

    def _write(self, order: RequestRecord) -> None:
        if not self._producer.stage(encode_request(order), KIND_CONTROL):
            self._counters.add("orders_without_room")
            return
        self._producer.publish()
        self._counters.add("orders")

    # Up: outcomes

    def told(self, command_id: str) -> StatusChanged | None:
        """The newest that this life was told of a command."""
        return self._told.get(command_id)

    async def news(self, command_id: str, timeout_s: float) -> bool:
        """Until something is told of this command, but no longer than that and than a second: after
        it, look into the database. True if something was told."""
        listener: asyncio.Future[None] = self._loop.create_future()
        listeners = self._listeners.setdefault(command_id, set())
        listeners.add(listener)
        try:
            await asyncio.wait({listener}, timeout=min(timeout_s, self._ask_again_s))
            return listener.done()
        finally:
            listeners.discard(listener)
            if not listeners and self._listeners.get(command_id) is listeners:
                del self._listeners[command_id]

    def _on_bell(self) -> None:
        self._doorbell.cancel()
        self.look()

    def look(self) -> None:
        """Reads what is there, and asks to be rung for what is not. Also to be called now and then:
        a sender killed between publish and ring wakes nobody."""
        batch = self._consumer.peek()
        if batch is None:
            self._doorbell.announce()
            batch = self._consumer.peek()
            if batch is None:
                return
            self._doorbell.cancel()
        self._take(batch)
        self._loop.call_soon(self.look)  # the requests in between

    def _take(self, batch: Batch) -> None:
        for i in range(batch.count):
            try:
                outcome = decode_outcome(batch.frame(i))
            except ValueError as error:
                self._counters.add("outcomes_odd")
                if not self._is_odd_told:
                    self._is_odd_told = True
                    self._log.warning("outcome.malformed", reason=str(error))
                continue
            self._counters.add("outcomes")
            self._hear(outcome)
        self._consumer.commit(batch.cursor_to)

    def _hear(self, outcome: OutcomeRecord) -> None:
        if not isinstance(outcome, StatusChanged):
            answer = self._asked.get(outcome.order)
            if answer is not None and not answer.done():
                answer.set_result(outcome)
            return
        self._told[outcome.command_id] = outcome
        self._told.move_to_end(outcome.command_id)
        if len(self._told) > TOLD_KEPT_MAX:
            self._told.popitem(last=False)
        _wake(self._listeners.get(outcome.command_id, ()))


def _wake(listeners: Iterable[asyncio.Future[None]]) -> None:
    for listener in listeners:
        if not listener.done():
            listener.set_result(None)
