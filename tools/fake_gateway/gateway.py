"""Gateway: what both dialects have: ports, turns, control calls, status, and an end.

Decides nothing about events and nothing about faults: a dialect puts them together (`_build`).
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from aiohttp import web

from tools.fake_gateway.certificates import server_context
from tools.fake_gateway.connection import Connection
from tools.fake_gateway.control import ControlCall, control_application, named, parse_load
from tools.fake_gateway.fault_injector import FaultInjector
from tools.fake_gateway.fault_plan import F, parse_schedule
from tools.fake_gateway.gates import Gate
from tools.fake_gateway.ledger import CA_NAME, Ledger, now_us
from tools.fake_gateway.pacing import Load
from tools.fake_gateway.proxy import Proxy
from tools.fake_gateway.script import Script, ScriptSettings
from tools.fake_gateway.traffic import BACKLOG_BYTES, SLOW_AFTER_S, TURN_S, Traffic
from tools.fake_gateway.webhooks import PATH as WEBHOOK_PATH
from tools.fake_gateway.webhooks import WebhookReceiver

HOST = "127.0.0.1"
GOODBYE_S = 0.5  # for clients to answer our close frames
SHUTDOWN_S = 0.05  # for calls that are being answered


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    script: ScriptSettings
    ledger: Path
    port: int = 0
    control_port: int = 0
    tls: bool = False
    proxy: bool = False
    token_life_s: float = 3600.0
    backlog_bytes: int = BACKLOG_BYTES
    slow_after_s: float = SLOW_AFTER_S
    webhook_secret: str | None = None  # webhooks must be signed with it
    faults: str = "none"
    schedule: tuple[tuple[float, Any], ...] = ()  # (second of the load, fault)


S = TypeVar("S", bound=GatewaySettings)


class Gateway(ABC, Generic[S, F]):
    """`load`: begins when `load_after` sockets hear events; None: by control call only."""

    _script: Script
    _agents: dict[str, int]  # by user
    traffic: Traffic
    gates: dict[str, Gate]  # by the kind of fault that refuses there
    _webhooks: WebhookReceiver
    _fault_injector: FaultInjector[F]

    def __init__(self, settings: S, load: Load | None = None, *, load_after: int = 1) -> None:
        self.settings = settings
        self._waiting_load, self._load_after = load, load_after
        self._stopping = asyncio.Event()
        self._runners: list[web.AppRunner] = []
        self._proxy: Proxy | None = None
        self._flushed_s = time.monotonic()
        self.ledger = Ledger(settings.ledger)
        try:
            self._build()
        except ValueError:
            self.ledger.close()
            raise

    @abstractmethod
    def _build(self) -> None:
        """Everything above. Raises ValueError for settings that make no sense."""

    @abstractmethod
    def _application(self) -> web.Application: ...
    @abstractmethod
    def _clients(self) -> dict[str, Any]:
        """What clients need to know, beside the addresses."""

    @abstractmethod
    def _connections(self) -> Sequence[Connection]: ...
    @abstractmethod
    def update(self, user: str, presence: str) -> dict[str, Any]:
        """Of somebody else: no client of ours asked for it. Raises ValueError."""

    def _background(self) -> Sequence[Coroutine[Any, Any, None]]:
        """What runs beside the turns."""
        return ()

    # Its life.

    async def start(self) -> dict[str, Any]:
        """Opens the ports; returns what clients need to know."""
        settings = self.settings
        ca_file = settings.ledger / CA_NAME if settings.tls else None
        context = server_context(ca_file) if ca_file is not None else None
        port = await self._listen(self._application(), settings.port, context)
        control = control_application(self._control_calls(), self._webhooks)
        control_port = await self._listen(control, settings.control_port, None)
        if settings.proxy:
            self._proxy = Proxy()
            await self._proxy.start(HOST)
        return {
            "base_url": f"{'https' if settings.tls else 'http'}://{HOST}:{port}",
            "control_url": f"http://{HOST}:{control_port}",
            "webhook_url": f"http://{HOST}:{control_port}{WEBHOOK_PATH}",
            **self._clients(),
            "ca_file": None if ca_file is None else str(ca_file.absolute()),
            "proxy_url": None if self._proxy is None else self._proxy.url,
            "pid": os.getpid(),
        }

    async def run(self) -> None:
        """Until it is told to stop."""
        lives = (self._turns(), self._stopping.wait(), *self._background())
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(life) for life in lives]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        self._say_goodbye()
        deadline_s = time.monotonic() + GOODBYE_S
        while self._connections() and time.monotonic() < deadline_s:
            await asyncio.sleep(TURN_S)
        for runner in self._runners:
            await runner.cleanup()
        if self._proxy is not None:
            await self._proxy.close()
        self.ledger.write("end", at_us=now_us(), **self.status())
        self.ledger.close()

    def _say_goodbye(self) -> None:
        for connection in self._connections():
            connection.close(1001)

    async def _turns(self) -> None:
        traffic = self.traffic
        while True:
            if self._waiting_load is not None and traffic.listening >= self._load_after:
                self.start_load(self._waiting_load)
            is_busy = traffic.turn()
            self._fault_injector.carry_out_plan()
            now_s = time.monotonic()
            if now_s - self._flushed_s >= 1.0:  # a killed gateway leaves a nearly whole ledger
                self._flushed_s = now_s
                self.ledger.flush()
            await traffic.rest(is_busy)

    async def _listen(
        self, application: web.Application, port: int, context: ssl.SSLContext | None
    ) -> int:
        # No access log: the query holds a token, or the path a secret id.
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        self._runners.append(runner)
        site = web.TCPSite(runner, HOST, port, ssl_context=context)
        await site.start()
        return int(runner.addresses[0][1])

    # Control calls.

    def _control_calls(self) -> tuple[ControlCall, ...]:
        return (
            ControlCall("GET", "/status", lambda _, __: self.status()),
            ControlCall("POST", "/load", lambda asked, _: self.start_load(parse_load(asked))),
            ControlCall("POST", "/load/stop", lambda _, __: self.stop_load()),
            ControlCall("POST", "/faults", lambda asked, _: self._inject(asked)),
            ControlCall(
                "GET", "/users", lambda _, query: self.users(int(query.get("count", "100")))
            ),
            ControlCall("POST", "/updates", lambda asked, _: self.update(*_user_state(asked))),
            ControlCall("POST", "/shutdown", lambda _, __: self.request_stop()),
        )

    def status(self) -> dict[str, Any]:
        traffic, injector, now_s = self.traffic, self._fault_injector, time.monotonic()
        return {
            "sent": traffic.sent.total,
            "sent_events": traffic.sent.events,
            "sent_broken": traffic.sent.broken,
            "sockets": traffic.listening,
            "sockets_paused": sum(one.is_paused(now_s) for one in self._connections()),
            "load": traffic.load_state,
            "agents": self.settings.script.agents,
            "webhooks": self._webhooks.received,
            "slow_cut": traffic.slow_cut,
            "faults": dict(injector.counts),
            "faults_left": injector.left(),
            "kinds_planned": injector.kinds_planned,
            "cpu_s": time.process_time(),
        }

    def start_load(self, load: Load) -> dict[str, Any]:
        self._waiting_load = None
        self._fault_injector.load_begins()
        self.traffic.start_load(load)
        return self.status()

    def stop_load(self) -> dict[str, Any]:
        self._waiting_load = None
        self.traffic.stop_load()
        return self.status()

    def _inject(self, asked: Any) -> dict[str, Any]:
        if isinstance(asked, list):  # each at its second of the load
            self._fault_injector.schedule(parse_schedule(self._fault_injector.fault, asked))
        else:
            self._fault_injector.carry_out(self._fault_injector.fault.parse(asked))
        return self.status()

    def users(self, count: int) -> dict[str, Any]:
        return {"users": list(self._script.users[:count])}

    def request_stop(self) -> dict[str, Any]:
        self._stopping.set()
        return {"stopping_at_us": now_us()}

    def _agent(self, user: str) -> int:
        """Raises ValueError."""
        if user not in self._agents:
            raise ValueError(f"there is no such user: {user!r}")
        return self._agents[user]


def _user_state(asked: Any) -> list[str]:
    return named(asked, "user", "state")
