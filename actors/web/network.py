"""Network: connections over TCP, with an end to everybody's patience. Knows no route and no token.

A client that sends its request byte by byte, or reads no answer, or opens connections and nothing
else, holds memory of ours as long as we let it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from asyncio import TimerHandle
from typing import Any, Final

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from actors.settings.web import is_loopback
from actors.web.connections import Connections
from actors.web.identity import ON_NAMED, ON_REFUSED
from actors.web.limits import client_of
from runtime.counters import Counters

RECEIVE_S: Final = 20.0
"""For a whole request, from its first byte; and for the first byte of a connection."""
STALL_S: Final = 30.0
"""For a client that reads nothing of what we have for it."""
HEAD_BYTES_MAX: Final = 32 << 10
"""Of a request's first line and headers. The parser sets no bound, and each header costs us eleven
times its length: before anybody asks who it is."""
HEADER_BYTES_MORE: Final = 4
"""Of each header beside name and value: colon, blank and the line's end."""
REQUEST_BYTES_MAX: Final = 1 << 20
"""Of a whole request, as it comes: what a body may have, in the smallest pieces, and more. Headers
may also stand behind a body."""

_DETAIL: Final = "as many connections as web.connections_max allows are open already"
_BODY: Final = orjson.dumps(
    {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "code": "too-many-connections",
        "detail": _DETAIL,
    }
)
REFUSAL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\n"
    b"retry-after: 1\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (len(_BODY), _BODY)
)
"""To a connection beyond the limit: at once, whatever it was about to ask."""

TOO_LONG: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n"
    b"content-length: 0\r\n\r\n"
)


class OneAtATimeError(Exception):
    """Another request before the answer to the one before. No browser and no proxy does that, and
    each of thousands that fit in one packet would wait here with all that belongs to it."""


class TooLongHeadError(Exception):
    """Of headers, or of what stands behind a body: also where it came in one read."""


class Room:
    """For so many connections at once."""

    def __init__(self, connections_max: int, counters: Counters) -> None:
        self.connections = Connections(connections_max)
        self._counters = counters

    def enter(self, visit: NetworkProtocol) -> bool:
        has_room, gone = self.connections.enter(visit)
        if gone is not None:
            assert isinstance(gone, NetworkProtocol)
            self._counters.add("connections_displaced", 1)
            gone.give_way()
        if not has_room:
            self._counters.add("connections_refused", 1)
        return has_room


class NetworkProtocol(HttpToolsProtocol):
    """uvicorn's own, within limits."""

    def __init__(self, room: Room, **given: Any) -> None:
        super().__init__(**given)
        self._room = room
        self._is_inside = False
        self.address = ""
        self.is_local = False
        self._head_bytes = 0
        """Of the request that is being received: its line and all headers, those behind it too."""
        self._is_head_too_long = False
        self._received_bytes = 0
        """Of the request that is being received."""
        self._is_head_whole = False
        self._receiving: TimerHandle | None = None
        self._stalling: TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        host = self.client[0] if self.client else ""
        self.address, self.is_local = client_of(host), is_loopback(host)
        # A copy of it becomes `state` in the scope of each of this connection's requests.
        self.app_state = {
            **self.app_state, ON_NAMED: self._on_named, ON_REFUSED: self._on_refused,
        }  # fmt: skip
        self._is_inside = self._room.enter(self)
        if not self._is_inside:
            transport.write(REFUSAL)
            transport.close()
            return
        self._begin_to_receive()

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._receiving is None and self._is_idle:
            self._begin_to_receive()
        if self._received_bytes == 0 and _is_no_request_line(data):
            self.send_400_response("Invalid HTTP request received.")
            return
        self._received_bytes += len(data)
        super().data_received(data)
        bytes_max = REQUEST_BYTES_MAX if self._is_head_whole else HEAD_BYTES_MAX
        if self._received_bytes > bytes_max and not self.transport.is_closing():
            if not self._is_head_whole:  # else it was answered, or nobody waits for an answer
                self.transport.write(TOO_LONG)
            self.transport.close()

    def on_message_begin(self) -> None:
        if not self._is_idle:
            raise OneAtATimeError  # the parser makes it a request that is not valid
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(len(name) + len(value) + HEADER_BYTES_MORE)
        if self._is_head_whole:
            return  # behind a body: nobody asks for it, and the request is being answered
        super().on_header(name, value)

    def _count_head(self, more: int) -> None:
        self._head_bytes += more
        if self._head_bytes > HEAD_BYTES_MAX:
            self._is_head_too_long = True
            raise TooLongHeadError  # the parser makes it a request that is not valid

    def send_400_response(self, msg: str) -> None:
        if not self._is_head_too_long:
            super().send_400_response(msg)
            return
        if not self._is_head_whole:  # else it was answered, or nobody waits for an answer
            self.transport.write(TOO_LONG)
        self.transport.close()

    def on_headers_complete(self) -> None:
        self._is_head_whole = True
        if self._is_inside:
            self._room.connections.asks(self)
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        if self._is_inside:
            self._room.connections.rests(self)
        super().on_response_complete()

    def _on_named(self, name: str) -> None:
        if self._is_inside:
            self._room.connections.has_shown_token(self, name)

    def _on_refused(self) -> None:
        if self._is_inside:
            self._room.connections.rests(self)

    def give_way(self) -> None:
        """Somebody else needs the place: it is left already."""
        self._is_inside = False
        if self._stalling is not None:
            self._drop()
        else:
            self.transport.close()

    def on_message_complete(self) -> None:
        self._cancel_receiving()
        self._received_bytes, self._head_bytes, self._is_head_whole = 0, 0, False
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalling = self.loop.call_later(STALL_S, self._drop)
        if self._is_inside:  # who does not read what they asked for holds a place for nothing
            self._room.connections.rests(self)

    def resume_writing(self) -> None:
        self._cancel_stalling()
        if self._is_inside and not self._is_idle:
            self._room.connections.asks(self)
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_receiving()
        self._cancel_stalling()
        if self._is_inside:
            self._is_inside = False
            self._room.connections.leave(self)
        super().connection_lost(exc)

    @property
    def _is_idle(self) -> bool:
        cycle: Any = self.cycle  # None before the first request
        return cycle is None or bool(cycle.response_complete)

    def _begin_to_receive(self) -> None:
        self._receiving = self.loop.call_later(RECEIVE_S, self.transport.abort)

    def _drop(self) -> None:
        """Also what the kernel still holds for it."""
        linger = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, linger
        )
        self.transport.abort()

    def _cancel_receiving(self) -> None:
        if self._receiving is not None:
            self._receiving.cancel()
            self._receiving = None

    def _cancel_stalling(self) -> None:
        if self._stalling is not None:
            self._stalling.cancel()
            self._stalling = None


def _is_no_request_line(data: bytes) -> bool:
    """Of HTTP/0.9 (`GET /path`), whose headers the parser would wait for."""
    end = data.find(b"\r\n", 0, HEAD_BYTES_MAX)
    return end > 0 and data.find(b" HTTP/", 0, end) < 0
