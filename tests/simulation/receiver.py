"""The real receiver without its event loop, its sockets and its tokens.

What a receiver decides and does is the product's: the session machine, the carrying out of its
actions, the outlet with its rings, the reading of frames. Here are only the edges: a loop that runs
when it is told to, a transport that is a list, and picows' part of a listener.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Protocol, cast

from actors.messages.control import Watermark
from actors.receiver import signals
from actors.receiver.connection import Connection, ConnectionCounts
from actors.receiver.line import ReceiverPolicy, lowest_mark
from actors.receiver.listener import Listener
from actors.receiver.loop import Receiver
from actors.receiver.numbering import kept_epoch
from actors.receiver.ring_writer import RingWriter
from actors.receiver.routing import routed
from actors.receiver.session import SessionMachine
from runtime.block import Block
from runtime.clock import ManualClock
from runtime.counters import Counters
from runtime.doorbell import Doorbell
from runtime.ring import Producer
from tests.simulation.gateway import POISON, Gateway, Socket
from tests.simulation.watch import Watch

Log = Callable[[str, dict[str, object]], None]


class Surroundings(Protocol):
    """What outlives a receiver."""

    clock: ManualClock
    gateway: Gateway
    page: Counters
    rings: list[Block]
    doorbell: Doorbell
    shard_pages: list[dict[str, int]]
    watch: Watch
    log: Log


class Loop:
    """The part of an event loop that a receiver uses. Callbacks run when the world says so."""

    def __init__(self) -> None:
        self.soon: deque[Callable[[], Any]] = deque()
        self.due_s: float | None = None
        self.later: Callable[[], Any] = lambda: None

    def call_soon(self, callback: Callable[[], Any]) -> None:
        self.soon.append(callback)

    def call_later(self, _delay_s: float, callback: Callable[[], Any]) -> SimpleNamespace:
        self.later = callback
        return SimpleNamespace(cancel=lambda: None)


class Told:
    """A logger."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def info(self, event: str, **fields: object) -> None:
        self._log(event, fields)

    warning = error = info


class Quiet:
    """Stands for what only shows something to others."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_args, **_fields: None


class SimulatedListener:
    """picows' callbacks, as `actors/receiver/listener.pyx` takes them: the same routing, the same
    order of counting and handing on."""

    def __init__(self, line: Connection, ring_writer: RingWriter) -> None:
        self.line = line
        self.ring_writer = ring_writer
        self.is_fast = self.is_muted = self.history_runs = False
        self.epoch = self.newest = self.frames = self.history_frames = self.highest = 0
        self.unbroken = 0
        self.flags = 0

    def on_frame(self, payload: bytes) -> None:
        self.frames += 1
        if self.is_muted:
            return
        route = routed(payload) if self.is_fast else None
        if route is None:
            self.line.on_message(payload, True)
            return
        sequence = route[1]
        user = payload.split(b'"userId":"', 1)[1].split(b'"', 1)[0]
        self.ring_writer.event(user, payload, self.epoch, sequence, self.flags)
        if self.history_runs:
            self.note_event(sequence, b'"history"' in payload)
        elif sequence > self.highest:
            self.highest = sequence

    def note_event(self, sequence: int, is_history: bool) -> None:
        if is_history or sequence <= self.newest:
            self.history_frames += 1
        if not is_history and sequence > self.highest:
            self.highest = sequence
        if not is_history and sequence == self.unbroken + 1:
            self.unbroken = sequence


class Transport:
    """The receiver's end of a connection: what picows would do with it."""

    def __init__(
        self, gateway: Gateway, socket: Socket, clock: ManualClock, pong: Callable[[], None]
    ) -> None:
        self._gateway = gateway
        self._clock = clock
        self._socket = socket
        self._pong = pong
        self.is_paused = self.is_disconnected = False
        self.underlying_transport = self

    def send(self, _kind: object, payload: bytes) -> None:
        self._gateway.subscribe(self._socket, payload)

    def send_ping(self) -> None:
        if self._clock.now_s() >= self._socket.stalled_until_s:
            self._pong()

    def send_close(self, _code: object) -> None:
        self._gateway.forget(self._socket)

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def abort(self) -> None:
        self._gateway.forget(self._socket)
        self.is_disconnected = True

    disconnect = abort


class SimulatedConnection(Connection):
    """A real connection over such a transport."""

    def __init__(
        self,
        line: int,
        *,
        ring_writer: RingWriter,
        tally: ConnectionCounts,
        tell: Callable[[signals.Signal], None],
        marks: Callable[[], tuple[signals.Mark, ...]],
    ) -> None:
        nothing = cast("Any", None)
        super().__init__(
            line, address=nothing, route=nothing, resource=None, ring_writer=ring_writer,
            tally=tally, tell=tell, marks=marks,
        )  # fmt: skip
        self.listener = SimulatedListener(self, ring_writer)
        self._listener = cast("Listener", self.listener)
        self.is_renewed = False  # connect with a token that no one has used yet
        self.session = 0
        self.socket: Socket | None = None
        self.transport: Transport | None = None

    @property
    def is_over(self) -> bool:
        return self._is_over

    def open(self, gateway: Gateway, socket: Socket, clock: ManualClock) -> None:
        def pong() -> None:
            self.listener.frames += 1

        self.socket = socket
        self.transport = Transport(gateway, socket, clock, pong)
        self.on_connected(cast("Any", self.transport))

    def close(self, code: int) -> None:
        """As the product's, but nothing has to be cut after a while."""
        self.listener.is_muted = True
        self._is_over = True
        if self.transport is not None:
            self.transport.send_close(code)
            self.transport.disconnect()


