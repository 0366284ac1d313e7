"""The web child as it is, and a sender that only pretends: real rings, a real database, real HTTP.

The sender's judgement is a function of the order, so that a test says in a line what becomes of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import httpx

from actors.messages.commands import (
    Accepted,
    CommandRequest,
    OutcomeRecord,
    Rejected,
    RequestRecord,
    Resend,
    StatusChanged,
    decode_request,
    encode_outcome,
)
from actors.sender import store
from actors.sender.actor import NOT_DEAD
from actors.sender.commands import KEY_BOUND, RETRY_AFTER_MS, Command, CommandStep, Record
from actors.storage.data_dir import sender_path
from actors.web import address, server
from actors.web.arguments import WEB_WORDS, WebArguments
from runtime.block import Block
from runtime.child import Child
from runtime.counters import Counters
from runtime.doorbell import Doorbell
from runtime.ring import KIND_CONTROL, Consumer, Producer, ring_bytes

RING_BYTES = 1 << 20
PATIENCE_S = 30.0
RUN = "a-run"
NOW_US = 1_795_000_000_000_000


class Fate(NamedTuple):
    """What becomes of an order. `until`: the last step that is told and committed."""

    until: CommandStep = CommandStep.CONFIRMED
    code: str = ""
    detail: str = ""
    retry_after_ms: int | None = None


Judge = Callable[[CommandRequest], Fate]
_WAY = (
    CommandStep.ACCEPTED, CommandStep.VALIDATED, CommandStep.ADMITTED,
    CommandStep.SENT, CommandStep.ACKNOWLEDGED, CommandStep.CONFIRMED,
)  # fmt: skip


def eventually(fact: Callable[[], object], what: str) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not fact():
        assert time.monotonic() < deadline_s, f"not within {PATIENCE_S} s: {what}"
        time.sleep(0.005)


class FakeSender:
    """At the other end of the rings, on a thread. `applied`: what it has not refused."""

    def __init__(self, arguments: WebArguments, judge: Judge, *, generation: int = 1) -> None:
        self.judge = judge
        self.is_deaf = False  # orders stay in the ring
        self.is_mute = False  # handled, but nothing is said
        self.orders: list[RequestRecord] = []
        self.applied: list[Command] = []
        self.resendable: set[str] = set()
        self.webhooks = False  # whether somebody is to be told
        self._arguments = arguments
        self.path = sender_path(arguments.data_dir)
        self._producer = Producer(
            arguments.outcomes, generation=generation, doorbell=arguments.doorbell
        )
        self._consumer = Consumer(arguments.orders, generation=generation)
        self._is_over = False
        self._finishing: CommandStep | None = None
        store.prepare(self.path, RUN)
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._is_over = True
        self._arguments.sender_doorbell.ring_always()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()

    def say(self, *outcomes: OutcomeRecord) -> None:
        """Only while it is deaf, or from its own thread: a ring has one writer."""
        for outcome in outcomes:
            if not self.is_mute:
                assert self._producer.stage(encode_outcome(outcome), KIND_CONTROL)
        self._producer.publish()

    def finish(self, end: CommandStep) -> None:
        """Every command that has no end yet comes to this one."""
        self._finishing = end
        eventually(lambda: self._finishing is None, "the unsettled have their end")

    def _finish(self, end: CommandStep) -> None:
        for command in self._store.unsettled():
            ended = replace(command, step=end, ended_us=NOW_US)
            self._store.commit([Record(ended, end, NOW_US, "", None)])
            self.say(StatusChanged(ended.id, end, "", "", None))

    def _live(self) -> None:
        self._store = store.CommandStore(self.path, RUN)
        while not self._is_over:
            if self._finishing is not None:
                self._finish(self._finishing)
                self._finishing = None
            self._arguments.sender_doorbell.wait(0.01)
            self._arguments.sender_doorbell.cancel()
            while not self.is_deaf and (batch := self._consumer.peek()) is not None:
                for i in range(batch.count):
                    self._handle(decode_request(batch.frame(i)))
                self._consumer.commit(batch.cursor_to)
        self._store.close()

    def _handle(self, order: RequestRecord) -> None:
        self.orders.append(order)
        if isinstance(order, Resend):
            if order.message_id in self.resendable:
                self.say(Accepted(order.order, order.message_id, is_repeated=False))
            else:
                self.say(Rejected(order.order, NOT_DEAD, f"{order.message_id} is no dead message"))
            return
        bound = self._store.bound(order.key) or self._store.command(order.command_id)
        if bound is None:
            self._carry_out(order, self.judge(order))
        elif (bound.user_id, bound.to_state, bound.reason, bound.expected, bound.forced) != (
            order.user_id, order.to_state, order.reason, order.expected, order.forced,
        ):  # fmt: skip
            self.say(Rejected(order.order, KEY_BOUND, f"the key belongs to {bound.id}"))
        else:
            self.say(
                Accepted(order.order, bound.id, is_repeated=bound.id != order.command_id),
                StatusChanged(bound.id, bound.step, bound.code, bound.detail, None),
            )

    def _carry_out(self, order: CommandRequest, fate: Fate) -> None:
        steps = _WAY[: _WAY.index(fate.until) + 1] if fate.until in _WAY else _way_to(fate.until)
        command = new_command(order)
        if fate.until != CommandStep.REFUSED:
            self.applied.append(command)  # first: whoever is told may look at once
        for step in steps:
            is_last = step == fate.until
            command = replace(
                command,
                step=step,
                code=fate.code if is_last else "",
                detail=fate.detail if is_last else "",
                key=None
                if step == CommandStep.REFUSED and fate.code in RETRY_AFTER_MS
                else command.key,
                ended_us=NOW_US if step.is_end else None,
            )
            owes = self.webhooks and step == CommandStep.ACKNOWLEDGED
            self._store.commit(
                [Record(command, step, NOW_US, command.detail, b"{}" if owes else None)]
            )
            if step == CommandStep.ACCEPTED:
                self.say(Accepted(order.order, command.id, is_repeated=False))
            told = StatusChanged(command.id, step, command.code, command.detail, None)
            self.say(told._replace(retry_after_ms=fate.retry_after_ms) if is_last else told)


def _way_to(end: CommandStep) -> tuple[CommandStep, ...]:
    if end == CommandStep.REFUSED:
        return (CommandStep.ACCEPTED, CommandStep.REFUSED)
    if end == CommandStep.UNCONFIRMED:
        return (*_WAY[:-1], end)
    return (*_WAY[:4], CommandStep.UNANSWERED, end)


def new_command(order: CommandRequest) -> Command:
    return Command(
        id=order.command_id, key=order.key, who=order.who, user_id=order.user_id,
        to_state=order.to_state, reason=order.reason, expected=order.expected,
        forced=order.forced, step=CommandStep.ACCEPTED, code="", detail="", held=None, queue=None,
        tries=1, accepted_us=NOW_US, first_sent_us=None, last_sent_us=None,
        acknowledged_us=None, confirmed_us=None, ended_us=None,
    )  # fmt: skip


def confirm(_order: CommandRequest) -> Fate:
    return Fate()


def web_arguments(data_dir: Path, *, sender_enabled: bool = True) -> WebArguments:
    return WebArguments(
        data_dir=data_dir,
        sender_enabled=sender_enabled,
        orders=Block.create("orders", ring_bytes(RING_BYTES)),
        outcomes=Block.create("outcomes", ring_bytes(RING_BYTES)),
        doorbell=Doorbell.create("web"),
        sender_doorbell=Doorbell.create("sender"),
        sender_counters=Counters.create("sender"),
        shard_counters=(),
    )


@contextmanager
def client(data_dir: Path) -> Iterator[httpx.Client]:
    with (
        address.connect_path(data_dir) as path,
        httpx.Client(
            transport=httpx.HTTPTransport(uds=path), base_url="http://web", timeout=PATIENCE_S
        ) as opened,
    ):
        yield opened


class Web:
    """The child's entry on a thread of the test: all but the process is real."""

    def __init__(self, arguments: WebArguments, *, generation: int = 1) -> None:
        self.arguments = arguments
        self.child = Child("web", generation, Counters.create("web", WEB_WORDS))
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        eventually(self._is_running, "the web child serves")

    def _run(self) -> None:
        try:
            server.run(self.child, self.arguments)
        except BaseException as failure:
            self.failure = failure

    def _is_running(self) -> bool:
        assert self.failure is None, self.failure
        return self.child.counters.get("phase") == Counters.RUNNING

    def stop(self) -> None:
        self.child.stop()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()


class Serving(NamedTuple):
    """A web child and its sender, for all tests of a file."""

    sender: FakeSender
    http: httpx.Client
