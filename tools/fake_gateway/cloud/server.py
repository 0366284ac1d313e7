"""CloudGateway: the fake one of the cloud dialect, put together: REST, sockets, control, life.

Decides nothing about what happens (organisation, broadcast), who may what (api_middleware,
channels) and what goes wrong (faults): it carries out.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from tools.fake_gateway.certificates import server_context
from tools.fake_gateway.cloud.api_middleware import BODY_BYTES_MAX, ApiMiddleware
from tools.fake_gateway.cloud.broadcast import Broadcast
from tools.fake_gateway.cloud.channel_calls import ChannelCalls, Subscriptions
from tools.fake_gateway.cloud.channels import CHANNEL_LIFE_S, Channel, Channels, audience
from tools.fake_gateway.cloud.control import control_application
from tools.fake_gateway.cloud.definitions import DEFINITIONS
from tools.fake_gateway.cloud.fault_injector import CloudFaultInjector, Harmed
from tools.fake_gateway.cloud.faults import GATE_FAULTS, Fault, FaultPlan
from tools.fake_gateway.cloud.oauth import TOKEN_LIFE_S, OAuth
from tools.fake_gateway.cloud.organisation import CloudOrganisation, iso_time
from tools.fake_gateway.cloud.people import People, set_presence
from tools.fake_gateway.cloud.rate_window import CALLS_MAX
from tools.fake_gateway.cloud.sockets import HEARTBEAT_S, Sockets
from tools.fake_gateway.gates import Gate
from tools.fake_gateway.ledger import CA_NAME, Ledger
from tools.fake_gateway.pacing import Load
from tools.fake_gateway.proxy import Proxy
from tools.fake_gateway.script import ScriptSettings
from tools.fake_gateway.server import GOODBYE_S, HOST, SHUTDOWN_S
from tools.fake_gateway.stream import BACKLOG_BYTES, SLOW_AFTER_S, TURN_S
from tools.fake_gateway.webhooks import PATH as WEBHOOK_PATH
from tools.fake_gateway.webhooks import WebhookReceiver

EXPIRY_EVERY_S = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudSettings:
    script: ScriptSettings
    ledger: Path
    clients: int = 1
    port: int = 0
    control_port: int = 0
    tls: bool = False
    proxy: bool = False
    token_life_s: float = TOKEN_LIFE_S
    channel_life_s: float = CHANNEL_LIFE_S
    heartbeat_s: float = HEARTBEAT_S
    calls_per_minute: int = CALLS_MAX
    late: tuple[int, int] = (0, 0)
    hidden: int = 0
    forbidden_every: int = 0
    backlog_bytes: int = BACKLOG_BYTES
    slow_after_s: float = SLOW_AFTER_S
    webhook_secret: str | None = None
    faults: str = "none"
    schedule: tuple[tuple[float, Fault], ...] = ()


class CloudGateway:
    """`load`: begins when `load_after` sockets are open; None: by control call only."""

    def __init__(
        self, settings: CloudSettings, load: Load | None = None, *, load_after: int = 1
    ) -> None:
        self._settings = settings
        self._ledger = Ledger(settings.ledger)
        try:
            self._organisation = CloudOrganisation(
                settings.script,
                self._ledger,
                late=settings.late,
                hidden=settings.hidden,
                forbidden_every=settings.forbidden_every,
            )
            self._plan = FaultPlan(settings.faults, settings.script.seed)
        except ValueError:
            self._ledger.close()
            raise
        self._gates = {kind: Gate() for kind in GATE_FAULTS}
        self._add_resources()
        self._waiting_load, self._load_after = load, load_after
        self._fault_injector = CloudFaultInjector(
            Harmed(
                channels=self._channels,
                broadcast=self._broadcast,
                sockets=self._sockets,
                door=self._api_middleware,
                oauth=self._oauth,
                gates=self._gates,
                listener=self,
            ),
            self._ledger,
            self._plan,
            list(settings.schedule),
        )
        self._stopping = asyncio.Event()
        self._runners: list[web.AppRunner] = []
        self._proxy: Proxy | None = None
        self._flushed_s = self._expired_s = time.monotonic()

    def _add_resources(self) -> None:
        settings, gates = self._settings, self._gates
        self._oauth = OAuth(
            settings.clients,
            token_life_s=settings.token_life_s,
            calls_max=settings.calls_per_minute,
        )
        self._api_middleware = ApiMiddleware(
            self._oauth,
            self._ledger,
            tokens=gates["refuse-tokens"],
            calls=gates["refuse-rest"],
            writes=gates["refuse-writes"],
        )
        self._channels = Channels(life_s=settings.channel_life_s)
        self._broadcast = Broadcast(
            self._organisation,
            self._ledger,
            backlog_bytes=settings.backlog_bytes,
            slow_after_s=settings.slow_after_s,
        )
        subscriptions = Subscriptions(self._channels, self._organisation, self)
        self._sockets = Sockets(
            self._channels,
            subscriptions,
            self._broadcast,
            self._ledger,
            gates["refuse-sockets"],
            head=lambda: self._organisation.activity.head,
            heartbeat_s=settings.heartbeat_s,
        )
        self._people = People(self._organisation, self._broadcast.change)
        self._channel_calls = ChannelCalls(self._channels, subscriptions, self)
        self._webhooks = WebhookReceiver(
            self._ledger, gates["refuse-webhooks"], settings.webhook_secret, states=None
        )

    # Its life.

    async def start(self) -> dict[str, Any]:
        """Opens the ports; returns what clients need to know."""
        settings = self._settings
        ca_file = settings.ledger / CA_NAME if settings.tls else None
        context = server_context(ca_file) if ca_file is not None else None
        port = await self._listen(self._application(), settings.port, context)
        control = control_application(self, self._webhooks)
        control_port = await self._listen(control, settings.control_port, None)
        if settings.proxy:
            self._proxy = Proxy()
            await self._proxy.start(HOST)
        clients = [
            {"client_id": one.id, "client_secret": one.secret} for one in self._oauth.clients
        ]
        return {
            "dialect": "cloud",
            "base_url": f"{'https' if settings.tls else 'http'}://{HOST}:{port}",
            "control_url": f"http://{HOST}:{control_port}",
            "webhook_url": f"http://{HOST}:{control_port}{WEBHOOK_PATH}",
            **clients[0],
            "clients": clients,
            "ca_file": None if ca_file is None else str(ca_file.absolute()),
            "proxy_url": None if self._proxy is None else self._proxy.url,
            "pid": os.getpid(),
        }

    async def run(self) -> None:
        """Until it is told to stop."""
        turns = asyncio.create_task(self._turns())
        stopping = asyncio.create_task(self._stopping.wait())
        expiry = asyncio.create_task(self._expire())
        tasks = (turns, stopping, expiry)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in (turns, expiry):
                if task.done():
                    task.result()
        finally:
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        self._broadcast.stop_load()
        for line in list(self._broadcast.lines.values()):
            self._sockets.close(line, 1001, "the gateway ends")
        deadline_s = time.monotonic() + GOODBYE_S
        while self._broadcast.lines and time.monotonic() < deadline_s:
            await asyncio.sleep(TURN_S)
        for runner in self._runners:
            await runner.cleanup()
        if self._proxy is not None:
            await self._proxy.close()
        self._ledger.write("end", at_us=time.time_ns() // 1000, **self.status())
        self._ledger.close()

    async def _turns(self) -> None:
        broadcast = self._broadcast
        while True:
            if self._waiting_load is not None and len(broadcast.lines) >= self._load_after:
                self.start_load(self._waiting_load)
            is_busy = broadcast.turn()
            self._fault_injector.carry_out_plan()
            now_s = time.monotonic()
            if now_s - self._flushed_s >= 1.0:  # a killed gateway leaves a nearly whole ledger
                self._flushed_s = now_s
                self._ledger.flush()
            await broadcast.rest(is_busy)

    async def _expire(self) -> None:
        """Channels whose life is over."""
        while True:
            for channel in self._channels.expired(time.monotonic()):
                self._channels.remove(channel)
                self.lost(channel, "expired")
            await asyncio.sleep(EXPIRY_EVERY_S)

    # What becomes of channels (channel_calls.ChannelListener).

    def created(self, channel: Channel) -> None:
        self._note("created", channel)

    def subscribed(self, channel: Channel) -> None:
        self._broadcast.settle()
        topics = list(audience(channel))
        agents = self._broadcast.hear(channel.number, topics)
        self._note("topics", channel, agents=agents, masks=[topic.mask for topic in topics])
        self._broadcast.wake()

    def lost(self, channel: Channel, reason: str) -> None:
        self._sockets.lose(channel, reason)
        self._note("gone", channel, reason=reason)

    def _note(self, kind: str, channel: Channel, **more: Any) -> None:
        self._ledger.write(
            kind,
            channel=channel.serial,
            client=channel.client,
            head=self._organisation.activity.head,
            **more,
            at_us=time.time_ns() // 1000,
        )

    # Controlled by control calls (control.Controlled).

    def status(self) -> dict[str, Any]:
        broadcast, sent = self._broadcast, self._broadcast.sent
        clients = self._oauth.clients
        channels = list(self._channels)
        return {
            "generated": self._organisation.activity.head,
            "sent": sent.events + sent.broken,
            "sent_events": sent.events,
            "sent_broken": sent.broken,
            "sent_bytes": sent.bytes,
            "copies": self._organisation.activity.copies,
            "sockets": len(broadcast.lines),
            "sockets_opened": self._sockets.opened,
            "heartbeats": self._sockets.heartbeats,
            "pings": self._sockets.pings,
            "channels": len(channels),
            "channels_of": [sum(c.client == one.number for c in channels) for one in clients],
            "topics": sum(channel.size for channel in channels),
            "load": broadcast.load_state,
            "agents": self._settings.script.agents,
            "tokens": sum(client.tokens.issued for client in clients),
            "calls": dict(self._api_middleware.calls),
            "statuses": {str(status): n for status, n in self._api_middleware.statuses.items()},
            "too_many_requests": sum(client.window.refused for client in clients),
            "fullest_window": [client.window.fullest for client in clients],
            "patches": self._people.patches,
            "webhooks": self._webhooks.received,
            "slow_cut": broadcast.slow_cut,
            "faults": dict(self._fault_injector.counts),
            "faults_left": self._fault_injector.left(),
            "kinds_planned": self._fault_injector.kinds_planned,
            "cpu_s": time.process_time(),
        }

    def start_load(self, load: Load) -> None:
        self._waiting_load = None
        self._fault_injector.load_begins()
        self._broadcast.start_load(load)

    def stop_load(self) -> None:
        self._waiting_load = None
        self._broadcast.stop_load()

    def request_stop(self) -> None:
        self._stopping.set()

    def carry_out(self, fault: Fault) -> None:
        self._fault_injector.carry_out(fault)

    def schedule(self, entries: list[tuple[float, Fault]]) -> None:
        self._fault_injector.schedule(entries)

    def users(self, count: int) -> list[str]:
        return list(self._organisation.script.users[:count])

    def truth(self, user: str) -> dict[str, Any]:
        """As a call would tell it. Raises ValueError."""
        agent = self._agent(user)
        expand = frozenset(("presence", "routingstatus", "outofoffice"))
        return self._organisation.user(agent, expand)

    def channels(self) -> list[dict[str, Any]]:
        return [
            {
                "channel": one.serial,
                "client": one.client,
                "id": one.id,
                "topics": one.size,
                "connected": one.is_connected,
                "expires_in_s": round(one.expires_s - time.monotonic(), 3),
            }
            for one in self._channels
        ]

    def update(self, user: str, presence: str) -> dict[str, Any]:
        """Of somebody else: no client of ours asked for it. Raises ValueError."""
        agent, names = self._agent(user), [one.label for one in DEFINITIONS]
        if presence not in names:
            raise ValueError(f"state is one of {', '.join(names)}, not {presence!r}")
        change, number = self._broadcast.change, names.index(presence)
        at_ms = set_presence(self._organisation, change, agent, number, "", by="control")
        return {"modifiedDate": iso_time(at_ms)}

    def roster(self, user: str, state: str) -> dict[str, Any]:
        """Somebody joins or leaves. Raises ValueError."""
        agent = self._agent(user)
        self._broadcast.settle()
        self._organisation.set_state(agent, state, time.time_ns() // 1000)
        return {"active": len(self._organisation.roster("active"))}

    def _agent(self, user: str) -> int:
        if user not in self._organisation.agents:
            raise ValueError(f"there is no such user: {user!r}")
        return self._organisation.agents[user]

    # HTTP.

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=BODY_BYTES_MAX)
        self._sockets.add_to(application)
        self._api_middleware.add_to(application)
        self._people.add_to(application)
        self._channel_calls.add_to(application)
        return application

    async def _listen(
        self, application: web.Application, port: int, context: ssl.SSLContext | None
    ) -> int:
        # No access log: the id in the path of a socket is the secret.
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        self._runners.append(runner)
        site = web.TCPSite(runner, HOST, port, ssl_context=context)
        await site.start()
        return int(runner.addresses[0][1])
