"""From a parsed frame of the cloud dialect to what it tells of one agent, checked and bounded.
Pure.

Knows no agent and no journal (protocol.md §2.3, §4 R12). Slow and exact: what is usual is read by
the merge in line, which falls back to this. A part that cannot be read costs itself: it was not
told. A time that cannot be read costs itself: its value was told without one.
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
    user_id_of,
)
from actors.genesys.json_text import DAMAGE
from actors.shard.decode import QUEUE_CHARS_MAX, UNDECODABLE, Times
from actors.shard.native import TIMELESS_US, Native, Presence

ID_CHARS_MAX: Final = 128
MESSAGE_CHARS_MAX: Final = 250
"""A person's own words: cut, for they must not keep a presence from being known."""
QUEUES_KEPT_MAX: Final = 64
SOURCE_DEFAULT: Final = "PURECLOUD"


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
    """It answers for the agent as a whole, whatever it leaves out; not for one part."""
    values: Values
    """Of presences the primary one."""
    apart: tuple[str, Presence] | None = None
    """Another source, and its presence."""
    odd: tuple[str, ...] = ()
    """Why each part that could not be read could not be."""

    @property
    def is_whole(self) -> bool:
        """Whether a state follows from it alone. What is absent was not told: nobody's state is
        made up from half of it."""
        return self.values.presence is not None and self.values.routing is not None

    def is_behind(self, native: Native) -> bool:
        """Whether it tells something older than what is held."""
        presence, routing, _, _ = self.values
        return (presence is not None and TIMELESS_US < presence.at_us < native.presence_us) or (
            routing is not None and TIMELESS_US < routing[1] < native.routing_us
        )


def told(value: Any) -> AgentReading | str:  # noqa: PLR0911  one per reason
    """What a parsed frame tells, or the reason why it tells nothing."""
    if value is UNDECODABLE:
        return "not JSON"
    if not isinstance(value, dict) or not isinstance(value.get("topicName"), str):
        return "not an event"
    topic, body = value["topicName"], value.get("eventBody")
    user_id, _, kind = topic[len(USER_TOPIC) :].rpartition(".")
    kind = kind.lower()
    if topic[: len(USER_TOPIC)].lower() != USER_TOPIC or kind not in _KINDS:
        return "a topic that nobody subscribed to"
    if not is_user_id(user_id):
        return "no agent in the topic's name"
    if not isinstance(body, dict):
        return "an event without a body"
    reading = _Reading(body)
    if kind != "presence" and reading.is_of_another(user_id):
        return "the body is another agent's"
    return reading.of(user_id_of(user_id), kind)


_KINDS: Final = frozenset({"activity", SNAPSHOT, "presence", "routingstatus"})


