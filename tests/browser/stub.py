"""Stub: serves the page and answers as the HTTP contract says, from a made-up organisation.

What the runtime does rarely, or never on purpose, it does at a word: fall silent, cut streams,
refuse, be 50,000 agents. Whether the runtime itself keeps the contract, test_wallboard shows.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from actors import web
from tests.browser.organisation import STATES, THRESHOLDS, Agent, Organisation, iso

STATIC = Path(web.__file__).parent / "static"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
TICK_S = 0.1
KEPT_MAX = 100
TOKEN = "a-token-that-may-write"
STEPS = ("accepted", "validated", "admitted", "sent", "acknowledged", "confirmed")


class Stub:
    """Serves from a thread; what a test sets holds from the next tick on."""

    def __init__(
        self, agents: int, *, names: tuple[str, ...] = (), dialect: str = "wsp", skew_ms: int = 0
    ) -> None:
        self._skew_ms = skew_ms  # of the server's clock
        self.organisation = Organisation(agents, self.now_ms(), names=list(names))
        self.dialect = dialect
        self.changes_per_s = 0.0
        self.health: dict[str, Any] = {
            "live": True, "lagging": False, "stale_since": None, "stale_agents": 0, "reasons": [],
        }  # fmt: skip
        self.profile: dict[str, Any] | None = None  # of everybody
        self.is_silent = False  # streams stay open and say nothing
        self.is_locked = False  # nothing without a token
        self.refusal: dict[str, Any] | None = None  # of the next presence
        self.cuts = 0  # streams are ended when this grows
        self.streams: list[str] = []  # the ids they wanted to go on from
        self.snapshots = 0
        self.asked: list[dict[str, Any]] = []  # presences
        self.life = "life"
        self._number = 0
        self._pending: dict[str, Agent] = {}  # changed by a test
        self._told: list[list[Any]] = []
        self._commands: dict[str, list[dict[str, Any]]] = {}
        self._lock = threading.Lock()
        self._kept: deque[tuple[int, str]] = deque(maxlen=KEPT_MAX)  # events, by number
        self._begun_s = time.monotonic()
        self._moved = 0
        self.queues_unknown = 0

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self._skew_ms

    def go(self, changes_per_s: float) -> None:
        """From now on."""
        with self._lock:
            self._begun_s, self._moved = time.monotonic(), 0
            self.changes_per_s = changes_per_s

    def change(self, agent: Agent, state: str) -> None:
        with self._lock:
            self._told.append(self.organisation.move(agent, state, self.now_ms()))
            self._pending[agent.id] = agent

    def mark_stale(self, *agents: Agent) -> None:
        with self._lock:
            for agent in agents:
                agent.is_stale = True
                self._pending[agent.id] = agent
            self.health = {**self.health, "stale_agents": len(agents)}

    # -- answers -------------------------------------------------------------------------------

    def _summary(self, who: str | None) -> dict[str, Any]:
        organisation = self.organisation
        return {
            "at": iso(self.now_ms()), "dialect": self.dialect, "name": "Contact centre",
            "agents": organisation.count, "by_state": dict(organisation.by_state),
            "stale": self.health["stale_agents"], "queues": len(organisation.queues),
            "queues_unknown": self.queues_unknown,
            "transitions": self._moved, "transitions_per_s": self.changes_per_s,
            "health": self.health, "history": organisation.history, "thresholds": THRESHOLDS,
            "may_write": who is not None, "who": who and f"token:{who}",
        }  # fmt: skip

    async def summary(self, request: Request) -> Response:
        who = request.cookies.get("presence_session")
        return self._refused(request) or JSONResponse(self._summary(who))

    async def snapshot(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        self.snapshots += 1
        return JSONResponse(self.snapshot_body(request.cookies.get("presence_session")))

    def snapshot_body(self, who: str | None = None) -> dict[str, Any]:
        with self._lock:
            organisation = self.organisation
            place_of = {queue: place for place, queue in enumerate(organisation.queues)}
            return {
                "id": f"{self.life}-{self._number}", "at": self.now_ms(), "states": STATES,
                "queues": [[id_, name] for id_, name in organisation.queues.items()],
                "agents": [agent.row(place_of) for agent in organisation.agents],
                "last": [], "summary": self._summary(who),
            }  # fmt: skip

    async def queues(self, _request: Request) -> Response:
        told = [
            {"id": queue, "name": name, "agents": sum(counts.values()), "by_state": dict(counts)}
            for (queue, name), counts in zip(
                self.organisation.queues.items(), self.organisation.by_queue.values(), strict=True
            )
        ]
        return JSONResponse({"queues": told})

    async def stream(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        wanted = request.query_params.get("last_event_id", "")
        self.streams.append(wanted)
        return StreamingResponse(self._events(wanted), media_type="text/event-stream")

    async def _events(self, wanted: str) -> AsyncIterator[str]:
        cuts = self.cuts
        if not wanted.startswith(f"{self.life}-"):
            yield 'event: resync\ndata: {"reason":"another life"}\n\n'
            return
        seen, said_s = int(wanted.partition("-")[2]), 0.0
        while cuts == self.cuts:
            await asyncio.sleep(TICK_S / 4)
            if self.is_silent:
                continue
            for number, text in [each for each in self._kept if each[0] > seen]:
                seen, said_s = number, time.monotonic()
                yield text
            if time.monotonic() - said_s >= 1:
                said_s = time.monotonic()
                told = json.dumps({"at": self.now_ms(), **self._health_in_ms()})
                yield f"id: {self.life}-{seen}\nevent: health\ndata: {told}\n\n"

    def tick(self) -> None:
        """What has changed becomes one event."""
        if data := self.take_event():
            self._number += 1
            head = f"id: {self.life}-{self._number}\nevent: changes\n"
            self._kept.append((self._number, f"{head}data: {json.dumps(data)}\n\n"))

    def take_event(self) -> dict[str, Any] | None:
        with self._lock:
            due = int((time.monotonic() - self._begun_s) * self.changes_per_s - self._moved)
            at_ms = self.now_ms()
            moved, rows = self.organisation.step(max(0, due), at_ms)
            self._moved += max(0, due)
            changed = {**self._pending, **{each.id: each for each in moved}}
            rows, self._told, self._pending = [*self._told, *rows], [], {}
            if not changed:
                return None
            touched = {queue for each in changed.values() for queue in each.queues}
            return {
                "at": at_ms, "changes": [each.change() for each in changed.values()],
                "last": rows[-50:], "by_state": dict(self.organisation.by_state),
                "queues": {q: dict(self.organisation.by_queue[q]) for q in touched},
                "queues_unknown": self.queues_unknown,
                "health": self._health_in_ms(),
            }  # fmt: skip

    def _health_in_ms(self) -> dict[str, Any]:
        """As the stream has it."""
        since = self.health["stale_since"]
        at_ms = since and int(datetime.fromisoformat(since).timestamp() * 1000)
        return {**self.health, "stale_since": at_ms}

    async def history(self, request: Request) -> Response:
        before = int(request.query_params.get("before", 120))
        limit = int(request.query_params["limit"])
        rows: list[dict[str, Any]] = [
            {
                "row": row, "from": STATES[row % 4], "to": STATES[(row + 1) % 4],
                "at": iso(self.now_ms() - (120 - row) * 60_000), "received_at": iso(self.now_ms()),
                "queues": [], "queue_names": [], "presence": None, "cause": "live",
                "correlation": None,
            }
            for row in range(before - 1, max(0, before - 1 - limit), -1)
        ]  # fmt: skip
        return JSONResponse(
            {"transitions": rows, "next": before - limit if before > limit else None}
        )

    async def session(self, request: Request) -> Response:
        answer = Response(status_code=204)
        if request.method == "DELETE":
            answer.delete_cookie("presence_session")
        elif (await request.json()) == {"token": TOKEN}:
            answer.set_cookie("presence_session", "supervisor", httponly=True, samesite="strict")
        else:
            return _problem(401, "no-such-token", "invalid or revoked token")
        return answer

    async def presence(self, request: Request) -> Response:
        body = await request.json()
        user_id = request.path_params["id"]
        self.asked.append({**body, "id": user_id, "key": request.headers["idempotency-key"]})
        if self.refusal is not None:
            return _problem(**self.refusal)
        command = f"command-{len(self.asked)}"
        self._commands[command] = []
        return JSONResponse(
            {"id": command, "user_id": user_id, "state": body["state"], "step": "accepted",
             "code": "", "detail": ""}, 202,
        )  # fmt: skip

    async def command(self, request: Request) -> Response:
        """A step further with each look."""
        steps = self._commands[request.path_params["id"]]
        steps.append({"at": iso(self.now_ms()), "step": STEPS[len(steps)], "detail": ""})
        is_ended = len(steps) == len(STEPS)
        return JSONResponse(
            {"id": request.path_params["id"], "step": steps[-1]["step"], "code": "", "detail": "",
             "steps": steps, "ended_at": iso(self.now_ms()) if is_ended else None},
        )  # fmt: skip

    async def one(self, request: Request) -> Response:
        """Only what the page reads of it."""
        return JSONResponse({"id": request.path_params["id"], "profile": self.profile})

    def _refused(self, request: Request) -> Response | None:
        if self.is_locked and "presence_session" not in request.cookies:
            return _problem(401, "unauthorised", "a token is needed")
        return None

    def app(self) -> Starlette:
        async def page(_request: Request) -> Response:
            return FileResponse(STATIC / "index.html", headers={"Content-Security-Policy": CSP})

        routes = [
            Route("/", page),
            Mount("/static", StaticFiles(directory=STATIC)),
            Route("/api/summary", self.summary),
            Route("/api/snapshot", self.snapshot),
            Route("/api/queues", self.queues),
            Route("/api/stream", self.stream),
            Route("/api/agents/{id:path}/history", self.history),
            Route("/api/agents/{id:path}/presence", self.presence, methods=["POST"]),
            Route("/api/agents/{id:path}", self.one),
            Route("/api/commands/{id}", self.command),
            Route("/api/session", self.session, methods=["POST", "DELETE"]),
        ]
        app = Starlette(routes=routes)
        app.add_middleware(GZipMiddleware, minimum_size=10_000)
        return app


def _problem(status: int, code: str, detail: str) -> Response:
    body = {"type": "about:blank", "title": code, "status": status, "code": code, "detail": detail}
    return JSONResponse(body, status, media_type="application/problem+json")


class _Server(uvicorn.Server):
    """Signals are the tests'."""

    def install_signal_handlers(self) -> None:
        pass

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextmanager
def serving(stub: Stub) -> Iterator[str]:
    """Its address, while it serves."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        config = uvicorn.Config(
            stub.app(), log_config=None, lifespan="off", timeout_graceful_shutdown=1
        )
        server = _Server(config)
        is_over = threading.Event()

        def tick() -> None:
            while not is_over.wait(TICK_S):
                stub.tick()

        threads = [
            threading.Thread(target=server.run, args=([bound],), daemon=True),
            threading.Thread(target=tick, daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            is_over.set()
            stub.cuts += 1
            server.should_exit = True
            for thread in threads:
                thread.join(10)
