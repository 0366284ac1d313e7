from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.fake_gateway.cloud.test_channels import PATH, topic
from tests.gateway.bundled import Client, CloudServed, in_loop, served
from tools.fake_gateway.ledger import read_ledger
from tools.fake_gateway.pacing import Load


def is_event(frame: dict[str, Any]) -> bool:
    return bool(frame.get("topicName", "").startswith("v2.users."))


@in_loop
async def test_what_happens_to_an_agent_comes_on_the_channel_that_hears_of_them(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as gateway:
        users = await gateway.users()
        _, client = await gateway.hear(users[:1])
        await gateway.control("/updates", {"user": users[1], "state": "Meal"})
        told = await gateway.control("/updates", {"user": users[0], "state": "On Queue"})
        frame = await client.next()
        assert frame["topicName"] == topic(users[0])
        body = frame["eventBody"]
        assert body["id"] == users[0]
        assert body["presence"]["modifiedDate"] == told["modifiedDate"]
        assert body["presence"]["presenceDefinition"]["systemPresence"] == "ON_QUEUE"
        assert frame["metadata"]["CorrelationId"]


@in_loop
async def test_an_event_says_what_a_snapshot_says(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        users = await gateway.users()
        _, client = await gateway.hear(users)
        gateway.gateway.start_load(Load(2000.0, 0.2))
        await gateway.eventually(lambda status: status["load"] == "done")
        await client.socket.send_json({"message": "ping"})
        await client.until(lambda frame: frame["eventBody"].get("message") == "pong")
        newest = {f["eventBody"]["id"]: f["eventBody"] for f in client.frames if is_event(f)}
        assert len(newest) == len(users)
        for user, body in newest.items():
            truth = await gateway.control(f"/truth?user={user}")
            assert body["presence"]["modifiedDate"] == truth["presence"]["modifiedDate"]
            assert body["presence"]["presenceMessage"] == truth["presence"]["message"]
            definition = truth["presence"]["presenceDefinition"]
            assert body["presence"]["presenceDefinition"]["id"] == definition["id"]
            for key in ("status", "startTime"):
                assert body["routingStatus"][key] == truth["routingStatus"][key]
            away = truth["outOfOffice"]
            assert body["outOfOffice"]["active"] == away["active"]
            if away["active"]:
                assert body["outOfOffice"]["modifiedDate"] == away["startDate"]


@in_loop
async def test_parts_of_an_activity_come_under_their_own_names(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        users = await gateway.users()
        await gateway.control("/updates", {"user": users[0], "state": "On Queue"})
        path = f"/api/v2/users/{users[0]}/routingstatus"
        await gateway.call("PUT", path, {"status": "OFF_QUEUE"})
        channel = await gateway.channel()
        await gateway.subscribe(channel, [f"v2.users.{users[0]}?presence&routingStatus"])
        client = await gateway.connect(channel)
        await gateway.control("/updates", {"user": users[0], "state": "On Queue"})
        frames = [await client.next(), await client.next()]
        if frames[1]["eventBody"].get("primary") is False:
            frames[1] = await client.next()
        presence, routing = frames
        assert presence["topicName"] == topic(users[0], "presence")
        assert presence["eventBody"]["source"] == "PURECLOUD"
        assert presence["eventBody"]["primary"] is True
        assert "id" not in presence["eventBody"]
        assert routing["topicName"] == topic(users[0], "routingStatus")
        assert routing["eventBody"]["id"] == users[0]


@in_loop
async def test_what_happens_while_no_socket_is_open_is_lost(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        users = await gateway.users()
        channel, client = await gateway.hear(users[:1])
        await client.socket.close()
        await gateway.eventually(lambda status: status["sockets"] == 0)
        await gateway.control("/updates", {"user": users[0], "state": "Meal"})
        again = await gateway.connect(channel)
        told = await gateway.control("/updates", {"user": users[0], "state": "Break"})
        frame = await again.next()
        assert frame["eventBody"]["presence"]["modifiedDate"] == told["modifiedDate"]


@in_loop
async def test_heartbeats_come_and_a_ping_is_answered(tmp_path: Path) -> None:
    async with served(tmp_path, heartbeat_s=0.05) as gateway:
        _, client = await gateway.hear(await gateway.users())
        beats = [await client.next() for _ in range(2)]
        assert [beat["topicName"].lower() for beat in beats] == ["channel.metadata"] * 2
        assert beats[0]["eventBody"] == {"message": "WebSocket Heartbeat"}
        assert beats[0]["topicName"] != beats[1]["topicName"]  # case means nothing
        await client.socket.send_json({"message": "ping"})
        await client.until(lambda frame: frame["eventBody"]["message"] == "pong")
        await client.socket.send_str("nonsense")
        await client.until(lambda frame: frame.get("result") == "400")


@in_loop
async def test_a_socket_may_subscribe_as_well(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        users, channel = await gateway.users(), await gateway.channel()
        client = await gateway.connect(channel)
        asked = {"message": "subscribe", "topics": [topic(users[0])], "correlationId": "c"}
        await client.socket.send_json(asked)
        answer = await client.next()
        assert answer == {"result": "200", "status": "subscribed", "correlationId": "c"}
        assert (await client.next())["topicName"] == "v2.system.subscription_changed"
        await client.socket.send_json(asked | {"topics": ["v2.weather"]})
        assert (await client.next())["result"] == "400"
        await gateway.control("/updates", {"user": users[0], "state": "Meal"})
        assert (await client.next())["topicName"] == topic(users[0])


@in_loop
async def test_a_socket_is_told_when_the_topics_of_its_channel_are_others(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        users = await gateway.users()
        channel, client = await gateway.hear(users[:2])
        asked = [topic(user) for user in users[:3]]
        await gateway.subscribe(channel, asked[:2])  # as they are
        await gateway.subscribe(channel, asked)
        frame = await client.next()
        assert frame["topicName"] == "v2.system.subscription_changed"
        assert frame["eventBody"]["channelId"] == channel["id"]
        assert frame["eventBody"]["systemTopicType"] == "subscription_changed"
        await client.socket.send_json({"message": "ping"})
        assert (await client.next())["eventBody"] == {"message": "pong"}, "told once"


@in_loop
async def test_a_second_socket_cuts_the_first_and_nothing_is_lost_between_them(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as gateway:
        users = await gateway.users()
        channel, first = await gateway.hear(users)
        gateway.gateway.start_load(Load(5000.0, 0.0))
        await gateway.eventually(lambda status: status["sent_events"] > 200)
        second = await gateway.connect(channel)
        assert await first.end() == 1000
        gateway.gateway.stop_load()
        await second.socket.send_json({"message": "ping"})
        await second.until(lambda frame: frame["eventBody"].get("message") == "pong")
        told = [frame for frame in first.frames + second.frames if is_event(frame)]
        status = await gateway.control("/status")
        assert len(told) == status["generated"] == status["sent_events"]
        assert len({frame["metadata"]["CorrelationId"] for frame in told}) == len(told)


@in_loop
async def test_an_unknown_channel_is_told_404_on_its_socket(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        channel = await gateway.channel()
        uri = channel["connectUri"].replace(channel["id"], "streaming-0-nobody")
        client = await gateway.connect({"connectUri": uri})
        assert await client.end() == 1000
        assert client.frames[0]["result"] == "404"


@pytest.mark.parametrize(
    ("kind", "told", "code"),
    [
        ("unsubscribe", "v2.system.no_longer_subscribed.", 1000),
        ("expire-channel", "v2.system.no_longer_subscribed.", 1000),
        ("evict-channel", "v2.system.no_longer_subscribed.", 1000),
        ("revoke-channel", "v2.system.token_revoked.", 1000),
        ("lose-channel", "404", 1000),
        ("forget-channel", None, None),
    ],
)
def test_a_channel_that_is_lost_says_so_in_its_own_way(
    kind: str, told: str | None, code: int | None, tmp_path: Path
) -> None:
    @in_loop
    async def run() -> None:
        async with served(tmp_path) as gateway:
            channel, client = await gateway.hear(await gateway.users())
            await gateway.control("/faults", {"kind": kind})
            assert await client.end() == code
            said = [frame.get("topicName") or frame.get("result") for frame in client.frames]
            assert said == ([] if told is None else [_of(told, channel)])
            assert (await gateway.call("HEAD", f"{PATH}/{channel['id']}")).status == 404

    run()


def _of(told: str, channel: dict[str, Any]) -> str:
    return told + channel["id"] if told.endswith(".") else told


@in_loop
async def test_the_21st_channel_silences_the_oldest(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        users = await gateway.users()
        channel, client = await gateway.hear(users)
        others = [await gateway.connect(await gateway.channel()) for _ in range(19)]
        await gateway.eventually(lambda status: status["sockets"] == len(others) + 1)
        await gateway.channel()
        assert await client.end() == 1000
        name = f"v2.system.no_longer_subscribed.{channel['id']}"
        assert client.frames[-1]["topicName"] == name
        status = await gateway.control("/status")
        assert (status["channels"], status["sockets"]) == (20, 19)


@in_loop
async def test_a_closing_socket_is_announced_and_its_successor_goes_on(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        users = await gateway.users()
        channel, first = await gateway.hear(users)
        await gateway.control("/faults", {"kind": "closing", "seconds": 30})
        assert (await first.next())["topicName"] == "v2.system.socket_closing"
        second = await gateway.connect(channel)
        assert await first.end() == 1000
        await gateway.control("/updates", {"user": users[0], "state": "Meal"})
        assert is_event(await second.next())


@in_loop
async def test_who_does_not_heed_the_announcement_is_closed(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        _, client = await gateway.hear(await gateway.users())
        await gateway.control("/faults", {"kind": "closing", "seconds": 0.05})
        assert await client.end() == 1001


@in_loop
async def test_close_drop_and_stall_are_what_they_say(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        users = await gateway.users()
        for fault, code in (
            ({"kind": "close", "code": 1012}, 1012),
            ({"kind": "close"}, 1005),
            ({"kind": "drop"}, None),
        ):
            _, client = await gateway.hear(users)
            await gateway.control("/faults", fault)
            assert await client.end() == code
            await gateway.eventually(lambda status: status["sockets"] == 0)
        _, client = await gateway.hear(users)
        await gateway.control("/faults", {"kind": "stall", "seconds": 0.2})
        await client.socket.send_json({"message": "ping"})
        await gateway.control("/updates", {"user": users[0], "state": "Meal"})
        frame = await client.next()  # what was held back; the ping was never heard
        assert is_event(frame)
        assert (await gateway.control("/status"))["pings"] == 0


@in_loop
async def test_only_so_many_channels_meet_a_fault_as_it_says(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        users = await gateway.users()
        clients = [(await gateway.hear([user]))[1] for user in users[:3]]
        await gateway.control("/faults", {"kind": "drop", "some": 1})
        await gateway.eventually(lambda status: status["sockets"] == 2)
        serial = (await gateway.control("/channels"))["channels"][0]["channel"]
        await gateway.control("/faults", {"kind": "unsubscribe", "channel": serial})
        await gateway.eventually(lambda status: status["channels"] == 2)
        assert len(clients) == 3


@in_loop
async def test_broken_frame_are_additional(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        users = await gateway.users()
        _, client = await gateway.hear(users[:1])
        for kind in ("malformed", "truncated", "unknown-topic", "unknown-status", "foreign-user"):
            await gateway.control("/faults", {"kind": kind})
            whole = await client.next()
            assert is_event(whole)
            broken = await asyncio.wait_for(client.socket.receive(), 5.0)
            assert broken.data != whole, kind


@in_loop
async def test_calls_handshakes_and_tokens_are_refused_as_ordered(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        channel = await gateway.channel()
        wanted = {"status": 503, "retry_after_s": 7}
        await gateway.control("/faults", {"kind": "refuse-rest", **wanted})
        answer = await gateway.call("GET", PATH)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "7")
        assert (await gateway.call("GET", PATH)).status == 200
        await gateway.control("/faults", {"kind": "refuse-writes", "status": 429})
        assert (await gateway.call("GET", PATH)).status == 200
        users = await gateway.users()
        path = f"/api/v2/users/{users[0]}/presences/PURECLOUD"
        assert (await gateway.call("PATCH", path, {})).status == 429
        await gateway.control("/faults", {"kind": "refuse-tokens", "status": 500})
        assert (await gateway.token()).status == 500
        await gateway.control("/faults", {"kind": "refuse-sockets", "status": 429})
        async with gateway.http.get(channel["connectUri"].replace("ws:", "http:")) as refused:
            assert refused.status == 429
        await gateway.control("/faults", {"kind": "expire-tokens"})
        assert (await gateway.call("GET", PATH)).status == 401
        await gateway.control("/faults", {"kind": "earthquake"}, ok=False)


@in_loop
async def test_copies_of_frames_come_again_later(tmp_path: Path) -> None:
    async with served(tmp_path, late=(10, 25)) as gateway:
        _, client = await gateway.hear(await gateway.users())
        gateway.gateway.start_load(Load(5000.0, 0.1))
        status = await gateway.eventually(lambda status: status["load"] == "done")
        await client.socket.send_json({"message": "ping"})
        await client.until(lambda frame: frame["eventBody"].get("message") == "pong")
        ids = [f["metadata"]["CorrelationId"] for f in client.frames if is_event(f)]
        copies = len(ids) - len(set(ids))
        assert copies == status["copies"] > 20


@in_loop
async def test_over_tls_sockets_are_wss(tmp_path: Path) -> None:
    async with served(tmp_path, tls=True) as gateway:
        users = await gateway.users()
        channel, client = await gateway.hear(users)
        assert channel["connectUri"].startswith("wss://")
        await gateway.control("/updates", {"user": users[0], "state": "Meal"})
        assert is_event(await client.next())


@in_loop
async def test_the_life_of_channels_and_sockets_stands_in_the_ledger(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        users = await gateway.users()
        _, client = await gateway.hear(users[:2])
        await gateway.control("/updates", {"user": users[0], "state": "Meal"})
        await _end(client, gateway)
    kinds = ("created", "topics", "opened", "change", "closed", "end")
    lines = [line for line in read_ledger(gateway.ledger) if line["kind"] in kinds]
    assert [line["kind"] for line in lines] == list(kinds)
    created, topics, opened, change, closed, _ = lines
    assert created["channel"] == topics["channel"] == opened["channel"] == closed["channel"]
    assert (topics["agents"], topics["masks"]) == ([0, 1], [1, 1])
    assert (opened["head"], change["number"], closed["head"]) == (0, 0, 1)
    assert closed["reason"].startswith("closed by the client")


async def _end(client: Client, gateway: CloudServed) -> None:
    await client.socket.close()
    await gateway.eventually(lambda status: status["sockets"] == 0)
