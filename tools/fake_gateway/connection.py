"""Connection: one WebSocket of a gateway: how it is opened, read, closed and disturbed.

Knows neither what is written on it nor what a client's frames mean.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from aiohttp import WSMessage, WSMsgType, web

from tools.fake_gateway.wire import PONG, close_frame, server_frame

CLOSE_TIMEOUT_S = 2.0
STALL_FOREVER_S = 86400.0
BY_CLIENT = "closed by the client"  # how a reason begins that no gateway caused


class Transport(Protocol):
    def write(self, data: bytes) -> None: ...
    def get_write_buffer_size(self) -> int: ...
    def is_closing(self) -> bool: ...
    def abort(self) -> None: ...


@dataclass(slots=True, kw_only=True, eq=False)
class Connection:
    transport: Transport
    is_closing: bool = False
    paused_until_s: float = 0.0
    is_silent: bool = False  # while paused: half-open, not even pings are answered

    def is_paused(self, now_s: float) -> bool:
        return self.paused_until_s > now_s

    @property
    def is_deaf(self) -> bool:
        return self.is_silent and self.is_paused(time.monotonic())

    def pause(self, seconds: float, *, is_silent: bool) -> None:
        """0 = for ever."""
        self.paused_until_s = time.monotonic() + (seconds or STALL_FOREVER_S)
        self.is_silent = is_silent

    def put(self, frame: bytes) -> bool:
        """False: the socket is gone."""
        if self.is_closing or self.transport.is_closing():
            return False
        self.transport.write(frame)
        return True

    def close(self, code: int | None) -> None:
        """With a close frame; the connection is cut if the client does not answer it."""
        if self.put(close_frame(code)):
            self.is_closing = True
            asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, self.transport.abort)

    def drop(self) -> None:
        self.is_closing = True
        self.transport.abort()


async def upgrade(
    request: web.Request, *, frame_bytes_max: int
) -> tuple[web.WebSocketResponse, asyncio.Transport]:
    response = web.WebSocketResponse(
        autoping=False, autoclose=False, compress=False, max_msg_size=frame_bytes_max
    )
    await response.prepare(request)
    transport = request.transport
    assert transport is not None
    return response, transport


async def read_to_end(
    response: web.WebSocketResponse,
    connection: Connection,
    receive: Callable[[WSMessage], None] = lambda _: None,
) -> str:
    """Gives each message to `receive` until the connection ends; says how it ended."""
    while True:
        frame = await response.receive()
        if frame.type is WSMsgType.PING:
            if not connection.is_deaf:
                connection.put(server_frame(frame.data, PONG))
        elif frame.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            if not connection.is_closing:
                receive(frame)
        elif frame.type is WSMsgType.CLOSE:
            if connection.is_closing:
                return "closed by the gateway"
            connection.is_closing = True
            connection.transport.write(close_frame(frame.data or None))
            return f"{BY_CLIENT}: {frame.data}"
        elif frame.type in (WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
            return "dropped by the gateway" if connection.is_closing else "lost"
