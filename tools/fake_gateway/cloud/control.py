"""Control: the calls by which tests and the demo steer a cloud gateway, on a port of its own."""

from __future__ import annotations

import time
from typing import Any, Protocol

import orjson
from aiohttp import web

from tools.fake_gateway.cloud.faults import Fault, parse_fault, parse_schedule
from tools.fake_gateway.control import parse_load
from tools.fake_gateway.pacing import Load
from tools.fake_gateway.webhooks import PATH as WEBHOOK_PATH
from tools.fake_gateway.webhooks import WebhookReceiver


class Controlled(Protocol):
    def status(self) -> dict[str, Any]: ...
    def start_load(self, load: Load) -> None: ...
    def stop_load(self) -> None: ...
    def carry_out(self, fault: Fault) -> None: ...
    def schedule(self, entries: list[tuple[float, Fault]]) -> None: ...
    def users(self, count: int) -> list[str]: ...
    def truth(self, user: str) -> dict[str, Any]: ...
    def channels(self) -> list[dict[str, Any]]: ...
    def update(self, user: str, presence: str) -> dict[str, Any]: ...
    def roster(self, user: str, state: str) -> dict[str, Any]: ...
    def request_stop(self) -> None: ...


def control_application(gateway: Controlled, webhooks: WebhookReceiver) -> web.Application:
    async def status(_: web.Request) -> web.Response:
        return _json(gateway.status())

    async def load(request: web.Request) -> web.Response:
        gateway.start_load(parse_load(await _asked(request)))
        return _json(gateway.status())

    async def stop_load(_: web.Request) -> web.Response:
        gateway.stop_load()
        return _json(gateway.status())

    async def faults(request: web.Request) -> web.Response:
        asked = await _asked(request)
        if isinstance(asked, list):  # each at its second of the load
            gateway.schedule(parse_schedule(asked))
        else:
            gateway.carry_out(parse_fault(asked))
        return _json(gateway.status())

    async def users(request: web.Request) -> web.Response:
        return _json({"users": gateway.users(int(request.query.get("count", "100")))})

    async def truth(request: web.Request) -> web.Response:
        return _json(gateway.truth(request.query.get("user", "")))

    async def channels(_: web.Request) -> web.Response:
        return _json({"channels": gateway.channels()})

    async def update(request: web.Request) -> web.Response:
        user, state = _named(await _asked(request), "user", "state")
        return _json(gateway.update(user, state))

    async def roster(request: web.Request) -> web.Response:
        user, state = _named(await _asked(request), "user", "state")
        return _json(gateway.roster(user, state))

    async def shutdown(_: web.Request) -> web.Response:
        gateway.request_stop()
        return _json({"stopping_at_us": time.time_ns() // 1000})

    application = web.Application(middlewares=[_complain])
    application.router.add_get("/status", status)
    application.router.add_post("/load", load)
    application.router.add_post("/load/stop", stop_load)
    application.router.add_post("/faults", faults)
    application.router.add_get("/users", users)
    application.router.add_get("/truth", truth)
    application.router.add_get("/channels", channels)
    application.router.add_post("/updates", update)
    application.router.add_post("/roster", roster)
    application.router.add_post(WEBHOOK_PATH, webhooks.handle)
    application.router.add_post("/shutdown", shutdown)
    return application


@web.middleware
async def _complain(request: web.Request, handler: Any) -> web.StreamResponse:
    """A wrong call is told what is wrong with it."""
    try:
        answer = await handler(request)
    except ValueError as error:
        return web.json_response({"error": str(error)}, status=400)
    assert isinstance(answer, web.StreamResponse)
    return answer


async def _asked(request: web.Request) -> Any:
    return orjson.loads(await request.read() or b"null")


def _named(asked: Any, *names: str) -> list[str]:
    if not isinstance(asked, dict) or asked.keys() != set(names):
        raise ValueError(f"what is wanted is {', '.join(names)}")
    return [str(asked[name]) for name in names]


def _json(answer: dict[str, Any]) -> web.Response:
    return web.Response(body=orjson.dumps(answer), content_type="application/json")
