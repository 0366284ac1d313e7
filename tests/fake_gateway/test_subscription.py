"""The subscription: what the schema takes, and that everything else is told why not."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tools.fake_gateway.script import LEAN, WHOLE_AGENT, WITH_CORRELATION, WITH_PRESENCE
from tools.fake_gateway.wsp.subscription import (
    MalformedSubscriptionError,
    Subscription,
    parse_subscription,
)

STATE = {"type": "routing.agents.state", "properties": ["userId", "state", "timestamp", "queueId"]}


def test_a_first_connect_asks_for_history() -> None:
    asked = {"events": [STATE], "filter": {"includeHistory": True, "resource": None}}
    assert parse_subscription(orjson.dumps(asked)) == Subscription(LEAN, True, None, None, None)


def test_a_reconnect_bears_epoch_and_sequence() -> None:
    asked = {"events": [STATE], "filter": {}, "epoch": "e", "sequence": 12345}
    assert parse_subscription(orjson.dumps(asked).decode()) == Subscription(
        LEAN, False, None, "e", 12345
    )


def test_all_properties_together() -> None:
    names = ["userId", "state", "timestamp", "queueId", "presence", "correlationId"]
    asked = {"events": [{"type": "routing.agents.state", "properties": names}]}
    shape = parse_subscription(orjson.dumps(asked)).shape
    assert shape == LEAN | WITH_PRESENCE | WITH_CORRELATION


def test_who_names_no_property_gets_the_whole_agent() -> None:
    asked = {"events": [{"type": "routing.agents.state"}]}
    assert parse_subscription(orjson.dumps(asked)).shape == WHOLE_AGENT


def test_appointments_may_be_asked_for_as_well() -> None:
    second = {"type": "routing.agents.apptent", "properties": ["userId", "start", "end"]}
    assert parse_subscription(orjson.dumps({"events": [STATE, second]})).shape == LEAN


@pytest.mark.parametrize(
    "asked",
    [
        [],
        {},
        {"events": []},
        {"events": "all"},
        {"events": [7]},
        {"events": [{"type": "routing.agents.weather"}]},
        {"events": [{"type": "routing.agents.apptent"}]},
        {"events": [{"type": "routing.agents.apptent", "properties": ["state"]}]},
        {"events": [STATE, STATE]},
        {"events": [{"type": "routing.agents.state", "properties": ["shoeSize"]}]},
        {"events": [{"type": "routing.agents.state", "properties": "userId"}]},
        {"events": [{"type": "routing.agents.state", "properties": [7]}]},
        {"events": [STATE | {"colour": "red"}]},
        {"events": [STATE], "filter": None},
        {"events": [STATE], "filter": {"includeHistory": 1}},
        {"events": [STATE], "filter": {"resource": 1}},
        {"events": [STATE], "filter": {"colour": "red"}},
        {"events": [STATE], "colour": "red"},
        {"events": [STATE], "epoch": 7},
        {"events": [STATE], "sequence": "7"},
        {"events": [STATE], "sequence": True},
        {"events": [STATE], "sequence": -1},
        {"events": [STATE], "sequence": 5.0},
        {"events": [STATE], "sequence": 1 << 62},
    ],
)
def test_what_does_not_fit_the_schema_is_refused(asked: Any) -> None:
    with pytest.raises(MalformedSubscriptionError):
        parse_subscription(orjson.dumps(asked))


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(MalformedSubscriptionError, match="not JSON"):
        parse_subscription(b"{")
