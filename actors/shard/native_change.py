"""Owns how new values replace the held ones of an agent, in the dialect cloud. Pure.

Knows no frame, and not why a value is new (`cloud_order`).
"""

from __future__ import annotations

from typing import Final

from actors.shard.cloud_decode import Values
from actors.shard.native import OFFICE, PRESENCE, QUEUES, ROUTING, TIMELESS_US, Native, Presence

Routing = tuple[str, int]
Queues = tuple[tuple[str, ...], int]
Office = tuple[bool, int]
News = tuple[Presence | None, Routing | None, Queues | None, Office | None]
"""The fields of `Values`: the plain tuple is half the cost."""

FIELDS: Final = (PRESENCE, ROUTING, QUEUES, OFFICE)
"""In the order of `Values`."""


def put(native: Native, news: News) -> int:
    """Replaces what is new; the newest time among it, or of all if nothing is. What has no time
    leaves its field the one that it has."""
    presence, routing, queues, office = news
    at_us = TIMELESS_US
    if presence is not None:
        native.system_presence, native.definition, native.message, at_us = presence
        native.presence_us = at_us = at_us or max(native.presence_us, TIMELESS_US)
    if routing is not None:
        native.routing_status, routing_us = routing
        native.routing_us = routing_us = routing_us or max(native.routing_us, TIMELESS_US)
        at_us = max(at_us, routing_us)
    if queues is not None:
        native.queues, queues_us = queues
        native.queues_us = queues_us = queues_us or max(native.queues_us, TIMELESS_US)
        at_us = max(at_us, queues_us)
    if office is not None:
        native.is_out_of_office, office_us = office
        native.office_us = office_us = office_us or max(native.office_us, TIMELESS_US)
        at_us = max(at_us, office_us)
    return at_us or max(native.newest_us, TIMELESS_US)


def note_untimed(native: Native, news: Values, untimed: tuple[int, ...], received_us: int) -> None:
    """When what has no time was received; and no more of what has one now."""
    held = native.untimed
    if not held and not untimed:
        return
    replaced = {field for field, value in zip(FIELDS, news, strict=True) if value is not None}
    kept = {field: at_us for field, at_us in (held or {}).items() if field not in replaced}
    native.untimed = kept | dict.fromkeys(untimed, received_us) or None


def held_presence(native: Native) -> Presence:
    return Presence(native.system_presence, native.definition, native.message, native.presence_us)
