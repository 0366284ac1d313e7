"""What the cloud platform says of an agent, in its own words, beside the state that we map it to.
Pure.

Knows no frame, no journal and no rule of which value is newer (`cloud_merge.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import orjson

from actors.genesys.times import bounded, iso_ms
from actors.messages.queries import PRESENCE_AT

NOTHING_US: Final = -1
"""The time of a field that nobody told yet."""
TIMELESS_US: Final = 0
"""The time of a field that was told without one, and never with one."""

PRESENCE, ROUTING, QUEUES, OFFICE = 1, 2, 4, 8
"""The fields, each judged by its own time; a set of them is a sum."""
ALL_FIELDS: Final = PRESENCE | ROUTING | QUEUES | OFFICE
STATE_FIELDS: Final = PRESENCE | ROUTING
"""What a state follows from."""
MENTIONED: Final = 4
"""Beside the state's fields in `named`: the agent was answered for, whatever was left out."""


def told_in(named: int, session: int) -> int:
    """The state's fields that were told in this session, and MENTIONED, by `Native.named`."""
    if not session:
        return 0
    if named == session:
        return STATE_FIELDS | MENTIONED
    return -named & 7 if named < 0 and -named >> 3 == session else 0


def named_by(fields: int, session: int) -> int:
    """The inverse, for `Native.named`."""
    is_whole = fields & STATE_FIELDS == STATE_FIELDS
    return session if is_whole else -(session << 3 | fields)


class Presence(NamedTuple):
    """A presence as one source told it."""

    system: str  # its normal name (`genesys.cloud.normal_name`)
    definition: str  # id of the organisation's presence definition; "" if not told
    message: str
    at_us: int


class Tie(NamedTuple):
    """Values of one field that bear the same time."""

    at_us: int
    first_received_us: int  # the second one of them
    before: list[tuple[Any, ...]]
    """Those that were held and were replaced."""


class Native:
    """The native values of one agent, and where it is watched. Each text is shared where many
    agents have the same."""

    __slots__ = (
        "apart",
        "definition",
        "from_snapshot",
        "heard",
        "heard_fields",
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
        "ties",
        "untimed",
        "usual_in",
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
        """The session of that scope in which presence and routing status were both told last.
        Below 0: a part of them was (`told_in`), which confirms nothing."""
        self.heard = 0
        """The newest session of that scope since whose beginning events told of the agent, …"""
        self.heard_fields = 0
        """… and the fields that they told."""
        self.usual_in = 0
        """The session in which every field was told by an event last, with its time: the merge
        need not look at anything but the times."""
        self.untimed: dict[int, int] | None = None
        """When each field was received that was told without a time. Its own time above stays that
        of what was told before: what is not newer than that is not newer than this."""
        self.ties: dict[int, Tie] | None = None
        """Of fields of which several values bore the time that is held."""
        # The texts of the times that were judged last: an event repeats those of all the fields
        # that it did not change, and a comparison costs a tenth of what reading a time does.
        self.presence_stamp = self.routing_stamp = self.queues_stamp = self.office_stamp = ""

    def has_heard(self, field: int, session: int) -> bool:
        """Whether an event has told the field since this session began."""
        return bool(session) and self.heard == session and bool(self.heard_fields & field)

    def hear(self, field: int, session: int) -> None:
        if self.heard != session:
            self.heard, self.heard_fields = session, 0
        self.heard_fields |= field

    def untimed_us(self, field: int) -> int:
        """When the field was received, if it was told without a time; else 0."""
        return self.untimed.get(field, 0) if self.untimed else 0

    def leave_session(self) -> None:
        """Another scope watches the agent now, or none: its sessions are other ones."""
        self.named = self.heard = self.heard_fields = self.usual_in = 0

    @property
    def newest_us(self) -> int:
        return max(self.presence_us, self.routing_us, self.queues_us, self.office_us)

    @property
    def correlation(self) -> str:
        """What a command waits for that caused this presence; "" if it was told without a time."""
        return "" if self.untimed_us(PRESENCE) else correlation_of(self.presence_us)

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
        if not self.apart and not self.untimed:
            return packed
        apart = {source: tuple(each) for source, each in (self.apart or {}).items()}
        return (*packed, apart, list(self.untimed.items())) if self.untimed else (*packed, apart)

    def unpack(self, packed: Sequence[Any]) -> None:
        """Takes over what `packed` gave; times that no calendar can write are bounded."""
        self.system_presence, self.definition, self.message = packed[:3]
        self.presence_us = bounded(packed[3])
        self.routing_status, self.routing_us = packed[4], bounded(packed[5])
        self.queues, self.queues_us = tuple(packed[6]), bounded(packed[7])
        self.is_out_of_office, self.office_us = packed[8], bounded(packed[9])
        self.from_snapshot = packed[10]
        apart = packed[11] if len(packed) > 11 else {}
        self.apart = {source: _presence(each) for source, each in apart.items()} or None
        self.untimed = dict(packed[12]) if len(packed) > 12 else None
        self.presence_stamp = self.routing_stamp = self.queues_stamp = self.office_stamp = ""


def _presence(packed: Sequence[Any]) -> Presence:
    presence = Presence._make(packed)
    return presence._replace(at_us=bounded(presence.at_us))


def unpacked(packed: Sequence[Any]) -> Native | None:
    """None for what `packed` never gave: it costs one agent these values, and nobody else any."""
    native = Native()
    try:
        native.unpack(packed)
    except (ValueError, TypeError, LookupError, AttributeError):
        return None
    return native


def native_of(stored: str | None) -> Native | None:
    """As the table `natives` holds it."""
    if stored is None:
        return None
    try:
        return unpacked(orjson.loads(stored))
    except orjson.JSONDecodeError:
        return None


def correlation_of(presence_us: int) -> str:
    """In the cloud a presence is known again by its `modifiedDate` alone."""
    return f"{PRESENCE_AT}{presence_us}"


def native_json(native: Native) -> dict[str, Any]:
    """For people and programs: a text that nobody told, or a time, is null. What was told without
    a time is since it was received."""

    def since_us(field: int, at_us: int) -> int:
        return native.untimed_us(field) or at_us

    presence_us = since_us(PRESENCE, native.presence_us)
    primary = Presence(native.system_presence, native.definition, native.message, presence_us)
    return {
        "presence": presence_json(primary),
        "routing_status": native.routing_status or None,
        "routing_since": _time(since_us(ROUTING, native.routing_us)),
        "queues": list(native.queues),
        "queues_since": _time(since_us(QUEUES, native.queues_us)),
        "out_of_office": native.is_out_of_office,
        "out_of_office_since": _time(since_us(OFFICE, native.office_us)),
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
