"""Owns the life of a receiver: timers, connections, counters; it carries out the session's actions.

It decides nothing: what happens becomes a signal, what the session machine answers is done here, in
order, before the next signal. Everything runs on one uvloop, in one thread.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import Final

import httpx
import structlog

from actors.genesys import wsp
from actors.genesys.http import GatewayAddress, Route, http_client, reach
from actors.genesys.tokens import TokenProvider
from actors.messages.control import (
    Watermark,
    encode_control,
)
from actors.receiver import signals
from actors.receiver.connection import Connection, ConnectionCounts
from actors.receiver.gauges import RECEIVER_WORDS, Gauges
from actors.receiver.line import ReceiverPolicy, lowest_mark
from actors.receiver.numbering import kept_epoch
from actors.receiver.ring_writer import RingWriter
from actors.receiver.session import SessionMachine
from actors.receiver.task_group import STAGED_POINTS, TICK_S, TaskGroup
from runtime import loop_child
from runtime.block import Block
from runtime.child import Child
from runtime.clock import Clock, SystemClock
from runtime.counters import Counters
from runtime.crash_point import crash_point
from runtime.doorbell import Doorbell
from runtime.errors import EXIT_CONFIGURATION, ConfigurationError, TemporaryError
from runtime.ring import Producer

__all__ = ["RECEIVER_WORDS", "ReceiverArguments", "run"]

WATERMARK_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverArguments:
    """What the supervisor hands to a receiver. One ring, doorbell and page per shard."""

    address: GatewayAddress
    rings: tuple[Block, ...]
    shard_doorbells: tuple[Doorbell, ...]
    own_doorbell: Doorbell  # rung by shards when room is awaited
    shard_counters: tuple[Counters, ...]
    resource: str | None = None
    appointments: bool = False
    attempts_max: int = 10
    backoff_most_s: float = 30.0


def run(child: Child, arguments: ReceiverArguments) -> None:
    """The entry of the child. Raises TemporaryError when every try is spent (exit 75), and
    ConfigurationError when the gateway refuses who we are or what we ask for (exit 78)."""
    loop_child.run(_live(child, arguments, SystemClock()))


async def _live(child: Child, arguments: ReceiverArguments, clock: Clock) -> None:
    route = reach(arguments.address)
    async with http_client(route) as client:
        await Receiver(child, arguments, route=route, client=client, clock=clock).live()


class Receiver:
    """One life."""

    def __init__(
        self,
        child: Child,
        arguments: ReceiverArguments,
        *,
        route: Route,
        client: httpx.AsyncClient,
        clock: Clock,
    ) -> None:
        self._child = child
        self._arguments = arguments
        self._clock = clock
        self._log = structlog.get_logger("actors.receiver")
        self._loop = asyncio.get_running_loop()
        self._tasks = TaskGroup(child, clock, self._log)
        counters = self._counters = child.counters
        rng = random.Random()  # noqa: S311 - jitter
        self._route = route
        self._tokens = TokenProvider(
            arguments.address,
            wsp.SCOPES,
            client,
            clock=clock,
            rng=rng,
            in_service=counters.get("token_refreshes") > 0,
        )
        producers = [
            Producer(ring, generation=child.generation, doorbell=doorbell)
            for ring, doorbell in zip(arguments.rings, arguments.shard_doorbells, strict=True)
        ]
        self._ring_writer = RingWriter(
            producers, counters, self._loop.call_soon, self._on_pressure, self._on_overflow
        )
        marks = self._marks()
        epoch, epoch_name = kept_epoch(counters.get("gateway_epoch"), counters.note, marks)
        self._machine = SessionMachine(
            ReceiverPolicy(
                attempts_max=arguments.attempts_max, backoff_most_s=arguments.backoff_most_s
            ),
            rng,
            session=counters.get("session"),
            epoch=epoch,
            epoch_name=epoch_name,
            is_known=counters.get("sessions_begun") > 0,
            heard_us=counters.get("heard_us"),
        )
        self._ring_writer.restart_watermark(lowest_mark(marks, epoch))
        self._tally = ConnectionCounts()
        self._gauges = Gauges(counters, self._tokens, self._tally, self._log)
        self._connections: dict[int, Connection] = {}
        self._last: Connection | None = None
        self._given_up: signals.GiveUp | None = None
        self._written = Watermark(0, 0)
        self._written_at_s = float("-inf")
        self._watermark_seen = 0
        self._timer: asyncio.TimerHandle | None = None

    # Life

    async def live(self) -> None:
        """Until we are stopped, or everything was tried."""
        self._loop.add_reader(self._arguments.own_doorbell.fileno(), self._on_room)
        self._child.set_phase(Counters.LOADED)
        self._gauges.start(self._clock.wall_us())
        self._tasks.spawn(self._renew_tokens())
        self._carry_out(self._machine.start(self._clock.now_s(), self._clock.wall_us()))
        self._child.set_phase(Counters.RUNNING)
        self._tick()
        loop_child.on_stop(self._child, self._stop)
        loop_child.on_reload(self._child, self._tokens.renew_soon)
        await self._tasks.over.wait()
        self._child.set_phase(Counters.DRAINING)
        await self._drain()
        if self._tasks.failure is not None:
            raise self._tasks.failure
        if self._given_up is not None:
            is_setting = self._given_up.exit_code == EXIT_CONFIGURATION
            raise (ConfigurationError if is_setting else TemporaryError)(self._given_up.reason)

    async def _drain(self) -> None:
        """Hand over what has no room yet, let the lines say goodbye, end."""
        self._write_shed()
        await self._tasks.drain(self._ring_writer)
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._arguments.own_doorbell.fileno())
        await self._tasks.end_tasks()
        await self._tokens.close()
        self._gauges.show()
        self._ring_writer.publish()

    def _stop(self) -> None:
        if not self._tasks.over.is_set():
            self._log.info("receiver.stops")
            self._signal(signals.StopAsked())
            self._tasks.over.set()

    # Signals in, actions out

    def _signal(self, signal: signals.Signal) -> None:
        if isinstance(signal, signals.Refused):
            self._counters.add("handshake_refusals")
        self._carry_out(self._machine.handle(signal, self._clock.now_s(), self._clock.wall_us()))

    def _carry_out(self, actions: list[signals.Action]) -> None:
        for action in actions:
            match action:
                case signals.Connect(line=line, fresh_token=fresh_token):
                    self._connect(line, fresh_token)
                case signals.Write(record=record):
                    epoch = self._counters.get("gateway_epoch")
                    self._ring_writer.control(encode_control(record), epoch)
                    crash_point(STAGED_POINTS[type(record)])
                case signals.Number(session=session):
                    self._counters.set("session", session)
                    crash_point("after-session-number")
                case signals.Stream():
                    self._stream(action)
                    crash_point("after-stream")
                case signals.StopHistory(line=line, sequence=sequence):
                    self._connections[line].stop_history()
                    self._ring_writer.raise_watermark(sequence)
                case signals.DropSpill(mark=mark):
                    dropped = self._ring_writer.drop_spill(mark)
                    self._log.warning("spill.dropped", records=dropped, resume_after=mark)
                case signals.GiveUp():
                    self._given_up = action
                    self._counters.set("exhausted", int(action.exit_code != EXIT_CONFIGURATION))
                    self._tasks.over.set()
                case signals.Tell(event=event, fields=fields, level=level):
                    getattr(self._log, level)(event, **dict(fields))
                case _:
                    self._at_line(action)
        if actions:
            self._ring_writer.publish()
            machine = self._machine
            now_us = self._clock.wall_us()
            since_us = min(machine.heard_us or now_us, now_us)
            self._gauges.show_session(machine.is_up, machine.has_history, since_us)

    def _at_line(self, action: signals.Action) -> None:
        """What is done by one connection. A line that has just ended needs nothing more."""
        match action:
            case signals.Subscribe(line=line):
                self._connections[line].subscribe(action.resume_after, action.epoch_name)
            case signals.GoFast(line=line):
                self._connections[line].go_fast()
            case signals.Ping(line=line):
                self._connections[line].ping()
            case signals.Close(line=line, code=code) if line in self._connections:
                self._connections[line].close(code)
            case signals.Abort(line=line) if line in self._connections:
                self._connections[line].abort()

    def _connect(self, line: int, fresh_token: bool) -> None:
        connection = Connection(
            line,
            address=self._arguments.address,
            route=self._route,
            resource=self._arguments.resource,
            appointments=self._arguments.appointments,
            ring_writer=self._ring_writer,
            tally=self._tally,
            tell=self._signal,
            marks=self._marks,
        )
        rejected = self._last.token if fresh_token and self._last is not None else None
        self._connections[line] = self._last = connection

        async def live() -> None:
            end = await connection.live(self._tokens, rejected)
            del self._connections[line]
            self._signal(end)

        self._tasks.spawn(live(), f"line {line}")

    def _stream(self, action: signals.Stream) -> None:
        self._ring_writer.publish()  # what begins the session, before the epoch is kept
        counters = self._counters
        if (counters.get("gateway_epoch"), counters.note) != (action.epoch, action.epoch_name):
            # The number first: killed in between, a successor that knows the new number by its old
            # name begins one more. One that knew the old number by its new name would begin none.
            counters.set("gateway_epoch", action.epoch)
            counters.note = action.epoch_name
        counters.add("sessions_begun")
        counters.set("reconnects", counters.get("sessions_begun") - 1)
        if action.watermark is not None:
            self._ring_writer.restart_watermark(action.watermark)
        self._ring_writer.know(action.newest)
        session = counters.get("session")
        self._connections[action.line].stream(session, action.epoch, action.newest)

    async def _renew_tokens(self) -> None:
        while True:
            await self._tokens.renew_when_due()
            self._log.info("token.refreshed", seconds_left=round(self._tokens.seconds_left))
            self._signal(signals.TokenRenewed())

    # What the shards say

    def _marks(self) -> tuple[signals.Mark, ...]:
        return tuple(_mark(page) for page in self._arguments.shard_counters)

    def _on_room(self) -> None:
        self._arguments.own_doorbell.cancel()
        self._ring_writer.relieve()

    def _on_pressure(self, is_on: bool) -> None:
        for connection in self._connections.values():
            if is_on:
                connection.pause()
            else:
                connection.resume()
        self._gauges.show_pressure(is_on, self._clock.now_s())

    def _on_overflow(self) -> None:
        self._loop.call_soon(lambda: self._signal(signals.Overflowed(self._marks())))

    def _history_is_wanted(self) -> bool:
        """By a shard that has met our newest session, or none: the others are about to meet it."""
        session = self._counters.get("session")
        return any(
            page.get("wants_history") and page.get("session") in (0, session)
            for page in self._arguments.shard_counters
        )

    # Time

    def _tick(self) -> None:
        if self._tasks.over.is_set():
            return
        self._ring_writer.relieve()
        signs = {line: connection.signs for line, connection in self._connections.items()}
        if self._history_is_wanted():
            self._signal(signals.HistoryWanted())
        self._signal(signals.Tick(signs, is_reading=not self._ring_writer.is_pressed))
        self._write_watermark()
        self._write_shed()
        self._gauges.show()
        self._gauges.show_heard(self._machine.heard_us, self._machine.quiet_s)
        self._child.beat()
        if self._ring_writer.failure is not None:
            self._tasks.fail(self._ring_writer.failure)
            return
        due_s = self._machine.due_s
        left_s = TICK_S if due_s is None else due_s - self._clock.now_s()
        self._timer = self._loop.call_later(min(max(left_s, 0.001), TICK_S), self._tick)

    def _write_watermark(self) -> None:
        """Once a second while it moves, and once it stands still."""
        now = Watermark(self._counters.get("gateway_epoch"), self._ring_writer.watermark)
        moves, self._watermark_seen = self._watermark_seen != now.sequence, now.sequence
        is_due = self._clock.now_s() >= self._written_at_s + WATERMARK_EVERY_S
        if now == self._written or (moves and not is_due) or self._ring_writer.is_spilling:
            return
        self._written, self._written_at_s = now, self._clock.now_s()
        self._ring_writer.control(encode_control(now), now.epoch)
        crash_point("after-watermark-staged")
        self._ring_writer.publish()

    def _write_shed(self) -> None:
        """What was dropped under pressure since the last tick: the shards' sum has it, too."""
        if shed := self._tally.take_shed():
            self._ring_writer.shed(shed, self._counters.get("gateway_epoch"))
            self._ring_writer.publish()


def _mark(page: Counters) -> signals.Mark:
    """Epoch and sequence of one commit: the epoch is read before and after."""
    while True:
        epoch, sequence = page.get("mark_epoch"), page.get("mark_sequence")
        if page.get("mark_epoch") == epoch:
            return epoch, sequence
