"""The gateway over real sockets: tokens, refusals, subscriptions, the stream, the control calls."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.gateway.bundled import (
    AGENTS,
    Client,
    WspServed,
    basic,
    in_loop,
    serving,
    subscription,
    until,
)
from tools.fake_gateway.ledger import read_ledger
from tools.fake_gateway.pacing import Load
from tools.fake_gateway.script import LEAN
from tools.fake_gateway.wsp.expectation import Expectation
from tools.fake_gateway.wsp.order import DeliveryOrder
from tools.fake_gateway.wsp.organisation import OrderSettings


@in_loop
async def test_a_token_is_given_to_the_client_only(tmp_path: Path) -> None:
    async with serving(tmp_path, token_life_s=600.0) as served:
        token = await served.token("notifications:read notifications:subscribe")
        assert token["status"] == 200
        assert token["token_type"] == "bearer"
        assert token["expires_in"] == 600
        assert token["scope"] == "notifications:read notifications:subscribe"
        assert (await served.token(secret="wrong"))["status"] == 401
        url = served.ready["base_url"] + "/api/v2/oauth/token"
        headers = {"Authorization": basic("fake-client", "fake-secret")}
        async with served.http.post(url, data={"grant_type": "x"}, headers=headers) as answer:
            assert answer.status == 400


@in_loop
async def test_users_are_known_to_who_may_read_them(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        client = await served.subscribe()
        user = (await client.next())["data"]["userId"]

        async def status(user: str, scope: str | None) -> int:
            headers = {}
            if scope is not None:
                token = (await served.token(scope))["access_token"]
                headers = {"Authorization": f"Bearer {token}"}
            url = f"{served.ready['base_url']}/api/v2/users/{user}"
            async with served.http.get(url, headers=headers) as answer:
                return answer.status

        assert await status(user, "user:read") == 200
        assert await status("nobody", "user:read") == 404
        assert await status(user, "notifications:read") == 403
        assert await status(user, None) == 401


async def refusal(served: WspServed, token: str | None = None) -> tuple[int, str | None]:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await served.connect(token)
    assert refused.value.headers is not None
    return refused.value.status, refused.value.headers.get("Retry-After")


@in_loop
async def test_handshakes_are_refused_as_the_contract_says(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        assert await refusal(served, "unknown") == (401, None)
        weak = (await served.token("notifications:read"))["access_token"]
        assert await refusal(served, weak) == (403, None)
        for status, retry_after_s in ((401, None), (429, 7), (500, None)):
            fault = {"kind": "refuse", "status": status, "retry_after_s": retry_after_s}
            await served.control("/faults", fault)
            told = None if retry_after_s is None else str(retry_after_s)
            assert await refusal(served) == (status, told)
        await (await served.connect()).socket.close()
        assert (await served.control("/status"))["refused"] == 3


@in_loop
async def test_a_handshake_can_be_left_without_an_answer(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        token = (await served.token())["access_token"]
        await served.control("/faults", {"kind": "refuse", "status": 0})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(served.connect(token), 0.2)


@in_loop
async def test_who_connects_too_often_has_to_wait(tmp_path: Path) -> None:
    async with serving(tmp_path, handshakes_max=2) as served:
        for _ in range(2):
            await (await served.connect()).socket.close()
        status, retry_after = await refusal(served)
        assert status == 429
        assert 0 < int(retry_after or 0) <= 60


@in_loop
async def test_token_calls_can_be_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        await served.control("/faults", {"kind": "refuse-tokens", "status": 500, "count": 2})
        assert [(await served.token())["status"] for _ in range(3)] == [500, 500, 200]


@pytest.mark.parametrize("first", ["{", '{"events":[]}', '{"events":[{"type":"weather"}]}'])
@in_loop
async def test_a_malformed_subscription_ends_without_a_close_frame(
    first: str, tmp_path: Path
) -> None:
    async with serving(tmp_path) as served:
        client = await served.connect()
        await client.socket.send_str(first)
        assert await client.close_code() is None


@in_loop
async def test_acknowledgement_then_history_then_live_events(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        client = await served.subscribe()
        assert client.acknowledgement["status"] == "subscribed"
        assert client.acknowledgement["sequence"] == 10_000_000
        history, complete = await client.history()
        assert complete["sequence"] == 10_000_000
        assert len({event["data"]["userId"] for event in history}) == AGENTS
        assert all(event["history"] is True for event in history)
        assert max(event["sequence"] for event in history) < 10_000_001
        await served.control("/load", {"rate": 5000, "seconds": 0.1})
        events = await client.events(500)
        assert [event["sequence"] for event in events] == list(range(10_000_001, 10_000_501))
        assert "history" not in events[0]

        async def is_over() -> bool:
            return bool((await served.control("/status"))["load"] == "done")

        await until(is_over)
        status = await served.control("/status")
        assert status["newest_sequence"] == 10_000_500
        assert (status["generated"], status["sent"], status["sockets"]) == (500, 500 + AGENTS, 1)


@in_loop
async def test_a_history_reports_the_change_that_made_the_state(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        first = await served.subscribe()
        await first.history()
        await served.control("/load", {"rate": 10_000, "seconds": 0.02})
        changed = {event["data"]["userId"]: event for event in await first.events(200)}
        second = await served.subscribe()
        history, complete = await second.history()
        assert complete["sequence"] == 10_000_200
        reported = {event["data"]["userId"]: event for event in history}
        for user, event in changed.items():
            assert reported[user]["sequence"] == event["sequence"]
            assert reported[user]["data"] == event["data"]
        quiet = reported.keys() - changed.keys()
        assert len(quiet) == 1
        assert all(reported[user]["sequence"] < 10_000_001 for user in quiet)


async def after_300_events(served: WspServed) -> dict[str, Any]:
    client = await served.subscribe()
    await client.history()
    await served.control("/load", {"rate": 30_000, "seconds": 0.01})
    await client.events(300)
    await client.socket.close()
    return client.acknowledgement


@in_loop
async def test_a_resume_replays_what_follows_the_sequence_before_the_history(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as served:
        epoch = (await after_300_events(served))["epoch"]
        client = await served.subscribe(epoch=epoch, sequence=10_000_250)
        assert client.acknowledgement["sequence"] == 10_000_300
        replayed = await client.events(50)
        assert [event["sequence"] for event in replayed] == list(range(10_000_251, 10_000_301))
        history, _ = await client.history()
        assert len(history) == AGENTS


@in_loop
async def test_below_its_first_event_an_epoch_has_nothing_to_miss(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        epoch = (await after_300_events(served))["epoch"]
        client = await served.subscribe(epoch=epoch, sequence=9_999_000)
        assert (await client.next())["sequence"] == 10_000_001


@in_loop
async def test_what_is_no_longer_retained_is_told_as_a_gap(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        epoch = (await after_300_events(served))["epoch"]
        await served.control("/faults", {"kind": "retention", "events": 100})
        short = await served.subscribe(epoch=epoch, sequence=10_000_150)
        assert await short.next() == {"type": "gap", "from": 10_000_151, "to": 10_000_300}
        assert len((await short.history())[0]) == AGENTS
        enough = await served.subscribe(epoch=epoch, sequence=10_000_200)
        assert (await enough.next())["sequence"] == 10_000_201


@in_loop
async def test_a_sequence_of_another_epoch_is_answered_with_a_gap(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        await after_300_events(served)
        client = await served.subscribe(epoch="of another life", sequence=77)
        assert await client.next() == {"type": "gap", "from": 1, "to": 10_000_300}


@in_loop
async def test_a_gateway_can_ignore_a_sequence(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        epoch = (await after_300_events(served))["epoch"]
        await served.control("/faults", {"kind": "ignore-sequence"})
        client = await served.subscribe(epoch=epoch, sequence=10_000_250)
        assert (await client.next())["history"] is True


@in_loop
async def test_an_unread_event_type_or_a_missing_property_is_left_out(tmp_path: Path) -> None:
    async with serving(tmp_path, script={"presence_every": 1, "correlation_every": 1}) as served:
        names = [{"type": "routing.agents.state", "properties": ["userId"]}]
        lean = await served.subscribe(events=names)
        assert (await lean.next())["data"].keys() == {"userId", "state", "timestamp"}
        whole = await served.subscribe(events=[{"type": "routing.agents.state"}])
        assert len(await whole.text()) > 2048


async def everything(client: Client, count: int) -> bytes:
    return b"".join([await client.text() for _ in range(count)])


def texts(expectation: Expectation, numbers: range) -> bytes:
    """What the script's plain twin says to these events, without the frames' headers."""
    script, timeline, numbering = (
        expectation.script,
        expectation.event_times,
        expectation.numbering,
    )
    return b"".join(
        script.frame(script.change(n), numbering.sequence(n), timeline.at_ms(n), LEAN)[4:]
        for n in numbers
    )


@in_loop
async def test_at_full_speed_every_byte_is_what_the_ledger_lets_one_compute(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as served:
        clients = [await served.subscribe() for _ in range(2)]
        for client in clients:
            await client.history()
        await served.control("/load", {"rate": "max"})
        first, second = await asyncio.gather(*(everything(client, 30_000) for client in clients))
        assert first == second
    expectation = Expectation(served.ledger)
    assert expectation.head >= 30_000
    assert first == texts(expectation, range(30_000))
    assert expectation.sent_history == 2 * AGENTS


@in_loop
async def test_duplicates_and_disorder_are_as_the_order_says(tmp_path: Path) -> None:
    order = OrderSettings(window=9, duplicates=0.2)
    async with serving(tmp_path, order=order) as served:
        client = await served.subscribe()
        await client.history()
        await served.control("/load", {"rate": 20_000, "seconds": 0.1})
        expected = DeliveryOrder(7, 9, 0.2).numbers(0, 2000)
        events = await client.events(len(expected))
        assert [event["sequence"] - 10_000_001 for event in events] == list(expected)
        status = await served.control("/status")
        assert status["sent_events"] == len(expected)
        assert status["generated"] == 2000


@in_loop
async def test_a_load_waits_for_the_first_socket_and_stops_when_told(tmp_path: Path) -> None:
    async with serving(tmp_path, Load(None, 0)) as served:
        assert (await served.control("/status"))["load"] == "idle"
        client = await served.subscribe()
        await client.history()
        await client.events(1000)
        assert (await served.control("/status"))["load"] == "running"
        assert (await served.control("/load/stop"))["load"] == "done"


@in_loop
async def test_events_happen_whether_or_not_anybody_listens(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        await served.control("/load", {"rate": 100_000, "seconds": 0.05})

        async def is_done() -> bool:
            return bool((await served.control("/status"))["load"] == "done")

        await until(is_done)
        status = await served.control("/status")
        assert (status["generated"], status["sent"]) == (5000, 0)


@in_loop
async def test_pings_are_answered(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        client = await served.connect()
        await client.socket.send_json(subscription())
        await client.next()
        await client.history()
        client.socket._autoping = False
        await client.socket.ping(b"are you there")
        frame = await client.frame()
        assert (frame.type, frame.data) == (aiohttp.WSMsgType.PONG, b"are you there")


@in_loop
async def test_a_client_that_closes_is_answered(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        client = await served.subscribe()
        await client.history()
        await client.socket.close(code=1000)
        assert client.socket.close_code == 1000

        async def is_gone() -> bool:
            return bool((await served.control("/status"))["sockets"] == 0)

        await until(is_gone)
    closed = [line for line in read_ledger(served.ledger) if line["kind"] == "closed"]
    assert closed[0]["reason"] == "closed by the client: 1000"


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/load", None),
        ("/load", {"rate": "fast"}),
        ("/load", {"rate": 0}),
        ("/load", {"rate": True}),
        ("/load", {"rate": 1, "colour": "red"}),
        ("/faults", {"kind": "fire"}),
    ],
)
@in_loop
async def test_a_wrong_control_call_is_told_what_is_wrong(
    path: str, asked: Any, tmp_path: Path
) -> None:
    async with serving(tmp_path) as served:
        assert (await served.control(path, asked, ok=False))["error"]


@in_loop
async def test_tls_is_served_with_a_throwaway_authority(tmp_path: Path) -> None:
    async with serving(tmp_path, tls=True) as served:
        assert served.ready["base_url"].startswith("https://")
        client = await served.subscribe()
        await client.history()
        await served.control("/load", {"rate": "max"})
        events = await client.events(20_000)
        assert events[-1]["sequence"] == 10_020_000


@in_loop
async def test_a_connect_proxy_carries_tls(tmp_path: Path) -> None:
    async with serving(tmp_path, tls=True, proxy=True) as served:
        client = await served.subscribe()
        assert len((await client.history())[0]) == AGENTS
        await client.socket.close()
