from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.bundled import served
from tests.platform.gathered import Gathered, Record
from tests.platform.running import ROOT, in_loop, output_of

PAGE = ROOT / "docs" / "platform.md"
SECTION = "## Accepted differences"
SPOILT: tuple[tuple[str, dict[str, Any], list[str]], ...] = (
    # What is done to a user in an answer, and what must be found.
    ("no such field", {"shoeSize": 44}, ["User.shoeSize", "does not exist"]),
    ("no such value", {"state": "asleep"}, ["User.state", "is not 'asleep'"]),
    ("another type", {"version": "7"}, ["User.version", "is str, not int"]),
    ("a number for a truth", {"acdAutoAnswer": 0}, ["User.acdAutoAnswer", "is int, not bool"]),
    ("no time", {"presence": {"modifiedDate": "now"}}, ["UserPresence.modifiedDate", "is no time"]),
    (
        "no zone",
        {"presence": {"modifiedDate": "2026-11-30T00:00:00"}},
        ["UserPresence.modifiedDate", "is a time of no zone"],
    ),
    ("one for many", {"images": {}}, ["User.images", "is dict, not many of Image"]),
    ("a text for a model", {"division": "Home"}, ["User.division", "is str, not Division"]),
    ("nothing", {"email": None}, ["User.email", "null"]),
    (
        "far inside",
        {"presence": {"presenceDefinition": {"colour": "red"}}},
        ["PresenceDefinition.colour", "does not exist"],
    ),
)


class Held:
    """What the SDK says of all records, and of those that were spoilt."""

    def __init__(self, records: list[Record], routes: set[tuple[str, str]], said: list[Any]):
        self.records, self.routes = records, routes
        self.said = said[: len(records)]
        self.of_spoilt = said[len(records) :]

    @property
    def differences(self) -> set[tuple[str, str]]:
        return {(where, what) for one in self.said for where, what in one}


def spoilt(records: list[Record]) -> list[Record]:
    """The same page of users, once for each thing that may be wrong with it."""
    page = next(
        one for one in records if one.get("path") == "/api/v2/users" and one["status"] == 200
    )
    found = []
    for _, change, _ in SPOILT:
        record = copy.deepcopy(page)
        record["body"]["entities"][0].update(change)
        found.append(record)
    event = next(
        one for one in records if one.get("frame", {}).get("topicName", "").endswith(".activity")
    )
    record = copy.deepcopy(event)
    record["frame"]["eventBody"]["routingStatus"]["status"] = "LEVITATING"
    return [*found, record, page | {"path": "/api/v2/people"}]


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Held:
    folder = tmp_path_factory.mktemp("held")

    @in_loop
    async def gather() -> Held:
        async with served(folder, forbidden_every=50, heartbeat_s=0.05) as gateway:
            records = await Gathered(gateway).everything()
            application = gateway.gateway._application()
            routes = {
                (route.method, route.resource.canonical)
                for route in application.router.routes()
                if route.resource is not None
            }
        asked = [*records, *spoilt(records)]
        given = "".join(json.dumps(one) + "\n" for one in asked)
        text = await output_of("tests.platform.sdk_models", home=folder / "home", given=given)
        said = [json.loads(line) for line in text.splitlines()]
        assert len(said) == len(asked)
        return Held(records, routes, said)

    found: Held = gather()
    return found


def listed() -> dict[tuple[str, str], str]:
    """Of the page that people read: (where, what), and the reason."""
    text = PAGE.read_text(encoding="utf-8").partition(SECTION)[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(.+?)` \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    return {(where, what): reason for where, what, reason in rows}


def test_each_answer_and_frame_is_as_the_sdk_has_it_but_for_what_is_listed(held: Held) -> None:
    unlisted = held.differences - listed().keys()
    assert not unlisted, f"change the gateway, or list it in {PAGE.name} with its reason"


def test_what_is_listed_still_occurs_and_has_a_reason(held: Held) -> None:
    gone = listed().keys() - held.differences
    assert not gone, f"remove it from {PAGE.name}"
    assert all(len(reason) > 20 for reason in listed().values())


def test_every_route_of_the_gateway_was_called_and_answered(held: Held) -> None:
    called = {(one["method"], one["path"]) for one in held.records if one.get("status", 500) < 400}
    missed = {
        (method, route)
        for method, route in held.routes
        if not any(
            method == each and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", route), path)
            for each, path in called
        )
        and (method, route) != ("GET", "/channels/{channel}")  # a socket
        and not (method == "HEAD" and ("GET", route) in held.routes)
    }
    assert not missed


def test_every_kind_of_frame_was_sent(held: Held) -> None:
    frames = [one["frame"] for one in held.records if "frame" in one]
    topics = {
        re.sub(r"^v2\.users\.[^.]+|\.streaming-.+$", "", frame["topicName"]).lower()
        for frame in frames
        if "topicName" in frame
    }
    assert topics == {
        *(".activity", ".presence", ".routingstatus", ".outofoffice"),
        *("channel.metadata", "v2.system.socket_closing", "v2.system.subscription_changed"),
        *("v2.system.no_longer_subscribed", "v2.system.token_revoked"),
    }
    bodies = [frame.get("eventBody", {}) for frame in frames]
    assert any(body.get("active") for body in bodies), "somebody is out of office"
    assert {body["source"] for body in bodies if "source" in body} == {
        "PURECLOUD",
        "MICROSOFTTEAMS",
    }
    assert {frame["result"] for frame in frames if "result" in frame} == {"200", "400", "404"}


@pytest.mark.parametrize("number", range(len(SPOILT)), ids=[name for name, _, _ in SPOILT])
def test_a_user_who_is_spoilt_is_found(held: Held, number: int) -> None:
    expected_where, expected_what = SPOILT[number][2]
    said = held.of_spoilt[number]
    assert any(where == expected_where and expected_what in what for where, what in said), said


def test_an_event_that_is_spoilt_and_a_call_that_does_not_exist_are_found(held: Held) -> None:
    status = ["UserActivityRoutingStatus.status", "is not 'LEVITATING'"]
    assert status in held.of_spoilt[-2]
    assert held.of_spoilt[-1] == [["GET /api/v2/people", "no such call"]]


def test_the_list_is_read_from_the_page() -> None:
    assert listed(), Path(PAGE).name
