"""The sender's actor: between the rings of web and shards, its store, and the loop with the socket.

A shell: what a command may do is decided by the machine, what a webhook's answer means by the
outbox. Whatever comes in makes actions; their records are committed first, all in one transaction,
and only then the rest is done, in order. So what was done is always known to a successor.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol

import pykka
import structlog

from actors.messages.commands import (
    Accepted,
    OutcomeRecord,
    Rejected,
    Resend,
    decode_request,
    encode_outcome,
)
from actors.messages.queries import decode_answer, encode_question
from actors.sender import outbox, signals
from actors.sender.arguments import SenderArguments
from actors.sender.audit import audit_line
from actors.sender.cloud_dialect import CloudDialect
from actors.sender.cloud_loop import CloudLoop
from actors.sender.commands import Action, Ask, Record, ReportOutcome
from actors.sender.dialect import Dialect, WspDialect
from actors.sender.loop import Loop
from actors.sender.loop_life import LoopLife
from actors.sender.machine import CommandMachine
from actors.sender.outbox import Attempt, Outbox, WebhookResent
from actors.sender.page import SenderPage
from actors.sender.store import KIND, CommandStore, DamagedStoreError
from actors.storage.disk_wait import DiskWait
from actors.storage.sqlite import DISK_DAMAGE_ERRORS, TRANSIENT_ERRORS, damage_named
from runtime import loop_child
from runtime.child import Child
from runtime.clock import Clock, SystemClock
from runtime.counters import DRAINING, LOADED, RUNNING, Counters
from runtime.crash_point import crash_point
from runtime.inbox import RingInbox
from runtime.ring import KIND_CONTROL, Batch, Consumer, Producer
from runtime.ring_actor import RingActor, wait_for
from runtime.settled_wall import SettledWall

LOOP_SILENT_MAX_S: Final = 10.0
"""A loop that shows no sign for so long hangs: the process does not beat any more."""
PRUNE_EVERY_S: Final = 60.0
PRUNE_ROWS: Final = 500
OUTBOX_LOOK_S: Final = 5.0
"""Letters are counted so often, for the counters."""
NOT_DEAD: Final = "not-dead"

_AUDIT_LOG: Final = structlog.get_logger("presence.audit")


class Host(Protocol):
    """The part of the loop that the actor needs."""

    ticked_s: float

    def wish(self, wishes: Iterable[signals.Wish]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """The actor's ends of its rings; per shard one of questions and one of answers."""

    orders: Consumer
    answers: tuple[Consumer, ...]
    outcomes: Producer
    questions: tuple[Producer, ...]

    @property
    def consumers(self) -> tuple[Consumer, ...]:
        """Ring 0 brings orders, ring 1 + i the answers of shard i."""
        return (self.orders, *self.answers)


