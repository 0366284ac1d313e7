"""Broadcast: puts what happens on the sockets of those channels that hear of it.

Knows transports, but neither handshakes nor HTTP. What happens while a channel has no socket is
lost, and so is what a socket that is cut has not sent: the platform replays nothing.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

from tools.fake_gateway.cloud.faults import broken_frames
from tools.fake_gateway.cloud.organisation import CloudOrganisation
from tools.fake_gateway.cloud.topics import ACTIVITY, ROUTING_STATUS, Topic
from tools.fake_gateway.ledger import Ledger
from tools.fake_gateway.pacing import Load
from tools.fake_gateway.stream import (
    BACKLOG_BYTES,
    SLOW_AFTER_S,
    STRETCH_NS,
    STRETCH_STEP_NS,
    TURN_S,
    Transport,
)

WAITING_BYTES_MAX = 24 << 20  # of one socket, at whatever speed; one that has more waiting is cut
MAX_RUNS_PER_TURN = 16  # then the loop reads sockets and answers calls
STEPS_PER_RUN = 1024  # at full speed


@dataclass(slots=True, kw_only=True, eq=False)
class Line:
    """One socket, on one channel; `held`: what waits while it is paused."""

    serial: int
    channel: int  # its place on the desks
    channel_serial: int
    transport: Transport
    progress_s: float = 0.0
    backlog: int = 0
    paused_until_s: float = 0.0
    is_silent: bool = False  # while paused, not even pings are answered
    held: list[bytes] = field(default_factory=list)
    held_bytes: int = 0
    broken: list[str] = field(default_factory=list)  # frame faults to come, in order
    is_closing: bool = False
    reason: str = ""  # why we closed it

    def is_paused(self, now_s: float) -> bool:
        return self.paused_until_s > now_s

    def write(self, frames: bytes, now_s: float) -> None:
        """Now, or behind the pause."""
        if self.is_closing or self.transport.is_closing():
            return
        if self.is_paused(now_s):
            self.held.append(frames)
            self.held_bytes += len(frames)
        else:
            self.go_on()
            self.transport.write(frames)

    def go_on(self) -> None:
        """Sends what a pause has held back."""
        if self.held and not self.is_closing and not self.transport.is_closing():
            self.transport.write(b"".join(self.held))
        self.held.clear()
        self.held_bytes = 0


@dataclass(slots=True)
class Sent:
    """Frames put on sockets so far."""

    events: int = 0
    broken: int = 0
    bytes: int = 0


class Broadcast:
    def __init__(
        self,
        organisation: CloudOrganisation,
        ledger: Ledger,
        *,
        backlog_bytes: int = BACKLOG_BYTES,
        slow_after_s: float = SLOW_AFTER_S,
    ) -> None:
        self.lines: dict[int, Line] = {}  # by channel: one socket each
        self.sent = Sent()
        self.load: Load | None = None
        self.load_state = "idle"
        self.drops_due = 0
        self.slow_cut = 0
        self._organisation = organisation
        self._ledger = ledger
        self._backlog_bytes = backlog_bytes
        self._slow_after_s = slow_after_s
        self._audience: dict[int, tuple[int, array[int], bytes]] = {}
        self._is_audience_new = False
        self._load_base = 0
        self._load_started_ns = 0
        self._load_wall_ns = 0
        self._stretch_ns = 0
        self._awake = asyncio.Event()

    # Who hears.

    def hear(self, channel: int, topics: Iterable[Topic]) -> list[int]:
        """From now on; returns whose agents these are."""
        agents, masks = array("i"), bytearray()
        for topic in topics:
            agents.append(self._organisation.agents[topic.user])
            masks.append(topic.mask)
        self._audience[channel] = (channel, agents, bytes(masks))
        self._is_audience_new = True
        return agents.tolist()

    def forget(self, channel: int) -> None:
        self._audience.pop(channel, None)
        self._is_audience_new = True

    def attach(self, line: Line) -> None:
        line.progress_s = time.monotonic()
        self.lines[line.channel] = line
        self._organisation.activity.open(line.channel)
        self.wake()

    def detach(self, line: Line) -> None:
        """Unless another socket has taken its place."""
        if self.lines.get(line.channel) is line:
            del self.lines[line.channel]
            self._organisation.activity.close(line.channel)

    # What happens.

    def start_load(self, load: Load) -> None:
        """Replaces the load that runs, if one does."""
        self.load, self.load_state = load, "running"
        self._load_base = self._organisation.activity.steps
        self._load_started_ns, self._load_wall_ns = time.monotonic_ns(), time.time_ns()
        self._stretch_ns = 0
        self.wake()

    def stop_load(self) -> None:
        if self.load is not None:
            self.load, self.load_state = None, "done"
            self.wake()

    def change(
        self,
        agent: int,
        *,
        by: str,
        presence: int | None = None,
        routing: int | None = None,
        message: str | None = None,
    ) -> int:
        """From outside, now; whoever hears of it is told at once. Returns its time in ms."""
        self._hear_anew()
        self._pace()  # what is due has happened before
        at_ms = self._organisation.change(
            agent, time.time_ns(), by=by, presence=presence, routing=routing, message=message
        )
        self._send(time.monotonic())
        return at_ms

    def settle(self) -> None:
        """Everything that is due has happened and is on its way: sockets and subscriptions may
        change behind it."""
        self._hear_anew()
        self._pace()
        self._send(time.monotonic())

    def wake(self) -> None:
        self._awake.set()

    async def rest(self, is_busy: bool) -> None:
        """Between two turns: a moment, or until there is something to do."""
        if is_busy:
            # The loop writes between turns: at full speed the kernel may have taken all by then.
            await asyncio.sleep(0)
            if not self._is_waited_for():
                await asyncio.sleep(TURN_S)
        else:
            self._ledger.flush()
            self._awake.clear()
            await self._awake.wait()

    def turn(self) -> bool:
        """One look at the load and every socket. False: nothing to do until `wake`."""
        now_s = time.monotonic()
        self.settle()
        if self.load is not None and self.load.rate is None:
            self._run_ahead(now_s)
        is_pending = False
        for line in list(self.lines.values()):
            if line.broken:
                self._send_broken(line, now_s)
            is_pending |= not self._has_room(line, now_s)
            is_pending |= line.is_paused(now_s)
            if line.held and not line.is_paused(now_s):
                line.go_on()
        return self.load is not None or is_pending

    def _hear_anew(self) -> None:
        if self._is_audience_new:
            self._is_audience_new = False
            self._organisation.activity.hear(tuple(self._audience.values()))

    def _pace(self) -> None:
        """Events that are due happen now."""
        if self.load is None:
            return
        organisation = self._organisation
        due = self.load.due(time.monotonic_ns() - self._load_started_ns)
        self.drops_due += due.drops
        for pace in due.paces:
            organisation.begin_stretch(
                self._load_base + pace.first, self._load_wall_ns + pace.offset_ns, pace.step_ns
            )
        if self.load.rate is not None:
            steps = self._load_base + due.events - organisation.activity.steps
            organisation.run(steps, time.time_ns() // 1000)
        if due.is_over:
            self.stop_load()

    def _run_ahead(self, now_s: float) -> None:
        """Full speed: as long as every socket has room, more happens."""
        organisation = self._organisation
        for _ in range(MAX_RUNS_PER_TURN):
            if not self._is_waited_for():
                return
            wall_ns = time.time_ns()
            if wall_ns - self._stretch_ns >= STRETCH_NS:
                organisation.begin_stretch(organisation.activity.steps, wall_ns, STRETCH_STEP_NS)
                self._stretch_ns = wall_ns
            organisation.run(STEPS_PER_RUN, wall_ns // 1000)
            self._send(now_s)

    def _is_waited_for(self) -> bool:
        """Full speed, and every socket has room."""
        if self.load is None or self.load.rate is not None or not self.lines:
            return False
        now_s = time.monotonic()
        return all(
            line.is_paused(now_s)
            or line.is_closing
            or line.transport.get_write_buffer_size() < self._backlog_bytes
            for line in self.lines.values()
        )

    def _send(self, now_s: float) -> None:
        for channel, frames, count in self._organisation.activity.take():
            line = self.lines.get(channel)
            if line is not None:
                line.write(frames, now_s)
                self.sent.events += count
                self.sent.bytes += len(frames)

    def _send_broken(self, line: Line, now_s: float) -> None:
        """Frame faults are made of a healthy event, which is sent whole before them."""
        heard = self._audience.get(line.channel)
        topic = (heard[2][0] & (ACTIVITY | ROUTING_STATUS)) if heard and heard[1] else 0
        if heard is None or not topic:
            return
        topic = ACTIVITY if topic & ACTIVITY else ROUTING_STATUS
        event = self._organisation.activity.frame(heard[1][0], topic)
        line.write(event, now_s)
        self.sent.events += 1
        for kind in line.broken:
            line.write(broken_frames(kind, event), now_s)
            self.sent.broken += 1
            self._note("broken", kind, line)
        line.broken.clear()

    def _has_room(self, line: Line, now_s: float) -> bool:
        """Cuts a socket that takes nothing for too long, or has too much waiting."""
        backlog = line.transport.get_write_buffer_size()
        if backlog < line.backlog or backlog < self._backlog_bytes:
            line.progress_s = now_s
        line.backlog = backlog
        is_stuck = now_s - line.progress_s > self._slow_after_s
        if is_stuck or backlog + line.held_bytes > WAITING_BYTES_MAX:
            self.slow_cut += 1
            self._note("fault", "slow", line)
            line.is_closing, line.reason = True, "slow"
            line.transport.abort()
        return backlog < self._backlog_bytes

    def _note(self, kind: str, what: str, line: Line) -> None:
        at_us = time.time_ns() // 1000
        self._ledger.write(kind, what=what, socket=line.serial, at_us=at_us)
