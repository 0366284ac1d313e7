"""Presence sockets of the wsp dialect (protocol.md §1.3): handshake, binding, updates, answers.

Decides nothing about an update (reception), and knows no event: whoever made it is a callable.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import WSMessage, WSMsgType, web

from tools.fake_gateway.faults import Fault
from tools.fake_gateway.gates import Gate
from tools.fake_gateway.ledger import Ledger
from tools.fake_gateway.reception import Reception
from tools.fake_gateway.rest import bearer, refuse
from tools.fake_gateway.tokens import PRESENCE_SCOPE, Tokens
from tools.fake_gateway.updates import (
    BOUND_FRAME,
    CODES,
    OK,
    Answer,
    MalformedUpdateError,
    acknowledgement,
    is_binding,
    malformed_acknowledgement,
    parse_update,
)
from tools.fake_gateway.wire import PONG, close_frame, server_frame

CLIENT_FRAME_BYTES_MAX = 1 << 16
CLOSE_TIMEOUT_S = 2.0


@dataclass(slots=True, kw_only=True)
class Line:
    """One presence socket."""

    socket: int
    transport: asyncio.Transport
    is_bound: bool = False
    is_closing: bool = False
    silent_until_s: float = 0.0  # half-open: what comes is lost, and nothing goes out

    @property
    def is_silent(self) -> bool:
        return self.silent_until_s > time.monotonic()


class PresenceSockets:
    """All of them. `apply` makes an event of an agent, a presence and a correlation id, and returns
    its number."""

    def __init__(
        self,
        reception: Reception,
        tokens: Tokens,
        ledger: Ledger,
        gate: Gate,
        apply: Callable[[str, int, str], int],
        *,
        expiry_grace_s: float = 0.0,
    ) -> None:
        self._reception = reception
        self._tokens = tokens
        self._ledger = ledger
        self._gate = gate
        self._apply = apply
        self._expiry_grace_s = expiry_grace_s
        self._opened = 0
        self._malformed = 0
        self.lines: dict[int, Line] = {}
        self.unanswered_bindings = 0  # so many more get no answer
        self.counts: Counter[str] = Counter()  # updates, applied, acknowledged

    async def handle(self, request: web.Request) -> web.StreamResponse:
        now_s = time.monotonic()
        refusal = self._gate.refusal(now_s)
        if refusal is not None:
            self._ledger.refused("presence", refusal.status, _now_us())
            return await refuse(refusal.status, refusal.retry_after_s)
        grant = self._tokens.grant(bearer(request), now_s)
        if grant is None:
            return await refuse(401, None)
        if PRESENCE_SCOPE not in grant.scopes:
            return await refuse(403, None)
        response = web.WebSocketResponse(
            autoping=False, autoclose=False, compress=False, max_msg_size=CLIENT_FRAME_BYTES_MAX
        )
        await response.prepare(request)
        transport = request.transport
        assert transport is not None
        self._opened += 1
        line = Line(socket=self._opened, transport=transport)
        self.lines[line.socket] = line
        self._ledger.write("presence-opened", socket=line.socket, at_us=_now_us())
        expires_in_s = grant.expires_s - now_s + self._expiry_grace_s
        expiry = asyncio.get_running_loop().call_later(expires_in_s, self.close, line, None)
        try:
            reason = await self._read(line, response)
        finally:
            expiry.cancel()
            del self.lines[line.socket]
            transport.close()
        self._ledger.write("presence-closed", socket=line.socket, reason=reason, at_us=_now_us())
        return response

    async def _read(self, line: Line, response: web.WebSocketResponse) -> str:
        """From the first frame to the last; says how it ended."""
        while True:
            frame = await response.receive()
            if frame.type is WSMsgType.PING:
                if not line.is_silent:
                    self._write(line, server_frame(frame.data, PONG))
            elif frame.type is WSMsgType.CLOSE:
                if line.is_closing:
                    return "closed by the gateway"
                line.is_closing = True
                line.transport.write(close_frame(frame.data or None))
                return f"closed by the client: {frame.data}"
            elif frame.type in (WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                return "dropped by the gateway" if line.is_closing else "lost"
            elif frame.type in (WSMsgType.TEXT, WSMsgType.BINARY) and not line.is_closing:
                self._receive(line, frame)

    def _receive(self, line: Line, frame: WSMessage) -> None:
        if frame.type is WSMsgType.TEXT and is_binding(frame.data):
            self._bind(line)
            return
        self.counts["updates"] += 1
        answer: Answer | None
        try:
            if frame.type is not WSMsgType.BINARY:
                raise MalformedUpdateError("an update is a binary frame", None)
            update = parse_update(frame.data)
        except MalformedUpdateError as error:
            answer = Answer(400, CODES[400], str(error))
            self._note(line, error.correlation, answer)
            self._answer(line, error.correlation, answer)
            return
        number = None
        if line.is_silent:
            answer = None
        elif not line.is_bound:
            answer = Answer(400, "not.bound", "the channel presence is not bound")
        else:
            answer, is_new = self._reception.decide(update, time.monotonic())
            if is_new:
                number = self._apply(update.user, update.presence, update.correlation)
                self.counts["applied"] += 1
        self._note(
            line,
            update.correlation,
            answer,
            user=update.user,
            presence=update.presence,
            reason=update.reason,
            number=number,
        )
        if answer is not None:
            self._answer(line, update.correlation, answer)

    def _bind(self, line: Line) -> None:
        if line.is_silent:
            return
        if self.unanswered_bindings:
            self.unanswered_bindings -= 1
            return
        line.is_bound = True
        self._ledger.write("presence-bound", socket=line.socket, at_us=_now_us())
        self._write(line, BOUND_FRAME)

    def _note(
        self, line: Line, correlation: str | None, answer: Answer | None, **told: object
    ) -> None:
        """Of an update; status 0: it was lost."""
        self._ledger.write(
            "update",
            socket=line.socket,
            correlation=correlation,
            **told,
            status=0 if answer is None else answer.status,
            code="lost" if answer is None else answer.code,
            at_us=_now_us(),
        )

    def _answer(self, line: Line, correlation: str | None, answer: Answer) -> None:
        how, seconds = self._reception.fate()
        frame = acknowledgement(correlation, answer)
        loop = asyncio.get_running_loop()
        if how == "missing":
            self._ledger_ack(line, correlation, answer, how)
        elif how == "late":
            loop.call_later(seconds, self._acknowledge, line, correlation, answer, how)
        else:
            if how == "malformed":
                self._write(line, malformed_acknowledgement(correlation, self._malformed))
                self._malformed += 1
            self._acknowledge(line, correlation, answer, how)
            if how == "duplicate":
                self._write(line, frame)

    def _acknowledge(self, line: Line, correlation: str | None, answer: Answer, how: str) -> None:
        is_gone = line.is_silent or not self._write(line, acknowledgement(correlation, answer))
        self._ledger_ack(line, correlation, answer, "missing" if is_gone else how)

    def _ledger_ack(self, line: Line, correlation: str | None, answer: Answer, how: str) -> None:
        self.counts["acknowledged"] += answer.status == OK and how != "missing"
        self._ledger.write(
            "ack",
            socket=line.socket,
            correlation=correlation,
            status=answer.status,
            how=how,
            at_us=_now_us(),
        )

    def _write(self, line: Line, frame: bytes) -> bool:
        """False: the socket is gone."""
        if line.is_closing or line.transport.is_closing():
            return False
        line.transport.write(frame)
        return True

    # Faults.

    def carry_out(self, fault: Fault, lines: list[Line]) -> None:
        if fault.kind == "bind-missing":
            self.unanswered_bindings += fault.count
        for line in lines:
            if fault.kind == "presence-close":
                self.close(line, fault.code)
            elif fault.kind == "presence-drop":
                self.drop(line)
            elif fault.kind == "presence-stall":
                line.silent_until_s = time.monotonic() + fault.seconds

    def close(self, line: Line, code: int | None) -> None:
        """With a close frame; the connection is cut if the client does not answer it."""
        if self._write(line, close_frame(code)):
            line.is_closing = True
            asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, line.transport.abort)

    def drop(self, line: Line) -> None:
        line.is_closing = True
        line.transport.abort()


def _now_us() -> int:
    return time.time_ns() // 1000
