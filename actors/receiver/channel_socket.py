"""Owns one socket of a channel: it opens it, tells what arrives, and does what the machine wants.

It decides nothing: each message becomes a signal or a record, each action a call to picows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import picows
from picows import WSTransport

from actors.events import session_flags
from actors.genesys import cloud
from actors.genesys.http import Reach
from actors.genesys.secret import Secret
from actors.genesys.websocket import (
    CLOSE_TIMEOUT_S,
    HandshakeRefusedError,
    UnreachableError,
    close_code,
    open_socket,
)
from actors.receiver import channel_signals as signals
from actors.receiver.channel_session import EPOCH
from actors.receiver.cloud_listener import CloudListener
from actors.receiver.connection import Tally
from actors.receiver.listener import MESSAGE_BYTES_MAX
from actors.receiver.outlet import Outlet
from actors.receiver.signals import Abort, Close, Ping, Refused, Unreachable


class ChannelSocket:
    """One try to be connected, and what comes of it. `tell` takes the signals, at once."""

    def __init__(
        self,
        line: int,
        connect_uri: Secret,
        *,
        way: Reach,
        outlet: Outlet,
        tally: Tally,
        tell: Callable[[signals.Signal], None],
    ) -> None:
        self.line = line
        self._connect_uri = connect_uri
        self._way = way
        self._outlet = outlet
        self._tally = tally
        self._tell = tell
        self._listener = CloudListener(self, outlet)
        self._listener.epoch = EPOCH
        self._transport: WSTransport | None = None
        self._is_over = False  # nobody waits for this line any more

    async def live(self) -> signals.Signal:
        """From the handshake to the end, which it returns. Raises only what is our own mistake."""
        try:
            transport = await open_socket(
                self._listener,
                self._connect_uri.reveal(),
                self._way,
                token=self._connect_uri,
                frame_bytes_max=MESSAGE_BYTES_MAX,
            )
        except HandshakeRefusedError as error:
            return Refused(self.line, error.status, error.retry_after_s)
        except UnreachableError as error:
            return Unreachable(self.line, error.reason)
        finally:
            self._is_over = self._is_over or self._transport is None
        try:
            await transport.wait_disconnected()
        except picows.WSProtocolError:
            pass  # we closed over a frame that breaks the protocol
        except Exception as error:
            self._outlet.fail(error)
        return signals.LineLost(self.line, close_code(transport))

    # Called by the listener, in the middle of a read

    def on_connected(self, transport: WSTransport) -> None:
        if self._is_over:  # the handshake came too late
            transport.underlying_transport.abort()
            return
        self._transport = transport
        if self._outlet.is_pressed:
            self.pause()
        self._tell(signals.Opened(self.line))

    def on_message(self, payload: bytes, is_text: bool) -> None:
        frame = cloud.read_frame(payload) if is_text else cloud.OddFrame(cloud.REASON_BINARY)
        match frame:
            case cloud.CloudEvent(user_id=user_id):
                flags = self._listener.flags
                self._outlet.event(user_id.encode(), payload, EPOCH, 0, flags)
                return
            case cloud.OddFrame(reason=reason):
                self._outlet.reject(payload, reason, EPOCH)
                return
            case cloud.Closing():
                self._tell(signals.ClosingTold(self.line))
            case cloud.Lost(kind=kind):
                self._listener.is_muted = True
                self._tell(signals.ChannelGone(self.line, kind))
        self._tally.control_frames += 1

    # What the machine wants

    @property
    def frames(self) -> int:
        return self._listener.frames

    def stream(self, session: int) -> None:
        self._listener.flags = session_flags(session)
        self._listener.is_fast = True

    def carry_out(self, action: Ping | Close | Abort) -> None:
        match action:
            case Ping():
                self._ping()
            case Close(code=code):
                self._close(code)
            case Abort():
                self._abort()

    def _ping(self) -> None:
        if self._transport is not None:
            self._transport.send(picows.WSMsgType.TEXT, cloud.PING_FRAME)

    def pause(self) -> None:
        if self._transport is not None:
            self._transport.underlying_transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None:
            self._transport.underlying_transport.resume_reading()

    def _close(self, code: int) -> None:
        """With a close frame; cut if that does not end it. It hands on nothing any more."""
        self._listener.is_muted = True
        self._is_over = True
        if self._transport is None:
            return
        self._transport.send_close(picows.WSCloseCode(code))
        self._transport.disconnect()
        asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, self._abort)

    def _abort(self) -> None:
        self._listener.is_muted = True
        self._is_over = True
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.underlying_transport.abort()