class SimulatedLife:
    """Of a receiver without tasks."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.failure: BaseException | None = None

    def fail(self, failure: BaseException) -> None:
        self.failure = failure


class SimulatedReceiver(Receiver):
    """One life. What its constructor would take from a running loop it is given here."""

    def __init__(self, around: Surroundings, generation: int, rng: random.Random) -> None:
        counters = around.page
        self.around = around
        self.loop = Loop()
        self.tokens = 0
        self._child = cast("Any", Quiet())
        self._arguments = cast(
            "Any",
            SimpleNamespace(
                shard_counters=around.shard_pages, own_doorbell=around.doorbell, resource=None
            ),
        )
        self._clock = around.clock
        self._log = Told(around.log)
        self._loop = cast("asyncio.AbstractEventLoop", self.loop)
        self._tasks = cast("Any", SimulatedLife())
        self._counters = counters
        producers = [
            Producer(ring, generation=generation, doorbell=around.doorbell) for ring in around.rings
        ]
        self.ring_writer = self._ring_writer = RingWriter(
            producers, counters, self.loop.call_soon, self._on_pressure, self._on_overflow
        )
        marks = self._marks()
        epoch, epoch_name = kept_epoch(counters.get("gateway_epoch"), counters.note, marks)
        self.machine = self._machine = SessionMachine(
            ReceiverPolicy(),
            rng,
            session=counters.get("session"),
            epoch=epoch,
            epoch_name=epoch_name,
            is_known=counters.get("sessions_begun") > 0,
        )
        self.ring_writer.restart_watermark(lowest_mark(marks, epoch))
        self._tally = ConnectionCounts()
        self._gauges = cast("Any", Quiet())
        self._connections = {}
        self._last = None
        self._given_up = None
        self._written = Watermark(0, 0)
        self._written_at_s = float("-inf")
        self._watermark_seen = 0
        self._timer = None

    # What `live` does, in steps

    def begin(self) -> None:
        self._carry_out(self.machine.start(self._clock.now_s(), self._clock.wall_us()))
        self._tick()

    def tick(self) -> None:
        self.loop.later()
        assert self._tasks.failure is None, self._tasks.failure

    def run_soon(self) -> None:
        """What was left for the end of a turn of the loop: publishing, mostly."""
        while self.loop.soon:
            self.loop.soon.popleft()()

    @property
    def given_up(self) -> signals.GiveUp | None:
        return self._given_up

    @property
    def connections(self) -> list[SimulatedConnection]:
        return cast("list[SimulatedConnection]", list(self._connections.values()))

    def signal(self, signal: signals.Signal) -> None:
        self._signal(signal)

    def stop(self) -> None:
        self._stop()

    def has_room(self) -> None:
        self._on_room()

    def marks(self) -> tuple[signals.Mark, ...]:
        return self._marks()

    # Lines

    def _connect(self, line: int, fresh_token: bool) -> None:
        connection = SimulatedConnection(
            line,
            ring_writer=self.ring_writer,
            tally=self._tally,
            tell=self._signal,
            marks=self._marks,
        )
        connection.is_renewed = fresh_token
        self._connections[line] = self._last = connection

    def end(self, connection: SimulatedConnection, signal: signals.Signal) -> None:
        """What the task of a line does when its life is over."""
        del self._connections[connection.line]
        self._signal(signal)

    def handshake(self, connection: SimulatedConnection) -> None:
        """The try that this line is, to its end."""
        line, gateway = connection.line, self.around.gateway
        if connection.is_over:
            self.end(connection, signals.Unreachable(line, "let go"))
            return
        if self.tokens == 0 or connection.is_renewed:
            self.tokens = gateway.issue_token()
        opened = gateway.accept(self.tokens)
        match opened:
            case Socket():
                connection.open(gateway, opened, self.around.clock)
            case "401" | "403" | "500":
                self.end(connection, signals.Refused(line, int(opened)))
            case "429":
                self.end(connection, signals.Refused(line, 429, 7.0))
            case "no token":
                self.end(connection, signals.TokenMissing(line, "503", 5.0, False))
            case reason:
                self.end(connection, signals.Unreachable(line, reason))

    def read(self, connection: SimulatedConnection, frames_max: int) -> None:
        """One read of a socket."""
        socket = connection.socket
        assert socket is not None
        taken = socket.queue[:frames_max]
        del socket.queue[:frames_max]
        for frame in taken:
            if frame.payload is POISON:
                connection.listener.is_muted = True
                socket.code = 1002
                self.around.gateway.forget(socket)
                self.ring_writer.publish()
                self.lose(connection, is_ours=True)
                return
            if frame.named is not None and not connection.listener.is_muted:
                self.around.watch.names(connection.session, frame.named)
            connection.listener.on_frame(frame.payload)
        self.ring_writer.publish()

    def lose(self, connection: SimulatedConnection, *, is_ours: bool = False) -> None:
        """The connection is gone."""
        socket = connection.socket
        assert socket is not None
        code = 1000 if socket.code is None else socket.code
        listener = connection.listener
        lost = signals.Lost(connection.line, code, is_ours, listener.highest, listener.unbroken)
        self.end(connection, lost)

    # What the world is told

    def _carry_out(self, actions: list[signals.Action]) -> None:
        for action in actions:
            if isinstance(action, signals.Write):
                self.around.watch.writes(action.record)
        super()._carry_out(actions)

    def _stream(self, action: signals.Stream) -> None:
        super()._stream(action)
        connection = cast("SimulatedConnection", self._connections[action.line])
        connection.session = self._counters.get("session")
        assert connection.socket is not None
        self.around.watch.begins(connection.session, action.epoch, connection.socket)
