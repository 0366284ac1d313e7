"""Gateway: the fake one, put together: token endpoint, REST, sockets, control, and their life.

Decides nothing about events (organisation, stream) and nothing about faults: it carries out.
"""

from __future__ import annotations

import asyncio
import functools
import os
import ssl
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from tools.fake_gateway.certificates import server_context
from tools.fake_gateway.control import control_application
from tools.fake_gateway.faults import FRAME_FAULTS, Fault
from tools.fake_gateway.gates import Gate
from tools.fake_gateway.ledger import CA_NAME, Ledger
from tools.fake_gateway.notifications import Notifications, refuse
from tools.fake_gateway.organisation import (
    FIRST_SEQUENCE,
    RETENTION_EVENTS,
    OrderSettings,
    Organisation,
)
from tools.fake_gateway.pacing import Load
from tools.fake_gateway.profiles import FaultPlan, Schedule
from tools.fake_gateway.proxy import Proxy
from tools.fake_gateway.script import ScriptSettings
from tools.fake_gateway.stream import (
    BACKLOG_BYTES,
    SLOW_AFTER_S,
    TURN_S,
    Feed,
    Poison,
    Stream,
    Trickle,
)
from tools.fake_gateway.tokens import ALL_SCOPES, Tokens

HOST = "127.0.0.1"
CLIENT_ID, CLIENT_SECRET = "fake-client", "fake-secret"
STALL_FOREVER_S = 86400.0
UNNAMED_FALL_MIN = 1_000_000
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
    faults: str = "none"
    schedule: tuple[tuple[float, Fault], ...] = ()  # (second of the load, fault)


