"""CloudGateway: the gateway of the cloud dialect, put together: REST, sockets, channels.

Decides nothing about what happens (organisation, broadcast), who may what (api_middleware,
channels) and what goes wrong (faults): it carries out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tools.fake_gateway.cloud.api_middleware import BODY_BYTES_MAX, ApiMiddleware
from tools.fake_gateway.cloud.broadcast import Broadcast, ChannelConnection
from tools.fake_gateway.cloud.channel_calls import ChannelCalls, Subscriptions
from tools.fake_gateway.cloud.channels import CHANNEL_LIFE_S, Channel, Channels, audience
from tools.fake_gateway.cloud.definitions import DEFINITIONS
from tools.fake_gateway.cloud.fault_injector import CloudFaultInjector
from tools.fake_gateway.cloud.faults import GATE_FAULTS, PROFILES, CloudFault
from tools.fake_gateway.cloud.oauth import TOKEN_LIFE_S, OAuth
from tools.fake_gateway.cloud.organisation import CloudOrganisation, iso_time
from tools.fake_gateway.cloud.people import People, set_presence
from tools.fake_gateway.cloud.platform import Platform
from tools.fake_gateway.cloud.rate_window import CALLS_MAX
from tools.fake_gateway.cloud.sockets import HEARTBEAT_S, Sockets
from tools.fake_gateway.control import ControlCall, named
from tools.fake_gateway.gates import Gate
from tools.fake_gateway.gateway import Gateway, GatewaySettings
from tools.fake_gateway.ledger import now_us
from tools.fake_gateway.rest import add_calls
from tools.fake_gateway.webhooks import WebhookReceiver

EXPIRY_EVERY_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudSettings(GatewaySettings):
    clients: int = 1
    token_life_s: float = TOKEN_LIFE_S
    channel_life_s: float = CHANNEL_LIFE_S
    heartbeat_s: float = HEARTBEAT_S
    calls_per_minute: int = CALLS_MAX
    late: tuple[int, int] = (0, 0)
    hidden: int = 0
    forbidden_every: int = 0
    lean_entities: bool = False  # users without what a directory holds beside a name


class CloudGateway(Gateway[CloudSettings, CloudFault]):
    traffic: Broadcast

    def _build(self) -> None:
        settings = self.settings
        self.gates = {kind: Gate(name) for kind, name in GATE_FAULTS.items()}
        self.organisation = CloudOrganisation(
            settings.script,
            self.ledger,
            late=settings.late,
            hidden=settings.hidden,
            forbidden_every=settings.forbidden_every,
            lean_entities=settings.lean_entities,
        )
        self._script, self._agents = self.organisation.script, self.organisation.agents
        self.traffic = Broadcast(
            self.organisation,
            self.ledger,
            backlog_bytes=settings.backlog_bytes,
            slow_after_s=settings.slow_after_s,
        )
        is_varied = PROFILES[settings.faults].is_varied if settings.faults in PROFILES else False
        self.platform = Platform(self) if is_varied else None
        self._add_resources()
        self._let_vary()
        self._fault_injector = CloudFaultInjector(self)

    def _add_resources(self) -> None:
        settings, gates = self.settings, self.gates
        self.oauth = OAuth(
            settings.clients,
            token_life_s=settings.token_life_s,
            calls_max=settings.calls_per_minute,
        )
        self.api_middleware = ApiMiddleware(
            self.oauth,
            self.ledger,
            tokens=gates["refuse-tokens"],
            calls=gates["refuse-rest"],
            writes=gates["refuse-writes"],
        )
        self.channels = Channels(life_s=settings.channel_life_s)
        subscriptions = Subscriptions(self.channels, self.organisation, self)
        self.sockets = Sockets(
            self.channels,
            subscriptions,
            self.traffic,
            self.ledger,
            gates["refuse-sockets"],
            head=lambda: self.organisation.activity.head,
            organisation=self.organisation.id,
            heartbeat_s=settings.heartbeat_s,
        )
        change = self.traffic.change if self.platform is None else self.platform.writes.change
        self._people = People(self.organisation, change)
        self._channel_calls = ChannelCalls(self.channels, subscriptions, self)
        self._webhooks = WebhookReceiver(
            self.ledger, gates["refuse-webhooks"], settings.webhook_secret, states=None
        )

    def _let_vary(self) -> None:
        platform = self.platform
        if platform is not None:
            self.traffic.vary = platform.frames
            self.sockets.vary = platform.handshake
            self.api_middleware.platform = platform

    def _application(self) -> web.Application:
        application = web.Application(
            client_max_size=BODY_BYTES_MAX, middlewares=[self.api_middleware.middleware]
        )
        parts = (self.sockets, self.api_middleware, self._people, self._channel_calls)
        add_calls(application, [call for part in parts for call in part.calls])
        return application

    def _clients(self) -> dict[str, Any]:
        clients = [{"client_id": one.id, "client_secret": one.secret} for one in self.oauth.clients]
        return {"dialect": "cloud", **clients[0], "clients": clients}

    def _connections(self) -> Sequence[ChannelConnection]:
        return list(self.traffic.connections.values())

    @property
    def head(self) -> int:
        return self.organisation.activity.head

    def _say_goodbye(self) -> None:
        self.traffic.stop_load()
        for connection in self._connections():
            connection.close(1001, "the gateway ends")

    def _background(self) -> Sequence[Coroutine[Any, Any, None]]:
        return (self._expire(),)

    async def _expire(self) -> None:
        """Channels whose life is over."""
        while True:
            for channel in self.channels.expired(time.monotonic()):
                self.channels.remove(channel)
                self.lost(channel, "expired")
            if self.platform is not None:
                self.platform.turn()
            await asyncio.sleep(EXPIRY_EVERY_S)

    # What becomes of channels (channel_calls.ChannelListener).

    def created(self, channel: Channel) -> None:
        self._note("created", channel)

    def subscribed(self, channel: Channel) -> None:
        self.traffic.settle()
        topics = list(audience(channel))
        agents = self.traffic.hear(channel.number, topics)
        self._note("topics", channel, agents=agents, masks=[topic.mask for topic in topics])
        self.sockets.changed(channel)
        self.traffic.wake()

    def lost(self, channel: Channel, reason: str) -> None:
        self.sockets.lose(channel, reason)
        self._note("gone", channel, reason=reason)

    def _note(self, kind: str, channel: Channel, **more: Any) -> None:
        self.ledger.write(
            kind,
            channel=channel.serial,
            client=channel.client,
            head=self.organisation.activity.head,
            **more,
            at_us=now_us(),
        )

    # Control calls.

    def _control_calls(self) -> tuple[ControlCall, ...]:
        return (
            *super()._control_calls(),
            ControlCall("GET", "/truth", lambda _, query: self.truth(query.get("user", ""))),
            ControlCall("GET", "/channels", lambda _, __: self._channels_told()),
            ControlCall("GET", "/collections", lambda _, __: self._collections()),
            ControlCall(
                "POST", "/roster", lambda asked, _: self.roster(*named(asked, "user", "state"))
            ),
        )

    def _collections(self) -> dict[str, Any]:
        """Ids of what has members: everybody is in one of each kind."""
        directory = self.organisation.directory
        return {
            "queues": self.organisation.script.queues,
            "groups": directory.groups,
            "divisions": directory.divisions,
        }

    def status(self) -> dict[str, Any]:
        clients, channels = self.oauth.clients, list(self.channels)
        return {
            "generated": self.organisation.activity.head,
            **super().status(),
            "sent_bytes": self.traffic.sent.bytes,
            "copies": self.organisation.activity.copies,
            "sockets_opened": self.sockets.opened,
            "heartbeats": self.sockets.heartbeats,
            "pings": self.sockets.pings,
            "channels": len(channels),
            "channels_of": [sum(c.client == one.number for c in channels) for one in clients],
            "topics": sum(channel.size for channel in channels),
            "tokens": sum(client.tokens.issued for client in clients),
            "calls": dict(self.api_middleware.counts),
            "statuses": {str(status): n for status, n in self.api_middleware.statuses.items()},
            "too_many_requests": sum(client.window.refused for client in clients),
            "fullest_window": [client.window.fullest for client in clients],
            "patches": self._people.patches,
            "variations": None if self.platform is None else self.platform.status(),
        }

    def truth(self, user: str) -> dict[str, Any]:
        """As a call would tell it. Raises ValueError."""
        expand = frozenset(("presence", "routingstatus", "outofoffice"))
        return self.organisation.user(self._agent(user), expand)

    def _channels_told(self) -> dict[str, Any]:
        told = [
            {
                "channel": one.serial,
                "client": one.client,
                "id": one.id,
                "topics": one.size,
                "connected": one.is_connected,
                "expires_in_s": round(one.expires_s - time.monotonic(), 3),
            }
            for one in self.channels
        ]
        return {"channels": told}

    def update(self, user: str, presence: str) -> dict[str, Any]:
        agent, names = self._agent(user), [one.label for one in DEFINITIONS]
        if presence not in names:
            raise ValueError(f"state is one of {', '.join(names)}, not {presence!r}")
        change, number = self.traffic.change, names.index(presence)
        at_ms = set_presence(self.organisation, change, agent, number, "", by="control")
        return {"modifiedDate": iso_time(at_ms)}

    def roster(self, user: str, state: str) -> dict[str, Any]:
        """Somebody joins or leaves. Raises ValueError."""
        agent = self._agent(user)
        self.traffic.settle()
        self.organisation.set_state(agent, state, now_us())
        return {"active": len(self.organisation.roster("active"))}
