"""Combined topics: an answer may tell of them whole, in another order, or by their parts."""

from __future__ import annotations

from typing import Any

import pytest

from actors.genesys.cloud import subscribed_topic, subscribed_user
from actors.genesys.cloud_answers import RejectedTopic, subscriptions_of

ANN, BOB = "8b67e4d1-9758-4285-8c45-b49fedff3f99", "8b67e4d1-9758-4285-8c45-b49fedff3f98"
TOPIC, OTHER = subscribed_topic(ANN, "combined"), subscribed_topic(BOB, "combined")
PRESENCE, ROUTING = f"v2.users.{ANN}.presence", f"v2.users.{ANN}.routingStatus"
TURNED = f"v2.users.{ANN}?routingStatus&presence"


def permitted(topic: str) -> dict[str, Any]:
    return {"id": topic, "state": "Permitted"}


def rejected(topic: str, reason: str = "no") -> dict[str, Any]:
    return {
        "id": topic, "state": "Rejected", "rejectionReason": reason, "missingPermissions": ["p"]
    }  # fmt: skip


def refusal(topic: str) -> RejectedTopic:
    return RejectedTopic(topic, "no", ("p",))


@pytest.mark.parametrize(
    ("told", "is_permitted", "partly"),
    [
        ([permitted(TOPIC)], True, ()),
        ([permitted(TOPIC.upper())], True, ()),
        ([permitted(TURNED)], True, ()),
        ([permitted(PRESENCE), permitted(ROUTING)], True, ()),
        ([permitted(PRESENCE), rejected(ROUTING)], True, (refusal(ROUTING),)),
        ([rejected(PRESENCE), permitted(ROUTING)], True, (refusal(PRESENCE),)),
        ([permitted(TOPIC), rejected(ROUTING)], True, (refusal(ROUTING),)),
        ([rejected(ROUTING), permitted(TOPIC)], True, (refusal(ROUTING),)),
        ([permitted(TOPIC), permitted(PRESENCE)], True, ()),
        ([rejected(TOPIC) | {"state": "Permitted"}], True, (refusal(TOPIC),)),
        ([rejected(TOPIC)], False, ()),
        ([rejected(TOPIC), permitted(PRESENCE)], False, ()),
        ([rejected(TURNED)], False, ()),
        ([rejected(PRESENCE), rejected(ROUTING)], False, ()),
        ([rejected(ROUTING.upper()), permitted(PRESENCE)], True, (refusal(ROUTING.upper()),)),
    ],
)
def test_it_is_taken_if_a_part_is_and_what_is_refused_of_it_is_told(
    told: list[dict[str, Any]], is_permitted: bool, partly: tuple[RejectedTopic, ...]
) -> None:
    found = subscriptions_of([TOPIC, OTHER], {"entities": [*told, permitted(OTHER)]})
    assert found.permitted == ({TOPIC, OTHER} if is_permitted else {OTHER})
    assert found.rejected == (() if is_permitted else (refusal(TOPIC),))
    assert found.partly == partly


def test_one_that_is_not_told_of_at_all_was_not_taken() -> None:
    found = subscriptions_of([TOPIC, OTHER], {"entities": [permitted(OTHER)]})
    assert [each.topic for each in found.rejected] == [TOPIC]


@pytest.mark.parametrize("topic", [TOPIC, TURNED, PRESENCE, ROUTING, ROUTING.upper()])
def test_a_part_is_of_the_same_user(topic: str) -> None:
    assert subscribed_user(topic) == ANN
