"""Owns one socket of a channel: it opens it, tells what arrives, and does what the machine wants.

It decides nothing: each message becomes a signal or a record, each action a call to picows.
"""

from __future__ import annotations

from collections.abc import Callable

import picows
from picows import WSTransport

from actors.genesys import cloud
from actors.genesys.http import Route
from actors.genesys.notices import notice_of
from actors.genesys.secret import Secret
from actors.genesys.websocket import HandshakeRefusedError, UnreachableError
from actors.messages.control import session_flags
from actors.receiver import channel_signals as signals
from actors.receiver.channel_session import EPOCH
from actors.receiver.cloud_listener import CloudListener
from actors.receiver.connection import ConnectionCounts
from actors.receiver.ring_writer import RingWriter
from actors.receiver.signals import Abort, Close, Ping, Refused, Unreachable
from actors.receiver.wire import Wire


class ChannelSocket(Wire):
    """One try to be connected, and what comes of it. `tell` takes the signals, at once; `notice`
    hears what the platform says that asks for nothing we know."""

    def __init__(
        self,
        line: int,
        connect_uri: Secret,
        *,
        route: Route,
        ring_writer: RingWriter,
        tally: ConnectionCounts,
        tell: Callable[[signals.Signal], None],
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        listener = CloudListener(self, ring_writer)
        listener.epoch = EPOCH
        super().__init__(listener, ring_writer)
        self.line = line
        self._connect_uri = connect_uri
        self._route = route
        self._tally = tally
        self._tell = tell
        self._notice = notice

    async def live(self) -> signals.Signal:
        """From the handshake to the end, which it returns. Raises only what is our own mistake."""
        url = self._connect_uri.reveal()
        try:
            transport = await self._open(url, self._route, self._connect_uri)
        except HandshakeRefusedError as error:
            return Refused(self.line, error.status, error.retry_after_s, error.at)
        except UnreachableError as error:
            return Unreachable(self.line, error.reason)
        code, _ = await self._until_lost(transport)
        return signals.LineLost(self.line, code)

    # Called by the listener, in the middle of a read

    def on_connected(self, transport: WSTransport) -> None:
        if self._take(transport):
            self._tell(signals.Opened(self.line))

    def on_message(self, payload: bytes, is_text: bool) -> None:
        frame = (
            cloud.read_frame(payload) if is_text else cloud.InvalidCloudFrame(cloud.REASON_BINARY)
        )
        match frame:
            case cloud.CloudEvent(user_id=user_id):
                flags = self._listener.flags
                self._ring_writer.event(user_id.encode(), payload, EPOCH, 0, flags)
                return
            case cloud.InvalidCloudFrame(reason=reason):
                name = notice_of(payload) if is_text else None
                if name is None:
                    self._ring_writer.reject(payload, reason, EPOCH)
                    return
                self._notice(name)
            case cloud.Closing():
                self._tell(signals.ClosingAnnounced(self.line))
            case cloud.ChannelLost(kind=kind):
                self._listener.is_muted = True
                self._tell(signals.ChannelGone(self.line, kind))
            case cloud.SubscriptionChanged():
                self._tell(signals.TopicsChanged(self.line))
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
                self._opened.send(picows.WSMsgType.TEXT, cloud.PING_FRAME)
            case Close(code=code):
                self.close(code)
            case Abort():
                self.abort()
