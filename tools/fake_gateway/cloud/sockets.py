"""Sockets of the cloud dialect: handshake, heartbeats, what clients say, end (protocol.md §2.3).

The path is the only credential. What is written between heartbeats is the broadcast's business.
"""

from __future__ import annotations

import asyncio
import functools
import time
import uuid
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import WSMessage, web

from tools.fake_gateway.cloud.broadcast import Broadcast, ChannelConnection
from tools.fake_gateway.cloud.channel_calls import Subscriptions
from tools.fake_gateway.cloud.channels import SOCKET_PREFIX, Channel, Channels
from tools.fake_gateway.cloud.problems import ApiError
from tools.fake_gateway.connection import CLOSE_TIMEOUT_S, read_to_end, upgrade
from tools.fake_gateway.gates import Gate
from tools.fake_gateway.ledger import Ledger, now_us
from tools.fake_gateway.rest import RestCall, refused
from tools.fake_gateway.wire import close_frame, server_frame

HEARTBEAT_S = 30.0
CLOSING_S = 60.0  # between v2.system.socket_closing and the end of that socket
CLIENT_FRAME_BYTES_MAX = 1 << 20
METADATA = "channel.metadata"
_REASONS = {"evicted": "another_channel_subscribed", "revoked": "user_tokens_revoked"}
_MESSAGES = {
    "no_longer_subscribed": "The channel is not subscribed anymore",
    "token_revoked": "The token of the channel has been revoked",
    "subscription_changed": "The subscriptions of the channel have changed",
}


