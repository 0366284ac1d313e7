"""From a parsed frame of the cloud dialect to what it tells of one agent, checked and bounded.
Pure.

Knows no agent and no journal (protocol.md §2.3). Slow and exact: what is usual is read by the merge
in line, which falls back to this.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from actors.genesys.cloud import (
    NAME_CHARS_MAX,
    SNAPSHOT,
    USER_TOPIC,
    is_user_id,
    normal_name,
    parse_time_us,
)
from actors.shard.decode import QUEUE_CHARS_MAX, UNDECODABLE
from actors.shard.native import TIMELESS_US, Presence

ID_CHARS_MAX: Final = 128
MESSAGE_CHARS_MAX: Final = 250
"""A person's own words: cut, for they must not keep a presence from being known."""
QUEUES_KEPT_MAX: Final = 64
SOURCE_DEFAULT: Final = "PURECLOUD"

_WHOLE: Final = frozenset({"activity", SNAPSHOT})


class Values(NamedTuple):
    """Native values, each with its time last. None: nothing is said of that."""

    presence: Presence | None = None
    routing: tuple[str, int] | None = None
    queues: tuple[tuple[str, ...], int] | None = None
    office: tuple[bool, int] | None = None


NOTHING: Final = Values()


class AgentReading(NamedTuple):
    """What one frame says of one agent."""

    user_id: str
    is_snapshot: bool
    is_of_all: bool
    """It tells all that the platform knows, not one part of it."""
    values: Values
    """Of presences the primary one."""
    apart: tuple[str, Presence] | None = None
    """Another source, and its presence."""


class _OddError(ValueError):
    """Why a frame is set aside."""


def told(value: Any) -> AgentReading | str:  # noqa: PLR0911  one per reason
    """What a parsed frame tells, or the reason why it tells nothing."""
    if value is UNDECODABLE:
        return "not JSON"
    if not isinstance(value, dict) or not isinstance(value.get("topicName"), str):
        return "not an event"
    topic, body = value["topicName"], value.get("eventBody")
    user_id, _, kind = topic[len(USER_TOPIC) :].rpartition(".")
    kind = kind.lower()
    if topic[: len(USER_TOPIC)].lower() != USER_TOPIC or kind not in _READERS:
        return "a topic that nobody subscribed to"
    if not is_user_id(user_id):
        return "no agent in the topic's name"
    if not isinstance(body, dict):
        return "an event without a body"
    if kind != "presence" and not _is_of(body.get("id"), user_id):
        return "the body is another agent's"
    try:
        return _READERS[kind](user_id, kind, body)
    except _OddError as error:
        return str(error)


def _is_of(body_id: Any, user_id: str) -> bool:
    return body_id is None or (isinstance(body_id, str) and body_id.lower() == user_id.lower())


def _whole(user_id: str, kind: str, body: dict[str, Any]) -> AgentReading:
    presence, source = _presence(_part(body, "presence"))
    values = Values(
        None if source else presence,
        _routing(_part(body, "routingStatus")),
        _queues(body),
        _office(_part(body, "outOfOffice")),
    )
    return AgentReading(user_id, kind == SNAPSHOT, True, values, _apart(source, presence))


def _presence_alone(user_id: str, _kind: str, body: dict[str, Any]) -> AgentReading:
    presence, source = _presence(body)
    values = Values(None if source else presence)
    return AgentReading(user_id, False, False, values, _apart(source, presence))


def _apart(source: str, presence: Presence | None) -> tuple[str, Presence] | None:
    return (source, presence) if source and presence is not None else None


def _routing_alone(user_id: str, _kind: str, body: dict[str, Any]) -> AgentReading:
    values = Values(routing=_routing(_part(body, "routingStatus")))
    return AgentReading(user_id, False, False, values)


_READERS: Final = {
    "activity": _whole,
    SNAPSHOT: _whole,
    "presence": _presence_alone,
    "routingstatus": _routing_alone,
}


def _part(body: dict[str, Any], name: str) -> dict[str, Any] | None:
    part = body.get(name)
    if part is not None and not isinstance(part, dict):
        raise _OddError(f"{name} is no object")
    return part


def _presence(part: dict[str, Any] | None) -> tuple[Presence | None, str]:
    """The presence, and its source if it is not the primary one."""
    if part is None or part.get("presenceDefinition") is None:
        return None, ""
    definition = _part(part, "presenceDefinition") or {}
    message = part.get("presenceMessage", part.get("message"))
    presence = Presence(
        _name(definition.get("systemPresence"), "systemPresence"),
        _text(definition.get("id"), ID_CHARS_MAX, "presenceDefinition"),
        message[:MESSAGE_CHARS_MAX] if isinstance(message, str) else "",
        _time(part.get("modifiedDate"), "modifiedDate"),
    )
    if part.get("primary") is not False:
        return presence, ""
    return presence, _text(part.get("source"), NAME_CHARS_MAX, "source") or SOURCE_DEFAULT


def _routing(part: dict[str, Any] | None) -> tuple[str, int] | None:
    if part is None or part.get("status") is None:
        return None
    return _name(part["status"], "status"), _time(part.get("startTime"), "startTime")


def _queues(body: dict[str, Any]) -> tuple[tuple[str, ...], int] | None:
    ids = body.get("activeQueueIds")
    if ids is None:
        return None
    if not isinstance(ids, list):
        raise _OddError("activeQueueIds is no list")
    queues = tuple(_text(each, QUEUE_CHARS_MAX, "activeQueueIds") for each in ids[:QUEUES_KEPT_MAX])
    if "" in queues:
        raise _OddError("activeQueueIds names a queue without a name")
    return queues, _time(body.get("dateActiveQueuesChanged"), "dateActiveQueuesChanged")


def _office(part: dict[str, Any] | None) -> tuple[bool, int] | None:
    if part is None or part.get("active") is None:
        return None
    if not isinstance(part["active"], bool):
        raise _OddError("outOfOffice is neither true nor false")
    return part["active"], _time(part.get("modifiedDate"), "outOfOffice")


def _name(value: Any, what: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= NAME_CHARS_MAX:
        raise _OddError(f"{what} is missing or too long")
    return normal_name(value)


def _text(value: Any, chars_max: int, what: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > chars_max:
        raise _OddError(f"{what} is not a short text")
    return value


def _time(stamp: Any, what: str) -> int:
    """In µs; TIMELESS_US if none is told."""
    if stamp is None:
        return TIMELESS_US
    try:
        at_us = parse_time_us(stamp)
    except ValueError as error:
        raise _OddError(f"{what}: {error}") from None
    if at_us <= TIMELESS_US:
        raise _OddError(f"{what}: time is before 1970")
    return at_us
