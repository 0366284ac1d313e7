"""The pipeline without processes and sockets: the real listener, session machine, outlet, rings and
shards, in one thread. What a socket would bring is handed to the listener as picows would.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from picows import WSMsgType, WSTransport, picows

from actors.messages.control import Watermark, encode_control
from actors.receiver import signals
from actors.receiver.connection import Connection, ConnectionCounts
from actors.receiver.line import ReceiverPolicy
from actors.receiver.ring_writer import OUTLET_WORDS, RingWriter
from actors.receiver.session import SessionMachine
from actors.shard.journal import Transaction
from actors.shard.shard import Shard
from runtime.block import Block
from runtime.counters import Counters
from runtime.doorbell import Doorbell
from runtime.ring import Consumer, Producer, ring_bytes

RING_BYTES = 1 << 16
SHARDS = 2
AT_US = 1_795_300_000_000_000


class _NoSocket:
    """What picows needs of a transport to be built and to answer a PING."""

    def get_extra_info(self, name: str) -> Any:
        return SimpleNamespace(fileno=lambda: -1) if name == "socket" else None

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, payload: bytes) -> None:
        """Nobody reads it."""


class _Unpressed(Connection):
    """A transport that is told to pause and brings what it has."""

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass


class Pipeline:
    """A receiver and its shards. `on_transaction` is given each shard's commits."""

    def __init__(self, on_transaction: Callable[[Shard, Transaction], None]) -> None:
        self._on_transaction = on_transaction
        count = range(SHARDS)
        self._blocks = [Block.create(f"hostile-{i}", ring_bytes(RING_BYTES)) for i in count]
        producers = [
            Producer(block, generation=1, doorbell=Doorbell.create(block.name))
            for block in self._blocks
        ]
        self._consumers = [Consumer(block, generation=1) for block in self._blocks]
        self.counters = Counters.create("receiver", OUTLET_WORDS)
        self._soon: list[Callable[[], None]] = []
        self.ring_writer = RingWriter(
            producers, self.counters, self._soon.append, lambda _: None, self._overflow
        )
        self.shards = [Shard(i, SHARDS, rings=1, now_s=0.0) for i in count]
        self.tally = ConnectionCounts()
        self.now_s = 0.0
        self.session = self.epoch = 0
        self.resume_after: int | None = None
        self.connection: Connection | None = None
        self.machine = SessionMachine(ReceiverPolicy(attempts_max=0), random.Random(1))
        self._carry_out(self.machine.start(self.now_s, AT_US))

    # The receiver's shell

    def _overflow(self) -> None:
        raise AssertionError("the spill is over its bound")

    def _tell(self, signal: signals.Signal) -> None:
        self._carry_out(self.machine.handle(signal, self.now_s, AT_US))

    def _carry_out(self, actions: list[signals.Action]) -> None:
        for action in actions:
            match action:
                case signals.Connect(line=line):
                    self.connection = self._connection(line)
                case signals.Write(record=record):
                    self.ring_writer.control(encode_control(record), self.epoch)
                case signals.Number(session=session):
                    self.session = session
                case signals.Close() | signals.Abort():
                    self.connection = None
                case signals.DropSpill() | signals.GiveUp():
                    raise AssertionError(action)
                case signals.Ping() | signals.Tell():
                    pass
                case _:
                    self._at_line(action)

    def _at_line(self, action: signals.Action) -> None:
        connection = self.connection
        assert connection is not None, action
        match action:
            case signals.Subscribe(resume_after=resume_after):
                self.resume_after = resume_after
            case signals.Stream(epoch=epoch, newest=newest, watermark=watermark):
                self.epoch = epoch
                if watermark is not None:
                    self.ring_writer.restart_watermark(watermark)
                self.ring_writer.know(newest)
                connection.stream(self.session, epoch, newest)
            case signals.GoFast():
                connection.go_fast()
            case signals.StopHistory(sequence=sequence):
                connection.stop_history()
                self.ring_writer.raise_watermark(sequence)
            case _:
                raise AssertionError(action)

    def _connection(self, line: int) -> Connection:
        nothing: Any = None
        return _Unpressed(
            line,
            address=nothing,
            route=nothing,
            resource=None,
            ring_writer=self.ring_writer,
            tally=self.tally,
            tell=self._tell,
            marks=self._marks,
        )

    def _marks(self) -> tuple[signals.Mark, ...]:
        return tuple((shard.merge.epoch, shard.merge.mark) for shard in self.shards)

    # What the world does

    def connect(self, acknowledgement: bytes) -> None:
        """A session begins; the one before is lost. A gateway may have to say it twice."""
        if self.connection is not None:
            self._tell(signals.Lost(self.connection.line, 1006))
            self.connection = None
        while self.connection is None or not self.machine.is_up:
            self.now_s += 0.5
            if self.connection is None:
                self.now_s = self.machine.due_s or self.now_s
                self._tell(signals.Tick())
                continue
            silent = logging.Logger("silent", logging.CRITICAL + 1)
            loop: Any = SimpleNamespace(create_future=lambda: None)
            self._transport: Any = WSTransport(True, _NoSocket(), silent, loop)
            self.connection.on_connected(self._transport)
            self.bring(acknowledgement)

    def bring(self, payload: bytes, kind: WSMsgType = WSMsgType.TEXT, *, fin: bool = True) -> None:
        """One frame of a read."""
        assert self.connection is not None
        make: Any = picows._make_test_ws_frame
        self.connection._listener.on_ws_frame(self._transport, make(kind, payload, fin, False))
        if self._soon:
            soon, self._soon[:] = list(self._soon), []
            for call in soon:
                call()

    def tick(self) -> None:
        """What the receiver writes of itself."""
        ring_writer = self.ring_writer
        if shed := self.tally.take_shed():
            ring_writer.shed(shed, self.epoch)
        if not ring_writer.is_spilling:
            ring_writer.control(
                encode_control(Watermark(self.epoch, ring_writer.watermark)), self.epoch
            )
        ring_writer.publish()

    def drain(self) -> None:
        """The shards take and commit all that there is."""
        while True:
            self.ring_writer.relieve()
            taken = 0
            for shard, consumer in zip(self.shards, self._consumers, strict=True):
                while (batch := consumer.peek()) is not None:
                    shard.take(batch, self.now_s)
                    transaction = shard.prepare(self.now_s)
                    self._on_transaction(shard, transaction)
                    shard.committed(transaction, AT_US)
                    consumer.commit(batch.cursor_to)
                    taken += 1
            if not taken and not self.ring_writer.is_spilling:
                return

    @property
    def outcomes(self) -> int:
        """How many messages have met their fate at the receiver."""
        get, tally = self.counters.get, self.tally
        fates = get("events_routed") + get("rejected")
        return fates + tally.control_frames + tally.shed.total()
