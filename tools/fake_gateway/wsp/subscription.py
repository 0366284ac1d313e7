"""Subscription: what a client's first frame asks for (protocol.md §1.2). Pure; knows no socket."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

from tools.fake_gateway.script import (
    STATE_EVENT,
    WHOLE_AGENT,
    WITH_CORRELATION,
    WITH_PRESENCE,
    WITH_QUEUE,
)

APPOINTMENT_EVENT = "routing.agents.apptent"
_SHAPES = {
    "userId": 0,
    "state": 0,
    "timestamp": 0,
    "queueId": WITH_QUEUE,
    "presence": WITH_PRESENCE,
    "correlationId": WITH_CORRELATION,
}
_APPOINTMENT_PROPERTIES = {"userId", "start", "end", "timestamp"}


class MalformedSubscriptionError(Exception):
    """The first frame does not fit the schema; the text says where."""


class Subscription(NamedTuple):
    shape: int
    wants_history: bool
    resource: str | None
    epoch: str | None
    sequence: int | None  # replay what follows it


def parse_subscription(text: str | bytes) -> Subscription:
    try:
        asked = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MalformedSubscriptionError(f"not JSON: {error}") from None
    _demand(isinstance(asked, dict), "not an object")
    _only(asked, {"events", "filter", "epoch", "sequence"}, "the subscription")
    filter_ = asked.get("filter", {})
    _demand(isinstance(filter_, dict), "filter is not an object")
    _only(filter_, {"includeHistory", "resource"}, "filter")
    wants_history = filter_.get("includeHistory", False)
    _demand(isinstance(wants_history, bool), "filter.includeHistory is not true or false")
    resource = filter_.get("resource")
    _demand(resource is None or isinstance(resource, str), "filter.resource is not a text")
    epoch = asked.get("epoch")
    _demand(epoch is None or isinstance(epoch, str), "epoch is not a text")
    sequence = asked.get("sequence")
    is_sequence = type(sequence) is int and 0 <= sequence < 1 << 62
    _demand(sequence is None or is_sequence, "sequence is not an integer from 0 to 2^62")
    return Subscription(_shape(asked.get("events")), wants_history, resource, epoch, sequence)


def _shape(events: Any) -> int:
    _demand(isinstance(events, list) and bool(events), "events is not a list with something in it")
    shape: int | None = None
    for wanted in events:
        _demand(isinstance(wanted, dict), "events holds something that is not an object")
        _only(wanted, {"type", "properties"}, "events[]")
        names = wanted.get("properties") or []
        is_list = isinstance(names, list) and all(isinstance(name, str) for name in names)
        _demand(is_list, "properties is not a list of names")
        if wanted.get("type") == STATE_EVENT:
            _demand(shape is None, f"{STATE_EVENT} stands twice")
            unknown = set(names) - _SHAPES.keys()
            _demand(not unknown, f"unknown properties: {', '.join(sorted(unknown))}")
            shape = sum(_SHAPES[name] for name in set(names)) if names else WHOLE_AGENT
        else:
            _demand(wanted.get("type") == APPOINTMENT_EVENT, f"unknown type {wanted.get('type')!r}")
            unknown = set(names) - _APPOINTMENT_PROPERTIES
            _demand(not unknown, f"unknown properties: {', '.join(sorted(unknown))}")
    if shape is None:
        raise MalformedSubscriptionError(f"{STATE_EVENT} is not among the events")
    return shape


def _only(held: dict[str, Any], known: set[str], where: str) -> None:
    unknown = held.keys() - known
    _demand(not unknown, f"{where} has unknown keys: {', '.join(sorted(unknown))}")


def _demand(holds: bool, otherwise: str) -> None:
    if not holds:
        raise MalformedSubscriptionError(otherwise)
