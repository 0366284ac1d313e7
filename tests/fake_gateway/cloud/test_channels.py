from __future__ import annotations

import uuid
from pathlib import Path

from tests.gateway.bundled import CloudServed, in_loop, served
from tools.fake_gateway.cloud.channels import Channels
from tools.fake_gateway.cloud.topics import (
    ACTIVITY,
    COMBINED_CHARS_MAX,
    PRESENCE,
    ROUTING_STATUS,
    parse_topic,
)
from tools.fake_gateway.tokens import Grant

GRANT = Grant(scopes=frozenset(), expires_s=1.0)
USER = "0f0e8a2c-6b1d-4c3e-9a53-5c3f7a0f2c11"
PATH = "/api/v2/notifications/channels"


def topic(user: str, kind: str = "activity") -> str:
    return f"v2.users.{user}.{kind}"


def test_a_topic_is_told_from_its_text_without_regard_to_case() -> None:
    assert parse_topic(topic(USER)) == (USER, ACTIVITY)
    assert parse_topic(topic(USER.upper(), "routingstatus")) == (USER, ROUTING_STATUS)
    combined = f"v2.users.{USER}?presence&routingStatus"
    assert parse_topic(combined) == (USER, PRESENCE | ROUTING_STATUS)
    longest = combined + "&presence" * ((COMBINED_CHARS_MAX - len(combined)) // len("&presence"))
    assert parse_topic(longest) == (USER, PRESENCE | ROUTING_STATUS)
    assert parse_topic(longest + "&presence") is None
    for text in ("v2.users.x.activity", topic(USER, "weather"), "channel.metadata", ""):
        assert parse_topic(text) is None, text


def test_one_channel_too_many_replaces_the_oldest_an_unconnected_one_first() -> None:
    channels = Channels(channels_max=3)
    first, second, third = (channels.create(0, GRANT, float(n))[0] for n in range(3))
    first.is_connected = True
    fourth, evicted = channels.create(0, GRANT, 3.0)
    assert evicted is second
    third.is_connected = fourth.is_connected = True
    _, evicted = channels.create(0, GRANT, 4.0)
    assert evicted is first
    assert channels.create(1, GRANT, 5.0)[1] is None
    assert len(channels) == 4


def test_a_number_is_used_again_and_an_id_is_not() -> None:
    channels = Channels(channels_max=1)
    first, _ = channels.create(0, GRANT, 0.0)
    second, _ = channels.create(0, GRANT, 0.0)
    assert first.number == second.number
    assert first.id != second.id
    assert first.serial != second.serial


@in_loop
async def test_a_channel_is_listed_for_the_token_that_made_it(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        first = await gateway.channel()
        other = (await gateway.token()).told["access_token"]
        path = f"{PATH}?includechannels="
        for query, shown in ((PATH, []), (path + "token", []), (path + "OAuthClient", [None])):
            answer = await gateway.call("GET", query, token=other)
            assert [one.get("id") for one in answer.entities] == shown, query
            assert not any("connectUri" in one for one in answer.entities)
        own = (await gateway.call("GET", path + "oauthclient")).entities
        assert [one["id"] for one in own] == [first["id"]]
        assert (await gateway.call("GET", path + "all")).status == 400


@in_loop
async def test_a_channel_is_seen_by_its_client_only(tmp_path: Path) -> None:
    async with served(tmp_path, clients=2) as gateway:
        channel = await gateway.channel()
        assert channel["connectUri"].endswith(f"/channels/{channel['id']}")
        assert channel["expires"].endswith("Z")
        listed = [(await gateway.call("GET", PATH, client=n)).entities for n in (0, 1)]
        assert [[one["id"] for one in each] for each in listed] == [[channel["id"]], []]
        alive = [(await gateway.call("HEAD", f"{PATH}/{channel['id']}", client=n)) for n in (0, 1)]
        assert [answer.status for answer in alive] == [200, 404]


@in_loop
async def test_a_null_body_creates_a_channel_and_any_other_does_not(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        assert (await gateway.call("POST", PATH, {})).status == 400
        assert (await gateway.call("POST", PATH, None)).status == 200


@in_loop
async def test_post_adds_put_replaces_and_delete_clears(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        users, channel = await gateway.users(), await gateway.channel()
        first, second = topic(users[0]), topic(users[1])
        for method, topics, held in (
            ("POST", [first], {first}),
            ("POST", [second], {first, second}),
            ("PUT", [second], {second}),
            ("DELETE", [], set()),
        ):
            answer = await gateway.subscribe(channel, topics, method=method)
            assert answer.status == 200
            path = f"{PATH}/{channel['id']}/subscriptions"
            found = (await gateway.call("GET", path)).entities
            assert {one["id"] for one in found} == held, method
            assert {one["state"] for one in found} <= {"Permitted"}


@in_loop
async def test_one_bad_topic_fails_its_batch_unless_errors_are_ignored(tmp_path: Path) -> None:
    async with served(tmp_path, forbidden_every=2) as gateway:
        users, channel = await gateway.users(), await gateway.channel()
        good, forbidden = topic(users[0]), topic(users[1])
        unknown = topic(str(uuid.uuid4()))
        answer = await gateway.subscribe(channel, [good, unknown])
        assert (answer.status, answer.told["code"]) == (400, "notification.invalid.topic")
        assert (await gateway.subscribe(channel, [good, forbidden])).status == 403
        path = f"{PATH}/{channel['id']}/subscriptions"
        assert (await gateway.call("GET", path)).entities == []
        asked = [good, forbidden, unknown]
        told = (await gateway.subscribe(channel, asked, more="?ignoreErrors=true")).entities
        assert [one["state"] for one in told] == ["Permitted", "Rejected", "Rejected"]
        assert ["missingPermissions" in one for one in told] == [False, True, False]
        assert all(one["rejectionReason"] for one in told[1:])
        assert [one["id"] for one in (await gateway.call("GET", path)).entities] == [good]


@in_loop
async def test_the_1001st_topic_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    async with served(tmp_path, agents=1001) as gateway:
        users = (await gateway.control("/users?count=1001"))["users"]
        channel = await gateway.channel()
        topics = [topic(user) for user in users]
        assert (await gateway.subscribe(channel, topics[:1000])).status == 200
        for method, asked in (("POST", topics[1000:]), ("PUT", topics)):
            answer = await gateway.subscribe(channel, asked, method=method)
            code = "notification.subscription.too.many.subscriptions"
            assert (answer.status, answer.told["code"]) == (400, code)
        assert (await gateway.control("/status"))["topics"] == 1000
        combined = [f"v2.users.{user}?presence&routingStatus" for user in users]
        assert (await gateway.subscribe(channel, combined)).status == 400
        assert (await gateway.subscribe(channel, combined[:1000])).status == 200


@in_loop
async def test_a_channel_lives_until_it_expires_and_a_subscription_extends_it(
    tmp_path: Path,
) -> None:
    async with served(tmp_path, channel_life_s=1.0) as gateway:
        kept, left = await gateway.channel(), await gateway.channel()
        users = await gateway.users()

        async def is_alive(channel: dict[str, str]) -> bool:
            return (await gateway.call("HEAD", f"{PATH}/{channel['id']}")).status == 200

        await gateway.subscribe(kept, [topic(users[0])])
        await _until_gone(gateway, 1)
        assert not await is_alive(left)
        await _until_gone(gateway, 0)
        assert not await is_alive(kept)


async def _until_gone(gateway: CloudServed, left: int) -> None:
    await gateway.eventually(lambda status: status["channels"] <= left)
