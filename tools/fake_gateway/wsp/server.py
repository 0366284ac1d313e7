"""WspGateway: the gateway of the wsp dialect, put together: token endpoint, REST, sockets.

Decides nothing about events (organisation, stream) and nothing about faults: it carries out.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tools.fake_gateway.connection import Connection
from tools.fake_gateway.control import ControlCall, named
from tools.fake_gateway.gates import Gate
from tools.fake_gateway.gateway import Gateway, GatewaySettings
from tools.fake_gateway.rest import RestCall, add_calls
from tools.fake_gateway.script import PRESENCES
from tools.fake_gateway.tokens import ALL_SCOPES, Tokens
from tools.fake_gateway.webhooks import WebhookReceiver
from tools.fake_gateway.wsp.fault_injector import WspFaultInjector
from tools.fake_gateway.wsp.faults import GATE_FAULTS, WspFault
from tools.fake_gateway.wsp.notifications import Notifications
from tools.fake_gateway.wsp.organisation import (
    FIRST_SEQUENCE,
    RETENTION_EVENTS,
    OrderSettings,
    Organisation,
)
from tools.fake_gateway.wsp.presence import PresenceSockets
from tools.fake_gateway.wsp.reception import Reception
from tools.fake_gateway.wsp.rest import WspRest
from tools.fake_gateway.wsp.stream import Stream

CLIENT_ID, CLIENT_SECRET = "fake-client", "fake-secret"


@dataclass(frozen=True, slots=True, kw_only=True)
class WspSettings(GatewaySettings):
    order: OrderSettings = field(default_factory=OrderSettings)
    whole_agents: bool = False
    first_sequence: int = FIRST_SEQUENCE
    retention_events: int = RETENTION_EVENTS
    expiry_grace_s: float = 0.0
    scopes: frozenset[str] = ALL_SCOPES
    handshakes_max: int = 0  # per minute; 0 = any number
    updates_per_s: int = 0  # more are told 429; 0 = any number
    ack_loss: float = 0.0  # share of acknowledgements that never come


class WspGateway(Gateway[WspSettings, WspFault]):
    traffic: Stream

    def _build(self) -> None:
        settings = self.settings
        self.gates = {kind: Gate(name) for kind, name in GATE_FAULTS.items()}
        self.gates["refuse"] = Gate(GATE_FAULTS["refuse"], passes_max=settings.handshakes_max)
        self.tokens = Tokens(
            CLIENT_ID, CLIENT_SECRET, settings.token_life_s, scopes=settings.scopes
        )
        self._add_stream()
        self._add_presence()
        self._fault_injector = WspFaultInjector(self)

    def _add_stream(self) -> None:
        """The one tutorial: what happens, and who is told."""
        settings = self.settings
        self.organisation = Organisation(
            settings.script,
            settings.order,
            self.ledger,
            first_sequence=settings.first_sequence,
            retention_events=settings.retention_events,
        )
        self._script = self.organisation.script
        self._agents = {user: agent for agent, user in enumerate(self._script.users)}
        self.traffic = Stream(
            self.organisation,
            self.ledger,
            backlog_bytes=settings.backlog_bytes,
            slow_after_s=settings.slow_after_s,
        )
        self.notifications = Notifications(
            self.organisation,
            self.traffic,
            self.tokens,
            self.ledger,
            self.gates["refuse"],
            whole_agents=settings.whole_agents,
            expiry_grace_s=settings.expiry_grace_s,
        )

    def _add_presence(self) -> None:
        """The other tutorial: look-ups, updates, webhooks."""
        settings = self.settings
        self.rest = WspRest(
            self.tokens,
            self._agents,
            self.ledger,
            token_calls=self.gates["refuse-tokens"],
            user_calls=self.gates["refuse-users"],
        )
        self.reception = Reception(
            self._agents,
            updates_per_s=settings.updates_per_s,
            ack_loss=settings.ack_loss,
            seed=settings.script.seed,
        )
        self.presence = PresenceSockets(
            self.reception,
            self.tokens,
            self.ledger,
            self.gates["refuse-presence"],
            self._apply,
            expiry_grace_s=settings.expiry_grace_s,
        )
        self._webhooks = WebhookReceiver(
            self.ledger, self.gates["refuse-webhooks"], settings.webhook_secret
        )

    def _application(self) -> web.Application:
        application = web.Application()
        sockets = (
            RestCall("GET", "/wsp/v2/notifications", self.notifications.handle),
            RestCall("GET", "/api/v2/ws", self.presence.handle),
        )
        add_calls(application, (*sockets, *self.rest.calls))
        return application

    def _clients(self) -> dict[str, Any]:
        return {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}

    def _connections(self) -> Sequence[Connection]:
        return [*self.traffic.feeds.values(), *self.presence.connections.values()]

    def _control_calls(self) -> tuple[ControlCall, ...]:
        return (
            *super()._control_calls(),
            ControlCall(
                "POST", "/rotate", lambda asked, _: self.rotate(*named(asked, "client_secret"))
            ),
        )

    def status(self) -> dict[str, Any]:
        gates, counts = self.gates, self.presence.counts
        return {
            "newest_sequence": self.organisation.newest_sequence,
            "epoch": self.organisation.numbering.current.wire,
            "generated": self.organisation.head,
            **super().status(),
            "sent_history": self.traffic.sent.history,
            "tokens": self.tokens.issued,
            "refused": gates["refuse"].refused,
            "refused_tokens": gates["refuse-tokens"].refused,
            "presence_sockets": len(self.presence.connections),
            "updates": counts["updates"],
            "applied": counts["applied"],
            "acknowledged": counts["acknowledged"],
            "look_ups": self.rest.look_ups,
            "refused_webhooks": gates["refuse-webhooks"].refused,
        }

    def rotate(self, client_secret: str) -> dict[str, Any]:
        self.tokens.rotate(client_secret)
        return self.status()

    def _apply(self, user: str, presence: int, correlation: str) -> int:
        return self.traffic.change(self._agents[user], presence, correlation)

    def update(self, user: str, presence: str) -> dict[str, Any]:
        self._agent(user)
        if presence not in PRESENCES:
            raise ValueError(f"state is one of {', '.join(PRESENCES)}, not {presence!r}")
        correlation = str(uuid.uuid4())
        number = self._apply(user, PRESENCES.index(presence), correlation)
        sequence = self.organisation.numbering.sequence(number)
        return {"sequence": sequence, "correlationId": correlation}
