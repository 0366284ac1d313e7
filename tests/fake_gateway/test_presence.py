"""The presence socket: updates are applied once, acknowledged, and come back as real events."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.bundled import (
    PROPERTIES,
    Client,
    PresenceClient,
    WspServed,
    in_loop,
    serving,
    until,
)
from tools.fake_gateway.ledger import read_ledger
from tools.fake_gateway.wsp.organisation import OrderSettings

EVENTS = [
    {"type": "routing.agents.state", "properties": [*PROPERTIES, "presence", "correlationId"]}
]


async def listening(served: WspServed, **more: Any) -> Client:
    client = await served.subscribe(events=EVENTS, **more)
    await client.history()
    return client


async def agreed(client: PresenceClient, correlation: str) -> None:
    acknowledgement = {"type": "presence.ack", "correlationId": correlation, "success": True}
    assert await client.next() == acknowledgement


def ledger(served: WspServed, kind: str) -> list[dict[str, Any]]:
    return [line for line in read_ledger(served.ledger) if line["kind"] == kind]


async def refusal(served: WspServed, token: str | None = None) -> tuple[int, str | None]:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await served.presence(token)
    assert refused.value.headers is not None
    return refused.value.status, refused.value.headers.get("Retry-After")


@in_loop
async def test_an_update_becomes_an_event_at_once_although_no_load_runs(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        listener, client = await listening(served), await served.presence()
        user, newest = (await served.users())[3], listener.acknowledgement["sequence"]
        for place, (state, told) in enumerate(
            [("busy", "Not Available"), ("available", "Available"), ("offline", "Not Available")]
        ):
            correlation = await client.send(user, state)
            await agreed(client, correlation)
            event = await listener.next()
            assert event["sequence"] == newest + 1 + place
            data = event["data"]
            assert (data["userId"], data["state"], data["presence"]) == (user, told, state)
            assert data["correlationId"] == correlation
        status = await served.control("/status")
        assert (status["updates"], status["applied"], status["acknowledged"]) == (3, 3, 3)
        assert status["newest_sequence"] == newest + 3


@pytest.mark.parametrize("rate", [2000, "max"])
@in_loop
async def test_updates_have_their_place_in_a_running_stream(
    rate: float | str, tmp_path: Path
) -> None:
    async with serving(tmp_path) as served:
        listener, client = await listening(served), await served.presence()
        await served.control("/load", {"rate": rate})
        users = await served.users()
        sent = [await client.send(user, "break") for user in users[:20]]
        seen: dict[str, str] = {}
        sequence, newest_of = listener.acknowledgement["sequence"], dict[str, str]()
        while len(seen) < len(sent):
            event = await listener.next()
            sequence += 1
            assert event["sequence"] == sequence
            data = event["data"]
            assert newest_of.get(data["userId"], "") < data["timestamp"]
            newest_of[data["userId"]] = data["timestamp"]
            if "correlationId" in data:
                assert (data["state"], data["presence"]) == ("Not Available", "break")
                seen[data["correlationId"]] = data["userId"]
        assert seen == dict(zip(sent, users, strict=False))


@in_loop
async def test_unrequested_presence_and_correlation_are_absent(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        listener, client = await served.subscribe(), await served.presence()
        await listener.history()
        await client.send((await served.users())[0], "busy")
        data = (await listener.next())["data"]
        assert (data["state"], data.keys()) == ("Not Available", set(PROPERTIES))


@pytest.mark.parametrize("window", [1, 100])
@in_loop
async def test_an_idle_gateway_that_reorders_holds_no_update_back(
    window: int, tmp_path: Path
) -> None:
    async with serving(tmp_path, order=OrderSettings(window=window)) as served:
        listener, client = await listening(served), await served.presence()
        for user in (await served.users())[:12]:
            correlation = await client.send(user, "break")
            while (await listener.next())["data"].get("correlationId") != correlation:
                pass


@in_loop
async def test_a_replay_and_a_history_tell_of_updates_what_the_stream_told(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        first, client = await listening(served), await served.presence()
        ack, users = first.acknowledgement, await served.users()
        await served.control("/load", {"rate": 5000, "seconds": 0.01})
        quiet = users[49]  # of those who never change by themselves
        correlation = await client.send(quiet, "offline")
        await agreed(client, correlation)
        told = await first.events(51)
        again = await served.subscribe(events=EVENTS, sequence=ack["sequence"], epoch=ack["epoch"])
        assert await again.events(51) == told
        named, _ = await again.history()
        held = next(event for event in named if event["data"]["userId"] == quiet)
        assert held.pop("history") is True
        assert held == next(e for e in told if e["data"].get("correlationId") == correlation)


@in_loop
async def test_a_new_numbering_still_knows_the_update(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        client = await served.presence()
        quiet = (await served.users())[49]
        correlation = await client.send(quiet, "busy")
        await agreed(client, correlation)
        await served.control("/faults", {"kind": "renumber"})
        listener = await served.subscribe(events=EVENTS)
        named, end = await listener.history()
        held = next(event for event in named if event["data"]["userId"] == quiet)
        assert held["data"]["correlationId"] == correlation
        assert held["sequence"] <= end["sequence"]
        again = await client.send(quiet, "available")
        assert (await listener.next())["data"]["correlationId"] == again


@in_loop
async def test_an_id_that_was_seen_is_acknowledged_again_and_not_applied_twice(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as served:
        client, other = await served.presence(), await served.presence()
        user = (await served.users())[0]
        correlation = await client.send(user, "busy")
        await agreed(client, correlation)
        await other.send(user, "busy", correlation)
        await agreed(other, correlation)
        status = await served.control("/status")
        assert (status["updates"], status["applied"], status["generated"]) == (2, 1, 1)


@in_loop
async def test_who_is_not_there_and_what_makes_no_sense_is_told(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        client = await served.presence()
        correlation = await client.send("nobody", "busy")
        told = await client.next()
        assert (told["correlationId"], told["success"]) == (correlation, False)
        assert (told["status"], told["code"]) == (404, "not.found")
        correlation = await client.send((await served.users())[0], "asleep")
        told = await client.next()
        assert (told["correlationId"], told["status"]) == (correlation, 400)
        await client.socket.send_bytes(b'{"type":"presence"}')
        told = await client.next()
        assert (told["correlationId"], told["message"]) == (None, "no correlation id")
        await client.socket.send_str('{"type":"presence"}|corr:x')
        assert "binary" in (await client.next())["message"]
        assert (await served.control("/status"))["applied"] == 0


@in_loop
async def test_before_the_binding_nothing_is_applied(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        client = await served.presence(binds=False)
        await client.send((await served.users())[0], "busy")
        assert (await client.next())["code"] == "not.bound"
        await served.control("/faults", {"kind": "bind-missing"})
        await client.socket.send_json({"type": "subscribe", "channel": "presence"})
        await client.socket.send_json({"type": "subscribe", "channel": "presence"})
        assert (await client.next())["type"] == "subscribed"  # one answer for two
        correlation = await client.send((await served.users())[0], "busy")
        await agreed(client, correlation)


@in_loop
async def test_presence_handshakes_are_refused_as_the_contract_says(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        assert await refusal(served, "unknown") == (401, None)
        weak = (await served.token("user:read notifications:read"))["access_token"]
        assert await refusal(served, weak) == (403, None)
        for status, retry_after_s in ((401, None), (429, 7), (500, None)):
            fault = {"kind": "refuse-presence", "status": status, "retry_after_s": retry_after_s}
            await served.control("/faults", fault)
            told = None if retry_after_s is None else str(retry_after_s)
            assert await refusal(served) == (status, told)
        await served.presence()


@in_loop
async def test_the_limit_of_updates_is_told_with_a_time_to_wait(tmp_path: Path) -> None:
    async with serving(tmp_path, updates_per_s=5) as served:
        client, users = await served.presence(), await served.users()
        sent = [await client.send(user, "busy") for user in users[:7]]
        answers = [await client.next() for _ in sent]
        assert [answer["success"] for answer in answers] == [True] * 5 + [False] * 2
        assert (answers[5]["status"], answers[5]["correlationId"]) == (429, sent[5])
        assert 1 <= answers[5]["retryAfterMs"] <= 1001
        assert (await served.control("/status"))["applied"] == 5


@in_loop
async def test_acknowledgements_meet_what_was_ordered(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        client, users = await served.presence(), await served.users()
        for fault in (
            {"kind": "ack-missing"},
            {"kind": "ack-duplicate"},
            {"kind": "ack-malformed"},
            {"kind": "ack-negative", "status": 403},
            {"kind": "update-lost"},
        ):
            await served.control("/faults", fault)
        lost = await client.send(users[0], "busy")  # the update itself
        refused = await client.send(users[1], "busy")  # whose acknowledgement is missing as well
        doubled = await client.send(users[2], "busy")
        malformed = await client.send(users[3], "busy")
        last = await client.send(users[4], "busy")
        await agreed(client, doubled)
        await agreed(client, doubled)
        assert (await client.frame()).type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)
        await agreed(client, malformed)
        await agreed(client, last)
        status = await served.control("/status")
        assert (status["updates"], status["applied"]) == (5, 3)
    assert {(line["correlation"], line["how"]) for line in ledger(served, "ack")} == {
        (refused, "missing"), (doubled, "duplicate"), (malformed, "malformed"), (last, "good"),
    }  # fmt: skip
    updates = {line["correlation"]: line for line in ledger(served, "update")}
    assert [updates[each]["status"] for each in (lost, refused, last)] == [0, 403, 200]
    made = [line["number"] for line in updates.values() if line["number"] is not None]
    assert made == [line["number"] for line in ledger(served, "change")]


@in_loop
async def test_a_late_acknowledgement_comes_after_those_that_were_not(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        client, users = await served.presence(), await served.users()
        await served.control("/faults", {"kind": "ack-late", "seconds": 0.2})
        late, soon = await client.send(users[0], "busy"), await client.send(users[1], "busy")
        await agreed(client, soon)
        await agreed(client, late)


@in_loop
async def test_the_presence_socket_can_be_closed_dropped_and_stalled(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        listener = await listening(served)
        client = await served.presence()
        await served.control("/faults", {"kind": "presence-close", "code": 1012})
        assert await client.close_code() == 1012
        client = await served.presence()
        await served.control("/faults", {"kind": "presence-drop"})
        assert await client.close_code() is None
        client, user = await served.presence(), (await served.users())[0]
        await served.control("/faults", {"kind": "presence-stall", "seconds": 60})
        await client.socket.ping()
        await client.send(user, "busy")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.socket.receive(), 0.1)
        other = await served.presence()
        correlation = await other.send(user, "busy")
        assert (await listener.next())["data"]["correlationId"] == correlation  # no other before
    faults = [(line["what"], line["sockets"]) for line in ledger(served, "fault")]
    assert faults == [("presence-close", [1]), ("presence-drop", [2]), ("presence-stall", [3])]
    assert [line["socket"] for line in ledger(served, "presence-bound")] == [1, 2, 3, 4]
    assert {line["socket"] for line in ledger(served, "presence-closed")} == {1, 2, 3, 4}


@in_loop
async def test_a_token_that_ends_takes_its_presence_socket_along(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        client = await served.presence()
        await served.control("/faults", {"kind": "expire-tokens"})
        assert await client.close_code() == 0
        client = await served.presence((await served.token("presence:write"))["access_token"])
        correlation = await client.send((await served.users())[0], "busy")
        await agreed(client, correlation)


@in_loop
async def test_look_ups_can_be_slow_and_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        token, user = (await served.token())["access_token"], (await served.users())[0]

        async def status() -> int:
            url = f"{served.ready['base_url']}/api/v2/users/{user}"
            async with served.http.get(url, headers={"Authorization": f"Bearer {token}"}) as answer:
                return answer.status

        await served.control("/faults", {"kind": "refuse-users", "status": 503})
        assert [await status(), await status()] == [503, 200]
        await served.control("/faults", {"kind": "slow-users", "seconds": 30})
        slow = asyncio.create_task(status())
        await until(lambda: _is_slow(served))
        assert await status() == 200
        slow.cancel()


async def _is_slow(served: WspServed) -> bool:
    """Whether somebody has met the order to be slow."""
    return not served.gateway.rest.slow_users_s


@in_loop
async def test_somebody_else_changes_an_agent_by_control_call(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        listener, user = await listening(served), (await served.users())[0]
        told = await served.control("/updates", {"user": user, "state": "break"})
        event = await listener.next()
        assert (event["sequence"], event["data"]["presence"]) == (told["sequence"], "break")
        assert event["data"]["correlationId"] == told["correlationId"]
        for asked in (
            {"user": user},
            {"user": "nobody", "state": "busy"},
            {"user": user, "state": "x"},
        ):
            await served.control("/updates", asked, ok=False)


@in_loop
async def test_over_tls_the_presence_socket_speaks_the_same(tmp_path: Path) -> None:
    async with serving(tmp_path, tls=True) as served:
        client = await served.presence()
        correlation = await client.send((await served.users())[0], "busy")
        await agreed(client, correlation)
