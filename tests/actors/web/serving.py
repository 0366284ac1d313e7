"""The reading routes over a model that a test drives: no ring, no process, no socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from actors.web.command_reader import CommandReader
from actors.web.identity import VISITOR, CallerIdentity, identify
from actors.web.journals import Journals
from actors.web.parts import WebParts
from actors.web.problems import handle_problems
from actors.web.routes import agents, audit, overview, page, probes, quarantine, stream
from actors.web.stream_places import StreamPlaces
from tests.actors.web.telling import Told

READERS_MAX = 3


class FakeFeed:
    """Shard 0 says what it is told to say."""

    def __init__(self) -> None:
        self.answer: tuple[str, str | None] | None = ("applied", None)
        self.asked: list[tuple[int, int]] = []

    async def feed_again(self, shard: int, key: int, timeout_s: float) -> Any:
        self.asked.append((shard, key))
        if shard:
            raise IndexError
        return self.answer


class Reading:
    """Everything that is read, as `who`."""

    def __init__(self, told: Told, data_dir: Path) -> None:
        self.told = told
        self.feed = FakeFeed()
        self.reasons: list[str] = []
        self.places = StreamPlaces(READERS_MAX)
        self.who: CallerIdentity = VISITOR
        self.command_reader, self.journals = CommandReader(data_dir), Journals(data_dir)
        parts = cast(
            "WebParts",
            SimpleNamespace(
                board=told.board,
                command_reader=self.command_reader,
                journals=self.journals,
                feed=self.feed,
                places=self.places,
                reasons=lambda: self.reasons,
            ),
        )
        app = FastAPI()
        handle_problems(app)
        for each in (overview, stream, agents, audit, quarantine, probes, page):
            app.include_router(each.routes(parts))
        self.app = app
        self._runner = asyncio.Runner()

    def close(self) -> None:
        self._runner.close()
        self.command_reader.close()
        self.journals.close()

    def get(self, path: str, *, host: str = "127.0.0.1", **more: Any) -> httpx.Response:
        return self.ask("GET", path, host=host, **more)

    def ask(
        self, method: str, path: str, *, host: str = "127.0.0.1", **more: Any
    ) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(
                self._as_who(self.app), raise_app_exceptions=False, client=(host, 1)
            )
            async with httpx.AsyncClient(transport=transport, base_url="http://web") as client:
                return await client.request(method, path, **more)

        return self._runner.run(asked())

    def _as_who(self, app: FastAPI) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
        async def identified(scope: Scope, receive: Receive, send: Send) -> None:
            identify(scope, self.who)
            await app(scope, receive, send)

        return identified