class SenderActor(RingActor):
    """Carries commands from their order to their end."""

    def __init__(
        self,
        child: Child,
        arguments: SenderArguments,
        ends: Ends,
        inbox: RingInbox,
        host: Host,
    ) -> None:
        super().__init__(inbox)
        self._child = child
        self._arguments = arguments
        self._ends = ends
        self._host = host
        self._clock: Clock = SystemClock()
        self._log = structlog.get_logger("actors.sender")
        rng = random.Random()  # noqa: S311 - jitter and a first question's number
        self._machine = CommandMachine(
            arguments.settings, len(ends.answers), rng, dialect=_dialect(arguments)
        )
        self._outbox = Outbox(arguments.settings.webhook, rng)
        self._has_webhook = bool(arguments.settings.webhook.url)
        self._disk = DiskWait(child, self._log, arguments.path)
        self._page = SenderPage(child.counters)
        self._store: CommandStore
        self._woken_s: float | None = None
        self._began_s = self._clock.now_s()
        self._prune_at_s = self._began_s + PRUNE_EVERY_S
        self._wall = SettledWall(self._began_s, self._clock.wall_us())
        self._look_at_s = self._began_s

    # --- life --------------------------------------------------------------------------------

    def on_start(self) -> None:
        arguments = self._arguments

        def load() -> list[Action]:
            self._store = CommandStore(arguments.path, arguments.run, is_owing=self._has_webhook)
            with damage_named(arguments.path, KIND):
                return self._machine.restore(self._store.unsettled(), *self._now())

        self._carry_out(self._disk.until_done(load))
        crash_point("after-load")
        self._child.set_phase(LOADED)
        self._log.info("sender.loaded", unsettled=self._machine.unsettled)
        self._child.set_phase(RUNNING)

    def on_batch(self, batch: Batch) -> None:
        crash_point("after-peek")
        actions: list[Action] = []
        revived: list[WebhookResent] = []
        for index in range(batch.count):
            try:
                if batch.ring > 0:
                    answer = decode_answer(batch.frame(index))
                    actions += self._machine.answer(batch.ring - 1, answer, *self._now())
                    continue
                order = decode_request(batch.frame(index))
            except ValueError as error:  # of another version's making
                self._child.counters.add("records_malformed")
                self._log.error("record.malformed", ring=batch.ring, cause=str(error))
                continue
            if isinstance(order, Resend):
                outcome, resent = self._revival(order)
                actions.append(ReportOutcome(outcome))
                revived += resent
            else:
                store = self._store
                bound = store.command(order.command_id) or store.bound(order.key)
                actions += self._machine.order(order, bound, *self._now())
        self._carry_out(actions, revived)

    def on_message(self, message: signals.Signal) -> None:
        if not isinstance(message, signals.Delivered):
            if isinstance(message, signals.Due):
                self._woken_s = None
            self._carry_out(self._machine.signal(message, *self._now()))
            return
        attempt = self._outbox.judge(message, self._clock.wall_us())
        if attempt is not None:
            word = "webhooks_delivered" if message.success else "webhooks_failed"
            self._child.counters.add(word)
            self._carry_out([], [attempt])

    def on_beat(self) -> None:
        now_s = self._clock.now_s()
        if now_s - max(self._host.ticked_s, self._began_s) < LOOP_SILENT_MAX_S:
            self._child.beat()
        if now_s >= self._prune_at_s:
            self._prune(now_s)
        self._deliver()
        self._show(now_s)

    def on_stop(self) -> None:
        """Commands without an end stay as they are: durable, and taken up at the next start."""
        self._show(self._clock.now_s())
        self._store.close()

    # --- one batch ---------------------------------------------------------------------------

    def _carry_out(
        self, actions: list[Action], attempts: Sequence[Attempt | WebhookResent] = ()
    ) -> None:
        records = [action for action in actions if isinstance(action, Record)]
        if records or attempts:
            crash_point("before-commit")
            self._commit(records, attempts)
            crash_point("after-commit")
            self._machine.carried_out(self._clock.now_s())
            self._outbox.settled()
            self._tell_audit(records)
        wishes: list[signals.Wish] = []
        for action in actions:
            match action:
                case Ask(shard=shard, question=question):
                    self._stage(
                        self._ends.questions[shard], encode_question(question), "questions_dropped"
                    )
                case ReportOutcome(outcome=outcome):
                    self._stage(self._ends.outcomes, encode_outcome(outcome), "outcomes_dropped")
                case signals.Send() | signals.Patch() | signals.CheckUser():
                    wishes.append(action)
        for producer in (self._ends.outcomes, *self._ends.questions):
            producer.publish()
        crash_point("after-publish")
        due_s = self._machine.due_s
        if due_s is not None and due_s != self._woken_s:
            self._woken_s = due_s
            wishes.append(signals.WakeAt(due_s))
        if wishes:
            self._host.wish(wishes)
            crash_point("after-wish")
        if records or attempts:
            self._deliver()

    def _stage(self, producer: Producer, payload: bytes, dropped: str) -> None:
        """Nobody waits for a reader: what is dropped will be asked or looked up again."""
        if not producer.stage(payload, KIND_CONTROL):
            self._child.counters.add(dropped)

    def _commit(
        self, records: Sequence[Record], attempts: Sequence[Attempt | WebhookResent]
    ) -> None:
        began_ns = self._clock.now_ns()
        try:
            transaction = self._store.prepared(records, attempts)
            self._disk.until_done(lambda: self._store.execute(transaction))
        except DISK_DAMAGE_ERRORS as error:
            raise DamagedStoreError(self._arguments.path, error) from None
        self._child.counters.add("commits")
        self._child.counters.add("commit_ns", self._clock.now_ns() - began_ns)

    def _tell_audit(self, records: Iterable[Record]) -> None:
        """One line for each command that has come to its end. After the commit: at least once."""
        for record in records:
            if record.command.step.is_end:
                _AUDIT_LOG.info(audit_line(record.command))

    # --- webhooks ----------------------------------------------------------------------------

    def _deliver(self) -> None:
        """Sends the messages that are due and have room; without an address they wait."""
        if not self._has_webhook or not self._outbox.room:
            return
        now_us = self._clock.wall_us()
        due = self._store.due(now_us, self._outbox.room, self._outbox.on_way)
        deliveries = self._outbox.take(due, now_us)
        if deliveries:
            self._host.wish(deliveries)

    def _revival(self, order: Resend) -> tuple[OutcomeRecord, list[WebhookResent]]:
        """What waits is taken as well: an order comes again when our answer was lost."""
        state = self._store.message_state(order.message_id)
        taken = Accepted(order.order, order.message_id, state != outbox.DEAD)
        match state:
            case outbox.DEAD:
                return taken, [WebhookResent(order.message_id, order.who, self._clock.wall_us())]
            case outbox.WAITING:
                return taken, []
            case outbox.DELIVERED:
                why = f"message {order.message_id} was already delivered"
            case _:
                why = f"unknown message {order.message_id}"
        return Rejected(order.order, NOT_DEAD, why), []

    # --- what others see ---------------------------------------------------------------------

    def _show(self, now_s: float) -> None:
        self._page.show(self._machine)
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + OUTBOX_LOOK_S
            self._page.show_outbox(self._store.outbox_counts())

    def _prune(self, now_s: float) -> None:
        """A slice of what is past its retention; more at the next beat."""
        age_us = int(self._arguments.retention_days * 86_400e6)
        wall_us = self._clock.wall_us()
        is_settled = self._wall.is_settled(now_s, wall_us)
        older_than_us = wall_us - age_us if is_settled else 0  # nothing by a clock that just moved
        try:
            if not self._store.prune(older_than_us=older_than_us, slice_rows=PRUNE_ROWS):
                self._prune_at_s = now_s + PRUNE_EVERY_S
        except TRANSIENT_ERRORS as error:
            self._log.warning("journal.prune_failed", cause=str(error))
            self._prune_at_s = now_s + PRUNE_EVERY_S

    def _now(self) -> tuple[float, int]:
        return self._clock.now_s(), self._clock.wall_us()


