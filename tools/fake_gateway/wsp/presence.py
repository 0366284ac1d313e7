"""Presence sockets of the wsp dialect (protocol.md §1.3): handshake, binding, updates, answers.

Decides nothing about an update (reception), and knows no event: whoever made it is a callable.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import WSMessage, WSMsgType, web

from tools.fake_gateway.connection import Connection, read_to_end, upgrade
from tools.fake_gateway.gates import Gate
from tools.fake_gateway.ledger import Ledger, now_us
from tools.fake_gateway.rest import bearer
from tools.fake_gateway.tokens import PRESENCE_SCOPE, Tokens
from tools.fake_gateway.wsp.faults import WspFault
from tools.fake_gateway.wsp.reception import Reception
from tools.fake_gateway.wsp.rest import admit
from tools.fake_gateway.wsp.updates import (
    BOUND_FRAME,
    CODES,
    OK,
    MalformedUpdateError,
    UpdateAnswer,
    acknowledgement,
    is_binding,
    malformed_acknowledgement,
    parse_update,
)

CLIENT_FRAME_BYTES_MAX = 1 << 16


@dataclass(slots=True, kw_only=True, eq=False)
class PresenceConnection(Connection):
    """One presence socket. While it is silent, what comes is lost."""

    socket: int
    is_bound: bool = False


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
        self.connections: dict[int, PresenceConnection] = {}
        self.unanswered_bindings = 0  # so many more get no answer
        self.counts: Counter[str] = Counter()  # updates, applied, acknowledged

    async def handle(self, request: web.Request) -> web.StreamResponse:
        scopes = frozenset((PRESENCE_SCOPE,))
        grant = await admit(self._gate, self._ledger, self._tokens, bearer(request), scopes)
        if isinstance(grant, web.Response):
            return grant
        expires_in_s = grant.expires_s - time.monotonic() + self._expiry_grace_s
        response, transport = await upgrade(request, frame_bytes_max=CLIENT_FRAME_BYTES_MAX)
        self._opened += 1
        connection = PresenceConnection(socket=self._opened, transport=transport)
        self.connections[connection.socket] = connection
        self._ledger.write("presence-opened", socket=connection.socket, at_us=now_us())
        expiry = asyncio.get_running_loop().call_later(expires_in_s, connection.close, None)
        try:
            reason = await read_to_end(
                response, connection, functools.partial(self._receive, connection)
            )
        finally:
            expiry.cancel()
            del self.connections[connection.socket]
            transport.close()
        self._ledger.write(
            "presence-closed", socket=connection.socket, reason=reason, at_us=now_us()
        )
        return response

    def _receive(self, connection: PresenceConnection, frame: WSMessage) -> None:
        if frame.type is WSMsgType.TEXT and is_binding(frame.data):
            self._bind(connection)
            return
        self.counts["updates"] += 1
        answer: UpdateAnswer | None
        try:
            if frame.type is not WSMsgType.BINARY:
                raise MalformedUpdateError("an update is a binary frame", None)
            update = parse_update(frame.data)
        except MalformedUpdateError as error:
            answer = UpdateAnswer(400, CODES[400], str(error))
            self._note(connection, error.correlation, answer)
            self._answer(connection, error.correlation, answer)
            return
        number = None
        if connection.is_deaf:
            answer = None
        elif not connection.is_bound:
            answer = UpdateAnswer(400, "not.bound", "the channel presence is not bound")
        else:
            answer, is_new = self._reception.decide(update, time.monotonic())
            if is_new:
                number = self._apply(update.user, update.presence, update.correlation)
                self.counts["applied"] += 1
        self._note(
            connection,
            update.correlation,
            answer,
            user=update.user,
            presence=update.presence,
            reason=update.reason,
            number=number,
        )
        if answer is not None:
            self._answer(connection, update.correlation, answer)

    def _bind(self, connection: PresenceConnection) -> None:
        if connection.is_deaf:
            return
        if self.unanswered_bindings:
            self.unanswered_bindings -= 1
            return
        connection.is_bound = True
        self._ledger.write("presence-bound", socket=connection.socket, at_us=now_us())
        connection.put(BOUND_FRAME)

    def _note(
        self,
        connection: PresenceConnection,
        correlation: str | None,
        answer: UpdateAnswer | None,
        **told: object,
    ) -> None:
        """Of an update; status 0: it was lost."""
        self._ledger.write(
            "update",
            socket=connection.socket,
            correlation=correlation,
            **told,
            status=0 if answer is None else answer.status,
            code="lost" if answer is None else answer.code,
            at_us=now_us(),
        )

    def _answer(
        self, connection: PresenceConnection, correlation: str | None, answer: UpdateAnswer
    ) -> None:
        how, seconds = self._reception.fate()
        if how == "late":
            later = asyncio.get_running_loop().call_later
            later(seconds, self._acknowledge, connection, correlation, answer, how)
            return
        if how == "malformed":
            connection.put(malformed_acknowledgement(correlation, self._malformed))
            self._malformed += 1
        self._acknowledge(connection, correlation, answer, how)
        if how == "duplicate":
            connection.put(acknowledgement(correlation, answer))

    def _acknowledge(
        self,
        connection: PresenceConnection,
        correlation: str | None,
        answer: UpdateAnswer,
        how: str,
    ) -> None:
        if how != "missing":
            is_gone = connection.is_deaf or not connection.put(acknowledgement(correlation, answer))
            how = "missing" if is_gone else how
        self.counts["acknowledged"] += answer.status == OK and how != "missing"
        self._ledger.write(
            "ack",
            socket=connection.socket,
            correlation=correlation,
            status=answer.status,
            how=how,
            at_us=now_us(),
        )

    # Faults.

    def carry_out(self, fault: WspFault, connections: list[PresenceConnection]) -> None:
        if fault.kind == "bind-missing":
            self.unanswered_bindings += fault.count
        for connection in connections:
            if fault.kind == "presence-close":
                connection.close(fault.code)
            elif fault.kind == "presence-drop":
                connection.drop()
            elif fault.kind == "presence-stall":
                connection.paused_until_s = time.monotonic() + fault.seconds
                connection.is_silent = True
