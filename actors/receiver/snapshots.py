"""Owns how snapshots are asked for: each OAuth client takes call after call from the desk, as its
budget has room, and what is answered goes into the rings.

It decides neither whom to ask for nor how (`snapshot_scheduler`). A call that fails is told to the
scheduler and repeated after a while; snapshots never give up, only whoever wanted them may stop
them. Of an answer that leaves parts out (protocol.md §4, R3) what is there goes into the rings.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from actors.genesys.channel_plan import Slot
from actors.genesys.cloud import normal_name, snapshot_frame
from actors.genesys.cloud_answers import Entity
from actors.genesys.cloud_errors import (
    CloudError,
    FailedError,
    ForbiddenError,
    NotFoundError,
    OddAnswerError,
    RefusedError,
)
from actors.genesys.cloud_rest import SNAPSHOT_PARTS, CloudRest
from actors.genesys.pacer import STEP_MOST_S, Pacer
from actors.genesys.retry_after import wait_s
from actors.messages.control import session_flags
from actors.receiver import channel_signals as signals
from actors.receiver.channel_line import ChannelPolicy
from actors.receiver.channel_session import EPOCH
from actors.receiver.ring_writer import RingWriter
from actors.receiver.snapshot_scheduler import PARTS, Call, Part, SnapshotScheduler
from actors.receiver.task_group import TaskGroup
from runtime.clock import Clock
from runtime.counters import Counters
from runtime.crash_point import crash_point

CALLS_AT_ONCE: Final = 4  # of one client
CALLS_IN_ALL: Final = 12
"""Of all clients: more of them are not read sooner, but may outlast their time limit."""
SPARE: Final = 0.1
"""Of a client's share, left to channels: without one there is nothing to take a snapshot of."""
_SNAPSHOT_FIELDS: Final = ("id", *SNAPSHOT_PARTS)  # names and addresses are nobody's business here

UNTOLD_NAMED_MAX: Final = 5
OFF_QUEUE: Final = "OFF_QUEUE"  # a routing status
ON_QUEUE: Final = "ON_QUEUE"  # a presence

Tell = Callable[[Slot, signals.Signal], None]


@dataclass(slots=True, eq=False)
class _Hand:
    """What asks in the name of one client."""

    client: int
    rest: CloudRest
    pacer: Pacer
    is_wanted: asyncio.Event = field(default_factory=asyncio.Event)
    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CALLS_AT_ONCE))
    failures: int = 0  # in a row
    retry_at_s: float = float("-inf")
    alarm: asyncio.TimerHandle | None = None  # when somebody is to be asked for again


