"""Natives: what a page of a runtime says of an agent in the platform's own words. Pure.

A page holds of each agent its row's fields, an appointment, and (here) eleven native values: system
presence, definition, message, modifiedDate, routing status, startTime, queues, since when, out of
office, since when, and what of it a snapshot told; times in µs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tools.fake_gateway.cloud.activity import Held
from tools.fake_gateway.cloud.definitions import DEFINITIONS, ROUTING_STATUSES

PLACE = 10  # of the native values among an agent's fields
OFFICE = 8  # out of office, among what a snapshot told


def wrong_fields(
    fields: Sequence[Any],
    held: Held,
    *,
    is_whole: bool,
    is_damaged: bool = False,
    is_timeless: bool = False,
    is_office_dated: bool = True,
) -> Iterator[tuple[str, Any, Any]]:
    """(what, expected, found) against how the agent stands. Where parts of it are told, nobody is
    told of an absence. `is_damaged`: the message was told as no text; `is_timeless`: times were
    told as none; `is_office_dated`: whether every absence was told with its time, which no call
    says."""
    if len(fields) <= PLACE:
        return  # a journal without them
    if fields[PLACE] is None:
        yield "native", "native values", None
        return
    (system, definition, message, presence_us, routing, routing_us) = fields[PLACE][:6]
    is_away, away_us, from_snapshot = fields[PLACE][8:11]
    right = DEFINITIONS[held.presence]
    told: list[tuple[str, Any, Any]] = [
        ("systemPresence", right.event_presence, system),
        ("presenceDefinition", right.id, definition),
        ("routingStatus", ROUTING_STATUSES[held.routing], routing),
    ]
    if not is_damaged:
        told.append(("message", held.message, message or ""))
    if not is_timeless:
        told += [
            ("modifiedDate", held.presence_ms * 1000, presence_us),
            ("startTime", held.routing_ms * 1000, routing_us),
        ]
    if is_whole:
        told.append(("outOfOffice", held.is_away, is_away))
    if (
        is_whole and is_office_dated and not is_timeless and not from_snapshot & OFFICE
    ):  # REST does not say since when
        told.append(("outOfOffice.modifiedDate", held.away_ms * 1000, away_us))
    yield from (one for one in told if one[1] != one[2])
