"""Notification sockets of the wsp dialect (protocol.md §1.2): handshake, subscription, close.

What is written on them after the acknowledgement is the stream's business.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

import orjson
from aiohttp import WSMsgType, web

from tools.fake_gateway.connection import read_to_end, upgrade
from tools.fake_gateway.gates import Gate
from tools.fake_gateway.ledger import Ledger, now_us
from tools.fake_gateway.script import WHOLE_AGENT
from tools.fake_gateway.tokens import NOTIFICATION_SCOPES, Tokens
from tools.fake_gateway.wire import server_frame
from tools.fake_gateway.wsp.faults import WspFault
from tools.fake_gateway.wsp.organisation import Organisation, SubscriptionAnswer
from tools.fake_gateway.wsp.rest import admit
from tools.fake_gateway.wsp.stream import Feed, HistoryInProgress, Stream
from tools.fake_gateway.wsp.subscription import (
    MalformedSubscriptionError,
    Subscription,
    parse_subscription,
)

SUBSCRIPTION_TIMEOUT_S = 10.0
CLIENT_FRAME_BYTES_MAX = 1 << 20


class Notifications:
    """All notification sockets, and the switches that faults turn."""

    def __init__(
        self,
        organisation: Organisation,
        stream: Stream,
        tokens: Tokens,
        ledger: Ledger,
        gate: Gate,
        *,
        whole_agents: bool = False,
        expiry_grace_s: float = 0.0,
    ) -> None:
        self._organisation = organisation
        self._stream = stream
        self._tokens = tokens
        self._ledger = ledger
        self._gate = gate
        self._whole_agents = whole_agents
        self._expiry_grace_s = expiry_grace_s
        self._sockets = 0
        self.ignored_sequences = 0  # so many more subscriptions get neither replay nor gap
        self.odd_histories: deque[WspFault] = deque()  # how the next ones differ from what is right

    async def handle(self, request: web.Request) -> web.StreamResponse:
        token = request.query.get("access_token", "")
        grant = await admit(self._gate, self._ledger, self._tokens, token, NOTIFICATION_SCOPES)
        if isinstance(grant, web.Response):
            return grant
        expires_in_s = grant.expires_s - time.monotonic() + self._expiry_grace_s
        response, transport = await upgrade(request, frame_bytes_max=CLIENT_FRAME_BYTES_MAX)
        self._sockets += 1
        socket = self._sockets
        self._ledger.write("opened", socket=socket, at_us=now_us())
        expiry = asyncio.get_running_loop().call_later(expires_in_s, self._expire, socket)
        try:
            reason = await self._serve(socket, response, transport)
        finally:
            expiry.cancel()
            self._stream.detach(socket)
            transport.close()
        self._ledger.write("closed", socket=socket, reason=reason, at_us=now_us())
        return response

    async def _serve(
        self, socket: int, response: web.WebSocketResponse, transport: asyncio.Transport
    ) -> str:
        """From the first frame to the last; says how it ended."""
        try:
            async with asyncio.timeout(SUBSCRIPTION_TIMEOUT_S):
                first = await response.receive()
        except TimeoutError:
            transport.abort()
            return "no subscription"
        if first.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            return "closed before the subscription"
        try:
            subscription = parse_subscription(first.data)
        except MalformedSubscriptionError as error:
            transport.abort()  # the contract: no close frame
            return f"malformed subscription: {error}"
        feed = self._acknowledge(socket, subscription, transport)
        return await read_to_end(response, feed)

    def _acknowledge(self, socket: int, asked: Subscription, transport: asyncio.Transport) -> Feed:
        organisation = self._organisation
        ignores = self.ignored_sequences > 0 and asked.sequence is not None
        self.ignored_sequences -= ignores
        answer = organisation.answer(asked, ignores_sequence=ignores)
        acknowledgement = {
            "type": "subscription",
            "status": "subscribed",
            "sequence": answer.sequence,
            "epoch": answer.epoch.wire,
        }
        transport.write(server_frame(orjson.dumps(acknowledgement)))
        shape = asked.shape | (WHOLE_AGENT if self._whole_agents else 0)
        at_us = now_us()
        self._ledger.write(
            "subscribed",
            socket=socket,
            head=organisation.head,
            epoch=answer.epoch.name,
            sequence=answer.sequence,
            asked=asked.sequence,
            asked_epoch=asked.epoch,
            resume=answer.resume,
            shape=shape,
            history=asked.wants_history,
            at_us=at_us,
        )
        if answer.gap is not None:
            first, last = answer.gap
            if answer.resume == "gap":
                gap = {"type": "gap", "from": first, "to": last}
                transport.write(server_frame(orjson.dumps(gap)))
            self._ledger.write(
                "gap" if answer.resume == "gap" else "ignored",
                socket=socket,
                epoch=answer.epoch.name,
                first=first,
                last=last,
                at_us=at_us,
            )
        history = self._history(answer) if asked.wants_history else None
        feed = Feed(
            socket=socket,
            transport=transport,
            shape=shape,
            position=answer.position,
            asked_from=self._number_after(asked, answer),
            history=history,
        )
        self._stream.attach(feed)
        return feed

    def _history(self, answer: SubscriptionAnswer) -> HistoryInProgress:
        organisation = self._organisation
        history = HistoryInProgress(
            position=organisation.order.begin_of(organisation.sendable),
            head=organisation.head,
            sequence=answer.sequence,
            last=organisation.last_changes(),
        )
        if self.odd_histories:
            odd = self.odd_histories.popleft()
            if odd.kind == "no-history-end":
                history.is_unsaid = True
            elif odd.kind == "slow-history":
                history.part_events, history.pause_s = odd.events or 1, odd.seconds
            else:
                assert odd.kind == "omit-agents", odd
                agents = organisation.settings.agents
                first = organisation.head % agents
                history.omitted = (first, min(agents, first + odd.count))
        return history

    def _number_after(self, asked: Subscription, answer: SubscriptionAnswer) -> int:
        """The number of the event that follows what the client says that it has."""
        if asked.sequence is None or answer.resume != "replay":
            return answer.position
        epoch = answer.epoch
        return epoch.first + max(0, asked.sequence + 1 - epoch.first_sequence)

    def _expire(self, socket: int) -> None:
        """The token of a socket has ended: 1005, and no error before."""
        feed = self._stream.feeds.get(socket)
        if feed is not None:
            feed.close(None)