class Snapshots:
    """For one event loop and all OAuth clients of it. `tell` takes the signals, at once."""

    def __init__(
        self,
        *,
        tasks: TaskGroup,
        ring_writer: RingWriter,
        clock: Clock,
        rng: random.Random,
        policy: ChannelPolicy,
        tell: Tell,
        counters: Counters,
        log: Any,
    ) -> None:
        self.scheduler = SnapshotScheduler()
        self._counters = counters
        self._has_told_untold = False
        self._presences: dict[str, str] = {}  # of those whose routing status is asked for
        self._tasks = tasks
        self._ring_writer = ring_writer
        self._clock = clock
        self._rng = rng
        self._policy = policy
        self._tell = tell
        self._log = log
        self._hands: list[_Hand] = []
        self._free = asyncio.Semaphore(CALLS_IN_ALL)

    def serve(self, client: int, rest: CloudRest, pacer: Pacer) -> None:
        """One more client, from now on."""
        hand = _Hand(client, rest, pacer)
        self._hands.append(hand)
        self._tasks.spawn(self._work(hand))

    def want(self, slot: Slot, session: int, users: Iterable[str]) -> None:
        self.scheduler.want(slot, session, users)
        self._wake()

    def stop(self, slot: Slot) -> None:
        self.scheduler.stop(slot)

    def _wake(self) -> None:
        for hand in self._hands:
            hand.is_wanted.set()

    async def _work(self, hand: _Hand) -> None:
        """For ever. What to ask is decided as late as can be: more may be wanted by then."""
        while True:
            await hand.is_wanted.wait()
            await hand.free.acquire()
            await self._rest_of(hand)
            await hand.pacer.room(SPARE)
            await self._free.acquire()
            call = self.scheduler.next_call(hand.client, self._clock.now_s())
            if call is None:
                hand.is_wanted.clear()
                hand.free.release()
                self._free.release()
                self._set_alarm(hand)
            else:
                self._tasks.spawn(self._ask(hand, call))

    async def _rest_of(self, hand: _Hand) -> None:
        """In steps: a suspended machine must not oversleep by as long as it slept."""
        while (left_s := hand.retry_at_s - self._clock.now_s()) > 0:
            await asyncio.sleep(min(left_s, STEP_MOST_S))

    def _set_alarm(self, hand: _Hand) -> None:
        """In steps: a suspended machine must not oversleep by as long as it slept."""
        if hand.alarm is not None:
            hand.alarm.cancel()
            hand.alarm = None
        left_s = self.scheduler.due_s(hand.client) - self._clock.now_s()
        if left_s < float("inf"):
            loop = asyncio.get_running_loop()
            hand.alarm = loop.call_later(min(max(left_s, 0.0), STEP_MOST_S), hand.is_wanted.set)

    async def _ask(self, hand: _Hand, call: Call) -> None:
        try:
            if call.part is not None:
                found, pages = await self._part(hand, call.part, call.ids), 0
            elif call.page is not None:
                page = await hand.rest.user_page(call.page, SNAPSHOT_PARTS)
                found, pages = page.entities, page.pages
            else:
                found, pages = await hand.rest.users_by_id(call.ids, SNAPSHOT_PARTS), 0
        except CloudError as error:
            self._failed(hand, call, error)
        else:
            hand.failures = 0
            self._answered(call, found, pages)
        finally:
            hand.free.release()
            self._free.release()
            self._wake()

    async def _part(self, hand: _Hand, part: Part, ids: tuple[str, ...]) -> list[Entity]:
        """That part of these users, each as an entity of its own. A call that is refused, or fails
        for these users, tells of nobody: others must not wait for it."""
        try:
            if part == "presence":
                told = await hand.rest.presences_of(ids)
            else:
                told = {ids[0]: await hand.rest.routing_status_of(ids[0])}
            return [{"id": user, part: v} for user, v in told.items() if _is_told(part, v)]
        except NotFoundError:
            # No contact is routed to them. Of somebody who is not on queue that says it all.
            if part == "routingStatus" and self._presences.get(ids[0], ON_QUEUE) != ON_QUEUE:
                return [{"id": ids[0], part: {"status": OFF_QUEUE}}]
            return []
        except (RefusedError, ForbiddenError, FailedError, OddAnswerError) as error:
            self._log.debug("snapshot.part_failed", client=hand.client, reason=str(error))
            return []

    def _answered(self, call: Call, found: Iterable[Entity], pages: int) -> None:
        """Whoever is active is in the rings before their slot hears of it."""
        by_id: dict[str, Entity] = {user["id"]: user for user in found}
        lacking = lacking_parts(by_id) if call.part is None else None
        now_s = self._clock.now_s()
        told = self.scheduler.answered(call, by_id, pages, lacking=lacking, now_s=now_s)
        for slot, session, users, partly in told:
            flags = session_flags(session)
            self._note_presences(by_id, users, partly)
            for user_id in (*users, *partly):
                if (user := by_id.get(user_id)) is not None:
                    self._ring_writer.event(user_id.encode(), _frame(user), EPOCH, 0, flags)
            crash_point("after-snapshot-staged")
            if users:
                self._tell(slot, signals.Named(session, users))
            elif partly:
                self._ring_writer.publish()
        self._show_untold()

    def _note_presences(
        self, by_id: Mapping[str, Entity], over: Iterable[str], partly: Iterable[str]
    ) -> None:
        """Of those who are asked for again: a missing routing status may follow from it."""
        if self._presences:
            for user_id in over:
                self._presences.pop(user_id, None)
        for user_id in partly:
            user = by_id.get(user_id, {})
            if _is_told("presence", user.get("presence")):
                system = user["presence"]["presenceDefinition"]["systemPresence"]
                self._presences[user_id] = normal_name(system)

    def _show_untold(self) -> None:
        """One line when it begins, not one an agent."""
        untold, self.scheduler.untold = self.scheduler.untold, []
        if not untold:
            return
        self._counters.add("parts_untold", len(untold))
        if not self._has_told_untold:
            self._has_told_untold = True
            users = sorted({each.user for each in untold})[:UNTOLD_NAMED_MAX]
            parts = sorted({each.part for each in untold})
            self._log.warning("snapshot.parts_missing", parts=parts, users=users)

    def _failed(self, hand: _Hand, call: Call, error: CloudError) -> None:
        """Of calls that fail together only the first one makes the next wait longer."""
        self.scheduler.failed(call)
        now_s, left_s = self._clock.now_s(), error.retry_after_s or 0.0
        if now_s >= hand.retry_at_s:
            policy = self._policy
            first_s, most_s = policy.backoff_first_s, policy.backoff_most_s
            left_s = wait_s(hand.failures, self._rng, left_s, first_s=first_s, most_s=most_s)
            hand.failures += 1
        hand.retry_at_s = max(hand.retry_at_s, now_s + left_s)
        told = {"client": hand.client, "reason": str(error), "wait_s": round(left_s, 3)}
        self._log.warning("snapshot.failed", **told)


def _frame(user: Entity) -> bytes:
    return snapshot_frame({name: user[name] for name in _SNAPSHOT_FIELDS if name in user})


def lacking_parts(users: Mapping[str, Entity]) -> dict[str, Collection[Part]]:
    """Which parts of whom an answer leaves out (protocol.md §4, R3)."""
    lacking: dict[str, Collection[Part]] = {}
    for user_id, user in users.items():
        missing = [part for part in PARTS if not _is_told(part, user.get(part))]
        if missing:
            lacking[user_id] = missing
    return lacking


def _is_told(part: Part, value: object) -> bool:
    """As far as a shard could make something of it."""
    if not isinstance(value, dict):
        return False
    if part == "routingStatus":
        return isinstance(value.get("status"), str) and value["status"] != ""
    definition = value.get("presenceDefinition")
    if not isinstance(definition, dict):
        return False
    return isinstance(definition.get("systemPresence"), str) and definition["systemPresence"] != ""