class Sockets:
    def __init__(
        self,
        channels: Channels,
        subscriptions: Subscriptions,
        broadcast: Broadcast,
        ledger: Ledger,
        gate: Gate,
        *,
        head: Callable[[], int],
        organisation: str,
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._channels = channels
        self._subscriptions = subscriptions
        self._broadcast = broadcast
        self._ledger = ledger
        self._gate = gate
        self._head = head
        self._organisation = organisation  # its id
        self._heartbeat_s = heartbeat_s
        self._serial = 0
        self.opened = 0
        self.heartbeats = 0
        self.pings = 0
        self.vary: Callable[[], web.StreamResponse | None] | None = None  # a refusal, now and then

    @property
    def calls(self) -> tuple[RestCall, ...]:
        return (RestCall("GET", SOCKET_PREFIX + "{channel}", self.handle),)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if (refusal := await refused(self._gate, self._ledger)) is not None:
            return refusal
        if self.vary is not None and (varied := self.vary()) is not None:
            return varied
        response, transport = await upgrade(request, frame_bytes_max=CLIENT_FRAME_BYTES_MAX)
        channel = self._channels.alive(request.match_info["channel"])
        if channel is None:
            transport.write(server_frame(orjson.dumps(_no_channel())))
            transport.write(close_frame(1000))
            asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, transport.abort)
            await response.receive()
            transport.close()
            return response
        connection = self._open(channel, transport)
        reason = "lost"
        receive = functools.partial(self._receive, connection, channel)
        try:
            reason = await read_to_end(response, connection, receive)
        finally:
            self._closed(connection, channel, reason)
            transport.close()
        return response

    def _open(self, channel: Channel, transport: asyncio.Transport) -> ChannelConnection:
        """A second socket on a channel cuts the first, behind what was on its way."""
        self._broadcast.settle()
        former = self._broadcast.connections.get(channel.number)
        self._serial += 1
        connection = ChannelConnection(
            serial=self._serial,
            channel=channel.number,
            channel_serial=channel.serial,
            transport=transport,
        )
        self._broadcast.attach(connection)
        channel.is_connected, channel.used_s = True, time.monotonic()
        self.opened += 1
        self._note("opened", connection)
        if former is not None:
            former.close(1000, "another socket")
        self._beat_later(connection)
        return connection

    def _closed(self, connection: ChannelConnection, channel: Channel, reason: str) -> None:
        self._broadcast.settle()
        self._broadcast.detach(connection)
        if not channel.is_gone:
            channel.is_connected = channel.number in self._broadcast.connections
        self._note("closed", connection, reason=connection.reason or reason)

    def _receive(self, connection: ChannelConnection, channel: Channel, frame: WSMessage) -> None:
        if not connection.is_deaf:
            self._answer(frame.data, connection, channel)

    def _answer(self, text: str | bytes, connection: ChannelConnection, channel: Channel) -> None:
        try:
            asked = orjson.loads(text)
        except orjson.JSONDecodeError:
            asked = None
        message = asked.get("message") if isinstance(asked, dict) else None
        if message == "ping":
            self.pings += 1
            self._tell(connection, {"topicName": METADATA, "eventBody": {"message": "pong"}})
        elif message == "subscribe":
            self._tell(connection, self._subscribe(asked, channel))
        else:
            self._tell(connection, {"result": "400", "message": "Bad request"})

    def _subscribe(self, asked: dict[str, Any], channel: Channel) -> dict[str, Any]:
        topics = asked.get("topics")
        answer = {"correlationId": asked.get("correlationId")}
        if channel.is_gone:
            return _no_channel() | answer
        if not isinstance(topics, list) or not all(isinstance(one, str) for one in topics):
            return {"result": "400", "message": "topics is a list of texts"} | answer
        try:
            self._subscriptions.take(channel, topics, replaces=False, ignores=False)
        except ApiError as problem:
            return {"result": str(problem.status), "message": problem.message} | answer
        return {"result": "200", "status": "subscribed"} | answer

    def _beat_later(self, connection: ChannelConnection) -> None:
        asyncio.get_running_loop().call_later(self._heartbeat_s, self._beat, connection)

    def _beat(self, connection: ChannelConnection) -> None:
        if (
            self._broadcast.connections.get(connection.channel) is not connection
            or connection.is_closing
        ):
            return
        if not connection.is_deaf:
            self.heartbeats += 1
            body = {"message": "WebSocket Heartbeat"}
            # Not in the case of the documentation: names are compared without regard to it.
            name = METADATA if self.heartbeats % 2 else "Channel.Metadata"
            self._tell(connection, {"topicName": name, "eventBody": body})
        self._beat_later(connection)

    # What faults and the life of a channel do to sockets.

    def tell(self, channel: Channel, frame: dict[str, Any]) -> None:
        """If somebody listens."""
        connection = self.connection_of(channel)
        if connection is not None:
            self._tell(connection, frame)

    def connection_of(self, channel: Channel) -> ChannelConnection | None:
        return self._broadcast.connections.get(channel.number)

    def lose(self, channel: Channel, reason: str) -> None:
        """The channel is gone: its socket is told how, and closed. Its number may be used again."""
        self._broadcast.settle()
        connection = self.connection_of(channel)
        self._broadcast.forget(channel.number)
        if connection is None:
            return
        topic = "token_revoked" if reason == "revoked" else "no_longer_subscribed"
        if reason == "lost":
            self._tell(connection, _no_channel())
        elif reason != "forgotten":
            self._tell(connection, self._system(channel, topic, _REASONS.get(reason)))
        self._broadcast.detach(connection)
        if reason == "forgotten":
            connection.drop()
        else:
            connection.close(1000, f"channel {reason}")

    def changed(self, channel: Channel) -> None:
        """The channel may have other topics now: its socket is told, after whoever asked."""
        topics = frozenset(channel.topics)
        if topics != channel.announced:
            channel.announced = topics
            asyncio.get_running_loop().call_soon(self._tell_of_change, channel)

    def _tell_of_change(self, channel: Channel) -> None:
        connection = None if channel.is_gone else self.connection_of(channel)
        if connection is not None and not connection.is_deaf:
            self._tell(connection, self._system(channel, "subscription_changed"))

    def _system(self, channel: Channel, kind: str, reason: str | None = None) -> dict[str, Any]:
        name = f"v2.system.{kind}"
        body = {
            "channelId": channel.id,
            "systemTopicType": kind,
            "correlationId": str(uuid.uuid4()),
            "organizationId": self._organisation,
            "message": _MESSAGES[kind],
        }
        if reason is not None:
            body["reason"] = reason
        if kind != "subscription_changed":
            name += f".{channel.id}"
        return {"topicName": name, "eventBody": body}

    def announce_closing(self, connection: ChannelConnection, seconds: float) -> None:
        text = "Your WebSocket will be closed soon; open a new one on the same connectUri"
        body = {"message": text}
        self._tell(connection, {"topicName": "v2.system.socket_closing", "eventBody": body})
        later = asyncio.get_running_loop().call_later
        later(seconds or CLOSING_S, connection.close, 1001, "announced")

    def _tell(self, connection: ChannelConnection, frame: dict[str, Any]) -> None:
        connection.write(server_frame(orjson.dumps(frame)), time.monotonic())

    def _note(self, kind: str, connection: ChannelConnection, **more: Any) -> None:
        self._ledger.write(
            kind,
            socket=connection.serial,
            channel=connection.channel_serial,
            head=self._head(),
            **more,
            at_us=now_us(),
        )


def _no_channel() -> dict[str, Any]:
    return {"result": "404", "message": "The channel does not exist"}
