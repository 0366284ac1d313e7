"""Updates: what a client says on the presence socket, and how it is answered (protocol.md §1.3).

Pure; knows no socket, no user and no limit.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import orjson

from tools.fake_gateway.script import PRESENCES
from tools.fake_gateway.wire import BINARY, server_frame

SEPARATOR = b"|corr:"
REASON_CHARS_MAX = 500
OK = 200
_UUID4 = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_KEYS = {"type", "userId", "stateName", "reasonId"}
BOUND_FRAME = server_frame(b'{"type":"subscribed","channel":"presence"}')


class MalformedUpdateError(Exception):
    """A frame that does not fit the schema; the text says where. `correlation`: if it has one."""

    def __init__(self, what: str, correlation: str | None) -> None:
        super().__init__(what)
        self.correlation = correlation


class Update(NamedTuple):
    correlation: str
    user: str
    presence: int  # which of PRESENCES
    reason: str


class UpdateAnswer(NamedTuple):
    status: int = OK
    code: str = ""
    message: str = ""
    retry_after_ms: int | None = None


CODES = {
    400: "bad.request",
    401: "not.authenticated",
    403: "not.authorized",
    404: "not.found",
    429: "too.many.requests",
    500: "internal.server.error",
}


def is_binding(text: str | bytes) -> bool:
    try:
        return bool(orjson.loads(text) == {"type": "subscribe", "channel": "presence"})
    except orjson.JSONDecodeError:
        return False


def parse_update(frame: bytes) -> Update:
    """A binary frame: JSON, then the correlation id behind the *last* separator."""
    text, separator, told = frame.rpartition(SEPARATOR)
    if not separator:
        raise MalformedUpdateError("no correlation id", None)
    if not _UUID4.fullmatch(told):
        raise MalformedUpdateError("the correlation id is not a UUID v4", None)
    correlation = told.decode()

    def demand(holds: bool, otherwise: str) -> None:
        if not holds:
            raise MalformedUpdateError(otherwise, correlation)

    try:
        asked = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MalformedUpdateError(f"not JSON: {error}", correlation) from None
    demand(isinstance(asked, dict), "not an object")
    unknown = asked.keys() - _KEYS
    demand(not unknown, f"unknown keys: {', '.join(sorted(unknown))}")
    demand(asked.get("type") == "presence", "the type is not presence")
    user, state, reason = asked.get("userId"), asked.get("stateName"), asked.get("reasonId", "")
    demand(isinstance(user, str) and bool(user), "userId is not a text")
    demand(state in PRESENCES, f"stateName is not one of {', '.join(PRESENCES)}")
    is_reason = isinstance(reason, str) and len(reason) <= REASON_CHARS_MAX
    demand(is_reason, f"reasonId is not a text of at most {REASON_CHARS_MAX}")
    return Update(correlation, user, PRESENCES.index(state), reason)


def acknowledgement(correlation: str | None, answer: UpdateAnswer) -> bytes:
    """The whole frame."""
    told: dict[str, Any] = {"type": "presence.ack", "correlationId": correlation}
    told["success"] = answer.status == OK
    if answer.status != OK:
        told |= {"status": answer.status, "code": answer.code, "message": answer.message}
        if answer.retry_after_ms is not None:
            told["retryAfterMs"] = answer.retry_after_ms
    return server_frame(orjson.dumps(told))


def malformed_acknowledgement(correlation: str | None, turn: int) -> bytes:
    """One of the ways in which such a frame can be wrong, each in its turn."""
    named = orjson.dumps(correlation)
    texts = (
        b'{"type":"presence.ack","correlationId":%b,"succ' % named,  # cut off
        b'{"type":"presence.ack","correlationId":%b}' % named,  # neither yes nor no
        b'{"type":"presence.ack","correlationId":%b,"success":"true"}' % named,
        b'{"type":"presence.ack","correlationId":%b,"success":false,"status":"4"}' % named,
        b'{"type":"presence.ack","correlationId":[7],"success":true}',
        b'{"type":"presence.ack","success":true}',
        b'{"type":"presence.weather","correlationId":%b,"success":true}' % named,
        b"[]",
        b"",
        b'"\xff\xfe"',
    )
    if turn % (len(texts) + 1) == len(texts):
        return server_frame(texts[2], BINARY)
    return server_frame(texts[turn % (len(texts) + 1)])
