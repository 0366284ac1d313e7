"""Owns how the cloud dialect is spoken on a channel: hosts, topics, times, names, frames, mapping.
Pure.

It knows no socket, channel life or ring: bytes in, values out (protocol.md §2). Which of two values
of an agent is newer is for the shards to judge; here a frame is only told apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import orjson

from actors.genesys import json_text
from actors.genesys.presences import Presence
from actors.genesys.regions import domain_of, region_domain_in
from actors.genesys.times import microseconds
from actors.messages.control import USER_ID_BYTES_MAX

# -- hosts ---------------------------------------------------------------------------------------


class RegionHosts(NamedTuple):
    """The three of a region, without a slash at the end. A channel names its own socket's URL."""

    login_url: str
    api_url: str
    streaming_url: str

    @property
    def token_url(self) -> str:
        return f"{self.login_url}/oauth/token"


def hosts(region: str, base_url: str | None = None) -> RegionHosts:
    """Of a region or its domain; a `base_url` stands for all three (tests, the fake gateway), but
    one that names a host of the platform itself stands for its region."""
    of_platform = region_domain_in(urlsplit(base_url or "").hostname or "")
    if of_platform is not None:
        region = of_platform
    elif base_url is not None:
        assert base_url.startswith(("http://", "https://")), "checked by the settings"
        return RegionHosts(base_url, base_url, "ws" + base_url.removeprefix("http"))
    domain = domain_of(region)
    return RegionHosts(
        f"https://login.{domain}", f"https://api.{domain}", f"wss://streaming.{domain}"
    )


# -- ids -----------------------------------------------------------------------------------------

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


def user_id_of(text: str) -> str:
    """The one spelling of a user's id: a UUID means the same in either letter case, and is written
    in lower case here, wherever it comes from. What is no UUID stays as it is.

    >>> user_id_of("8B67E4D1-9758-4285-8C45-B49FEDFF3F99")
    '8b67e4d1-9758-4285-8c45-b49fedff3f99'
    """
    return text.lower() if _UUID.fullmatch(text) else text


# -- topics --------------------------------------------------------------------------------------

TopicsSetting: TypeAlias = Literal["activity", "combined"]
Kind: TypeAlias = Literal["activity", "presence", "routingStatus"]

EVENT_KINDS: Final[tuple[Kind, ...]] = ("activity", "presence", "routingStatus")
SNAPSHOT: Final = "snapshot"  # ours, in the rings; never on the wire
USER_TOPIC: Final = "v2.users."
METADATA_TOPIC: Final = "channel.metadata"
CLOSING_TOPIC: Final = "v2.system.socket_closing"
UNSUBSCRIBED_TOPIC: Final = "v2.system.no_longer_subscribed"  # a channel id may follow
REVOKED_TOPIC: Final = "v2.system.token_revoked"  # likewise
CHANGED_TOPIC: Final = "v2.system.subscription_changed"  # likewise
COUNTED: Final[dict[TopicsSetting, Literal[1, 2]]] = {"activity": 1, "combined": 1}
"""What the subscription of one agent counts of a channel's 1000 topics. A combined topic counts as
one, whatever it combines; it has at most 200 characters, and ours has 68."""

_KINDS: Final[dict[str, Kind]] = {kind.lower(): kind for kind in EVENT_KINDS}


_TOPIC_ENDS: Final = (
    ".activity",
    "?presence&routingstatus",
    "?routingstatus&presence",
    ".presence",
    ".routingstatus",
)


def subscribed_topic(user_id: str, topics: TopicsSetting) -> str:
    """What is subscribed to for one agent. Events of a combined topic come under its parts."""
    if topics == "activity":
        return f"{USER_TOPIC}{user_id}.activity"
    return f"{USER_TOPIC}{user_id}?presence&routingStatus"


def subscribed_user(topic: str) -> str | None:
    """Whom a subscribed topic is of: the inverse, whatever the topic's spelling and the id's. None:
    nobody. An answer may name a part of a combined one."""
    lowered = topic.lower()
    if not lowered.startswith(USER_TOPIC):
        return None
    for end in _TOPIC_ENDS:
        if lowered.endswith(end):
            return user_id_of(topic[len(USER_TOPIC) : -len(end)]) or None
    return None


def snapshot_topic(user_id: str) -> str:
    """Under which the rings carry a user as REST gave it."""
    return f"{USER_TOPIC}{user_id}.{SNAPSHOT}"


