"""The platform API's calls against the bundled gateway, which is as strict as the platform."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from actors.genesys.cloud import ROUTING_STATUSES, normal_name, parse_time_us, subscribed_topic
from actors.genesys.cloud_answers import RejectedTopic
from actors.genesys.cloud_errors import NoAnswerError, RefusedError
from actors.genesys.cloud_rest import SNAPSHOT_PARTS, CloudRest, NewPresence
from actors.genesys.definitions import Definition, Definitions, NoSuchDefinition
from actors.genesys.secret import Secret
from tests.gateway.bundled import CloudServed
from tests.gateway.client import bundled, rest_of
from tests.gateway.listings import member_pages, named_pages, user_pages


def with_gateway(
    folder: Path, test: Callable[[CloudServed, CloudRest], Awaitable[None]], **settings: Any
) -> None:
    async def run() -> None:
        async with (
            bundled(folder, agents=settings.pop("agents", 50), **settings) as gateway,
            rest_of(gateway) as rest,
        ):
            await test(gateway, rest)

    asyncio.run(run())


def test_users_queues_groups_and_divisions_are_read(tmp_path: Path) -> None:
    async def test(gateway: CloudServed, rest: CloudRest) -> None:
        users = await gateway.users()
        read = [user async for page in user_pages(rest) for user in page.entities]
        assert {user["id"] for user in read} == set(users[:-5])  # the last five are inactive
        some = await rest.users_by_id([users[3], users[-1]], SNAPSHOT_PARTS)
        assert [user["id"] for user in some] == [users[3]]
        assert some[0]["presence"]["primary"] is True
        assert normal_name(some[0]["routingStatus"]["status"]) in ROUTING_STATUSES
        assert some[0]["outOfOffice"]["active"] in (True, False)
        assert "modifiedDate" not in some[0]["outOfOffice"]
        queues = [queue async for page in named_pages(rest, "queues") for queue in page.entities]
        groups = [group async for page in named_pages(rest, "groups") for group in page.entities]
        assert [page async for page in named_pages(rest, "divisions")]
        for kind, entities in (("queues", queues), ("groups", groups)):
            members = {
                member["id"]
                for entity in entities
                async for page in member_pages(rest, kind, entity["id"])  # type: ignore[arg-type]
                for member in page.entities
            }
            assert members == set(users[:-5])

    with_gateway(tmp_path, test, agents=600, hidden=5)


def test_a_channel_lives_as_the_contract_says(tmp_path: Path) -> None:
    async def test(gateway: CloudServed, rest: CloudRest) -> None:
        users = await gateway.users()
        topics = [subscribed_topic(user, "activity") for user in users]
        channel = await rest.create_channel()
        assert channel.expires_us is not None
        assert [each.id for each in (await rest.channels()).own] == [channel.id]
        assert await rest.is_channel_alive(channel.id)
        told = await rest.put_topics(channel.id, [*topics, "v2.users.nobody.activity"])
        refused = {each.topic: each for each in told.rejected}
        forbidden = RejectedTopic(topics[9], refused[topics[9]].reason, ("users:activity:view",))
        assert refused[topics[9]] == forbidden
        assert refused.keys() == {*topics[9::10], "v2.users.nobody.activity"}
        assert told.permitted == set(topics) - set(topics[9::10])
        assert await rest.topics(channel.id) == told.permitted
        combined = subscribed_topic(users[0], "combined")
        assert (await rest.put_topics(channel.id, [combined])).permitted == {combined}
        more = await rest.add_topics(channel.id, topics[:3])
        assert set(topics[:3]) <= more.permitted
        await rest.let_go(channel.id)
        assert await rest.topics(channel.id) == frozenset()
        await rest.let_go(Secret("channel-0-gone"))
        assert not await rest.is_channel_alive(Secret("channel-0-gone"))

    with_gateway(tmp_path, test, forbidden_every=10)


def test_one_topic_too_many_is_refused_by_its_code(tmp_path: Path) -> None:
    async def test(gateway: CloudServed, rest: CloudRest) -> None:
        topics = [subscribed_topic(user, "activity") for user in await gateway.users()]
        channel = await rest.create_channel()
        with pytest.raises(RefusedError) as raised:
            await rest.put_topics(channel.id, topics)
        assert raised.value.code == "notification.subscription.too.many.subscriptions"
        assert len((await rest.put_topics(channel.id, topics[:-1])).permitted) == 1000

    with_gateway(tmp_path, test, agents=1001)


def test_a_presence_is_changed_by_the_name_that_a_person_gives(tmp_path: Path) -> None:
    async def test(gateway: CloudServed, rest: CloudRest) -> None:
        first, second, *_ = await gateway.users()
        definitions = Definitions(await rest.definitions())
        queue, meal = definitions.meant("on queue"), definitions.meant("Mahlzeit")
        assert isinstance(queue, Definition)
        assert isinstance(meal, Definition)
        assert isinstance(definitions.meant("Old Lunch"), NoSuchDefinition)
        before = await rest.presence(first)
        now = await rest.patch_presence(first, queue.id, "here")
        assert normal_name(now["presenceDefinition"]["systemPresence"]) == "ON_QUEUE"
        assert parse_time_us(now["modifiedDate"]) > parse_time_us(before["modifiedDate"])
        assert await rest.presence(first) == now
        told = await rest.put_presences(
            [NewPresence(first, meal.id), NewPresence(second, meal.id, "soup")]
        )
        assert [each["id"] for each in told] == [first, second]
        assert {each["presenceDefinition"]["id"] for each in told} == {meal.id}
        assert [each["message"] for each in told] == ["", "soup"]
        with pytest.raises(RefusedError):
            await rest.patch_presence(first, "no-definition")

    with_gateway(tmp_path, test)


def test_an_expired_token_costs_one_more_call(tmp_path: Path) -> None:
    async def test(gateway: CloudServed, rest: CloudRest) -> None:
        await rest.definitions()
        await gateway.fault("expire-tokens")
        await rest.definitions()
        assert (await gateway.control("/status"))["tokens"] == 2
        assert rest.requests == 3

    with_gateway(tmp_path, test)


def test_an_answer_that_never_comes_is_told_as_none(tmp_path: Path) -> None:
    async def test(gateway: CloudServed, rest: CloudRest) -> None:
        await rest.definitions()
        await gateway.fault("refuse-rest", status=0)
        with pytest.raises(NoAnswerError):
            await rest._call("GET", "patience", "/api/v2/organizations/me", timeout_s=0.3)
        assert await rest._call("GET", "patience", "/api/v2/organizations/me")

    with_gateway(tmp_path, test)
