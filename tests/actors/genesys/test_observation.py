"""What an answer that lists users shows of their states."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from actors.genesys.observation import observed
from actors.shard.cloud_decode import AgentReading, told

PRESENCE = {
    "presenceDefinition": {"id": "d", "systemPresence": "Busy"},
    "modifiedDate": "2026-11-30T20:00:00.000Z",
}
ROUTING = {"status": "IDLE", "startTime": "2026-11-30T20:00:00.000Z"}


@pytest.mark.parametrize(
    "entity",
    [
        {"id": "u", "presence": PRESENCE, "routingStatus": ROUTING},
        {"id": "u", "user": {"presence": PRESENCE, "routingStatus": ROUTING}},
        {"id": "u", "user": {"presence": PRESENCE}, "routingStatus": ROUTING},
    ],
    ids=["a user", "a member with its user", "a member whose routing status stands beside it"],
)
def test_a_user_and_a_member_show_both_parts(entity: dict[str, Any]) -> None:
    shown = observed(entity)
    assert shown is not None
    assert shown.is_whole
    says = told(orjson.loads(shown.frame))
    assert isinstance(says, AgentReading)
    assert says.user_id == "u"
    assert says.values.presence is not None
    assert says.values.routing is not None


@pytest.mark.parametrize("part", ["presence", "routingStatus"])
@pytest.mark.parametrize("odd", [None, {}, [], "OFF", {"status": "IDLE"}, {"modifiedDate": 7}])
def test_a_part_without_a_time_is_not_shown(part: str, odd: Any) -> None:
    shown = observed({"id": "u", "presence": PRESENCE, "routingStatus": ROUTING, part: odd})
    assert shown is not None
    assert not shown.is_whole
    assert part not in orjson.loads(shown.frame)["eventBody"]


@pytest.mark.parametrize("entity", [{"id": "u"}, {"id": "u", "user": None}, {"id": "u", "user": 7}])
def test_who_has_neither_shows_nothing(entity: dict[str, Any]) -> None:
    assert observed(entity) is None