def snapshot_frame(body: Mapping[str, Any]) -> bytes:
    """A user as REST gave it, `id` and some parts, as the rings carry it: like an event."""
    topic = snapshot_topic(body["id"])
    return orjson.dumps({"topicName": topic, "version": "2", "eventBody": body})


# -- frames --------------------------------------------------------------------------------------

PING_FRAME: Final = b'{"message":"ping"}'

REASON_NOT_JSON: Final = "not JSON"
REASON_NO_TOPIC: Final = "neither a topic nor a result"
REASON_UNKNOWN_RESULT: Final = "a result that nobody knows"
REASON_UNKNOWN_TOPIC: Final = "a topic that nobody subscribed to"
REASON_NO_OWNER: Final = "no owner"
REASON_NO_BODY: Final = "an event without a body"
REASON_BINARY: Final = "binary frame"
REASON_TOO_LONG: Final = "longer than half a ring"

LostKind: TypeAlias = Literal[
    "no_longer_subscribed", "token_revoked", "400", "401", "403", "404", "410"
]
MESSAGE_CHARS_MAX: Final = 500


class CloudEvent(NamedTuple):
    """Something of an agent changed. What the body holds is not looked at."""

    topic: str  # as it was spelt
    user_id: str  # in its one spelling (`user_id_of`)
    kind: Kind


class Heartbeat(NamedTuple):
    """The socket lives."""


class Pong(NamedTuple):
    """The answer to our ping."""


class Closing(NamedTuple):
    """About a minute is left to open another socket on the same connectUri."""

    message: str


class ChannelLost(NamedTuple):
    """The channel is gone, a new one is needed."""

    kind: LostKind
    message: str


class SubscriptionChanged(NamedTuple):
    """What the channel listens to was changed: by us, or by somebody else. It lives."""

    message: str


class SubscriptionAccepted(NamedTuple):
    """A subscription over the socket was taken."""


class InvalidCloudFrame(NamedTuple):
    """A frame that is none of these, and why."""

    reason: str


Frame: TypeAlias = (
    CloudEvent
    | Heartbeat
    | Pong
    | Closing
    | ChannelLost
    | SubscriptionChanged
    | SubscriptionAccepted
    | InvalidCloudFrame
)


_PONG: Final = "pong"
_HEARTBEAT: Final = "heartbeat"
_GONE_RESULTS: Final[dict[str, LostKind]] = {
    "400": "400", "401": "401", "403": "403", "404": "404", "410": "410",
}  # fmt: skip
_LOST: Final[dict[str, LostKind]] = {
    UNSUBSCRIBED_TOPIC: "no_longer_subscribed",
    REVOKED_TOPIC: "token_revoked",
}


def read_frame(payload: bytes) -> Frame:
    """Tell one text message apart. Never raises: what cannot be told apart is odd."""
    try:
        parsed = json_text.parsed(payload)
    except ValueError:
        return InvalidCloudFrame(REASON_NOT_JSON)
    topic = parsed.get("topicName") if isinstance(parsed, dict) else None
    if isinstance(topic, str):
        return _read_topic(topic, parsed.get("eventBody"))
    return _read_result(parsed) if isinstance(parsed, dict) else InvalidCloudFrame(REASON_NO_TOPIC)


def _read_topic(topic: str, body: Any) -> Frame:
    """Topic names are compared without regard to case."""
    lowered = topic.lower()
    if lowered.startswith(USER_TOPIC):
        return _read_event(topic, body)
    message = _message(body)
    if lowered == METADATA_TOPIC or _HEARTBEAT in lowered:
        # In whatever words: it comes every 30 s, and says no more than that the socket lives.
        return Pong() if message.strip().lower() == _PONG else Heartbeat()
    if lowered == CLOSING_TOPIC:
        return Closing(message)
    if _is_of(lowered, CHANGED_TOPIC):
        return SubscriptionChanged(message)
    lost = next((kind for name, kind in _LOST.items() if _is_of(lowered, name)), None)
    return InvalidCloudFrame(REASON_UNKNOWN_TOPIC) if lost is None else ChannelLost(lost, message)


def _is_of(lowered: str, topic: str) -> bool:
    return lowered == topic or lowered.startswith(topic + ".")


def _read_event(topic: str, body: Any) -> Frame:
    user_id, _, kind = topic[len(USER_TOPIC) :].rpartition(".")
    known = _KINDS.get(kind.lower())
    if known is None:  # also our own snapshot, which nobody may forge
        return InvalidCloudFrame(REASON_UNKNOWN_TOPIC)
    if not is_user_id(user_id):
        return InvalidCloudFrame(REASON_NO_OWNER)
    return (
        CloudEvent(topic, user_id_of(user_id), known)
        if isinstance(body, dict)
        else InvalidCloudFrame(REASON_NO_BODY)
    )


