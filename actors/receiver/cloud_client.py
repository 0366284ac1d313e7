"""Owns what a receiver does in the name of one OAuth client with channels: make, subscribe, let go.

It decides nothing: what a call has come to becomes a signal for the machine that wanted it. It
knows no socket. A channel is recorded before anybody learns of it (trap 29).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Final

from actors.genesys.channel_plan import Slot
from actors.genesys.cloud import TopicsSetting, subscribed_topic, subscribed_user
from actors.genesys.cloud_answers import Subscriptions
from actors.genesys.cloud_errors import (
    CloudError,
    ForbiddenError,
    NotFoundError,
    RefusedError,
    UnauthorisedError,
)
from actors.genesys.cloud_rest import CloudRest
from actors.genesys.secret import Secret
from actors.genesys.tokens import TokenProvider
from actors.receiver import channel_signals as signals
from actors.receiver.channel_store import ChannelRecord, ChannelStore
from actors.receiver.task_group import TaskGroup
from actors.receiver.topic_search import TopicSearch, is_named
from actors.storage.sqlite import TRANSIENT_ERRORS
from runtime.clock import Clock
from runtime.counters import Counters
from runtime.crash_point import crash_point
from runtime.errors import TemporaryError

DISK_RETRY_S: Final = 1.0
SUBSCRIBING_AT_ONCE: Final = 2
"""Each call bears up to a thousand topics: 106 of them together outlast their time limit where the
gateway is slow, are made again, and keep it slow."""
FOREIGN_EVERY_S: Final = 3_600.0
FOREIGN_NAMED_MAX: Final = 20
REASON_CHARS_MAX: Final = 200
TOO_MANY_TOPICS: Final = "too.many"  # in a code: not one topic is to blame
PASSING_STATUSES: Final = (408, 425)

Tell = Callable[[Slot, signals.Signal], None]


class CloudClient:
    """For one event loop. `tell` takes the signals for the machine of a slot, at once."""

    def __init__(
        self,
        number: int,
        rest: CloudRest,
        tokens: TokenProvider,
        store: ChannelStore,
        *,
        hopeless_retry_s: float,
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
        self._tokens = tokens
        self._hopeless_retry_s = hopeless_retry_s
        self._store = store
        self._tasks = tasks
        self._counters = counters
        self._topics = topics
        self._clock = clock
        self._tell = tell
        self._log = log.bind(client=number)
        self._records: dict[int, ChannelRecord] = {}  # by the machines' numbers
        self._creating = asyncio.Lock()
        self._subscribing = asyncio.Semaphore(SUBSCRIBING_AT_ONCE)
        self._invalid: dict[Slot, frozenset[str]] = {}  # topics that failed whole calls
        self._partly: dict[Slot, frozenset[str]] = {}  # refused parts of topics that are heard
        self._heard: dict[int, frozenset[str]] = {}  # topics, by the machines' numbers
        self._searches: dict[int, TopicSearch] = {}  # that an error has interrupted, likewise

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
                if (record := self._popped(channel)) is not None:
                    self._tasks.spawn(self._let_go(record))
            case signals.Forget(channel=channel):
                if (record := self._popped(channel)) is not None:
                    self._counters.add("channels_lost")
                    self._tasks.spawn(self._forget(record))
            case _:
                raise AssertionError(action)

    def _popped(self, channel: int) -> ChannelRecord | None:
        self._heard.pop(channel, None)
        self._searches.pop(channel, None)
        return self._records.pop(channel, None)

    async def _create(self, slot: Slot, number: int) -> None:
        """One at a time: what is lost to us by a kill before it is recorded is at most one. It may
        end with the token that makes it, so that should not be one that is about to end."""
        async with self._creating:
            await self._tokens.fresh()
            left_s = self._tokens.seconds_left
            try:
                channel = await self.rest.create_channel()
            except CloudError as error:
                failed = signals.CallFailed(number, str(error), False, error.retry_after_s)
                self._tell(slot, failed)
                return
            crash_point("after-channel-created")
            at_us = self._clock.wall_us()
            # Another call may have had the token renewed meanwhile: then it was one of the two.
            left_s = min(left_s or self._tokens.seconds_left, self._tokens.seconds_left)
            ends_us = at_us + int(left_s * 1e6)
            expires_us = min(channel.expires_us or ends_us, ends_us)
            record = ChannelRecord(channel.id, slot, channel.connect_uri, at_us, expires_us)
            await self._durably(lambda: self._store.add(record))
        crash_point("after-channel-recorded")
        self._records[number] = record
        self._heard[number] = frozenset()
        self._counters.add("channels_created")
        self._tell(slot, signals.Created(number, left_s))

    async def _subscribe(
        self, slot: Slot, number: int, record: ChannelRecord, users: frozenset[str]
    ) -> None:
        """As many calls as it takes to have everybody heard but those whose topics are invalid."""
        topics = [subscribed_topic(user, self._topics) for user in sorted(users)]
        heard = self._heard.get(number)  # None: a predecessor's channel
        search = self._searches.pop(number, None)
        if search is None or list(search.topics) != topics:
            search = TopicSearch(topics, self._invalid.get(slot, ()), heard or ())
        is_of_topics = False
        while (call := search.next_call()) is not None:
            put = self.rest.put_topics if call.replaces else self.rest.add_topics
            try:
                async with self._subscribing:
                    search.accepted(await put(record.id, call.topics))
            except CloudError as error:
                is_of_topics = _is_of_topics(error, call.topics)
                if not is_of_topics and (heard != frozenset() or not _is_refusal(error)):
                    self._searches[number] = search
                    self._tell(slot, _failed(number, error))
                    return
                search.refused(_reason(error), error.details, error.missing_permissions)
        crash_point("after-channel-subscribed")
        self._invalid[slot] = frozenset(search.invalid)
        taken, at_us = search.result, self._clock.wall_us()
        if search.is_hopeless and (heard != frozenset() or not is_of_topics):
            reason = taken.rejected[0].reason
            wait_s = self._hopeless_retry_s
            failed = signals.CallFailed(number, reason, False, wait_s, is_refused=True)
            self._tell(slot, failed)
            return
        told = (*taken.rejected, *taken.partly)
        await self._durably(lambda: self._store.refuse(slot, told, at_us))
        self._tell_partly(slot, taken)
        self._heard[number] = taken.permitted
        refused = _refused(taken)
        invalid = frozenset(
            user for topic in search.invalid if (user := subscribed_user(topic)) in refused
        )
        self._tell(slot, signals.Subscribed(number, users, refused, invalid))

    def _tell_partly(self, slot: Slot, taken: Subscriptions) -> None:
        """Such an agent is watched, and yet not all of it is heard: once for each change."""
        before = self._partly.get(slot, frozenset())
        self._partly[slot] = frozenset(each.topic for each in taken.partly)
        if self._partly[slot] - before:
            first = taken.partly[0]
            self._log.warning(
                "channel.topics_partly_refused",
                scope=slot.scope,
                refused=len(taken.partly),
                first=first.topic,
                reason=first.reason,
                missing_permissions=list(first.missing_permissions),
            )

    def partly_refused(self, slot: Slot) -> int:
        """How many combined topics of a slot have a part that is refused."""
        return len(self._partly.get(slot, ()))

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


def _is_refusal(error: CloudError) -> bool:
    """Whether it says no to this call, and not only for now."""
    kinds = (RefusedError, ForbiddenError, UnauthorisedError)
    return isinstance(error, kinds) and error.status not in PASSING_STATUSES


def _is_of_topics(error: CloudError, topics: Sequence[str]) -> bool:
    """Whether a call was refused for the sake of topics. By its code or its words: what it names
    may be in any place of it (protocol.md §4, R4)."""
    if not _is_refusal(error) or TOO_MANY_TOPICS in error.code.lower():
        return False
    is_said = "topic" in error.code.lower() or "topic" in error.message.lower()
    return is_said or any(is_named(topic, error.details) for topic in topics)


def _failed(number: int, error: CloudError) -> signals.CallFailed:
    return signals.CallFailed(
        number,
        str(error),
        isinstance(error, NotFoundError),
        error.retry_after_s,
        is_refused=_is_refusal(error),
    )


def _reason(error: CloudError) -> str:
    said = ": ".join(each for each in (error.code, error.message) if each)
    return (said or str(error))[:REASON_CHARS_MAX]
