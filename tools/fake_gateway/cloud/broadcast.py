"""Broadcast: puts what happens on the sockets of those channels that hear of it.

Knows transports, but neither handshakes nor HTTP. What happens while a channel has no socket is
lost, and so is what a socket that is cut has not sent: the platform replays nothing.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tools.fake_gateway.cloud.faults import broken_frame
from tools.fake_gateway.cloud.organisation import CloudOrganisation
from tools.fake_gateway.cloud.topics import ACTIVITY, ROUTING_STATUS, Topic
from tools.fake_gateway.connection import Connection
from tools.fake_gateway.ledger import Ledger, now_us
from tools.fake_gateway.pacing import Pace
from tools.fake_gateway.traffic import BACKLOG_BYTES, MAX_RUNS_PER_TURN, SLOW_AFTER_S, Traffic

WAITING_BYTES_MAX = 24 << 20  # of one socket, at whatever speed; one that has more waiting is cut
STEPS_PER_RUN = 1024  # at full speed


@dataclass(slots=True, kw_only=True, eq=False)
class ChannelConnection(Connection):
    """One socket, on one channel; `held`: what waits while it is paused."""

    serial: int
    channel: int  # its place on the desks
    channel_serial: int
    progress_s: float = 0.0
    backlog: int = 0
    held: list[bytes] = field(default_factory=list)
    held_bytes: int = 0
    broken: list[str] = field(default_factory=list)  # frame faults to come, in order
    reason: str = ""  # why we closed it

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
        if self.held:
            self.put(b"".join(self.held))
        self.held.clear()
        self.held_bytes = 0

    def close(self, code: int | None, reason: str = "closed by the gateway") -> None:
        if not self.is_closing and not self.transport.is_closing():
            self.paused_until_s = 0.0
            self.go_on()
            self.reason = reason
            Connection.close(self, code)

    def drop(self) -> None:
        if not self.is_closing:
            self.reason = "dropped"
        Connection.drop(self)


class Broadcast(Traffic):
    def __init__(
        self,
        organisation: CloudOrganisation,
        ledger: Ledger,
        *,
        backlog_bytes: int = BACKLOG_BYTES,
        slow_after_s: float = SLOW_AFTER_S,
    ) -> None:
        super().__init__(ledger, backlog_bytes=backlog_bytes, slow_after_s=slow_after_s)
        self.connections: dict[int, ChannelConnection] = {}  # by channel: one socket each
        self._organisation = organisation
        self._audience: dict[int, tuple[int, array[int], bytes]] = {}
        self._deaf: dict[int, set[int]] = {}  # by channel: whose topics were lost without a word
        self._is_audience_new = False
        self.vary: Callable[[bytes, float], bytes] | None = None  # what a socket is told

    @property
    def steps(self) -> int:
        return self._organisation.activity.steps

    @property
    def listening(self) -> int:
        return len(self.connections)

    # Who hears.

    def hear(self, channel: int, topics: Iterable[Topic]) -> list[int]:
        """From now on; returns whose agents these are."""
        agents, masks = array("i"), bytearray()
        for topic in topics:
            agents.append(self._organisation.agents[topic.user])
            masks.append(topic.mask)
        self._audience[channel] = (channel, agents, bytes(masks))
        self._deaf.pop(channel, None)
        self._is_audience_new = True
        return agents.tolist()

    def forget(self, channel: int) -> None:
        self._audience.pop(channel, None)
        self._deaf.pop(channel, None)
        self._is_audience_new = True

    def heard_of(self, channel: int) -> list[int]:
        """The agents whose events its socket is told."""
        audience = self._audience.get(channel)
        deaf = self._deaf.get(channel, set())
        return [] if audience is None else [one for one in audience[1] if one not in deaf]

    def is_alone(self, agent: int) -> bool:
        """Whether no two channels hear of the agent."""
        return sum(agent in agents for _, agents, _ in self._audience.values()) < 2

    def deafen(self, channel: int, agents: Iterable[int]) -> None:
        """Until they are subscribed again, nothing more of these is told on the channel."""
        self.settle()
        self._deaf.setdefault(channel, set()).update(agents)
        self._is_audience_new = True
        self._hear_anew()

    def deaf_agents(self) -> set[int]:
        return set().union(*self._deaf.values())

    def attach(self, connection: ChannelConnection) -> None:
        connection.progress_s = time.monotonic()
        self.connections[connection.channel] = connection
        self._organisation.activity.open(connection.channel)
        self.wake()

    def detach(self, connection: ChannelConnection) -> None:
        """Unless another socket has taken its place."""
        if self.connections.get(connection.channel) is connection:
            del self.connections[connection.channel]
            self._organisation.activity.close(connection.channel)

    # What happens.

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

    def turn(self) -> bool:
        now_s = time.monotonic()
        self.settle()
        if self._is_at_full_speed:
            self._run_ahead(now_s)
        is_pending = False
        for connection in list(self.connections.values()):
            if connection.broken:
                self._send_broken(connection, now_s)
            is_pending |= not self._has_room(connection, now_s)
            is_pending |= connection.is_paused(now_s)
            if connection.held and not connection.is_paused(now_s):
                connection.go_on()
        return self.load is not None or is_pending

    def _hear_anew(self) -> None:
        if self._is_audience_new:
            self._is_audience_new = False
            heard = [self._without_deaf(*each) for each in self._audience.values()]
            self._organisation.activity.hear(tuple(heard))

    def _without_deaf(
        self, channel: int, agents: array[int], masks: bytes
    ) -> tuple[int, array[int], bytes]:
        deaf = self._deaf.get(channel)
        if not deaf:
            return channel, agents, masks
        kept = [place for place, agent in enumerate(agents) if agent not in deaf]
        return channel, array("i", [agents[n] for n in kept]), bytes(masks[n] for n in kept)

    def _begin_pace(self, pace: Pace) -> None:
        at_ns = self._load_wall_ns + pace.offset_ns
        self._begin_stretch(self._load_base + pace.first, at_ns, pace.step_ns)

    def _begin_stretch(self, step: int, now_ns: int, step_ns: int) -> None:
        self._organisation.begin_stretch(step, now_ns, step_ns)

    def _happen(self, steps: int) -> None:
        self._organisation.run(self._load_base + steps - self.steps, now_us())

    def _run_ahead(self, now_s: float) -> None:
        """Full speed: as long as every socket has room, more happens."""
        for _ in range(MAX_RUNS_PER_TURN):
            if not (self._is_at_full_speed and self._has_room_everywhere()):
                return
            wall_ns = self._put_times_right(self.steps)
            self._organisation.run(STEPS_PER_RUN, wall_ns // 1000)
            self._send(now_s)

    def _has_room_everywhere(self) -> bool:
        now_s = time.monotonic()
        return bool(self.connections) and all(
            one.is_paused(now_s)
            or one.is_closing
            or one.transport.get_write_buffer_size() < self._backlog_bytes
            for one in self.connections.values()
        )

    def _send(self, now_s: float) -> None:
        for channel, frames, count in self._organisation.activity.take():
            connection = self.connections.get(channel)
            if connection is not None:
                if self.vary is not None:
                    frames = self.vary(frames, now_s)  # noqa: PLW2901 - the same, otherwise
                connection.write(frames, now_s)
                self.sent.events += count
                self.sent.bytes += len(frames)

    def _send_broken(self, connection: ChannelConnection, now_s: float) -> None:
        """Frame faults are made of a healthy event, which is sent whole before them."""
        heard = self._audience.get(connection.channel)
        topic = (heard[2][0] & (ACTIVITY | ROUTING_STATUS)) if heard and heard[1] else 0
        if heard is None or not topic:
            return
        topic = ACTIVITY if topic & ACTIVITY else ROUTING_STATUS
        event = self._organisation.activity.frame(heard[1][0], topic)
        connection.write(event, now_s)
        self.sent.events += 1
        for kind in connection.broken:
            connection.write(broken_frame(kind, event), now_s)
            self.sent.broken += 1
            self._note("broken", kind, connection)
        connection.broken.clear()

    def _has_room(self, connection: ChannelConnection, now_s: float) -> bool:
        """Cuts a socket that takes nothing for too long, or has too much waiting."""
        backlog = connection.transport.get_write_buffer_size()
        if backlog < connection.backlog or backlog < self._backlog_bytes:
            connection.progress_s = now_s
        connection.backlog = backlog
        is_stuck = now_s - connection.progress_s > self._slow_after_s
        if is_stuck or backlog + connection.held_bytes > WAITING_BYTES_MAX:
            self.slow_cut += 1
            self._note("fault", "slow", connection)
            connection.is_closing, connection.reason = True, "slow"
            connection.transport.abort()
        return backlog < self._backlog_bytes

    def _note(self, kind: str, what: str, connection: ChannelConnection) -> None:
        self._ledger.write(kind, what=what, socket=connection.serial, at_us=now_us())
