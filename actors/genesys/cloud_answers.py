"""Owns what the platform API's answers hold: pages, channels, topics that were taken or refused.

Pure: parsed JSON in, values out. What is not as the contract has it is left out, or an
OddAnswerError (protocol.md §2.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from actors.genesys.cloud import is_user_id, parse_time_us
from actors.genesys.cloud_errors import OddAnswerError, permissions
from actors.genesys.secret import Secret

PAGES_MAX: Final = 2_000
NAME_CHARS_MAX: Final = 200
REASON_CHARS_MAX: Final = 200

Entity: TypeAlias = dict[str, Any]


class ListingPage(NamedTuple):
    """Of a listing; `total`: of all its pages, as the gateway says."""

    entities: list[Entity]
    number: int
    pages: int
    total: int


class ChannelAnswer(NamedTuple):
    """Whoever has its id may read along: both texts are secrets."""

    id: Secret
    connect_uri: Secret
    expires_us: int | None  # None: not said


class RejectedTopic(NamedTuple):
    """A topic that was refused, by its text."""

    topic: str
    reason: str
    missing_permissions: tuple[str, ...]


class Subscriptions(NamedTuple):
    """What a channel listens to now."""

    permitted: frozenset[str]
    rejected: tuple[RejectedTopic, ...]


def listed(answer: Any) -> list[Any]:
    """What an answer lists; some calls say it bare."""
    entities = answer.get("entities") if isinstance(answer, dict) else answer
    return entities if isinstance(entities, list) else []


def entities_of(call: str, answer: Entity) -> list[Entity]:
    """Without those that nobody could be told by."""
    if not isinstance(answer.get("entities"), list):
        raise OddAnswerError(call, 200, message="the response lists no entities")
    return [
        each for each in answer["entities"] if isinstance(each, dict) and is_user_id(each.get("id"))
    ]


def page_of(call: str, answer: Entity, number: int) -> ListingPage:
    """Raises OddAnswerError for one that does not say how many there are."""
    pages, total = answer.get("pageCount"), answer.get("total")
    if type(pages) is not int or type(total) is not int or pages > PAGES_MAX:
        raise OddAnswerError(call, 200, message="a page without a total count")
    return ListingPage(entities_of(call, answer), number, pages, total)


def name_of(entity: Entity) -> str:
    """For people to read; "" if it has none."""
    name = entity.get("name")
    return " ".join(name.split())[:NAME_CHARS_MAX] if isinstance(name, str) else ""


def channel_of(answer: Any) -> ChannelAnswer | None:
    if not isinstance(answer, dict):
        return None
    channel, uri = answer.get("id"), answer.get("connectUri")
    if not isinstance(channel, str) or not channel or not isinstance(uri, str) or not uri:
        return None
    try:
        expires_us = parse_time_us(answer.get("expires"))
    except ValueError:
        expires_us = None
    return ChannelAnswer(Secret(channel), Secret(uri), expires_us)


def subscriptions_of(asked: Sequence[str], answer: Entity) -> Subscriptions:
    """Topics come back in whatever case; one that is not told of was not taken."""
    spelt = {topic.lower(): topic for topic in asked}
    permitted, rejected = set(), []
    for each in listed(answer):
        topic = each.get("id") if isinstance(each, dict) else None
        if not isinstance(topic, str):
            continue
        topic = spelt.pop(topic.lower(), topic)
        if str(each.get("state")).lower() == "rejected":
            reason = each.get("rejectionReason")
            rejected.append(
                RejectedTopic(
                    topic,
                    " ".join(reason.split())[:REASON_CHARS_MAX] if isinstance(reason, str) else "",
                    permissions(each.get("missingPermissions")),
                )
            )
        else:
            permitted.add(topic)
    rejected += [
        RejectedTopic(topic, "not contained in the response", ()) for topic in spelt.values()
    ]
    return Subscriptions(frozenset(permitted), tuple(rejected))