class Gateway:
    """`load`: begins when the first socket has subscribed; None: by control call only."""

    def __init__(self, settings: GatewaySettings, load: Load | None = None) -> None:
        self._settings = settings
        self._ledger = Ledger(settings.ledger)
        try:
            self._organisation = Organisation(
                settings.script,
                settings.order,
                self._ledger,
                first_sequence=settings.first_sequence,
                retention_events=settings.retention_events,
            )
        except ValueError:
            self._ledger.close()
            raise
        self._stream = Stream(
            self._organisation,
            self._ledger,
            backlog_bytes=settings.backlog_bytes,
            slow_after_s=settings.slow_after_s,
        )
        self._tokens = Tokens(
            CLIENT_ID, CLIENT_SECRET, settings.token_life_s, scopes=settings.scopes
        )
        self._handshakes = Gate(passes_max=settings.handshakes_max)
        self._token_calls = Gate()
        self._notifications = Notifications(
            self._organisation,
            self._stream,
            self._tokens,
            self._ledger,
            self._handshakes,
            whole_agents=settings.whole_agents,
            expiry_grace_s=settings.expiry_grace_s,
        )
        self._waiting_load = load
        self._plan = FaultPlan(settings.faults, settings.script.seed)
        self._schedule = Schedule()
        self._schedule.add(list(settings.schedule))
        self._load_began_s = 0.0
        self._plan_s = 0.0
        self._plan_looked_s = 0.0
        self._faults: Counter[str] = Counter()
        self._users = frozenset(self._organisation.script.users)
        self._stopping = asyncio.Event()
        self._runners: list[web.AppRunner] = []
        self._proxy: Proxy | None = None
        self._flushed_s = time.monotonic()

    async def start(self) -> dict[str, Any]:
        """Opens the ports; returns what clients need to know."""
        settings = self._settings
        ca_file = settings.ledger / CA_NAME if settings.tls else None
        context = server_context(ca_file) if ca_file is not None else None
        port = await self._listen(self._application(), settings.port, context)
        control_port = await self._listen(control_application(self), settings.control_port, None)
        if settings.proxy:
            self._proxy = Proxy()
            await self._proxy.start(HOST)
        return {
            "base_url": f"{'https' if settings.tls else 'http'}://{HOST}:{port}",
            "control_url": f"http://{HOST}:{control_port}",
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
        deadline_s = time.monotonic() + GOODBYE_S
        while self._stream.feeds and time.monotonic() < deadline_s:
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
                load, self._waiting_load = self._waiting_load, None
                self._begin(load)
            is_busy = stream.turn()
            self._carry_out_plan()
            while stream.drops_due:
                stream.drops_due -= 1
                self.carry_out(Fault(kind="drop"))
            self._flush()
            await stream.rest(is_busy)

    def _carry_out_plan(self) -> None:
        """The plan's time goes on only while a load runs and somebody listens: a client that was
        thrown out is not beaten further."""
        now_s = time.monotonic()
        if self._stream.load is not None:
            for fault in self._schedule.due(now_s - self._load_began_s):
                self.carry_out(fault)
        elif self._stream.load_state == "done":
            self._schedule.clear()  # the load has ended before their time
        if self._stream.load is not None and self._stream.feeds:
            self._plan_s += now_s - self._plan_looked_s
            for fault in self._plan.due(self._plan_s):
                if not self._would_pile_up(fault):
                    self.carry_out(fault)
        self._plan_looked_s = now_s

    def _would_pile_up(self, fault: Fault) -> bool:
        """A plan refuses a client that was thrown out, but does not keep it out for ever."""
        return (fault.kind == "refuse" and self._handshakes.is_ordered) or (
            fault.kind == "refuse-tokens" and self._token_calls.is_ordered
        )

    def _flush(self) -> None:
        """Once a second, so that a killed gateway leaves a ledger that is nearly whole."""
        now_s = time.monotonic()
        if now_s - self._flushed_s >= 1.0:
            self._flushed_s = now_s
            self._ledger.flush()

    # Steered by control calls (control.Steered).

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
            "refused": self._handshakes.refused,
            "refused_tokens": self._token_calls.refused,
            "slow_cut": stream.slow_cut,
            "faults": dict(self._faults),
            "faults_left": self._faults_left(),
            "kinds_planned": self._plan.kinds,
            "cpu_s": time.process_time(),
        }

    def _faults_left(self) -> int:
        """Those that are planned or not over yet; refusals wait for somebody to come."""
        now_s = time.monotonic()
        is_planned = bool(self._plan.kinds) and self._stream.load is not None
        held = sum(
            feed.paused_until_s > now_s or feed.trickle is not None
            for feed in self._stream.feeds.values()
        )
        return is_planned + held + len(self._schedule)

    def start_load(self, load: Load) -> None:
        self._waiting_load = None
        self._begin(load)

    def _begin(self, load: Load) -> None:
        self._load_began_s = time.monotonic()
        self._stream.start_load(load)

    def stop_load(self) -> None:
        self._waiting_load = None
        self._stream.stop_load()

    def request_stop(self) -> None:
        self._stopping.set()

    def carry_out(self, fault: Fault) -> None:
        feeds = [
            feed
            for feed in list(self._stream.feeds.values())
            if fault.socket in (None, feed.socket)
        ]
        if fault.kind not in (*FRAME_FAULTS, "poison"):  # those are noted when they are written
            self._ledger.write(
                "fault",
                what=fault.kind,
                sockets=[feed.socket for feed in feeds],
                seconds=fault.seconds,
                detail=fault.detail,
                at_us=time.time_ns() // 1000,
            )
        self._faults[fault.kind] += 1
        if fault.kind in FRAME_FAULTS:
            for feed in feeds:
                feed.broken += [fault.kind] * fault.count
        elif fault.kind in ("refuse", "refuse-tokens"):
            gate = self._handshakes if fault.kind == "refuse" else self._token_calls
            gate.order(fault)
        elif fault.kind in ("no-history-end", "slow-history", "omit-agents"):
            self._notifications.odd_histories.extend(_each(fault))
        elif fault.kind == "ignore-sequence":
            self._notifications.ignored_sequences += fault.count
        elif fault.kind == "retention":
            self._shorten_retention(fault)
        elif fault.kind == "renumber":
            self._renumber(fault)
        elif fault.kind == "poison":
            organisation = self._organisation
            place = organisation.order.whole(organisation.head)
            self._stream.poisons.append(Poison(place, fault.frame))
        else:
            self._disturb(fault, feeds)
        self._stream.wake()

    def schedule(self, entries: list[tuple[float, Fault]]) -> None:
        self._schedule.add(entries)
        self._stream.wake()

    def _disturb(self, fault: Fault, feeds: list[Feed]) -> None:
        if fault.kind == "expire-tokens":
            self._tokens.expire_all()
        loop, now_s = asyncio.get_running_loop(), time.monotonic()
        for feed in feeds:
            if fault.kind == "close":
                self._notifications.close(feed, fault.code)
            elif fault.kind == "drop":
                self._notifications.drop(feed)
            elif fault.kind == "expire-tokens":
                loop.call_later(fault.seconds, self._notifications.close, feed, None)
            elif fault.kind == "trickle":
                until_s = now_s + (fault.seconds or STALL_FOREVER_S)
                feed.trickle = Trickle(until_s=until_s, events=fault.events or 1)
            else:
                assert fault.kind in ("stall", "pause"), fault
                feed.paused_until_s = now_s + (fault.seconds or STALL_FOREVER_S)
                feed.is_silent = fault.kind == "stall"

    def _shorten_retention(self, fault: Fault) -> None:
        organisation = self._organisation
        if fault.seconds:
            usual = self._settings.retention_events
            again = functools.partial(setattr, organisation, "retention_events", usual)
            asyncio.get_running_loop().call_later(fault.seconds, again)
        organisation.retention_events = fault.events

    def _renumber(self, fault: Fault) -> None:
        """As a gateway that starts again: no socket survives, and it numbers from near 1."""
        organisation = self._organisation
        organisation.end_block()
        first_sequence = fault.first_sequence or self._settings.script.agents + 1
        # Under the old name only what falls far enough can be told from the old numbering.
        falls = organisation.newest_sequence - first_sequence
        is_named = fault.named or falls < UNNAMED_FALL_MIN
        organisation.renumber(first_sequence, is_named=is_named)
        self._stream.poisons.clear()
        for feed in list(self._stream.feeds.values()):
            self._notifications.drop(feed)

    # HTTP.

    def _application(self) -> web.Application:
        application = web.Application()
        application.router.add_post("/api/v2/oauth/token", self._token)
        application.router.add_get("/wsp/v2/notifications", self._notifications.handle)
        application.router.add_get("/api/v2/users/{user}", self._user)
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

    async def _token(self, request: web.Request) -> web.StreamResponse:
        now_s = time.monotonic()
        refusal = self._token_calls.refusal(now_s)
        if refusal is not None:
            self._ledger.refused("token", refusal.status, time.time_ns() // 1000)
            return await refuse(refusal.status, refusal.retry_after_s)
        if not self._tokens.is_client(request.headers.get("Authorization", "")):
            return web.json_response({"error": "invalid_client"}, status=401)
        form = await request.post()
        if form.get("grant_type") != "client_credentials":
            return web.json_response({"error": "unsupported_grant_type"}, status=400)
        token, grant = self._tokens.issue(str(form.get("scope", "")), now_s)
        answer = {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": round(grant.expires_s - now_s),
            "scope": " ".join(sorted(grant.scopes)),
        }
        return web.Response(body=orjson.dumps(answer), content_type="application/json")

    async def _user(self, request: web.Request) -> web.StreamResponse:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        grant = self._tokens.grant(token, time.monotonic()) if scheme == "Bearer" else None
        if grant is None:
            return await refuse(401, None)
        if "user:read" not in grant.scopes:
            return await refuse(403, None)
        user = request.match_info["user"]
        if user not in self._users:
            return web.json_response({"status": 404, "code": "not.found"}, status=404)
        return web.json_response({"id": user, "state": "active"})


def _each(fault: Fault) -> list[Fault]:
    """What `count` says: so many histories; but of the agents to be omitted it is the number."""
    return [fault] * (1 if fault.kind == "omit-agents" else fault.count)
