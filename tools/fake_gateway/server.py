"""Gateway: the fake one, put together: token endpoint, REST, sockets, control, and their life.

Decides nothing about events (organisation, stream) and nothing about faults: it carries out.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from tools.fake_gateway.certificates import server_context
from tools.fake_gateway.control import control_application
from tools.fake_gateway.fault_injector import FaultInjector, Harmed
from tools.fake_gateway.faults import GATE_FAULTS, Fault
from tools.fake_gateway.gates import Gate
from tools.fake_gateway.ledger import CA_NAME, Ledger
from tools.fake_gateway.notifications import Notifications
from tools.fake_gateway.organisation import (
    FIRST_SEQUENCE,
    RETENTION_EVENTS,
    OrderSettings,
    Organisation,
)
from tools.fake_gateway.pacing import Load
from tools.fake_gateway.presence import PresenceSockets
from tools.fake_gateway.profiles import FaultPlan
from tools.fake_gateway.proxy import Proxy
from tools.fake_gateway.reception import Reception
from tools.fake_gateway.rest import Rest
from tools.fake_gateway.script import PRESENCES, ScriptSettings
from tools.fake_gateway.stream import (
    BACKLOG_BYTES,
    SLOW_AFTER_S,
    TURN_S,
    Stream,
)
from tools.fake_gateway.tokens import ALL_SCOPES, Tokens
from tools.fake_gateway.webhooks import PATH as WEBHOOK_PATH
from tools.fake_gateway.webhooks import WebhookReceiver

HOST = "127.0.0.1"
CLIENT_ID, CLIENT_SECRET = "fake-client", "fake-secret"
GOODBYE_S = 0.5  # for clients to answer our close frames
SHUTDOWN_S = 0.05  # for calls that are being answered


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    script: ScriptSettings
    ledger: Path
    order: OrderSettings = field(default_factory=OrderSettings)
    port: int = 0
    control_port: int = 0
    tls: bool = False
    proxy: bool = False
    whole_agents: bool = False
    first_sequence: int = FIRST_SEQUENCE
    retention_events: int = RETENTION_EVENTS
    token_life_s: float = 3600.0
    expiry_grace_s: float = 0.0
    scopes: frozenset[str] = ALL_SCOPES
    handshakes_max: int = 0  # per minute; 0 = any number
    backlog_bytes: int = BACKLOG_BYTES
    slow_after_s: float = SLOW_AFTER_S
    updates_per_s: int = 0  # more are told 429; 0 = any number
    ack_loss: float = 0.0  # share of acknowledgements that never come
    webhook_secret: str | None = None  # webhooks must be signed with it
    faults: str = "none"
    schedule: tuple[tuple[float, Fault], ...] = ()  # (second of the load, fault)


class Gateway:
    """`load`: begins when the first socket has subscribed; None: by control call only."""

    def __init__(self, settings: GatewaySettings, load: Load | None = None) -> None:
        self._settings = settings
        self._ledger = Ledger(settings.ledger)
        try:
            self._add_stream()
            self._add_presence()
        except ValueError:
            self._ledger.close()
            raise
        self._waiting_load = load
        self._fault_injector = FaultInjector(
            Harmed(
                organisation=self._organisation,
                stream=self._stream,
                notifications=self._notifications,
                presence=self._presence,
                reception=self._reception,
                rest=self._rest,
                tokens=self._tokens,
                gates=self._gates,
            ),
            self._ledger,
            FaultPlan(settings.faults, settings.script.seed),
            list(settings.schedule),
        )
        self._stopping = asyncio.Event()
        self._runners: list[web.AppRunner] = []
        self._proxy: Proxy | None = None
        self._flushed_s = time.monotonic()

    def _add_stream(self) -> None:
        """The one tutorial: what happens, and who is told."""
        settings = self._settings
        self._organisation = Organisation(
            settings.script,
            settings.order,
            self._ledger,
            first_sequence=settings.first_sequence,
            retention_events=settings.retention_events,
        )
        self._stream = Stream(
            self._organisation,
            self._ledger,
            backlog_bytes=settings.backlog_bytes,
            slow_after_s=settings.slow_after_s,
        )
        self._tokens = Tokens(
            CLIENT_ID, CLIENT_SECRET, settings.token_life_s, scopes=settings.scopes
        )
        self._gates = {kind: Gate() for kind in GATE_FAULTS}
        self._gates["refuse"] = Gate(passes_max=settings.handshakes_max)
        self._notifications = Notifications(
            self._organisation,
            self._stream,
            self._tokens,
            self._ledger,
            self._gates["refuse"],
            whole_agents=settings.whole_agents,
            expiry_grace_s=settings.expiry_grace_s,
        )

    def _add_presence(self) -> None:
        """The other tutorial: look-ups, updates, webhooks."""
        settings = self._settings
        users = self._organisation.script.users
        self._agents = {user: agent for agent, user in enumerate(users)}
        self._rest = Rest(
            self._tokens,
            self._agents,
            self._ledger,
            token_calls=self._gates["refuse-tokens"],
            user_calls=self._gates["refuse-users"],
        )
        self._reception = Reception(
            self._agents,
            updates_per_s=settings.updates_per_s,
            ack_loss=settings.ack_loss,
            seed=settings.script.seed,
        )
        self._presence = PresenceSockets(
            self._reception,
            self._tokens,
            self._ledger,
            self._gates["refuse-presence"],
            self._apply,
            expiry_grace_s=settings.expiry_grace_s,
        )
        self._webhooks = WebhookReceiver(
            self._ledger, self._gates["refuse-webhooks"], settings.webhook_secret
        )

    async def start(self) -> dict[str, Any]:
        """Opens the ports; returns what clients need to know."""
        settings = self._settings
        ca_file = settings.ledger / CA_NAME if settings.tls else None
        context = server_context(ca_file) if ca_file is not None else None
        port = await self._listen(self._application(), settings.port, context)
        control_port = await self._listen(
            control_application(self, self._webhooks), settings.control_port, None
        )
        if settings.proxy:
            self._proxy = Proxy()
            await self._proxy.start(HOST)
        return {
            "base_url": f"{'https' if settings.tls else 'http'}://{HOST}:{port}",
            "control_url": f"http://{HOST}:{control_port}",
            "webhook_url": f"http://{HOST}:{control_port}{WEBHOOK_PATH}",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "ca_file": None if ca_file is None else str(ca_file.absolute()),
            "proxy_url": None if self._proxy is None else self._proxy.url,
            "pid": os.getpid(),
        }

    async def run(self) -> None:
        """Until it is told to stop."""
        turns = asyncio.create_task(self._turns())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((turns, stopping), return_when=asyncio.FIRST_COMPLETED)
            if turns.done():
                turns.result()
        finally:
            for task in (turns, stopping):
                task.cancel()
            await asyncio.gather(turns, stopping, return_exceptions=True)

    async def close(self) -> None:
        for feed in list(self._stream.feeds.values()):
            self._notifications.close(feed, 1001)
        for line in list(self._presence.lines.values()):
            self._presence.close(line, 1001)
        deadline_s = time.monotonic() + GOODBYE_S
        while (self._stream.feeds or self._presence.lines) and time.monotonic() < deadline_s:
            await asyncio.sleep(TURN_S)
        for runner in self._runners:
            await runner.cleanup()
        if self._proxy is not None:
            await self._proxy.close()
        self._ledger.write("end", at_us=time.time_ns() // 1000, **self.status())
        self._ledger.close()

    async def _turns(self) -> None:
        stream = self._stream
        while True:
            if self._waiting_load is not None and stream.feeds:
                self.start_load(self._waiting_load)
            is_busy = stream.turn()
            self._fault_injector.carry_out_plan()
            while stream.drops_due:
                stream.drops_due -= 1
                self._fault_injector.carry_out(Fault(kind="drop"))
            self._flush()
            await stream.rest(is_busy)

    def _flush(self) -> None:
        """Once a second, so that a killed gateway leaves a ledger that is nearly whole."""
        now_s = time.monotonic()
        if now_s - self._flushed_s >= 1.0:
            self._flushed_s = now_s
            self._ledger.flush()

    # Controlled by control calls (control.Controlled).

    def status(self) -> dict[str, Any]:
        stream, sent = self._stream, self._stream.sent
        return {
            "newest_sequence": self._organisation.newest_sequence,
            "epoch": self._organisation.numbering.current.wire,
            "generated": self._organisation.head,
            "sent": sent.events + sent.history + sent.broken,
            "sent_events": sent.events,
            "sent_history": sent.history,
            "sent_broken": sent.broken,
            "sockets": len(stream.feeds),
            "load": stream.load_state,
            "agents": self._settings.script.agents,
            "tokens": self._tokens.issued,
            "refused": self._gates["refuse"].refused,
            "refused_tokens": self._gates["refuse-tokens"].refused,
            "presence_sockets": len(self._presence.lines),
            "updates": self._presence.counts["updates"],
            "applied": self._presence.counts["applied"],
            "acknowledged": self._presence.counts["acknowledged"],
            "look_ups": self._rest.look_ups,
            "webhooks": self._webhooks.received,
            "refused_webhooks": self._gates["refuse-webhooks"].refused,
            "slow_cut": stream.slow_cut,
            "faults": dict(self._fault_injector.counts),
            "faults_left": self._fault_injector.left(),
            "kinds_planned": self._fault_injector.kinds_planned,
            "cpu_s": time.process_time(),
        }

    def start_load(self, load: Load) -> None:
        self._waiting_load = None
        self._fault_injector.load_begins()
        self._stream.start_load(load)

    def stop_load(self) -> None:
        self._waiting_load = None
        self._stream.stop_load()

    def rotate(self, client_secret: str) -> None:
        self._tokens.rotate(client_secret)

    def request_stop(self) -> None:
        self._stopping.set()

    def carry_out(self, fault: Fault) -> None:
        self._fault_injector.carry_out(fault)

    def schedule(self, entries: list[tuple[float, Fault]]) -> None:
        self._fault_injector.schedule(entries)

    # Presence updates.

    def _apply(self, user: str, presence: int, correlation: str) -> int:
        return self._stream.change(self._agents[user], presence, correlation)

    def users(self, count: int) -> list[str]:
        return list(self._organisation.script.users[:count])

    def update(self, user: str, presence: str) -> dict[str, Any]:
        """Of somebody else: no client of ours asked for it. Raises ValueError."""
        if user not in self._agents:
            raise ValueError(f"there is no such user: {user!r}")
        if presence not in PRESENCES:
            raise ValueError(f"state is one of {', '.join(PRESENCES)}, not {presence!r}")
        correlation = str(uuid.uuid4())
        number = self._apply(user, PRESENCES.index(presence), correlation)
        sequence = self._organisation.numbering.sequence(number)
        return {"sequence": sequence, "correlationId": correlation}

    # HTTP.

    def _application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/wsp/v2/notifications", self._notifications.handle)
        application.router.add_get("/api/v2/ws", self._presence.handle)
        self._rest.add_to(application)
        return application

    async def _listen(
        self, application: web.Application, port: int, context: ssl.SSLContext | None
    ) -> int:
        # No access log: the token stands in the query.
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        self._runners.append(runner)
        site = web.TCPSite(runner, HOST, port, ssl_context=context)
        await site.start()
        return int(runner.addresses[0][1])
