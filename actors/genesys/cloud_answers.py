"""Owns what the platform API's answers hold: pages, channels, topics that were taken or refused.

Pure: parsed JSON in, values out. What is not as the contract has it is left out, or an
OddAnswerError (protocol.md §2.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from actors.genesys.cloud import is_user_id, parse_time_us, subscribed_user, user_id_of
from actors.genesys.cloud_errors import OddAnswerError, permissions
from actors.genesys.paging import Query, count_of, following, pages_of
from actors.genesys.secret import Secret

NAME_CHARS_MAX: Final = 200
REASON_CHARS_MAX: Final = 200
_COMBINES: Final = "?"

Entity: TypeAlias = dict[str, Any]


class ListingPage(NamedTuple):
    """Of a listing. `pages`: how many there are, or, where the gateway does not say, whether there
    is another one. `total`: of all pages; None: not said. `query`: of the next page, if named."""

    entities: list[Entity]
    number: int
    pages: int
    total: int | None
    query: Query = ()


class ChannelAnswer(NamedTuple):
    """Whoever has its id may read along: both texts are secrets."""

    id: Secret
    connect_uri: Secret
    expires_us: int | None  # None: not said


class ChannelListing(NamedTuple):
    """The channels of an OAuth client: those that this token has made, and how many others."""

    own: list[ChannelAnswer]
    others: int

    @property
    def total(self) -> int:
        return len(self.own) + self.others


class RejectedTopic(NamedTuple):
    """A topic that was refused, by its text."""

    topic: str
    reason: str
    missing_permissions: tuple[str, ...]


class Subscriptions(NamedTuple):
    """What a channel listens to now. `partly`: what was refused of topics that are permitted all
    the same, which combine several."""

    permitted: frozenset[str]
    rejected: tuple[RejectedTopic, ...]
    partly: tuple[RejectedTopic, ...] = ()


def listed(answer: Any) -> list[Any]:
    """What an answer lists; some calls say it bare."""
    entities = _entities(answer)
    return entities if isinstance(entities, list) else []


def is_listing(answer: Any) -> bool:
    """Whether it lists anything, were it nothing."""
    return isinstance(_entities(answer), list)


def _entities(answer: Any) -> Any:
    return answer.get("entities") if isinstance(answer, dict) else answer


def entities_of(call: str, answer: Entity) -> list[Entity]:
    """Without those that nobody could be told by; ids in their one spelling. An answer that lists
    nothing, or null, lists nobody."""
    entities = answer.get("entities")
    if entities is None:
        return []
    if not isinstance(entities, list):
        raise OddAnswerError(call, 200, message="the response lists no entities")
    return [found for each in entities if (found := _identified(each)) is not None]


def _identified(entity: Any) -> Entity | None:
    """A member of a queue may bear its user's id in `user` alone."""
    if not isinstance(entity, dict):
        return None
    id_, user = entity.get("id"), entity.get("user")
    if not is_user_id(id_):
        id_ = user.get("id") if isinstance(user, dict) else None
        if not is_user_id(id_):
            return None
    assert isinstance(id_, str)
    canonical = user_id_of(id_)
    return entity if entity.get("id") == canonical else entity | {"id": canonical}


def page_of(call: str, answer: Entity, number: int, size: int) -> ListingPage:
    """Page `number` of at most `size` entities. Raises OddAnswerError for what lists none."""
    return ListingPage(
        entities_of(call, answer),
        number,
        pages_of(answer, number, size),
        count_of(answer.get("total")),
        following(answer, number) or (),
    )


def name_of(entity: Entity) -> str:
    """For people to read; "" if it has none."""
    name, user = entity.get("name"), entity.get("user")
    if not isinstance(name, str) and isinstance(user, dict):
        name = user.get("name")
    return " ".join(name.split())[:NAME_CHARS_MAX] if isinstance(name, str) else ""


def channels_of(answer: Any) -> ChannelListing:
    """Who asks for all of a client is told of those of other tokens without id and address."""
    entries = [each for each in listed(answer) if isinstance(each, dict)]
    own = [channel for each in entries if (channel := channel_of(each)) is not None]
    return ChannelListing(own, len(entries) - len(own))


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


class _ToldTopic(NamedTuple):
    """What an answer says of one topic, which need not be one that was asked for."""

    topic: str
    is_permitted: bool
    refusal: RejectedTopic

    @property
    def is_partly_refused(self) -> bool:
        return self.is_permitted and bool(self.refusal.reason or self.refusal.missing_permissions)


def subscriptions_of(asked: Sequence[str], answer: Entity) -> Subscriptions:
    """Topics come back in whatever case; one that is not told of was not taken. Of a combined topic
    the answer may tell by its parts: then it is taken if one of them is."""
    spelt = {topic.lower(): topic for topic in asked}
    combined = {subscribed_user(topic): topic for topic in asked if _COMBINES in topic}
    permitted, rejected = set(), list[RejectedTopic]()
    partly, parts = list[RejectedTopic](), dict[str, list[_ToldTopic]]()
    for told in _told_topics(answer):
        topic = spelt.pop(told.topic.lower(), None)
        whole = combined.get(subscribed_user(told.topic))
        if topic is None and whole is not None and told.topic.lower() != whole.lower():
            parts.setdefault(whole, []).append(told)
        elif not told.is_permitted:
            rejected.append(told.refusal._replace(topic=topic or told.topic))
        else:
            permitted.add(topic or told.topic)
            if topic is not None and topic == whole and told.is_partly_refused:
                partly.append(told.refusal._replace(topic=topic))
    for topic, told_parts in parts.items():
        refused = [each.refusal for each in told_parts if not each.is_permitted]
        if spelt.pop(topic.lower(), None) is not None:
            if len(refused) == len(told_parts):
                rejected.append(refused[0]._replace(topic=topic))
                continue
            permitted.add(topic)
        if topic in permitted:
            partly += refused
    rejected += [
        RejectedTopic(topic, "not contained in the response", ()) for topic in spelt.values()
    ]
    return Subscriptions(frozenset(permitted), tuple(rejected), tuple(partly))


def _told_topics(answer: Entity) -> Iterator[_ToldTopic]:
    for each in listed(answer):
        topic = each.get("id") if isinstance(each, dict) else None
        if isinstance(topic, str):
            said = each.get("rejectionReason")
            reason = " ".join(said.split())[:REASON_CHARS_MAX] if isinstance(said, str) else ""
            missing = permissions(each.get("missingPermissions"))
            is_permitted = str(each.get("state")).lower() != "rejected"
            yield _ToldTopic(topic, is_permitted, RejectedTopic(topic, reason, missing))