def is_user_id(value: object) -> bool:
    """Whether this can be one: ids are UUIDs, but nothing here depends on it. One with a dot, a
    slash or the like would name something else in a topic or in a path."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= USER_ID_BYTES_MAX
        and value.isascii()
        and value.replace("-", "").replace("_", "").isalnum()
    )


def _read_result(parsed: dict[str, Any]) -> Frame:
    """Some gateways answer with the number, some with its digits; some word a sign of life without
    a topic, in a body or bare."""
    found, said = parsed.get("result"), _text(parsed.get("message"))
    if found is not None:
        result = str(int(found)) if isinstance(found, float) else str(found).strip()
        if (kind := _GONE_RESULTS.get(result)) is not None:
            return ChannelLost(kind, said)
        if result == "200" and str(parsed.get("status")).strip().lower() == "subscribed":
            return SubscriptionAccepted()
        return InvalidCloudFrame(REASON_UNKNOWN_RESULT)
    word = (said or _message(parsed.get("eventBody"))).strip().lower()
    if word == _PONG:
        return Pong()
    return Heartbeat() if _HEARTBEAT in word else InvalidCloudFrame(REASON_NO_TOPIC)


def _message(body: Any) -> str:
    return _text(body.get("message")) if isinstance(body, dict) else ""


def _text(value: object) -> str:
    return value[:MESSAGE_CHARS_MAX] if isinstance(value, str) else ""


# -- times ---------------------------------------------------------------------------------------

parse_time_us: Final = microseconds
"""A time of the wire as integer µs; ValueError for what is none. As text, `…17.067Z` would stand
before `…17Z`."""

# -- names ---------------------------------------------------------------------------------------

NAME_CHARS_MAX: Final = 64

SYSTEM_PRESENCES: Final = (
    "AVAILABLE", "AWAY", "BUSY", "OFFLINE", "IDLE",
    "ON_QUEUE", "MEAL", "TRAINING", "MEETING", "BREAK",
)  # fmt: skip
ROUTING_STATUSES: Final = (
    "OFF_QUEUE", "IDLE", "INTERACTING", "NOT_RESPONDING", "COMMUNICATING",
)  # fmt: skip


def _letters(name: str) -> str:
    return "".join(character for character in name if character.isalnum()).upper()


_BY_LETTERS: Final = {_letters(name): name for name in (*SYSTEM_PRESENCES, *ROUTING_STATUSES)}
_KNOWN: Final = {name: name for name in _BY_LETTERS.values()}


def normal_name(name: object) -> str:
    """One spelling for `OnQueue`, `ON_QUEUE`, `On Queue` and `on-queue`: the upper one with
    underscores. A name that nobody knows stays as it is, cut; what is no text is ""."""
    if not isinstance(name, str):
        return ""
    known = _KNOWN.get(name)  # the usual spelling: no work
    if known is not None:
        return known
    cut = name[:NAME_CHARS_MAX]
    return _BY_LETTERS.get(_letters(cut), cut)


# -- mapping -------------------------------------------------------------------------------------


class Mapped(NamedTuple):
    """Native values in the tutorials' words."""

    state: str  # of actors.messages.control.STATES
    presence: Presence


_TALKING: Final = frozenset({"INTERACTING", "COMMUNICATING"})
_PRESENCE_OF: Final[dict[str, Presence]] = {
    "AVAILABLE": "available",
    "ON_QUEUE": "busy",  # but not idle in routing: not responding, or not there yet
    "BUSY": "busy",
    "MEETING": "busy",
    "TRAINING": "busy",
    "OFFLINE": "offline",
}
"""*Ours*. Everything else (away, break, idle, meal, and what nobody knows) is a break."""


def mapped(system_presence: str, routing_status: str) -> Mapped:
    """Both by their normal names, "" if not known (protocol.md §2, last lines). On queue is who is
    idle in routing *and* on queue by presence: between two events that change both, nobody becomes
    available by assumption."""
    presence = _PRESENCE_OF.get(system_presence, "break")
    if routing_status in _TALKING:
        return Mapped("Talking", "busy")
    if routing_status == "IDLE" and system_presence == "ON_QUEUE":
        return Mapped("Available", "available")
    return Mapped("Not Available", presence)
