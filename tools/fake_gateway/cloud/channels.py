"""Channels: who holds which, what is subscribed on each, and for how long (protocol.md §2.2).

Pure: times are arguments. Knows sockets only as something that a channel has or has not.
A channel's number is its place on the desks of the events (see `activity.pyx`) and is used again;
its id is the secret that opens its socket.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush

from tools.fake_gateway.cloud.problems import ApiError, not_found
from tools.fake_gateway.cloud.topics import Topic
from tools.fake_gateway.tokens import Grant

SOCKET_PREFIX = "/channels/"  # the id is the secret: no token, no budget
CHANNEL_LIFE_S = 86400.0
CHANNELS_MAX = 20  # of a client; one more replaces the one unused for longest, unconnected first
TOPICS_MAX = 1000  # of a channel


@dataclass(slots=True, kw_only=True, eq=False)
class Channel:
    number: int
    serial: int  # never used again
    id: str
    client: int
    grant: Grant  # of the token that made it
    used_s: float  # when it was last made, subscribed or connected
    expires_s: float
    topics: dict[str, Topic] = field(default_factory=dict)  # by the text that was asked for
    announced: frozenset[str] = frozenset()  # the topics that its socket was last told of
    is_connected: bool = False
    is_gone: bool = False

    @property
    def size(self) -> int:
        return len(self.topics)


class Channels:
    def __init__(self, *, life_s: float = CHANNEL_LIFE_S, channels_max: int = CHANNELS_MAX) -> None:
        self._life_s = life_s
        self._channels_max = channels_max
        self._by_id: dict[str, Channel] = {}  # oldest first
        self._free: list[int] = []
        self._numbers = itertools.count()
        self._serials = itertools.count(1)

    def __iter__(self) -> Iterator[Channel]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def create(self, client: int, grant: Grant, now_s: float) -> tuple[Channel, Channel | None]:
        """(the new one, the one that it replaced)"""
        evicted = None
        own = self.of(client)
        if len(own) >= self._channels_max:
            evicted = min(own, key=lambda one: (one.is_connected, one.used_s))
            self.remove(evicted)
        channel = Channel(
            number=heappop(self._free) if self._free else next(self._numbers),
            serial=next(self._serials),
            id=f"streaming-{client}-{secrets.token_hex(13)}",
            client=client,
            grant=grant,
            used_s=now_s,
            expires_s=now_s + self._life_s,
        )
        self._by_id[channel.id] = channel
        return channel, evicted

    def of(self, client: int) -> list[Channel]:
        return [channel for channel in self if channel.client == client]

    def alive(self, channel_id: str) -> Channel | None:
        return self._by_id.get(channel_id)

    def owned(self, channel_id: str, client: int) -> Channel:
        """Raises ApiError: another client's channel is none."""
        channel = self._by_id.get(channel_id)
        if channel is None or channel.client != client:
            raise not_found("channel")
        return channel

    def subscribe(
        self, channel: Channel, topics: dict[str, Topic], *, replaces: bool, now_s: float
    ) -> None:
        """Raises ApiError, and then nothing has changed."""
        wanted = topics if replaces else channel.topics | topics
        if len(wanted) > TOPICS_MAX:
            raise ApiError(
                400,
                "notification.subscription.too.many.subscriptions",
                f"A channel has at most {TOPICS_MAX} topics",
            )
        channel.topics = dict(wanted)
        channel.used_s = now_s
        channel.expires_s = now_s + self._life_s

    def clear(self, channel: Channel) -> None:
        """Extends nothing."""
        channel.topics = {}

    def expired(self, now_s: float) -> list[Channel]:
        return [channel for channel in self if channel.expires_s <= now_s]

    def remove(self, channel: Channel) -> None:
        channel.is_gone = True
        del self._by_id[channel.id]
        heappush(self._free, channel.number)


def audience(channel: Channel) -> Iterable[Topic]:
    """Per user one topic, of all that is subscribed for them."""
    masks: dict[str, int] = {}
    for topic in channel.topics.values():
        masks[topic.user] = masks.get(topic.user, 0) | topic.mask
    return itertools.starmap(Topic, masks.items())
