from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.bundled import AGENTS, served
from tests.platform.running import in_loop, output_of
from tools.fake_gateway.pacing import Load

ERROR = ["code", "contextId", "details", "errors", "message", "messageParams", "status"]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the SDK saw on its rounds, and in which order users were listed."""
    folder = tmp_path_factory.mktemp("rounds")

    @in_loop
    async def rounds() -> dict[str, Any]:
        async with served(folder) as gateway:
            await gateway.hear(await gateway.users())  # a channel of another token
            gateway.gateway.start_load(Load(10_000.0, 0.4))
            await gateway.eventually(lambda status: status["load"] == "done")
            who = gateway.ready["clients"][0]
            arguments = (gateway.ready["base_url"], who["client_id"], who["client_secret"])
            text = await output_of("tests.platform.sdk_client", *arguments, home=folder / "home")
            return {"expected": await gateway.users(), **json.loads(text)}

    found: dict[str, Any] = rounds()
    return found


def test_it_pages_through_all_users_with_what_was_expanded(seen: dict[str, Any]) -> None:
    users = seen["users"]
    assert users["users"] == seen["expected"]
    assert len(users["users"]) == AGENTS
    assert users["some"] == seen["expected"][:2]
    assert users["one"] == [seen["expected"][0], "PURECLOUD"]
    assert "outdated_sdk_version" not in users["statuses"]
    assert len(users["statuses"]) > 1
    assert len(users["presences"]) > 3
    assert users["presence_times"]
    assert users["away"] == [False, True]
    assert users["contacts"] == ["EMAIL", "PHONE"]
    assert users["images"] > 3


def test_it_reads_members_of_queues_and_groups_to_the_last(seen: dict[str, Any]) -> None:
    found = seen["collections"]
    assert len(set(found["members"])) == len(found["members"]) == found["member_count"] > 10
    assert found["member_users"] == found["members"]
    assert found["largest"] in found["queues_of_member"]
    assert len(set(found["queues_of_member"])) == len(found["queues_of_member"]) == 2
    assert "outdated_sdk_version" not in found["member_statuses"]
    assert found["too_many"]["status"] == 400
    assert found["in_group"] == found["group_count"] > 5
    assert found["home_divisions"] == 1
    assert found["organization"] == "active"


def test_it_reads_definitions_in_the_languages_asked_for(seen: dict[str, Any]) -> None:
    found = seen["definitions"]
    assert found["usual_languages"] == ["en_US"]
    assert found["languages"] == ["de", "en_US"]
    assert found["types"] == ["System", "User"]
    assert len(found["system"]) == 10
    assert found["legacy"] == found["total"] + found["gone"]
    assert found["legacy_primary"] == 10


def test_it_changes_presences_in_all_three_forms_and_many_at_once(seen: dict[str, Any]) -> None:
    found = seen["presences"]
    assert found["meal"] == ["Meal", "soup", True]
    assert found["message"] == ["Meal", "tea"]
    assert found["primary"] == ["Meal", True]
    assert found["read"] == ["tea", True]
    assert found["many"] == found["bulk"] == seen["expected"][-3:]
    assert found["bulk_definitions"] == ["Meeting"]
    assert found["nothing"]["status"] == found["unknown"]["status"] == 400


def test_it_sets_a_routing_status_of_whoever_is_on_queue(seen: dict[str, Any]) -> None:
    assert seen["presences"]["off_queue"]["status"] == 400
    assert seen["presences"]["on_queue"] == ["IDLE", "IDLE"]


def test_it_makes_a_channel_and_subscribes_on_it(seen: dict[str, Any]) -> None:
    found = seen["channels"]
    assert found["connect_uri"].startswith("ws://127.0.0.1:")
    assert found["has_end"]
    assert found["listed"] == [True]
    assert found["listed_all"] == 2
    assert found["added"] == ["Permitted"]
    assert found["after_post"] == ["activity", "presence"]
    assert found["put"] == [["Permitted", False], ["Rejected", True]]
    assert found["after_put"] == ["routingStatus"]
    assert found["refused"]["code"] == "notification.invalid.topic"
    assert found["after_delete"] == []
    assert found["gone"]["status"] == 404


def test_it_reads_the_body_of_an_error(seen: dict[str, Any]) -> None:
    refused = {"status": 401, "body": ERROR, "code": "bad.credentials"}
    assert seen["refused"] == refused
    assert seen["stranger"] == {"status": 404, "body": ERROR, "code": "not.found"}
    assert seen["channels"]["refused"]["body"] == ERROR


def test_a_program_that_fails_is_seen_to_fail(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="arguments"):
        asyncio.run(output_of("tests.platform.sdk_client", home=tmp_path))
