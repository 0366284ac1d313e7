"""The world of one schedule: gateway, receiver, rings, shards and journals in one thread, under a
manual clock and a seeded scheduler that may let anything happen next.

Knows what can happen and what a death leaves behind; what must come of it is the oracle's.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from actors.receiver.gauges import RECEIVER_WORDS
from actors.receiver.signals import Mark, TokenRenewed
from runtime.block import Block
from runtime.clock import ManualClock
from runtime.counters import Counters
from runtime.doorbell import Doorbell
from runtime.errors import EXIT_TEMPORARY
from runtime.ring import ring_bytes
from tests.simulation import faults
from tests.simulation.death import Death, KilledError
from tests.simulation.gateway import Gateway, Socket
from tests.simulation.journal import Disk
from tests.simulation.mischief import Mischief
from tests.simulation.organisation import Organisation
from tests.simulation.receiver import Log, SimulatedConnection, SimulatedReceiver
from tests.simulation.schedule import FAULTS_MIN, Planned, Schedule
from tests.simulation.shard import Intake, SimulatedShard
from tests.simulation.watch import Watch

SETTLE_STEPS_MAX = 2_000
RETRY_EVENTS = 5


class NeverSettlesError(AssertionError):
    """Faults have stopped, and still the last events do not arrive."""


def silent(_event: str, _fields: dict[str, object]) -> None:
    """Nobody reads it."""


class World:
    def __init__(self, schedule: Schedule, *, log: Log = silent) -> None:
        self.schedule = schedule
        self.log = log
        self.rng = random.Random(f"play {schedule.seed}")
        self.clock = ManualClock(1000.0)
        self.death = Death()
        self.crashes: Counter[str] = Counter()
        self.watch = Watch()
        organisation = Organisation(
            self.rng,
            agents=schedule.agents,
            epoch=schedule.epoch,
            now_us=self.clock.wall_us(),
            is_coarse=schedule.is_coarse,
        )
        self.gateway = Gateway(self.rng, organisation, schedule.habits)
        self.mischief = Mischief(self)
        self.disks = [Disk() for _ in range(schedule.shards)]
        self.intakes = [Intake() for _ in range(schedule.shards)]
        self._plan = list(schedule.plan)
        self._run = 0
        self._read_most, self._batch_most = schedule.read_most, schedule.batch_most
        self._before_settling: frozenset[Socket] = frozenset()
        self.start_runtime()

    # The runtime and its children

    def start_runtime(self) -> None:
        """New rings, pages and children on the journals that there are."""
        schedule = self.schedule
        self._run += 1
        self.receiver: SimulatedReceiver | None = None
        self.receiver_stopped_until_s = 0.0
        self._receiver_at_s = 0.0
        self._generations: Counter[str] = Counter()
        self.doorbell = Doorbell.create("receiver")
        self.page = Counters.create("receiver", RECEIVER_WORDS)
        size = ring_bytes(schedule.ring_capacity)
        self.rings = [Block.create(f"ring {i}", size) for i in range(schedule.shards)]
        self.shard_pages = [
            dict.fromkeys(("mark_epoch", "mark_sequence", "wants_history", "session"), 0)
            for _ in range(schedule.shards)
        ]
        self._remember_epoch()
        self.gateway.spare_a_start()
        for disk, intake in zip(self.disks, self.intakes, strict=True):
            disk.prepare(f"run {self._run}")
            intake.by_cursor.clear()
        known_epoch = self.page.get("gateway_epoch")
        bearers = [row for disk in self.disks for row in disk.rows if row.cause != "gap"]
        assert all(row.epoch <= known_epoch for row in bearers)
        self.watch.runtime_begins(known_epoch=known_epoch)
        self.shards: list[SimulatedShard | None] = [None] * schedule.shards
        self._shards_stopped_until_s = [0.0] * schedule.shards
        for index in range(schedule.shards):
            self._at_shard(index, lambda shard: None)

    def _remember_epoch(self) -> None:
        """As `actors.app.topology` does."""
        scopes = [s for disk in self.disks for s in disk.progress.sessions.values()]
        if scopes:
            newest = max(scopes, key=lambda scope: int(scope["epoch"]))
            self.page.set("gateway_epoch", newest["epoch"])
            self.page.note = newest["epoch_name"]

    def _revive_shard(self, index: int) -> None:
        self._generations[f"shard {index}"] += 1
        self.log("shard starts", {"shard": index})
        self.shards[index] = SimulatedShard(
            index,
            self.schedule.shards,
            ring=self.rings[index],
            doorbell=self.doorbell,
            disk=self.disks[index],
            run=f"run {self._run}",
            page=self.shard_pages[index],
            generation=self._generations[f"shard {index}"],
            clock=self.clock,
            intake=self.intakes[index],
        )

    def _revive_receiver(self) -> None:
        self._generations["receiver"] += 1
        receiver = SimulatedReceiver(self, self._generations["receiver"], self.rng)
        self.receiver = receiver
        self.at_receiver(receiver.begin)

    def marks(self) -> tuple[Mark, ...]:
        return tuple((page["mark_epoch"], page["mark_sequence"]) for page in self.shard_pages)

    def stop_shard(self, index: int, for_s: float) -> None:
        self._shards_stopped_until_s[index] = self.clock.now_s() + for_s

    # Steps in which somebody may die

    def at_receiver(self, step: Callable[[], None]) -> None:
        receiver = self.receiver
        assert receiver is not None
        try:
            step()
            if self.rng.random() < 0.9:
                receiver.run_soon()
            if receiver.given_up is not None:
                self._drain(receiver)
        except KilledError as killed:
            self._receiver_dies(killed.point)
            return
        if receiver.given_up is not None:
            assert receiver.given_up.exit_code == EXIT_TEMPORARY, receiver.given_up.reason
            self._receiver_dies("", back_after_s=60.0)

    def _receiver_dies(self, point: str, *, back_after_s: float | None = None) -> None:
        assert self.receiver is not None
        self.crashes[point] += bool(point)
        self.log("receiver ends", {"point": point})
        for connection in self.receiver.connections:
            if connection.socket is not None:
                self.gateway.forget(connection.socket)
        self.receiver = None
        away_s = self.rng.uniform(0.0, 3.0) if back_after_s is None else back_after_s
        self._receiver_at_s = self.clock.now_s() + away_s

    def _drain(self, receiver: SimulatedReceiver) -> None:
        """What has no room yet is handed over."""
        receiver.ring_writer.publish()
        while receiver.ring_writer.is_spilling:
            for index in range(len(self.shards)):
                self._at_shard(index, lambda shard: shard.step(512))
            receiver.ring_writer.relieve()

    def _at_shard(self, index: int, step: Callable[[SimulatedShard], None]) -> None:
        shard = self.shards[index]
        try:
            if shard is None:
                self._revive_shard(index)
            else:
                step(shard)
        except KilledError as killed:
            self._shard_dies(index, killed.point)

    def _shard_dies(self, index: int, point: str) -> None:
        self.crashes[point] += 1
        self.log("shard dies", {"shard": index, "point": point})
        self.shards[index] = None

    def kill(self, whom: str) -> None:
        """Between two steps."""
        if whom == "receiver killed" and self.receiver is not None:
            self._receiver_dies(whom)
        elif whom == "shard killed":
            self._shard_dies(self.rng.randrange(len(self.shards)), whom)
        elif whom == "runtime stopped":
            self._stop_runtime()
            self._runtime_ends(whom)
        elif whom == "runtime killed":
            self._runtime_ends(whom)

    def _stop_runtime(self) -> None:
        """Upstream first; each role drained before the next."""
        receiver = self.receiver
        if receiver is not None:
            self.at_receiver(receiver.stop)
            if self.receiver is receiver:
                self.at_receiver(lambda: self._drain(receiver))
        for index, disk in enumerate(self.disks):
            disk.errors.clear()
            while self.shards[index] is None:
                self._at_shard(index, lambda shard: None)
            self._at_shard(index, lambda shard: shard.stop())

    def _runtime_ends(self, point: str) -> None:
        if self.receiver is not None:
            self._receiver_dies("")
        self.crashes[point] += 1
        self.log("runtime ends", {"point": point})
        for disk, intake in zip(self.disks, self.intakes, strict=True):
            for cursor in disk.progress.cursors:
                intake.received = intake.by_cursor.get(cursor, intake.received)
        self.start_runtime()

    # The scheduler

    def play(self) -> None:
        """All events and faults of the schedule, then none any more until all is quiet."""
        while self._plan or len(self.gateway.organisation.events) < self.schedule.events:
            self._befall()
            self.step()
        while self.gateway.done.total() < FAULTS_MIN:  # not every fault meets somebody
            self.mischief.happens(self.rng.choice((*faults.CLOSES, *faults.LINES)))
            for _ in range(20):
                self.step()
        self.settle()
        if self.death.point is not None:  # armed, but nobody has passed there so often
            self.death.point = None
            self.kill(self.rng.choice(faults.ANYWHERE))
            self.settle()

    def _befall(self) -> None:
        """What the schedule has planned for now."""
        happened = len(self.gateway.organisation.events)
        if happened >= self.schedule.events:
            happened = 1 << 30
        while self._plan and self._plan[0].after <= happened:
            planned = self._plan.pop(0)
            if planned.what in faults.CRASHES:
                self._doom(planned)
            elif not self.mischief.happens(planned.what) and happened < 1 << 30:
                self._plan.append(planned._replace(after=happened + RETRY_EVENTS))
                self._plan.sort()
            else:
                self.log("fault", {"what": planned.what})

    def _doom(self, planned: Planned) -> None:
        if planned.what in faults.ANYWHERE:
            self.kill(planned.what)
            return
        is_rare = planned.what not in faults.OFTEN_PASSED
        self.death.arm(planned.what, 1 if is_rare else planned.passages)
        if planned.what in faults.STOP_POINTS:
            self.kill("runtime stopped")
        elif planned.what == "after-load":
            self.kill("shard killed")

    def step(self) -> None:
        """One thing happens, to whoever the chance picks."""
        rng = self.rng
        self.clock.advance(1e-5)
        dice = rng.random()
        if dice < 0.15:
            self._events_happen()
        elif dice < 0.5:
            self.read()
        elif dice < 0.8:
            self.shard_step(rng.randrange(len(self.shards)))
        else:
            self.time_passes(rng.choice((0.01, 0.05, 0.25, 1.0)))

    def _events_happen(self) -> None:
        left = self.schedule.events - len(self.gateway.organisation.events)
        for _ in range(min(left, self.rng.randint(1, 8))):
            self.clock.advance(self.rng.choice((0.0, 0.001, 0.02)))
            self.gateway.happens(self.clock.wall_us())

    def read(self) -> None:
        receiver = self.receiver
        if receiver is None or self._is_receiver_stopped():
            return
        connections = receiver.connections
        if connections:
            self._serve(receiver, self.rng.choice(connections))
            self.mischief.overflows()

    def _serve(self, receiver: SimulatedReceiver, connection: SimulatedConnection) -> None:
        """What is next on one line: its handshake, frames, its end."""
        socket = connection.socket
        if socket is None:
            self.at_receiver(lambda: receiver.handshake(connection))
        elif connection.is_over:
            self.at_receiver(lambda: receiver.lose(connection))
        elif self.clock.now_s() < socket.stalled_until_s:
            return
        elif socket.queue:
            assert connection.transport is not None
            if not connection.transport.is_paused or self.rng.random() < 0.2:
                most = self.rng.randint(1, self._read_most)
                self.at_receiver(lambda: receiver.read(connection, most))
        elif socket.code is not None:
            self.at_receiver(lambda: receiver.lose(connection))

    def _is_receiver_stopped(self) -> bool:
        return self.clock.now_s() < self.receiver_stopped_until_s

    def shard_step(self, index: int) -> None:
        if self.clock.now_s() >= self._shards_stopped_until_s[index]:
            most = self.rng.randint(1, self._batch_most)
            self._at_shard(index, lambda shard: shard.step(most))
            if self.receiver is not None and not self._is_receiver_stopped():
                self.at_receiver(self.receiver.has_room)

    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)
        if self.receiver is None:
            if self.clock.now_s() >= self._receiver_at_s:
                self._revive_receiver()
        elif not self._is_receiver_stopped():
            self.at_receiver(self.receiver.tick)
        index = self.rng.randrange(len(self.shards))
        if self.clock.now_s() >= self._shards_stopped_until_s[index]:
            self._at_shard(index, lambda shard: shard.beat())

    # The end

    def settle(self) -> None:
        """Nothing fails any more, and a last session tells everybody's state."""
        gateway = self.gateway
        for waiting in (gateway.handshakes, gateway.subscriptions, gateway.sessions):
            waiting.clear()
        gateway.habits = self.schedule.calm_habits
        self.mischief.overflow_wanted = False
        self.receiver_stopped_until_s = 0.0
        self._shards_stopped_until_s = [0.0] * len(self.shards)
        for disk in self.disks:
            disk.errors.clear()
        connections = self.receiver.connections if self.receiver is not None else []
        for socket in (*gateway.sockets, *(connection.socket for connection in connections)):
            if socket is not None:
                socket.stalled_until_s = 0.0
        self._before_settling = frozenset(gateway.sockets)  # what they tell may be old by now
        self._read_most, self._batch_most = 64, 512
        for step in range(SETTLE_STEPS_MAX):
            self.clock.advance(1e-5)
            if self.receiver is not None and step % 20 == 0 and not self._is_told_anew():
                self.at_receiver(self._signal_renewal)
            for connection in self.receiver.connections if self.receiver is not None else ():
                self._serve_if_alive(connection)
            for index in range(len(self.shards)):
                self.shard_step(index)
            if self._is_settled():
                return
            self.time_passes(0.01 if self._has_work() else 1.0)
        raise NeverSettlesError(self._standing())

    def _has_work(self) -> bool:
        """Somebody can go on without waiting."""
        return any(shard is None or shard.has_work for shard in self.shards) or (
            self.receiver is not None
            and any(
                connection.socket is None or connection.socket.queue
                for connection in self.receiver.connections
            )
        )

    def _signal_renewal(self) -> None:
        assert self.receiver is not None
        self.receiver.signal(TokenRenewed())

    def _serve_if_alive(self, connection: SimulatedConnection) -> None:
        receiver = self.receiver
        if receiver is not None and connection in receiver.connections:
            self._serve(receiver, connection)

    def _is_told_anew(self) -> bool:
        """The one session that is up was subscribed to when nothing happened any more."""
        sockets = [each.socket for each in self.receiver.connections] if self.receiver else []
        return (
            len(sockets) == 1
            and sockets[0] is not None
            and sockets[0].is_subscribed
            and sockets[0] not in self._before_settling
        )

    def _is_settled(self) -> bool:
        receiver, organisation = self.receiver, self.gateway.organisation
        if receiver is None or not self._is_told_anew() or receiver.ring_writer.is_pressed:
            return False
        machine, connections = receiver.machine, receiver.connections
        if not machine.is_up or machine.has_history or len(connections) != 1:
            return False
        socket = connections[0].socket
        if socket is None or socket.queue or receiver.loop.soon:
            return False
        if any(shard is None or shard.has_work for shard in self.shards):
            return False
        if any(page["wants_history"] for page in self.shard_pages):
            return False
        return all(mark == organisation.newest for _, mark in self.marks())

    def _standing(self) -> str:
        receiver = self.receiver
        return (
            f"marks {self.marks()}, newest {self.gateway.organisation.newest}, pages "
            f"{self.shard_pages}, receiver {receiver and receiver.machine.__dict__}"
        )
