"""Owns what the sockets of both dialects do with picows: open, pause, close, cut, wait for the end.

It knows no frame and no signal.
"""

from __future__ import annotations

import asyncio

import picows
from picows import WSTransport

from actors.genesys.http import Route
from actors.genesys.secret import Secret
from actors.genesys.websocket import CLOSE_TIMEOUT_S, close_code, open_socket
from actors.receiver.listener import MESSAGE_BYTES_MAX, Listener
from actors.receiver.ring_writer import RingWriter


class Wire:
    """One try to be connected, and what comes of it."""

    def __init__(self, listener: Listener, ring_writer: RingWriter) -> None:
        self._listener = listener
        self._ring_writer = ring_writer
        self._transport: WSTransport | None = None
        self._is_over = False  # nobody waits for it any more

    async def _open(self, url: str, route: Route, hidden: Secret) -> WSTransport:
        """Raises HandshakeRefusedError or UnreachableError; then it is over."""
        try:
            return await open_socket(
                self._listener, url, route, token=hidden, frame_bytes_max=MESSAGE_BYTES_MAX
            )
        finally:
            self._is_over = self._is_over or self._transport is None

    async def _until_lost(self, transport: WSTransport) -> tuple[int, bool]:
        """With which code, and whether we closed it over a frame that breaks the protocol."""
        is_ours = False
        try:
            await transport.wait_disconnected()
        except picows.WSProtocolError:
            is_ours = True
        except Exception as error:
            self._ring_writer.fail(error)
        return close_code(transport), is_ours

    def _take(self, transport: WSTransport) -> bool:
        """Whether it is wanted: the handshake may have come too late."""
        if self._is_over:
            transport.underlying_transport.abort()
            return False
        self._transport = transport
        if self._ring_writer.is_pressed:
            self.pause()
        return True

    @property
    def _opened(self) -> WSTransport:
        assert self._transport is not None, "cannot send before the connection is open"
        return self._transport

    def pause(self) -> None:
        if self._transport is not None:
            self._transport.underlying_transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None:
            self._transport.underlying_transport.resume_reading()

    def close(self, code: int) -> None:
        """With a close frame; cut if that does not end it. It hands on nothing any more."""
        self._listener.is_muted = True
        self._is_over = True
        if self._transport is None:
            return
        self._transport.send_close(picows.WSCloseCode(code))
        self._transport.disconnect()
        asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, self.abort)

    def abort(self) -> None:
        self._listener.is_muted = True
        self._is_over = True
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.underlying_transport.abort()
