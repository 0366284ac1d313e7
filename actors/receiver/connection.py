"""Owns one line's socket: it opens it, tells what arrives, and does what the session machine wants.

It decides nothing: each message becomes a signal or a record, each action a call to picows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import picows
from picows import WSTransport

from actors.genesys import wsp
from actors.genesys.http import GatewayAddress, Route
from actors.genesys.tokens import Token, TokenProvider, TokenUnavailableError
from actors.genesys.websocket import HandshakeRefusedError, UnreachableError
from actors.messages.control import SEQUENCE_STEP_MAX, STATE_EVENT, session_flags
from actors.receiver import signals
from actors.receiver.listener import Listener
from actors.receiver.ring_writer import RingWriter
from actors.receiver.wire import Wire

SHED_TYPES_MAX: Final = 16  # hostile names must not grow a table,
SHED_TYPE_CHARS_MAX: Final = 64  # nor a line of the log


@dataclass(slots=True)
class ConnectionCounts:
    """What the lines of a receiver count beside the ring writer."""

    control_frames: int = 0
    shed: Counter[str] = field(default_factory=Counter)
    shed_untold: int = 0  # to the shards

    def add_shed(self, kind: object) -> None:
        is_name = isinstance(kind, str) and len(kind) <= SHED_TYPE_CHARS_MAX
        name = str(kind) if is_name else "?"
        known = name in self.shed or len(self.shed) < SHED_TYPES_MAX
        self.shed[name if known else "?"] += 1
        self.shed_untold += 1

    def take_shed(self) -> int:
        """How many were shed since this was asked last."""
        taken, self.shed_untold = self.shed_untold, 0
        return taken


class Connection(Wire):
    """One try to be connected, and what comes of it. `tell` takes the signals, at once."""

    def __init__(
        self,
        line: int,
        *,
        address: GatewayAddress,
        route: Route,
        resource: str | None,
        ring_writer: RingWriter,
        tally: ConnectionCounts,
        tell: Callable[[signals.Signal], None],
        marks: Callable[[], tuple[signals.Mark, ...]],
        appointments: bool = False,
    ) -> None:
        super().__init__(Listener(self, ring_writer), ring_writer)
        self.line = line
        self.token: Token | None = None
        self._address = address
        self._route = route
        self._resource = resource
        self._appointments = appointments
        self._tally = tally
        self._tell = tell
        self._marks = marks
        self._is_streaming = False
        self._watermark = 0  # when we subscribed

    # From the token to the end, which it returns

    async def live(self, tokens: TokenProvider, rejected: Token | None) -> signals.Signal:
        """Raises only what is our own mistake, or ConfigurationError."""
        try:
            self.token = await tokens.current(rejected=rejected.value if rejected else None)
        except TokenUnavailableError as error:
            return signals.TokenMissing(self.line, error.reason, error.retry_s, error.is_refused)
        token = self.token.value
        url = wsp.notifications_url(self._address.websocket_url, token.reveal())
        try:
            transport = await self._open(url, self._route, token)
        except HandshakeRefusedError as error:
            return signals.Refused(self.line, error.status, error.retry_after_s, error.at)
        except UnreachableError as error:
            return signals.Unreachable(self.line, error.reason)
        code, is_ours = await self._until_lost(transport)
        listener = self._listener
        return signals.Lost(self.line, code, is_ours, listener.highest, listener.unbroken)

    # Called by the listener, in the middle of a read

    def on_connected(self, transport: WSTransport) -> None:
        if self._take(transport):
            self._tell(signals.Opened(self.line, self._marks()))

    def on_message(self, payload: bytes, is_text: bool) -> None:
        frame = wsp.read_frame(payload) if is_text else wsp.InvalidFrame(wsp.REASON_BINARY)
        if not self._is_streaming:
            self._on_first(frame)
            return
        match frame:
            case wsp.OwnedEvent():
                self._on_event(frame, payload)
            case wsp.GapRecord() if frame.last > self._ring_writer.known + SEQUENCE_STEP_MAX:
                self._ring_writer.reject(payload, wsp.REASON_BAD_GAP, self._listener.epoch)
            case wsp.GapRecord():
                self._tally.control_frames += 1
                self._listener.unbroken = max(self._listener.unbroken, frame.last)
                self._tell(signals.GapSeen(self.line, frame.first, frame.last))
            case wsp.HistoryComplete():
                self._tally.control_frames += 1
                self._tell(signals.HistorySeen(self.line, frame.sequence))
            case wsp.SubscriptionAcknowledgement():
                self._tally.control_frames += 1
            case wsp.InvalidFrame():
                self._ring_writer.reject(payload, frame.reason, self._listener.epoch)

    def _on_first(self, frame: wsp.Frame) -> None:
        self._tally.control_frames += 1
        if isinstance(frame, wsp.SubscriptionAcknowledgement):
            newest, epoch_name = frame
            self._tell(signals.Acknowledged(self.line, newest, epoch_name, self._watermark))
        else:
            self._listener.is_muted = True
            self._tell(signals.NotAcknowledged(self.line))

    def _on_event(self, event: wsp.OwnedEvent, payload: bytes) -> None:
        listener, ring_writer = self._listener, self._ring_writer
        is_plausible = event.sequence <= ring_writer.known + SEQUENCE_STEP_MAX
        if not listener.is_fast and is_plausible and event.is_whole:
            self._tell(signals.EventSeen(self.line, event.sequence, event.is_history))
        listener.note_event(event.sequence, event.is_history)
        if event.type != STATE_EVENT and ring_writer.is_pressed:
            self._tally.add_shed(event.type)
            return
        user_id = event.user_id.encode("utf-8", "surrogatepass")
        ring_writer.event(user_id, payload, listener.epoch, event.sequence, listener.flags)

    # What the session machine wants

    @property
    def signs(self) -> signals.Signs:
        return signals.Signs(self._listener.frames, self._listener.history_frames)

    def subscribe(self, resume_after: int | None, epoch_name: str) -> None:
        frame = wsp.subscription(
            resource=self._resource,
            appointments=self._appointments,
            resume_after=resume_after,
            epoch_name=epoch_name,
        )
        self._watermark = self._ring_writer.watermark
        self._listener.unbroken = resume_after or 0
        self._opened.send(picows.WSMsgType.TEXT, frame)

    def stream(self, session: int, epoch: int, newest: int) -> None:
        self._listener.flags = session_flags(session)
        self._listener.epoch = epoch & 0xFFFF
        self._listener.newest = newest
        self._listener.history_runs = True
        self._is_streaming = True

    def go_fast(self) -> None:
        self._listener.is_fast = True

    def stop_history(self) -> None:
        self._listener.history_runs = False

    def ping(self) -> None:
        self._opened.send_ping()
