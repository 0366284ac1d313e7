"""Owns what a receiver does in the name of one OAuth client with channels: make, subscribe, let go.

It decides nothing: what a call has come to becomes a signal for the machine that wanted it. It
knows no socket. A channel is recorded before anybody learns of it (trap 29).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any, Final

from actors.genesys.channel_plan import Slot
from actors.genesys.cloud import TopicsSetting, subscribed_topic, subscribed_user
from actors.genesys.cloud_answers import Subscriptions
from actors.genesys.cloud_errors import CloudError, NotFoundError
from actors.genesys.cloud_rest import CloudRest
from actors.genesys.secret import Secret
from actors.receiver import channel_signals as signals
from actors.receiver.channel_store import ChannelRecord, ChannelStore
from actors.receiver.task_group import TaskGroup
from actors.storage.sqlite import TRANSIENT_ERRORS
from runtime.clock import Clock
from runtime.counters import Counters
from runtime.crash_point import crash_point
from runtime.errors import TemporaryError

DISK_RETRY_S: Final = 1.0
FOREIGN_EVERY_S: Final = 3_600.0
FOREIGN_NAMED_MAX: Final = 20

Tell = Callable[[Slot, signals.Signal], None]


class CloudClient:
    """For one event loop. `tell` takes the signals for the machine of a slot, at once."""

    def __init__(
        self,
        number: int,
        rest: CloudRest,
        store: ChannelStore,
        *,
        tasks: TaskGroup,
        counters: Counters,
        topics: TopicsSetting,
        clock: Clock,
        tell: Tell,
        log: Any,
    ) -> None:
        self.number = number
        self.rest = rest
        self.foreign = 0
        self._store = store
        self._tasks = tasks
        self._counters = counters
        self._topics = topics
        self._clock = clock
        self._tell = tell
        self._log = log.bind(client=number)
        self._records: dict[int, ChannelRecord] = {}  # by the machines' numbers
        self._creating = asyncio.Lock()

    # Whose channels are ours

    def found(self) -> list[ChannelRecord]:
        """What a predecessor has recorded, the youngest first."""
        return [each for each in self._store.channels() if each.slot.client == self.number]

    def leads_elsewhere(self, record: ChannelRecord) -> bool:
        """A file may be older than the settings: where its sockets went is judged anew."""
        return bool(self.rest.distrust(record.connect_uri))

    def reuse(self, channel: int, record: ChannelRecord) -> None:
        self._records[channel] = record
        self._counters.add("channels_reused")

    def discard(self, record: ChannelRecord) -> None:
        """One of a predecessor's that nobody needs."""
        self._tasks.spawn(self._let_go(record))

    def connect_uri(self, channel: int) -> Secret:
        return self._records[channel].connect_uri

    async def count_foreign(self) -> None:
        """Channels of this client that others have made: they are never touched."""
        while True:
            try:
                theirs = await self._foreign()
            except CloudError as error:
                self._log.warning("channels.not_listed", cause=str(error))
            else:
                count, named = theirs
                if count and count != self.foreign:
                    shown = named[:FOREIGN_NAMED_MAX]
                    self._log.warning("channels.foreign", channels=count, named=shown)
                self.foreign = count
            await self._sleep(FOREIGN_EVERY_S)

    async def _foreign(self) -> tuple[int, list[str]]:
        """How many, and their names: an id would be a key, so it is a part of its digest. Those of
        other tokens bear none, and ours of a token before this one are among them."""
        listing = await self.rest.channels()
        ours = {
            each.id.reveal() for each in self._store.channels() if each.slot.client == self.number
        }
        ids = {each.id.reveal() for each in listing.own}
        theirs = ids - ours
        hidden = max(listing.others - len(ours - ids), 0)
        named = sorted(hashlib.sha256(each.encode()).hexdigest()[:8] for each in theirs)
        return len(theirs) + hidden, named

    # What the machines want

    def carry_out(self, slot: Slot, action: signals.Action) -> None:
        match action:
            case signals.Create(channel=channel):
                self._tasks.spawn(self._create(slot, channel))
            case signals.Subscribe(channel=channel, users=users):
                self._tasks.spawn(self._subscribe(slot, channel, self._records[channel], users))
            case signals.LetGo(channel=channel):
                if (record := self._records.pop(channel, None)) is not None:
                    self._tasks.spawn(self._let_go(record))
            case signals.Forget(channel=channel):
                if (record := self._records.pop(channel, None)) is not None:
                    self._counters.add("channels_lost")
                    self._tasks.spawn(self._forget(record))
            case _:
                raise AssertionError(action)

    async def _create(self, slot: Slot, number: int) -> None:
        """One at a time: what is lost to us by a kill before it is recorded is at most one."""
        async with self._creating:
            try:
                channel = await self.rest.create_channel()
            except CloudError as error:
                failed = signals.CallFailed(number, str(error), False, error.retry_after_s)
                self._tell(slot, failed)
                return
            crash_point("after-channel-created")
            at_us = self._clock.wall_us()
            record = ChannelRecord(channel.id, slot, channel.connect_uri, at_us, channel.expires_us)
            await self._durably(lambda: self._store.add(record))
        crash_point("after-channel-recorded")
        self._records[number] = record
        self._counters.add("channels_created")
        self._tell(slot, signals.Created(number))

    async def _subscribe(
        self, slot: Slot, number: int, record: ChannelRecord, users: frozenset[str]
    ) -> None:
        topics = [subscribed_topic(user, self._topics) for user in sorted(users)]
        try:
            taken = await self.rest.put_topics(record.id, topics)
        except CloudError as error:
            is_gone = isinstance(error, NotFoundError)
            self._tell(slot, signals.CallFailed(number, str(error), is_gone, error.retry_after_s))
            return
        crash_point("after-channel-subscribed")
        at_us = self._clock.wall_us()
        await self._durably(lambda: self._store.refuse(slot, taken.rejected, at_us))
        self._tell(slot, signals.Subscribed(number, users, _refused(taken)))

    async def _let_go(self, record: ChannelRecord) -> None:
        """It ends by itself if that fails; but ours it is until then."""
        try:
            await self.rest.let_go(record.id)
        except CloudError as error:
            self._log.warning("channel.not_released", scope=record.slot.scope, cause=str(error))
            return
        await self._forget(record)

    async def _forget(self, record: ChannelRecord) -> None:
        await self._durably(lambda: self._store.forget(record.id))

    # Disk and time

    async def _durably(self, work: Callable[[], None]) -> None:
        """Until it is on the disk, however long that takes; all else goes on meanwhile."""
        is_told = False
        while True:
            try:
                work()
                return
            except (TemporaryError, *TRANSIENT_ERRORS) as error:
                self._counters.add("commit_failures")
                if not is_told:
                    self._log.error("channels.not_recorded", cause=str(error))
                is_told = True
            await asyncio.sleep(DISK_RETRY_S)

    async def _sleep(self, seconds: float) -> None:
        """In steps: a suspended machine must not oversleep by as long as it slept."""
        due_s = self._clock.now_s() + seconds
        while (left_s := due_s - self._clock.now_s()) > 0:
            await asyncio.sleep(min(left_s, 1.0))


def _refused(taken: Subscriptions) -> dict[str, str]:
    """Why, by user. A topic that is nobody's was never asked for."""
    told = ((subscribed_user(each.topic), each.reason) for each in taken.rejected)
    return {user: reason for user, reason in told if user is not None}