class _Reading:
    """Reads the parts of one body, each alone."""

    def __init__(self, body: dict[str, Any]) -> None:
        self._body = body
        self._odd: list[str] = []

    def of(self, user_id: str, kind: str) -> AgentReading | str:
        """All that can be read; if nothing can, and something is odd, why."""
        body, presence, source = self._body, None, ""
        is_of_all = kind in ("activity", SNAPSHOT)
        if kind == "presence":
            presence, source = self._presence(body)
        elif is_of_all:
            presence, source = self._presence(self._part(body, "presence"))
        primary = None if source else presence
        values = Values(primary)
        if kind != "presence":
            values = Values(primary, self._routing(self._part(body, "routingStatus")))
        if is_of_all:
            office = self._office(self._part(body, "outOfOffice"))
            values = values._replace(queues=self._queues(), office=office)
        apart = (source, presence) if source and presence is not None else None
        if self._odd and values == NOTHING and apart is None:
            return self._odd[0]
        return AgentReading(user_id, kind == SNAPSHOT, is_of_all, values, apart, tuple(self._odd))

    def is_of_another(self, user_id: str) -> bool:
        """Whom an event is of the topic says; a body may only say somebody else."""
        body_id = self._body.get("id")
        if body_id is None or (isinstance(body_id, str) and body_id.lower() == user_id.lower()):
            return False
        if is_user_id(body_id):
            return True
        self._give_up("id is not a user's")
        return False

    def _give_up(self, reason: str) -> None:
        """That part, and nothing else."""
        self._odd.append(reason)

    def _part(self, of: dict[str, Any], name: str) -> dict[str, Any] | None:
        part = of.get(name)
        if part is None or isinstance(part, dict):
            return part
        self._give_up(f"{name} is no object")
        return None

    def _presence(self, part: dict[str, Any] | None) -> tuple[Presence | None, str]:
        """The presence, and its source if it is not the primary one."""
        definition = None if part is None else self._part(part, "presenceDefinition")
        if part is None or definition is None:
            return None, ""
        system = self._name(definition.get("systemPresence"), "systemPresence")
        primary = part.get("primary")
        if primary is not None and not isinstance(primary, bool):
            self._give_up("primary is neither true nor false")
            return None, ""
        if system is None:
            return None, ""
        message = part.get("presenceMessage", part.get("message"))
        if message is not None and not isinstance(message, str):
            self._give_up("message is no text")
            message = None
        presence = Presence(
            system,
            user_id_of(self._text(definition.get("id"), ID_CHARS_MAX, "presenceDefinition")),
            (message or "")[:MESSAGE_CHARS_MAX],
            self._time(part.get("modifiedDate"), "modifiedDate"),
        )
        if primary is not False:
            return presence, ""
        return presence, self._text(part.get("source"), NAME_CHARS_MAX, "source") or SOURCE_DEFAULT

    def _routing(self, part: dict[str, Any] | None) -> tuple[str, int] | None:
        if part is None or part.get("status") is None:
            return None
        status = self._name(part["status"], "status")
        return None if status is None else (status, self._time(part.get("startTime"), "startTime"))

    def _queues(self) -> tuple[tuple[str, ...], int] | None:
        ids = self._body.get("activeQueueIds")
        if ids is None:
            return None
        if not isinstance(ids, list):
            self._give_up("activeQueueIds is no list")
            return None
        ids = ids[:QUEUES_KEPT_MAX]
        queues = tuple(user_id_of(each) for each in ids if _is_text(each, QUEUE_CHARS_MAX))
        if len(queues) < len(ids):
            self._give_up("activeQueueIds names a queue by what is no id")
            if not queues:
                return None
        changed = self._body.get("dateActiveQueuesChanged")
        return queues, self._time(changed, "dateActiveQueuesChanged")

    def _office(self, part: dict[str, Any] | None) -> tuple[bool, int] | None:
        if part is None or part.get("active") is None:
            return None
        if not isinstance(part["active"], bool):
            self._give_up("outOfOffice is neither true nor false")
            return None
        return part["active"], self._time(part.get("modifiedDate"), "outOfOffice")

    def _name(self, value: Any, what: str) -> str | None:
        if not _is_text(value, NAME_CHARS_MAX) or not value.strip():
            self._give_up(f"{what} is missing or too long")
            return None
        return normal_name(value)

    def _text(self, value: Any, chars_max: int, what: str) -> str:
        """ "" if none is told, or none that can be."""
        if value is None or value == "":
            return ""
        if _is_text(value, chars_max):
            return str(value)
        self._give_up(f"{what} is not a short text")
        return ""

    def _time(self, stamp: Any, what: str) -> int:
        """In µs; TIMELESS_US if none is told, or none that can be."""
        if stamp is None:
            return TIMELESS_US
        try:
            return parse_time_us(stamp) or TIMELESS_US
        except ValueError as error:
            self._give_up(f"{what}: {error}")
            return TIMELESS_US


def _is_text(value: Any, chars_max: int) -> bool:
    """Not empty, not too long, and nothing of it damaged."""
    return isinstance(value, str) and 0 < len(value) <= chars_max and DAMAGE not in value


class Instants(Times):
    """Times of the platform seen of late, as µs."""

    def __missing__(self, stamp: Any) -> int:
        at_us = super().__missing__(stamp)
        if at_us <= TIMELESS_US:
            del self[stamp]
            raise ValueError("no time is that early")
        return at_us
