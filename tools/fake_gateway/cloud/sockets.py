"""Sockets of the cloud dialect: handshake, heartbeats, what clients say, end (protocol.md §2.3).

The path is the only credential. What is written between heartbeats is the broadcast's business.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from tools.fake_gateway.cloud.broadcast import Broadcast, Line
from tools.fake_gateway.cloud.channel_calls import Subscriptions
from tools.fake_gateway.cloud.channels import Channel, Channels
from tools.fake_gateway.cloud.problems import ApiError
from tools.fake_gateway.gates import Gate
from tools.fake_gateway.ledger import Ledger
from tools.fake_gateway.rest import refuse
from tools.fake_gateway.wire import PONG, close_frame, server_frame

HEARTBEAT_S = 30.0
CLOSING_S = 60.0  # between v2.system.socket_closing and the end of that socket
CLOSE_TIMEOUT_S = 2.0
CLIENT_FRAME_BYTES_MAX = 1 << 20
METADATA = "channel.metadata"


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
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._channels = channels
        self._subscriptions = subscriptions
        self._broadcast = broadcast
        self._ledger = ledger
        self._gate = gate
        self._head = head
        self._heartbeat_s = heartbeat_s
        self._serial = 0
        self.opened = 0
        self.heartbeats = 0
        self.pings = 0

    def add_to(self, application: web.Application) -> None:
        application.router.add_get("/channels/{channel}", self.handle)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        refusal = self._gate.refusal(time.monotonic())
        if refusal is not None:
            self._ledger.refused("handshake", refusal.status, time.time_ns() // 1000)
            return await refuse(refusal.status, refusal.retry_after_s)
        response = web.WebSocketResponse(
            autoping=False, autoclose=False, compress=False, max_msg_size=CLIENT_FRAME_BYTES_MAX
        )
        await response.prepare(request)
        transport = request.transport
        assert transport is not None
        channel = self._channels.alive(request.match_info["channel"])
        if channel is None:
            transport.write(server_frame(orjson.dumps(_no_channel())))
            transport.write(close_frame(1000))
            asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, transport.abort)
            await response.receive()
            transport.close()
            return response
        line = self._open(channel, transport)
        reason = "lost"
        try:
            reason = await self._read(response, line, channel)
        finally:
            self._closed(line, channel, reason)
            transport.close()
        return response

    def _open(self, channel: Channel, transport: asyncio.Transport) -> Line:
        """A second socket on a channel cuts the first, behind what was on its way."""
        self._broadcast.settle()
        former = self._broadcast.lines.get(channel.number)
        self._serial += 1
        line = Line(
            serial=self._serial,
            channel=channel.number,
            channel_serial=channel.serial,
            transport=transport,
        )
        self._broadcast.attach(line)
        channel.is_connected = True
        self.opened += 1
        self._note("opened", line)
        if former is not None:
            self.close(former, 1000, "another socket")
        self._beat_later(line)
        return line

    def _closed(self, line: Line, channel: Channel, reason: str) -> None:
        self._broadcast.settle()
        self._broadcast.detach(line)
        if not channel.is_gone:
            channel.is_connected = channel.number in self._broadcast.lines
        self._note("closed", line, reason=line.reason or reason)

    async def _read(self, response: web.WebSocketResponse, line: Line, channel: Channel) -> str:
        while True:
            frame = await response.receive()
            is_deaf = line.is_silent and line.is_paused(time.monotonic())
            if frame.type is WSMsgType.PING:
                if not is_deaf and not line.transport.is_closing():
                    line.transport.write(server_frame(frame.data, PONG))
            elif frame.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                if not is_deaf and not line.is_closing:
                    self._answer(frame.data, line, channel)
            elif frame.type is WSMsgType.CLOSE:
                if line.is_closing:
                    return "closed by the gateway"
                line.is_closing = True
                line.transport.write(close_frame(frame.data or None))
                return f"closed by the client: {frame.data}"
            elif frame.type in (WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                return "dropped by the gateway" if line.is_closing else "lost"

    def _answer(self, text: str | bytes, line: Line, channel: Channel) -> None:
        try:
            asked = orjson.loads(text)
        except orjson.JSONDecodeError:
            asked = None
        message = asked.get("message") if isinstance(asked, dict) else None
        if message == "ping":
            self.pings += 1
            self._tell(line, {"topicName": METADATA, "eventBody": {"message": "pong"}})
        elif message == "subscribe":
            self._tell(line, self._subscribe(asked, channel))
        else:
            self._tell(line, {"result": "400", "message": "Bad request"})

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

    def _beat_later(self, line: Line) -> None:
        asyncio.get_running_loop().call_later(self._heartbeat_s, self._beat, line)

    def _beat(self, line: Line) -> None:
        if self._broadcast.lines.get(line.channel) is not line or line.is_closing:
            return
        if not (line.is_silent and line.is_paused(time.monotonic())):
            self.heartbeats += 1
            body = {"message": "WebSocket Heartbeat"}
            # Not in the case of the documentation: names are compared without regard to it.
            name = METADATA if self.heartbeats % 2 else "Channel.Metadata"
            self._tell(line, {"topicName": name, "eventBody": body})
        self._beat_later(line)

    # What faults and the life of a channel do to sockets.

    def line_of(self, channel: Channel) -> Line | None:
        return self._broadcast.lines.get(channel.number)

    def lose(self, channel: Channel, reason: str) -> None:
        """The channel is gone: its socket is told how, and closed. Its number may be used again."""
        self._broadcast.settle()
        line = self.line_of(channel)
        self._broadcast.forget(channel.number)
        if line is None:
            return
        topic = "token_revoked" if reason == "revoked" else "no_longer_subscribed"
        if reason == "lost":
            self._tell(line, _no_channel())
        elif reason != "forgotten":
            name, text = f"v2.system.{topic}.{channel.id}", "The channel is not subscribed anymore"
            self._tell(line, {"topicName": name, "eventBody": {"message": text}})
        self._broadcast.detach(line)
        if reason == "forgotten":
            self.drop(line)
        else:
            self.close(line, 1000, f"channel {reason}")

    def announce_closing(self, line: Line, seconds: float) -> None:
        text = "Your WebSocket will be closed soon; open a new one on the same connectUri"
        body = {"message": text}
        self._tell(line, {"topicName": "v2.system.socket_closing", "eventBody": body})
        later = asyncio.get_running_loop().call_later
        later(seconds or CLOSING_S, self.close, line, 1001, "announced")

    def close(self, line: Line, code: int | None, reason: str = "closed by the gateway") -> None:
        """With a close frame; the connection is cut if the client does not answer it."""
        if not line.is_closing and not line.transport.is_closing():
            line.paused_until_s = 0.0
            line.go_on()
            line.is_closing, line.reason = True, reason
            line.transport.write(close_frame(code))
            asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, line.transport.abort)

    def drop(self, line: Line) -> None:
        if not line.is_closing:
            line.is_closing, line.reason = True, "dropped"
        line.transport.abort()

    def _tell(self, line: Line, frame: dict[str, Any]) -> None:
        line.write(server_frame(orjson.dumps(frame)), time.monotonic())

    def _note(self, kind: str, line: Line, **more: Any) -> None:
        self._ledger.write(
            kind,
            socket=line.serial,
            channel=line.channel_serial,
            head=self._head(),
            **more,
            at_us=time.time_ns() // 1000,
        )


def _no_channel() -> dict[str, Any]:
    return {"result": "404", "message": "The channel does not exist"}