def run(child: Child, arguments: SenderArguments) -> None:
    """Entry of the sender's process: until SIGTERM, or until the actor or the loop fails.

    Raises ConfigurationError when the gateway refuses who we are, or grants too little.
    """
    loop_child.run(_live(child, arguments))


async def _live(child: Child, arguments: SenderArguments) -> None:
    ends = _ends(arguments, child.generation)
    inbox = RingInbox(ends.consumers, arguments.doorbell)

    def tell(signal: signals.Signal) -> None:
        with suppress(pykka.ActorDeadError):  # the loop hears of it next
            actor.tell(signal)

    host = _loop(arguments, child.counters, tell)
    actor = SenderActor.start(child, arguments, ends, inbox, host)

    def stop() -> None:
        child.set_phase(DRAINING)
        actor.stop(block=False)
        host.stop()

    child.on_stop(stop)
    child.on_reload(host.renew_soon)
    ended = asyncio.get_running_loop().run_in_executor(None, wait_for, actor)
    ended.add_done_callback(lambda _: host.stop())
    try:
        await host.live()
    finally:
        actor.stop(block=False)
        await ended


def _dialect(arguments: SenderArguments) -> Dialect:
    if arguments.dialect == "cloud":
        return CloudDialect(arguments.settings)
    return WspDialect(arguments.settings)


def _loop(
    arguments: SenderArguments, counters: Counters, tell: Callable[[signals.Signal], None]
) -> LoopLife:
    around: dict[str, Any] = {
        "address": arguments.address,
        "settings": arguments.settings,
        "counters": counters,
        "tell": tell,
    }
    if arguments.dialect == "cloud":
        return CloudLoop(
            requests_per_minute=arguments.requests_per_minute,
            planner=arguments.planner,
            receiver=arguments.receiver,
            **around,
        )
    return Loop(**around)


def _ends(arguments: SenderArguments, generation: int) -> Ends:
    return Ends(
        orders=Consumer(arguments.orders, generation=generation),
        answers=tuple(Consumer(ring, generation=generation) for ring in arguments.answers),
        outcomes=Producer(
            arguments.outcomes, generation=generation, doorbell=arguments.web_doorbell
        ),
        questions=tuple(
            Producer(ring, generation=generation, doorbell=doorbell)
            for ring, doorbell in zip(arguments.questions, arguments.shard_doorbells, strict=True)
        ),
    )
