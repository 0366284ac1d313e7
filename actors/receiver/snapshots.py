"""Owns how snapshots are asked for: each OAuth client takes call after call from the desk, as its
budget has room, and what is answered goes into the rings.

It decides neither whom to ask for nor how (`snapshot_desk`). A call that fails is told to the desk
and repeated after a while; snapshots never give up, only whoever wanted them may stop them.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from actors.genesys.channel_plan import Slot
from actors.genesys.cloud import snapshot_topic
from actors.genesys.cloud_answers import Entity
from actors.genesys.cloud_errors import CloudError
from actors.genesys.cloud_rest import SNAPSHOT_PARTS, CloudRest
from actors.genesys.pacer import STEP_MOST_S, Pacer
from actors.genesys.retry_after import wait_s
from actors.messages.control import session_flags
from actors.receiver import channel_signals as signals
from actors.receiver.channel_line import ChannelPolicy
from actors.receiver.channel_session import EPOCH
from actors.receiver.ring_writer import RingWriter
from actors.receiver.snapshot_scheduler import Call, SnapshotScheduler
from actors.receiver.task_group import TaskGroup
from runtime.clock import Clock
from runtime.crash_point import crash_point

CALLS_AT_ONCE: Final = 4  # of one client
SPARE: Final = 0.1
"""Of a client's share, left to channels: without one there is nothing to take a snapshot of."""
_SNAPSHOT_FIELDS: Final = ("id", *SNAPSHOT_PARTS)  # names and addresses are nobody's business here

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
        log: Any,
    ) -> None:
        self.scheduler = SnapshotScheduler()
        self._tasks = tasks
        self._ring_writer = ring_writer
        self._clock = clock
        self._rng = rng
        self._policy = policy
        self._tell = tell
        self._log = log
        self._hands: list[_Hand] = []

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
            call = self.scheduler.next_call(hand.client)
            if call is None:
                hand.is_wanted.clear()
                hand.free.release()
            else:
                self._tasks.spawn(self._ask(hand, call))

    async def _rest_of(self, hand: _Hand) -> None:
        """In steps: a suspended machine must not oversleep by as long as it slept."""
        while (left_s := hand.retry_at_s - self._clock.now_s()) > 0:
            await asyncio.sleep(min(left_s, STEP_MOST_S))

    async def _ask(self, hand: _Hand, call: Call) -> None:
        try:
            if call.page is not None:
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
            self._wake()

    def _answered(self, call: Call, found: Iterable[Entity], pages: int) -> None:
        """Whoever is active is in the rings before their slot hears of it."""
        by_id: dict[str, Entity] = {user["id"]: user for user in found}
        for slot, session, users in self.scheduler.answered(call, by_id, pages):
            flags = session_flags(session)
            for user_id in users:
                if (user := by_id.get(user_id)) is not None:
                    self._ring_writer.event(user_id.encode(), _frame(user), EPOCH, 0, flags)
            crash_point("after-snapshot-staged")
            self._tell(slot, signals.Named(session, users))

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
    body = {name: user[name] for name in _SNAPSHOT_FIELDS if name in user}
    topic = snapshot_topic(user["id"])
    return orjson.dumps({"topicName": topic, "version": "2", "eventBody": body})
