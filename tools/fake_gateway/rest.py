"""Rest: REST calls as a table, and how HTTP answers and refuses. Knows no resource.

A dialect's calls are rows (`RestCall`); every answer is built here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple

import orjson
from aiohttp import web

from tools.fake_gateway.gates import Gate
from tools.fake_gateway.ledger import Ledger, now_us

HANG_S = 3600.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RestCall(NamedTuple):
    method: str
    path: str
    handler: Handler
    has_head: bool = True  # a GET: whether HEAD is answered as well


def add_calls(application: web.Application, calls: Iterable[RestCall]) -> None:
    router = application.router
    for method, path, handler, has_head in calls:
        if method == "GET":
            router.add_get(path, handler, allow_head=has_head)
        else:
            router.add_route(method, path, handler)


def json_response(answer: Any, status: int = 200, **headers: str) -> web.Response:
    return web.Response(
        body=orjson.dumps(answer),
        status=status,
        content_type="application/json",
        headers={name.replace("_", "-"): text for name, text in headers.items()},
    )


def bearer(request: web.Request) -> str:
    """The token of an `Authorization: Bearer …` header, or nothing."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


async def refuse(status: int, retry_after_s: int | None = None) -> web.Response:
    """0: never answers."""
    if status == 0:
        await asyncio.sleep(HANG_S)
    headers = {} if retry_after_s is None else {"Retry_After": str(retry_after_s)}
    return json_response({"status": status or 503, "code": "refused"}, status or 503, **headers)


async def refused(gate: Gate, ledger: Ledger) -> web.Response | None:
    """None: this one may pass."""
    refusal = gate.refusal(time.monotonic())
    if refusal is None:
        return None
    ledger.refused(gate.name, refusal.status, now_us())
    return await refuse(*refusal)
