"""What the cloud platform says of an agent, in its own words, beside the state that we map it to.
Pure.

Knows no frame, no journal and no rule of which value is newer (`cloud_merge.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import orjson

from actors.genesys.times import iso_ms
from actors.messages.queries import PRESENCE_AT

NOTHING_US: Final = -1
"""The time of a field that nobody told yet."""
TIMELESS_US: Final = 0
"""The time of a field that was told without one: it is taken where nothing is held, and yields to
every other."""

PRESENCE, ROUTING, QUEUES, OFFICE = 1, 2, 4, 8
"""The fields, each judged by its own time; a set of them is a sum."""


class Presence(NamedTuple):
    """A presence as one source told it."""

    system: str  # its normal name (`genesys.cloud.normal_name`)
    definition: str  # id of the organisation's presence definition; "" if not told
    message: str
    at_us: int


class Native:
    """The native values of one agent, and where it is watched. Each text is shared where many
    agents have the same."""

    __slots__ = (
        "apart",
        "definition",
        "from_snapshot",
        "is_out_of_office",
        "message",
        "named",
        "office_stamp",
        "office_us",
        "presence_stamp",
        "presence_us",
        "queues",
        "queues_stamp",
        "queues_us",
        "routing_stamp",
        "routing_status",
        "routing_us",
        "scope",
        "system_presence",
    )

    def __init__(self) -> None:
        self.system_presence = ""
        self.definition = ""
        self.message = ""
        self.presence_us = NOTHING_US
        self.routing_status = ""
        self.routing_us = NOTHING_US
        self.queues: tuple[str, ...] = ()
        self.queues_us = NOTHING_US
        self.is_out_of_office = False
        self.office_us = NOTHING_US
        self.from_snapshot = 0
        """The fields that a snapshot told, and no event since: an event of the same time wins."""
        self.apart: dict[str, Presence] | None = None
        """The newest presence of each source that is not the primary one."""
        self.scope = ""
        """The scope that watches the agent; "": none does."""
        self.named = 0
        """The session of that scope in which its whole state was told last."""
        # The texts of the times that were judged last: an event repeats those of all the fields
        # that it did not change, and a comparison costs a tenth of what reading a time does.
        self.presence_stamp = self.routing_stamp = self.queues_stamp = self.office_stamp = ""

    @property
    def newest_us(self) -> int:
        return max(self.presence_us, self.routing_us, self.queues_us, self.office_us)

    @property
    def correlation(self) -> str:
        """What a command waits for that caused this presence."""
        return correlation_of(self.presence_us)

    def packed(self) -> tuple[Any, ...]:
        """As a page and the table `natives` hold it. Who watches the agent stands elsewhere."""
        packed = (
            self.system_presence,
            self.definition,
            self.message,
            self.presence_us,
            self.routing_status,
            self.routing_us,
            self.queues,
            self.queues_us,
            self.is_out_of_office,
            self.office_us,
            self.from_snapshot,
        )
        if self.apart:
            return (*packed, {source: tuple(each) for source, each in self.apart.items()})
        return packed

    def unpack(self, packed: Sequence[Any]) -> None:
        """Takes over what `packed` gave."""
        self.system_presence, self.definition, self.message, self.presence_us = packed[:4]
        self.routing_status, self.routing_us = packed[4:6]
        self.queues, self.queues_us = tuple(packed[6]), packed[7]
        self.is_out_of_office, self.office_us, self.from_snapshot = packed[8:11]
        apart = packed[11] if len(packed) > 11 else {}
        self.apart = {source: Presence._make(each) for source, each in apart.items()} or None
        self.presence_stamp = self.routing_stamp = self.queues_stamp = self.office_stamp = ""


def unpacked(packed: Sequence[Any]) -> Native:
    native = Native()
    native.unpack(packed)
    return native


def native_of(stored: str) -> Native:
    """As the table `natives` holds it."""
    return unpacked(orjson.loads(stored))


def correlation_of(presence_us: int) -> str:
    """In the cloud a presence is known again by its `modifiedDate` alone."""
    return f"{PRESENCE_AT}{presence_us}"


def native_json(native: Native) -> dict[str, Any]:
    """For people and programs: a text that nobody told, or a time, is null."""
    primary = Presence(
        native.system_presence, native.definition, native.message, native.presence_us
    )
    return {
        "presence": presence_json(primary),
        "routing_status": native.routing_status or None,
        "routing_since": _time(native.routing_us),
        "queues": list(native.queues),
        "queues_since": _time(native.queues_us),
        "out_of_office": native.is_out_of_office,
        "out_of_office_since": _time(native.office_us),
    }


def presence_json(presence: Presence) -> dict[str, Any]:
    return {
        "system_presence": presence.system or None,
        "definition": presence.definition or None,
        "message": presence.message,
        "since": _time(presence.at_us),
    }


def _time(at_us: int) -> str | None:
    return iso_ms(at_us) if at_us > TIMELESS_US else None
