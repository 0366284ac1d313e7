"""Owns how the wsp dialect is spoken on the notification socket: URL, subscription, frames.

It knows no socket, session or ring: bytes in, values out (protocol.md §1.2). What the state in an
event means is for the shards to judge; here a frame is only told apart and its owner found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import quote

import orjson

from actors.genesys import json_text
from actors.messages.control import APPOINTMENT_EVENT, SEQUENCE_END, STATE_EVENT

SCOPES = ("notifications:read", "notifications:subscribe")
PROPERTIES_REQUIRED = ("userId", "state", "timestamp")
PROPERTIES = (*PROPERTIES_REQUIRED, "queueId", "presence", "correlationId")
APPOINTMENT_PROPERTIES = ("userId", "start", "end", "timestamp")
_DEMANDED = {STATE_EVENT: PROPERTIES_REQUIRED, APPOINTMENT_EVENT: APPOINTMENT_PROPERTIES}
EPOCH_NAME_CHARS_MAX = 200  # it is kept in a note of 1,000 bytes

REASON_NOT_JSON = "not JSON"
REASON_NO_OWNER = "no owner"
REASON_BINARY = "binary frame"
REASON_TOO_LONG = "longer than half a ring"
REASON_BAD_GAP = "gap without a range"


class SubscriptionAcknowledgement(NamedTuple):
    """The subscription stands; `newest` is the gateway's newest sequence at that moment."""

    newest: int
    epoch_name: str  # "" if the gateway names none


class HistoryComplete(NamedTuple):
    """Every agent's current state has been sent."""

    sequence: int  # 0 if it named none that can be


class GapRecord(NamedTuple):
    """The gateway cannot replay these sequences."""

    first: int
    last: int


class OwnedEvent(NamedTuple):
    """An event of whatever type that names its agent."""

    type: object
    user_id: str
    sequence: int  # 0 if it is none that can be
    is_history: bool
    is_whole: bool = True  # a type that we asked for, with all that its contract demands


class InvalidFrame(NamedTuple):
    """A frame that no shard owns, and why."""

    reason: str


Frame: TypeAlias = (
    SubscriptionAcknowledgement | HistoryComplete | GapRecord | OwnedEvent | InvalidFrame
)


def notifications_url(websocket_base: str, token: str) -> str:
    """Where the notification socket is. The token stands in it: never log it."""
    return f"{websocket_base}/wsp/v2/notifications?access_token={quote(token, safe='')}"


def subscription(
    *,
    resource: str | None = None,
    appointments: bool = False,
    properties: Sequence[str] = PROPERTIES,
    resume_after: int | None = None,
    epoch_name: str = "",
) -> bytes:
    """The first frame, client to gateway. `resume_after`: replay what follows it in that epoch."""
    wanted = list(dict.fromkeys((*PROPERTIES_REQUIRED, *properties)))
    events = [{"type": STATE_EVENT, "properties": wanted}]
    if appointments:
        events.append({"type": APPOINTMENT_EVENT, "properties": list(APPOINTMENT_PROPERTIES)})
    frame: dict[str, Any] = {
        "events": events,
        "filter": {"includeHistory": True, "resource": resource},
    }
    if resume_after is not None:
        if epoch_name:
            frame["epoch"] = epoch_name
        frame["sequence"] = resume_after
    return orjson.dumps(frame)


def read_frame(payload: bytes) -> Frame:
    """Tell one text message apart. Never raises: what cannot be told apart is odd."""
    try:
        parsed = json_text.parsed(payload)
    except ValueError:
        return InvalidFrame(REASON_NOT_JSON)
    if not isinstance(parsed, dict):
        return InvalidFrame(REASON_NO_OWNER)
    match parsed.get("type"):
        case "subscription":
            return _read_acknowledgement(parsed)
        case "history.complete":
            return HistoryComplete(sequence_or_0(parsed.get("sequence")))
        case "gap":
            return _read_gap(parsed)
    return _read_event(parsed)


def sequence_or_0(value: object) -> int:
    """A sequence is an integer, 0 < n < 2^62: True, 5.0 and "5" are none."""
    return value if type(value) is int and 0 < value < SEQUENCE_END else 0


def _read_acknowledgement(parsed: dict[str, Any]) -> Frame:
    newest, epoch_name = parsed.get("sequence"), parsed.get("epoch")
    if (
        parsed.get("status") != "subscribed"
        or type(newest) is not int
        or not 0 <= newest < SEQUENCE_END
        or not (epoch_name is None or isinstance(epoch_name, str))
        or len(epoch_name or "") > EPOCH_NAME_CHARS_MAX
    ):
        return InvalidFrame(REASON_NO_OWNER)
    return SubscriptionAcknowledgement(newest, epoch_name or "")


def _read_gap(parsed: dict[str, Any]) -> Frame:
    first, last = sequence_or_0(parsed.get("from")), sequence_or_0(parsed.get("to"))
    return GapRecord(first, last) if 0 < first <= last else InvalidFrame(REASON_BAD_GAP)


def _read_event(parsed: dict[str, Any]) -> Frame:
    event, kind = parsed.get("data"), parsed.get("type")
    if not isinstance(event, dict):
        return InvalidFrame(REASON_NO_OWNER)
    user_id = event.get("userId")
    if not isinstance(user_id, str) or not user_id or json_text.DAMAGE in user_id:
        return InvalidFrame(REASON_NO_OWNER)
    demanded = _DEMANDED.get(kind) if isinstance(kind, str) else None
    return OwnedEvent(
        kind,
        user_id,
        sequence_or_0(parsed.get("sequence")),
        parsed.get("history") is True,
        demanded is not None and all(isinstance(event.get(name), str) for name in demanded),
    )
