"""Owns how the wsp dialect is spoken on the presence socket: URL, binding, updates, frames. Pure.

It knows no socket, command or limit: bytes in, values out (protocol.md §1.3). What an answer means
for a command is for the sender to judge.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, TypeAlias

import orjson

from actors.genesys.json_text import parsed

SCOPE_TO_WRITE: Final = "presence:write"
SCOPE_TO_LOOK_UP: Final = "user:read"
SCOPES: Final = (SCOPE_TO_WRITE, SCOPE_TO_LOOK_UP)
CHANNEL: Final = "presence"
BIND_FRAME: Final = orjson.dumps({"type": "subscribe", "channel": CHANNEL})
SEPARATOR: Final = b"|corr:"
STATUS_OF_SUCCESS: Final = 200
CORRELATION_CHARS_MAX: Final = 200  # ours have 36; longer ones answer nothing that we asked
CODE_CHARS_MAX: Final = 100
MESSAGE_CHARS_MAX: Final = 500
RETRY_AFTER_MOST_MS: Final = 600_000

REASON_NOT_JSON: Final = "not JSON"
REASON_BINARY: Final = "binary frame"
REASON_NO_TYPE: Final = "neither a binding nor an acknowledgement"
REASON_NOT_BOUND: Final = "not bound to the channel presence"
REASON_NO_CORRELATION: Final = "an acknowledgement without a correlation id"
REASON_NO_SUCCESS: Final = "an acknowledgement that says neither success nor failure"
REASON_NO_STATUS: Final = "a negative acknowledgement without a status"


class Bound(NamedTuple):
    """The channel is bound: updates may be sent."""


class UpdateAcknowledgement(NamedTuple):
    """The gateway answers the update with this correlation id."""

    correlation: str
    success: bool
    status: int  # 200 if it succeeded
    code: str
    message: str
    retry_after_ms: int | None


class InvalidPresenceFrame(NamedTuple):
    """A frame that is neither, and why."""

    reason: str


Frame: TypeAlias = Bound | UpdateAcknowledgement | InvalidPresenceFrame


def presence_url(websocket_base: str) -> str:
    """Where the presence socket is. The token goes into a header, not into the URL."""
    return f"{websocket_base}/api/v2/ws"


def update_frame(user_id: str, state: str, reason: str, correlation: str) -> bytes:
    """One update, client to gateway, a binary frame. The gateway splits it at the last separator,
    so that nothing in a reason can pass for a correlation id."""
    update = {"type": "presence", "userId": user_id, "stateName": state, "reasonId": reason}
    return orjson.dumps(update) + SEPARATOR + correlation.encode("ascii")


def read_frame(payload: bytes) -> Frame:
    """Tell one text message apart. Never raises: what cannot be told apart is odd."""
    try:
        frame = parsed(payload)
    except ValueError:
        return InvalidPresenceFrame(REASON_NOT_JSON)
    match frame.get("type") if isinstance(frame, dict) else None:
        case "subscribed":
            is_ours = frame.get("channel") == CHANNEL
            return Bound() if is_ours else InvalidPresenceFrame(REASON_NOT_BOUND)
        case "presence.ack":
            return _read_acknowledgement(frame)
    return InvalidPresenceFrame(REASON_NO_TYPE)


def _read_acknowledgement(frame: dict[str, Any]) -> UpdateAcknowledgement | InvalidPresenceFrame:
    """Strict in what decides, lenient in what only explains."""
    correlation, success = frame.get("correlationId"), frame.get("success")
    if not isinstance(correlation, str) or not 0 < len(correlation) <= CORRELATION_CHARS_MAX:
        return InvalidPresenceFrame(REASON_NO_CORRELATION)
    if success is True:
        return UpdateAcknowledgement(correlation, True, STATUS_OF_SUCCESS, "", "", None)
    status = frame.get("status")
    if success is not False:
        return InvalidPresenceFrame(REASON_NO_SUCCESS)
    if type(status) is not int or not 400 <= status <= 599:
        return InvalidPresenceFrame(REASON_NO_STATUS)
    return UpdateAcknowledgement(
        correlation,
        False,
        status,
        _text(frame.get("code"), CODE_CHARS_MAX),
        _text(frame.get("message"), MESSAGE_CHARS_MAX),
        _wait_ms(frame.get("retryAfterMs")),
    )


def _text(value: object, chars_max: int) -> str:
    return value[:chars_max] if isinstance(value, str) else ""


def _wait_ms(value: object) -> int | None:
    """What we are asked to wait, bounded; None if nothing sensible is."""
    return min(value, RETRY_AFTER_MOST_MS) if type(value) is int and value >= 0 else None
