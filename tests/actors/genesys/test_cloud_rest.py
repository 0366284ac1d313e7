"""The platform API's calls, against a small real server on loopback."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

import orjson
import pytest

from actors.genesys import api_calls, cloud_rest
from actors.genesys.cloud_answers import (
    ChannelAnswer,
    ChannelListing,
    ListingPage,
    RejectedTopic,
)
from actors.genesys.cloud_errors import (
    CloudError,
    FailedError,
    ForbiddenError,
    NoAnswerError,
    NotFoundError,
    NoTokenError,
    OddAnswerError,
    RefusedError,
    UnauthorisedError,
)
from actors.genesys.cloud_rest import CloudRest, NewPresence
from actors.genesys.secret import Secret
from runtime.clock import SystemClock
from tests.gateway.listings import member_pages, named_pages, user_pages
from tests.gateway.loopback import Request
from tests.gateway.scripted_cloud import (
    GROUPS,
    PAGES,
    QUEUES,
    ScriptedCloud,
    Trouble,
    rest_at,
    with_cloud,
)

USER = "8b67e4d1-9758-4285-8c45-b49fedff3f99"
CHANNELS = "/api/v2/notifications/channels"
CHANNEL = Secret("streaming-1-abc")
TOPICS = f"{CHANNELS}/streaming-1-abc/subscriptions"
PRESENCE = f"/api/v2/users/{USER}/presences/PURECLOUD"


def test_users_are_read_page_by_page() -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        cloud.add(*(f"u{n}" for n in range(1001)))
        pages = [page async for page in user_pages(rest, ("presence", "routingStatus"))]
        assert [len(page.entities) for page in pages] == [500, 500, 1]
        assert {(page.pages, page.total) for page in pages} == {(3, 1001)}
        assert dict(cloud.asked[1].query) == {
            "state": "active",
            "expand": "presence,routingStatus",
            "pageSize": "500",
            "pageNumber": "2",
        }
        assert cloud.asked[0].headers["authorization"] == "Bearer t1"

    with_cloud(test)


def test_an_empty_organisation_is_one_page() -> None:
    async def test(_cloud: ScriptedCloud, rest: CloudRest) -> None:
        assert [page async for page in user_pages(rest)] == [ListingPage([], 1, 0, 0)]

    with_cloud(test)


def test_users_by_id_are_those_who_are_still_there() -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        cloud.add("a", "b", "c")
        users = await rest.users_by_id(["a", "c", "x"], ("presence",))
        assert {user["id"] for user in users} == {"a", "c"}
        assert [each for each in cloud.asked[0].query if each[0] == "id"] == [
            ("id", "a"),
            ("id", "c"),
            ("id", "x"),
        ]

    with_cloud(test)


def test_members_and_names_are_read_in_pages_of_a_hundred() -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        cloud.add(*(f"u{n}" for n in range(150)))
        cloud.named[QUEUES] = {f"q{n}": f"Queue {n}" for n in range(101)}
        cloud.members[f"{QUEUES}/q1/members"] = [f"u{n}" for n in range(120)]
        cloud.members[f"{GROUPS}/g1/members"] = ["u1"]
        named = [page async for page in named_pages(rest, "queues")]
        assert [len(page.entities) for page in named] == [100, 1]
        assert sum([len(page.entities) async for page in member_pages(rest, "queues", "q1")]) == 120
        assert [page async for page in member_pages(rest, "groups", "g1")] == [
            ListingPage([{"id": "u1", "name": "N u1"}], 1, 1, 1)
        ]

    with_cloud(test)


def test_an_entity_that_cannot_be_told_by_an_id_is_left_out() -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        entities = [{"id": "a"}, {"id": "a/b"}, {"id": 5}, {}, None, "b", {"id": ""}]
        cloud.answers["GET", PAGES] = lambda _: {"entities": entities, "pageCount": 1, "total": 7}
        assert [page.entities async for page in user_pages(rest)] == [[{"id": "a"}]]

    with_cloud(test)


def test_a_channel_is_made_found_and_let_go() -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        told = {
            "id": "streaming-1-abc",
            "connectUri": "ws://127.0.0.1/channels/streaming-1-abc",
            "expires": "2026-11-22T22:00:00.000Z",
        }
        channel = ChannelAnswer(
            CHANNEL, Secret("ws://127.0.0.1/channels/streaming-1-abc"), 1_795_384_800_000_000
        )
        cloud.answers["POST", CHANNELS] = lambda _: told
        cloud.answers["GET", CHANNELS] = lambda _: {"entities": [told, {}, {"id": "x"}]}
        cloud.answers["HEAD", f"{CHANNELS}/streaming-1-abc"] = lambda _: b""
        cloud.answers["DELETE", TOPICS] = lambda _: b""
        assert await rest.create_channel() == channel
        assert cloud.asked[0].body in (b"", b"null")
        assert await rest.channels() == ChannelListing([channel], 2)
        assert dict(cloud.asked[1].query) == {"includechannels": "oauthclient"}
        assert await rest.is_channel_alive(CHANNEL)
        assert not await rest.is_channel_alive(Secret("streaming-1-gone"))
        await rest.let_go(CHANNEL)
        assert cloud.asked[-1].method == "DELETE"
        await rest.let_go(Secret("streaming-1-gone"))
        assert "abc" not in repr(channel)

    with_cloud(test)


@pytest.mark.parametrize(
    "uri", ["wss://evil.example/channels/streaming-1-abc", "http://127.0.0.1/streaming-1-abc"]
)
def test_a_channel_whose_socket_is_elsewhere_is_none(uri: str) -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        cloud.answers["POST", CHANNELS] = lambda _: {"id": "streaming-1-abc", "connectUri": uri}
        with pytest.raises(OddAnswerError, match="not opened") as raised:
            await rest.create_channel()
        assert "streaming-1" not in str(raised.value)
        assert raised.value.retry_after_s == cloud_rest.DISTRUSTED_WAIT_S

    with_cloud(test)


def test_definitions_are_asked_for_in_all_languages_and_read_on_where_they_are_paged() -> None:
    path = "/api/v2/presence/definitions"

    def answer(asked: Request) -> Any:
        query = dict(asked.query)
        assert query.pop("localeCode") == "ALL"
        number = int(query.pop("pageNumber", "1"))
        assert query in ({}, {"deactivated": "true"})
        more = {"pageCount": 2, "nextUri": f"{path}?pageNumber={number + 1}"} if query else {}
        return {"entities": [{"id": f"d{number}"}], **more}

    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        cloud.answers["GET", path] = answer
        assert await rest.definitions() == [{"id": "d1"}]
        assert await rest.definitions(deactivated=True) == [{"id": "d1"}, {"id": "d2"}]

    with_cloud(test)


def test_a_refused_topic_takes_no_other_one_with_it() -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        def answer(asked: Request) -> Any:
            assert dict(asked.query) == {"ignoreErrors": "true"}
            assert orjson.loads(asked.body) == [{"id": topic} for topic in topics]
            return {
                "entities": [
                    {"id": "V2.USERS.A.ACTIVITY", "state": "Permitted"},
                    {
                        "id": "v2.users.b.activity",
                        "state": "Rejected",
                        "rejectionReason": "missing\npermissions",
                        "missingPermissions": ["routing:queue:view", 5],
                    },
                    "nonsense",
                ]
            }

        topics = [f"v2.users.{user}.activity" for user in "abc"]
        cloud.answers["PUT", TOPICS] = cloud.answers["POST", TOPICS] = answer
        for call in (rest.put_topics, rest.add_topics):
            told = await call(CHANNEL, topics)
            assert told.permitted == {topics[0]}
            assert told.rejected == (
                RejectedTopic(topics[1], "missing permissions", ("routing:queue:view",)),
                RejectedTopic(topics[2], "not contained in the response", ()),
            )
        cloud.answers["GET", TOPICS] = lambda _: {"entities": [{"id": "x"}, {}]}
        assert await rest.topics(CHANNEL) == {"x"}

    with_cloud(test)


def test_a_source_is_made_the_primary_one_with_the_change_of_one_or_of_many() -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        bodies: list[Any] = []

        def answer(asked: Request) -> Any:
            bodies.append(orjson.loads(asked.body))
            return bodies[-1]

        cloud.answers["PATCH", PRESENCE] = answer
        cloud.answers["PUT", "/api/v2/users/presences/bulk"] = answer
        await rest.patch_presence(USER, "d1", is_primary=True)
        await rest.put_presences([NewPresence(USER, "d1", "lunch")], is_primary=True)
        definition = {"presenceDefinition": {"id": "d1"}, "primary": True}
        of_many = {"id": USER, "source": "PURECLOUD", "message": "lunch", **definition}
        assert bodies == [definition, [of_many]]

    with_cloud(test)


def test_a_presence_is_changed_read_and_changed_for_many() -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        now = {"presenceDefinition": {"id": "d1"}, "modifiedDate": "2026-11-21T22:00:00Z"}
        bodies: list[Any] = []

        def answer(asked: Request) -> Any:
            bodies.append(orjson.loads(asked.body or b"null"))
            assert asked.headers.get("content-type", "") == (
                "application/json" if asked.body else ""
            )
            return now

        cloud.answers["PATCH", PRESENCE] = cloud.answers["GET", PRESENCE] = answer
        cloud.answers["PUT", "/api/v2/users/presences/bulk"] = lambda asked: orjson.loads(
            asked.body
        )
        assert await rest.patch_presence(USER, "d1") == now
        assert await rest.patch_presence(USER, "d1", "back at 3") == now
        assert await rest.presence(USER) == now
        assert bodies == [
            {"presenceDefinition": {"id": "d1"}},
            {"presenceDefinition": {"id": "d1"}, "message": "back at 3"},
            None,
        ]
        entry = {"id": USER, "source": "PURECLOUD", "presenceDefinition": {"id": "d1"}}
        assert await rest.put_presences([NewPresence(USER, "d1")]) == [entry]
        told = await rest.put_presences([NewPresence(USER, "d1", "back at 3")])
        assert told == [entry | {"message": "back at 3"}]

    with_cloud(test)


ENVELOPE = {
    "message": "You lack\nsomething",
    "code": "missing.any.permissions",
    "status": 403,
    "messageParams": {"permissions": "[directory:user:view, routing:queue:view]"},
    "contextId": "ctx-1",
    "details": [],
    "errors": [],
}


@pytest.mark.parametrize(
    ("status", "kind", "is_passing"),
    [
        (400, RefusedError, False),
        (403, ForbiddenError, False),
        (404, NotFoundError, False),
        (409, RefusedError, False),
        (500, FailedError, True),
        (503, FailedError, True),
        (302, OddAnswerError, True),
    ],
)
def test_a_refusal_has_a_name_and_says_what_the_gateway_said(
    status: int, kind: type[CloudError], is_passing: bool
) -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        cloud.troubles.append(Trouble(PRESENCE, status, ENVELOPE, {"Retry-After": "3"}))
        with pytest.raises(CloudError) as raised:
            await rest.presence(USER)
        error = raised.value
        assert type(error) is kind
        assert error.is_passing == is_passing
        assert (error.status, error.code) == (status, "missing.any.permissions")
        assert (error.message, error.context_id) == ("You lack something", "ctx-1")
        assert error.retry_after_s == 3.0
        assert error.missing_permissions == ("directory:user:view", "routing:queue:view")
        assert str(error) == (
            f"presence of a user: {status} missing.any.permissions: You lack something"
            " (context ctx-1)"
        )

    with_cloud(test)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"code":5,"messageParams":[]}'])
def test_a_refusal_without_an_envelope_is_one_as_well(body: bytes) -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        cloud.troubles.append(Trouble(PRESENCE, 502, body))
        with pytest.raises(FailedError, match=r"presence of a user: 502$"):
            await rest.presence(USER)

    with_cloud(test)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"entities":5}', b'{"entities":"x"}'])
def test_an_answer_that_breaks_the_contract_is_told_so(body: bytes) -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        cloud.answers["GET", PAGES] = lambda _: body
        with pytest.raises(OddAnswerError, match="users"):
            [page async for page in user_pages(rest)]
        cloud.answers["POST", CHANNELS] = lambda _: body
        with pytest.raises(OddAnswerError, match="new channel"):
            await rest.create_channel()

    with_cloud(test)


def test_a_channel_stands_in_no_error() -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        echo = {"code": "c", "message": "channel streaming-1-abc is not yours"}
        cloud.troubles.append(Trouble(TOPICS, 403, echo))
        with pytest.raises(ForbiddenError) as raised:
            await rest.put_topics(CHANNEL, ["v2.users.a.activity"])
        assert "streaming-1-abc" not in str(raised.value)
        assert "********" in str(raised.value)

    with_cloud(test)


def test_a_refused_token_is_answered_with_another_one_once() -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        cloud.answers["GET", PRESENCE] = lambda _: {}
        await rest.presence(USER)
        cloud.revoked.add("t1")
        await rest.presence(USER)
        assert [asked.headers["authorization"] for asked in cloud.asked] == [
            "Bearer t1",
            "Bearer t1",
            "Bearer t2",
        ]
        cloud.revoked |= {"t2", "t3"}
        with pytest.raises(UnauthorisedError):
            await rest.presence(USER)
        assert cloud.tokens == 3
        assert rest.requests == len(cloud.asked) == 5

    with_cloud(test)


def test_without_a_token_nothing_is_asked() -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        cloud.port = 9
        async with rest_at(cloud.address) as alone:
            with pytest.raises(NoTokenError, match=r"channels: .*: token request") as raised:
                await alone.channels()
        assert raised.value.retry_after_s is not None
        assert alone.requests == 0

    with_cloud(test)


def test_a_call_without_an_answer_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud_rest.CloudRest._call, "__kwdefaults__", {
        **(cloud_rest.CloudRest._call.__kwdefaults__ or {}), "timeout_s": 0.2,
    })  # fmt: skip

    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        cloud.troubles.append(Trouble(PRESENCE, 0, hangs=True))
        with pytest.raises(NoAnswerError, match="presence of a user: "):
            await rest.presence(USER)
        assert rest._pacer.budget.used(0.0) == 1

    with_cloud(test)


def test_an_answer_without_an_end_is_not_read_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_calls, "ANSWER_BYTES_MAX", 1000)

    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        cloud.answers["GET", PRESENCE] = lambda _: b'"' + b"x" * 100_000 + b'"'
        with pytest.raises(OddAnswerError, match="too long"):
            await rest.presence(USER)

    with_cloud(test)


@pytest.mark.parametrize("ahead_s", [-3600, 0, 10])
def test_how_far_the_gateway_s_clock_is_ahead_is_known_by_its_answers(ahead_s: int) -> None:
    async def test(cloud: ScriptedCloud, rest: CloudRest) -> None:
        now_s = SystemClock().wall_us() / 1e6
        cloud.headers["Date"] = formatdate(now_s + ahead_s, usegmt=True)
        await rest.user_page(1)
        assert abs((rest.gateway_ahead_us or 0) / 1e6 - ahead_s) < 1.5
        cloud.headers["Date"] = "some time"
        await rest.user_page(1)
        assert abs((rest.gateway_ahead_us or 0) / 1e6 - ahead_s) < 1.5

    with_cloud(test)
