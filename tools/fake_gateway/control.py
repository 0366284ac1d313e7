"""Control: the calls by which tests and the demo steer a gateway, on a port of its own.

The calls are rows; `gateway.py` has those of both dialects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import orjson
from aiohttp import web

from tools.fake_gateway.pacing import Load
from tools.fake_gateway.rest import Handler, json_response
from tools.fake_gateway.webhooks import PATH as WEBHOOK_PATH
from tools.fake_gateway.webhooks import WebhookReceiver


class ControlCall(NamedTuple):
    """`answer`: of the JSON that was posted (None: there is no body) and the query."""

    method: str
    path: str
    answer: Callable[[Any, Mapping[str, str]], dict[str, Any]]


def control_application(calls: Iterable[ControlCall], webhooks: WebhookReceiver) -> web.Application:
    application = web.Application()
    for call in calls:
        application.router.add_route(call.method, call.path, _handler(call))
    application.router.add_post(WEBHOOK_PATH, webhooks.handle)
    return application


def _handler(call: ControlCall) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        try:
            return json_response(call.answer(orjson.loads(body or b"null"), request.query))
        except ValueError as error:  # a wrong call is told what is wrong with it
            return json_response({"error": str(error)}, 400)

    return handle


def parse_load(asked: Any) -> Load:
    """{"rate": 2000 | "max", "seconds": 30, "profile": "steady"}; raises ValueError."""
    if not isinstance(asked, dict) or "rate" not in asked:
        raise ValueError('a load is {"rate": N | "max", "seconds": S, "profile": …}')
    unknown = asked.keys() - {"rate", "seconds", "profile"}
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    rate, seconds = asked["rate"], asked.get("seconds", 0)
    for value in (0 if rate == "max" else rate, seconds):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"not a number: {value!r}")
    return Load(None if rate == "max" else float(rate), seconds, asked.get("profile", "steady"))


def named(asked: Any, *names: str) -> list[str]:
    """The values of an object that has exactly these names. Raises ValueError."""
    if not isinstance(asked, dict) or asked.keys() != set(names):
        raise ValueError(f"expected an object of {', '.join(names)}")
    return [str(asked[name]) for name in names]
