"""Owns the life of a receiver of channels: timers, sockets, the plan; it carries out what the
machines of the slots want.

It decides nothing: what happens becomes a signal for the machine of a slot, what that answers is
done here, in order, before the next signal. All of it runs on one uvloop, in one thread.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack

import structlog

from actors.genesys.channel_plan import ChannelPlan, Slot, unused_slots
from actors.genesys.cloud_rest import CloudRest
from actors.genesys.http import Route, http_client, reach
from actors.genesys.pacer import kept_pacer, lent
from actors.genesys.rate_budget import shares
from actors.genesys.tokens import TokenProvider
from actors.messages.control import (
    Gap,
    HistoryEnds,
    SessionBegins,
    SessionEnds,
    Vacates,
    encode_control,
)
from actors.messages.doubts import DOUBT_WORDS, decode_doubt
from actors.planner.store import Roster
from actors.receiver import channel_signals as signals
from actors.receiver.channel import ChannelMachine
from actors.receiver.channel_line import ChannelPolicy
from actors.receiver.channel_session import EPOCH
from actors.receiver.channel_signals import Numbers
from actors.receiver.channel_socket import ChannelSocket
from actors.receiver.channel_store import ChannelStore
from actors.receiver.cloud_arguments import (
    CLOUD_RECEIVER_WORDS,
    CloudReceiverArguments,
    budget_words,
)
from actors.receiver.cloud_arguments import (
    CloudClientArguments as ClientArguments,
)
from actors.receiver.cloud_client import CloudClient
from actors.receiver.cloud_gauges import CloudGauges
from actors.receiver.connection import ConnectionCounts
from actors.receiver.gauges import PressureLines
from actors.receiver.plan_reader import PlanReader
from actors.receiver.ring_writer import RingWriter
from actors.receiver.signals import (
    Abort,
    Close,
    HistoryWanted,
    Number,
    Ping,
    Refused,
    StopAsked,
    Tell,
    Write,
)
from actors.receiver.snapshots import Snapshots
from actors.receiver.task_group import STAGED_POINTS, TICK_S, TaskGroup
from actors.storage.disk_wait import DiskWait
from runtime import loop_child
from runtime.child import Child
from runtime.clock import Clock, SystemClock
from runtime.counters import Counters
from runtime.crash_point import crash_point
from runtime.ring import Producer

__all__ = ["CLOUD_RECEIVER_WORDS", "CloudReceiverArguments", "run"]

NOTICES_MAX = 100  # that are told of, by name

_COUNTED = {HistoryEnds: "snapshots", Gap: "gaps", SessionBegins: "sessions_begun"}
_COUNTED_EVENTS = {"channel.rotated": "rotations", "channel.retry": "reconnects"}


def run(child: Child, arguments: CloudReceiverArguments) -> None:
    """The entry of the child. Raises ConfigurationError when the gateway refuses who we are (exit
    78). It never gives up otherwise."""
    loop_child.run(live(child, arguments, SystemClock()))


async def live(
    child: Child,
    arguments: CloudReceiverArguments,
    clock: Clock,
    policy: ChannelPolicy | None = None,
) -> None:
    """One life, from the file to the last record."""
    log = structlog.get_logger("actors.receiver")
    disk = DiskWait(child, log, arguments.path)
    async with AsyncExitStack() as stack:
        store = disk.until_done(lambda: ChannelStore(arguments.path, arguments.run))
        stack.callback(store.close)
        receiver = CloudReceiver(child, arguments, store, clock=clock, policy=policy)
        for place, client in enumerate(arguments.clients):
            await receiver.serve(place, client, stack)
        await receiver.live()


class CloudReceiver:
    """One life."""

    _gauges: CloudGauges

    def __init__(
        self,
        child: Child,
        arguments: CloudReceiverArguments,
        store: ChannelStore,
        *,
        clock: Clock,
        policy: ChannelPolicy | None = None,
    ) -> None:
        self._child = child
        self._arguments = arguments
        self._store = store
        self._clock = clock
        self._log = structlog.get_logger("actors.receiver")
        self._loop = asyncio.get_running_loop()
        self._tasks = TaskGroup(child, clock, self._log)
        counters = self._counters = child.counters
        self._rng = random.Random()  # noqa: S311 - jitter
        self._policy = policy or ChannelPolicy(
            rotate_after_s=arguments.rotate_after_s, backoff_most_s=arguments.backoff_most_s
        )
        producers = [
            Producer(ring, generation=child.generation, doorbell=doorbell)
            for ring, doorbell in zip(arguments.rings, arguments.shard_doorbells, strict=True)
        ]
        self._ring_writer = RingWriter(
            producers, counters, self._loop.call_soon, self._on_pressure, self._on_overflow
        )
        self._numbers = Numbers(session=counters.get("session"))
        self._is_known = counters.get("session") > 0
        self._tally = ConnectionCounts()
        self._clients: dict[int, CloudClient] = {}
        self._snapshots = Snapshots(
            tasks=self._tasks,
            ring_writer=self._ring_writer,
            clock=clock,
            rng=self._rng,
            policy=self._policy,
            tell=self._signal,
            counters=counters,
            log=self._log,
        )
        self._routes: dict[int, Route] = {}
        self._tokens: list[TokenProvider] = []
        self._machines: dict[Slot, ChannelMachine] = {}
        self._sockets: dict[int, ChannelSocket] = {}
        self._plan: ChannelPlan | None = None
        self._plans = PlanReader(
            arguments.roster_path,
            arguments.planner_counters,
            tasks=self._tasks,
            clock=clock,
            follow=self._apply,
            log=self._log,
        )
        self._histories_wanted: set[tuple[int, int]] = set()  # by shard and its generation
        self._noticed: set[str] = set()
        self._roster_reads = arguments.planner_counters.get("roster_reads")
        self._pressure = PressureLines(counters, self._log)
        self._timer: asyncio.TimerHandle | None = None

    async def serve(self, place: int, client: ClientArguments, stack: AsyncExitStack) -> None:
        """One more OAuth client, before `live`; `place`: among the budgets on the page."""
        counters, address = self._counters, client.address
        route = reach(address)
        http = await stack.enter_async_context(http_client(route))
        tokens = TokenProvider(
            address,
            (),
            http,
            clock=self._clock,
            rng=self._rng,
            in_service=self._is_known or counters.get("token_refreshes") > 0,
        )
        stack.push_async_callback(tokens.close)
        self._tokens.append(tokens)
        total = self._arguments.requests_per_minute
        words = budget_words(place)
        most = lent(shares(total).receiver, total, self._clock, client.planner, client.sender)
        pacer = kept_pacer(counters, shares(total).receiver, total, self._clock, words, most=most)
        rest = CloudRest(address, tokens, http, pacer, clock=self._clock)
        self._routes[client.number] = route
        self._snapshots.serve(client.number, rest, pacer)
        self._clients[client.number] = CloudClient(
            client.number,
            rest,
            tokens,
            self._store,
            hopeless_retry_s=self._policy.hopeless_retry_s,
            tasks=self._tasks,
            counters=counters,
            topics=self._arguments.topics,
            clock=self._clock,
            tell=self._signal,
            log=self._log,
        )

    # Life

    async def live(self) -> None:
        """Until we are stopped."""
        self._loop.add_reader(self._arguments.own_doorbell.fileno(), self._on_rung)
        self._child.set_phase(Counters.LOADED)
        self._counters.set("exhausted", 0)
        self._gauges = CloudGauges(
            self._counters,
            clients=list(self._clients.values()),
            scheduler=self._snapshots.scheduler,
            tokens=self._tokens,
            tally=self._tally,
            log=self._log,
        )
        self._show()  # nothing of our predecessor's is true any more
        now_us = self._clock.wall_us()
        heard_us = min(self._counters.get("heard_us") or now_us, now_us)
        for number, client in self._clients.items():
            ends = SessionEnds(0, f"c{number}", "the receiver starts", heard_us)
            self._ring_writer.control(encode_control(ends), EPOCH)
            self._tasks.spawn(client.count_foreign())
        self._ring_writer.publish()
        self._child.set_phase(Counters.RUNNING)
        self._tick()
        loop_child.on_stop(self._child, self._stop)
        loop_child.on_reload(self._child, self._renew_soon)
        await self._tasks.over.wait()
        self._child.set_phase(Counters.DRAINING)
        await self._drain()
        if self._tasks.failure is not None:
            raise self._tasks.failure

    async def _drain(self) -> None:
        await self._tasks.drain(self._ring_writer)
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self._arguments.own_doorbell.fileno())
        await self._tasks.end_tasks()
        self._show()
        self._ring_writer.publish()

    def _renew_soon(self) -> None:
        for tokens in self._tokens:
            tokens.renew_soon()

    def _stop(self) -> None:
        if not self._tasks.over.is_set():
            self._log.info("receiver.stops")
            self._signal_all(StopAsked())
            self._tasks.over.set()

    # The plan

    def _apply(self, roster: Roster) -> None:
        """Each slot hears who belongs to it now; one that does not change does nothing."""
        before = self._plan.slots if self._plan is not None else {}
        places = roster.plan.places()
        ours = {slot for slot in roster.plan.slots if slot.client in self._clients}
        if self._plan is None:
            for slot in unused_slots(self._clients, ours):  # it may have vanished before we lived
                vacates = Vacates(slot.scope, self._clock.wall_us())
                self._ring_writer.control(encode_control(vacates), EPOCH)
            self._make_machines(ours)
        self._plan = roster.plan
        for slot in sorted(ours | self._machines.keys()):
            users, held = roster.plan.slots.get(slot, frozenset()), before.get(slot, frozenset())
            if users != held:
                moved = frozenset(user for user in held - users if user in places)
                if slot not in self._machines:
                    self._make_machine(slot, is_known=False)
                self._signal(slot, signals.Planned(users, moved))
        self._snapshots.scheduler.watch(frozenset(user for user in places if places[user] in ours))
        self._counters.set("plan_version", roster.version)
        self._log.info("plan.applied", version=roster.version, channels=len(ours))
        crash_point("after-plan-applied")

    def _make_machines(self, slots: set[Slot]) -> None:
        """With the channels of our predecessor, as far as they are still planned."""
        for slot in sorted(slots):
            self._make_machine(slot, is_known=self._is_known)
        now_s, now_us = self._clock.now_s(), self._clock.wall_us()
        taken = set()
        for client in self._clients.values():
            for record in client.found():
                slot = record.slot
                if slot not in slots or slot in taken or client.leads_elsewhere(record):
                    client.discard(record)
                    continue
                taken.add(slot)
                age_s = max(now_us - record.created_us, 0) / 1e6
                left_s = None
                if record.expires_us is not None:
                    left_s = (record.expires_us - now_us) / 1e6
                client.reuse(self._machines[slot].adopt(age_s, left_s, now_s), record)

    def _make_machine(self, slot: Slot, *, is_known: bool) -> None:
        self._machines[slot] = ChannelMachine(
            slot, self._policy, self._rng, self._numbers, is_known=is_known
        )

    # Signals in, actions out

    def _signal_all(self, signal: signals.Signal) -> None:
        for slot in list(self._machines):
            self._signal(slot, signal)

    def _signal(self, slot: Slot, signal: signals.Signal) -> None:
        if isinstance(signal, Refused):
            self._counters.add("handshake_refusals")
        machine = self._machines[slot]
        actions = machine.handle(signal, self._clock.now_s(), self._clock.wall_us())
        for action in actions:
            self._carry_out(slot, action)
        if actions:
            self._ring_writer.publish()

    def _carry_out(self, slot: Slot, action: signals.Action) -> None:
        match action:
            case Write(record=record):
                self._ring_writer.control(encode_control(record), EPOCH)
                self._count(_COUNTED.get(type(record)))
                crash_point(STAGED_POINTS[type(record)])
            case signals.WriteOf(record=record):
                self._ring_writer.control_of(record.user_id.encode(), encode_control(record), EPOCH)
            case Number(session=session):
                self._counters.set("session", session)
                crash_point("after-session-number")
            case signals.Connect(line=line, channel=channel):
                self._connect(slot, line, channel)
            case signals.Stream(line=line, session=session):
                self._sockets[line].stream(session)
                crash_point("after-stream")
            case signals.Snapshot(session=session, users=users):
                self._snapshots.want(slot, session, users)
            case signals.StopSnapshot():
                self._snapshots.stop(slot)
            case Ping() | Close() | Abort():
                if (socket := self._sockets.get(action.line)) is not None:  # it may just have ended
                    socket.carry_out(action)
            case Tell(event=event, fields=fields, level=level):
                self._count(_COUNTED_EVENTS.get(event))
                getattr(self._log, level)(event, **dict(fields))
            case _:
                self._clients[slot.client].carry_out(slot, action)

    def _count(self, word: str | None) -> None:
        if word is not None:
            self._counters.add(word)

    def _connect(self, slot: Slot, line: int, channel: int) -> None:
        socket = ChannelSocket(
            line,
            self._clients[slot.client].connect_uri(channel),
            route=self._routes[slot.client],
            ring_writer=self._ring_writer,
            tally=self._tally,
            tell=lambda signal: self._signal(slot, signal),
            notice=self._on_notice,
        )
        self._sockets[line] = socket

        async def live() -> None:
            end = await socket.live()
            del self._sockets[line]
            self._signal(slot, end)

        self._tasks.spawn(live(), f"line {line}")

    def _on_notice(self, name: str) -> None:
        """One line for each, however often it is said."""
        if name not in self._noticed and len(self._noticed) < NOTICES_MAX:
            self._noticed.add(name)
            self._log.info("channel.notice", notice=name)

    # What the shards say

    def _on_rung(self) -> None:
        """By a shard that has made room, or by the planner."""
        self._arguments.own_doorbell.cancel()
        self._ring_writer.relieve()
        self._plans.read_if_new()

    def _on_pressure(self, is_on: bool) -> None:
        for socket in self._sockets.values():
            if is_on:
                socket.pause()
            else:
                socket.resume()
        self._pressure.show(is_on, self._clock.now_s())

    def _on_overflow(self) -> None:
        self._loop.call_soon(self._overflowed)

    def _overflowed(self) -> None:
        dropped = self._ring_writer.drop_spill(0)
        self._log.warning("spill.dropped", records=dropped)
        self._signal_all(signals.Overflowed())

    def _give_histories(self) -> None:
        """A shard that knows nothing any more is given all sessions anew, once in each of its
        lives: scopes that are not up get theirs anyway."""
        for number, page in enumerate(self._arguments.shard_counters):
            life = number, page.get("generation")
            if page.get("wants_history") and life not in self._histories_wanted:
                self._histories_wanted.add(life)
                self._log.warning("history.requested", shard=number)
                self._signal_all(HistoryWanted())

    def _note_roster(self) -> None:
        """Whoever is invalid may exist by now."""
        reads = self._arguments.planner_counters.get("roster_reads")
        if reads != self._roster_reads:
            self._roster_reads = reads
            self._signal_all(signals.RosterRead())

    def _doubt(self) -> None:
        """Sessions that did not bring what the roster shows."""
        for page in self._arguments.shard_counters:
            for word in DOUBT_WORDS:
                doubt = decode_doubt(page.get(word))
                if doubt is not None:
                    slot = Slot(doubt.client, doubt.slot)
                    if slot in self._machines:
                        self._signal(slot, signals.Doubted(doubt.session))

    # Time

    def _tick(self) -> None:
        if self._tasks.over.is_set():
            return
        self._ring_writer.relieve()
        self._plans.read_if_new()
        self._give_histories()
        self._note_roster()
        self._doubt()
        frames = {line: socket.frames for line, socket in self._sockets.items()}
        self._signal_all(signals.Tick(frames, is_reading=not self._ring_writer.is_pressed))
        self._rotate()
        self._show()
        self._child.beat()
        if self._ring_writer.failure is not None:
            self._tasks.fail(self._ring_writer.failure)
            return
        self._timer = self._loop.call_later(TICK_S, self._tick)

    def _rotate(self) -> None:
        """One channel of a client at a time: two are all that it has to spare."""
        now_s = self._clock.now_s()
        for number in self._clients:
            machines = [each for slot, each in self._machines.items() if slot.client == number]
            due = next((each for each in machines if each.wants_rotation(now_s)), None)
            if due is not None and not any(each.is_rotating for each in machines):
                self._signal(due.slot, signals.RotateAsked())

    def _show(self) -> None:
        self._gauges.show(self._machines.values(), self._clock.wall_us())
