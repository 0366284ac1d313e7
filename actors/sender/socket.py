"""Owns one line's socket: it opens it, tells what arrives, and does what the line machine wants.

It decides nothing: each message becomes a signal, each action a call to picows. Five frames a
second need no Cython; what the receiver's listener knows of picows holds here as well: it parses
one frame ahead, sends its close frame for a refused one first, and may then deliver one good frame
that stood before it, and later what follows. So one more frame is taken, and no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

import picows
from picows import WSFrame, WSListener, WSTransport

from actors.genesys import presence
from actors.genesys.http import GatewayAddress, Route
from actors.genesys.tokens import Token, TokenProvider, TokenUnavailableError
from actors.genesys.websocket import (
    CLOSE_TIMEOUT_S,
    UNSENT_BYTES_MAX,
    HandshakeRefusedError,
    UnreachableError,
    close_code,
    may_be_sent,
    open_socket,
)
from actors.sender import line_signals as words

MESSAGE_BYTES_MAX: Final = 65_536  # acknowledgements have some hundred

Heard = presence.UpdateAcknowledgement | presence.InvalidPresenceFrame | words.Signal


class PresenceSocket(WSListener):
    """One try to be connected, and what comes of it. `tell` takes what is heard, at once; what it
    raises ends the line and is raised by `live`."""

    def __init__(
        self,
        line: int,
        *,
        address: GatewayAddress,
        route: Route,
        tell: Callable[[int, Heard], None],
    ) -> None:
        self.line = line
        self.token: Token | None = None
        self.frames = 0  # of any kind: a sign of life
        self._address = address
        self._route = route
        self._tell = tell
        self._transport: WSTransport | None = None
        self._is_bound = False
        self._is_muted = False
        self._is_over = False  # nobody waits for this line any more
        self._fragments: bytearray | None = None  # of a message that has not ended
        self._is_text = True

    # From the token to the end, which it returns

    async def live(self, tokens: TokenProvider, rejected: Token | None) -> words.Signal:
        """Raises only what is our own mistake, or ConfigurationError."""
        try:
            self.token = await tokens.current(rejected=rejected.value if rejected else None)
            transport = await self._open(self.token)
        except TokenUnavailableError as error:
            return words.TokenMissing(self.line, error.reason, error.retry_s)
        except HandshakeRefusedError as error:
            return words.Refused(self.line, error.status, error.retry_after_s, error.at)
        except UnreachableError as error:
            return words.Unreachable(self.line, error.reason)
        finally:
            self._is_over = self._is_over or self._transport is None
        is_ours = False
        try:
            await transport.wait_disconnected()
        except picows.WSProtocolError:
            is_ours = True
        if self._transport is None:
            return words.Unreachable(self.line, "closed before the handshake was complete")
        return words.Lost(self.line, close_code(transport), is_ours)

    async def _open(self, token: Token) -> WSTransport:
        return await open_socket(
            self,
            presence.presence_url(self._address.websocket_url),
            self._route,
            token=token.value,
            frame_bytes_max=MESSAGE_BYTES_MAX,
            headers={"Authorization": f"Bearer {token.value.reveal()}"},
        )

    # Called by picows, in the middle of a read

    def on_ws_connected(self, transport: WSTransport) -> None:
        if self._is_over:  # the handshake came too late
            transport.underlying_transport.abort()
            return
        self._transport = transport
        self._tell(self.line, words.Opened(self.line))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.frames += 1
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._is_muted = True
            raise _broken("reserved bits without an extension")
        match frame.msg_type:
            case picows.WSMsgType.PING:
                # Not to a peer that does not read: each PONG would wait for it in our memory.
                if transport.underlying_transport.get_write_buffer_size() <= UNSENT_BYTES_MAX:
                    transport.send_pong(frame.get_payload_as_bytes())
            case picows.WSMsgType.CLOSE:
                self._is_muted = True
                transport.send_close(_reply_to_close(frame))
                transport.disconnect()
            case picows.WSMsgType.PONG:
                pass
            case _ if not self._is_muted:
                self._is_muted = bool(transport.is_close_frame_sent)
                self._take_or_mute(frame)

    def _take_or_mute(self, frame: WSFrame) -> None:
        """picows closes over what we raise, but delivers the rest of the read first."""
        try:
            self._take(frame)
        except Exception:
            self._is_muted = True
            raise

    def _take(self, frame: WSFrame) -> None:
        """A whole message, or a part of one."""
        is_continued = frame.msg_type == picows.WSMsgType.CONTINUATION
        if is_continued == (self._fragments is None):
            raise _broken("unexpected fragment")
        if self._fragments is None:
            self._is_text = frame.msg_type == picows.WSMsgType.TEXT
            self._fragments = bytearray()
        self._fragments += frame.get_payload_as_bytes()
        if len(self._fragments) > MESSAGE_BYTES_MAX:
            reason = f"message larger than {MESSAGE_BYTES_MAX} bytes"
            raise picows.WSProtocolError(picows.WSCloseCode.MESSAGE_TOO_BIG, reason)
        if frame.fin:
            message, self._fragments = bytes(self._fragments), None
            self._on_message(message)

    def _on_message(self, message: bytes) -> None:
        odd = presence.InvalidPresenceFrame(presence.REASON_BINARY)
        heard = presence.read_frame(message) if self._is_text else odd
        if not self._is_bound:
            self._on_first(heard)
        elif not isinstance(heard, presence.Bound):
            self._tell(self.line, heard)

    def _on_first(self, heard: presence.Frame) -> None:
        match heard:
            case presence.Bound():
                self._is_bound = True
                self._tell(self.line, words.ChannelBound(self.line))
            case presence.InvalidPresenceFrame(reason=reason):
                self._tell(self.line, heard)
                self._tell(self.line, words.NotBound(self.line, reason))
            case presence.UpdateAcknowledgement():
                self._tell(self.line, words.NotBound(self.line, "unexpected acknowledgement"))

    # What the line machine wants

    def bind(self) -> None:
        self._opened.send(picows.WSMsgType.TEXT, presence.BIND_FRAME)

    @property
    def is_open(self) -> bool:
        """There is somebody to say goodbye to."""
        return self._transport is not None

    @property
    def can_send(self) -> bool:
        """picows drops in silence what is sent behind a close frame or an end."""
        transport = self._transport
        if transport is None or self._is_over or not self._is_bound:
            return False
        return not (transport.is_close_frame_sent or transport.is_disconnected)

    def send(self, frame: bytes) -> None:
        self._opened.send(picows.WSMsgType.BINARY, frame)

    def ping(self) -> None:
        self._opened.send_ping()

    def close(self, code: int) -> None:
        """With a close frame; cut if that does not end it. It hands on nothing any more."""
        self._is_muted = self._is_over = True
        if self._transport is None:
            return
        self._transport.send_close(picows.WSCloseCode(code))
        self._transport.disconnect()
        asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, self.abort)

    def abort(self) -> None:
        self._is_muted = self._is_over = True
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.underlying_transport.abort()

    @property
    def _opened(self) -> WSTransport:
        assert self._transport is not None, "no action comes before Opened"
        return self._transport


def _broken(reason: str) -> picows.WSProtocolError:
    return picows.WSProtocolError(picows.WSCloseCode.PROTOCOL_ERROR, reason)


def _reply_to_close(frame: WSFrame) -> picows.WSCloseCode:
    """The peer's own code, and to none that of a usual end; to one that no close frame may bear
    that the peer has broken the protocol."""
    if frame.payload_size < 2:
        return picows.WSCloseCode.OK
    code = frame.get_close_code()
    is_usual = may_be_sent(int(cast("Any", code)))  # picows' stub does not know it is a number
    return code if is_usual else picows.WSCloseCode.PROTOCOL_ERROR
