"""A sender's loop against a gateway of a page: real sockets, one event loop (protocol.md §1.3)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest
import structlog

from actors.sender.line import SenderPolicy
from actors.sender.signals import (
    Acknowledged,
    CheckUser,
    Deliver,
    Delivered,
    Due,
    LineDown,
    LineUp,
    NotSent,
    UserChecked,
    WakeAt,
)
from actors.settings.sender import SenderSettings, WebhookSettings
from tests.actors.receiver.rig import in_loop, until
from tests.actors.sender.living import HASTY, Living, send
from tests.gateway.loopback import BINARY, CLOSE, PING, PONG, Socket, answer, frame
from tests.gateway.scripted import (
    ScriptedGateway,
    WebhookReceiver,
    ack,
    bind,
    next_update,
    obliging,
    refusal,
    silent,
)

# The presence socket


def test_from_the_token_to_the_acknowledgement() -> None:
    received: list[object] = []

    async def script(socket: Socket) -> None:
        await bind(socket)
        received.append(await next_update(socket))
        socket.send(ack("c1"))
        await silent(socket)

    async def test() -> None:
        async with ScriptedGateway(script) as gateway:
            living = Living(gateway.url)
            async with living.running() as loop:
                up = await living.first(LineUp)
                assert living.counters.get("connected") == 1
                loop.wish([send(up.line)])
                told = await living.first(Acknowledged)
                assert told == Acknowledged("c1", True, 200, "", "", None)
        assert gateway.targets == ["/api/v2/ws"]
        assert gateway.authorizations == ["Bearer tok/1+"]
        assert living.told[-1] == LineDown(up.line, "stopped")
        counters = living.counters.snapshot()
        assert (counters["updates_sent"], counters["acknowledgements"]) == (1, 1)
        assert (counters["connected"], counters["token_refreshes"]) == (0, 1)

    in_loop(test)
    update = {"type": "presence", "userId": "agent-1", "stateName": "busy", "reasonId": ""}
    assert received == [(update, "c1")]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
def test_a_negative_acknowledgement_is_told_as_it_is(status: int) -> None:
    async def script(socket: Socket) -> None:
        await bind(socket)
        await next_update(socket)
        socket.send(refusal("c1", status, retryAfterMs=750))
        await silent(socket)

    async def test() -> None:
        async with ScriptedGateway(script) as gateway:
            living = Living(gateway.url)
            async with living.running() as loop:
                loop.wish([send((await living.first(LineUp)).line)])
                told = await living.first(Acknowledged)
                assert told == Acknowledged("c1", False, status, "no", "No.", 750)
                assert living.all(LineDown) == []

    in_loop(test)


def test_a_socket_that_is_lost_in_mid_flight_is_told_and_replaced() -> None:
    async def first(socket: Socket) -> None:
        await bind(socket)
        await next_update(socket)
        socket.close(1012)

    async def second(socket: Socket) -> None:
        await bind(socket)
        await next_update(socket)
        socket.drop()

    async def test() -> None:
        async with ScriptedGateway(first, second, obliging) as gateway:
            living = Living(gateway.url)
            async with living.running() as loop:
                for n, reason in ((1, "closed with 1012"), (2, "closed with 1006")):
                    line = (await living.first(LineUp, n)).line
                    loop.wish([send(line, f"c{n}")])
                    assert await living.first(LineDown, n) == LineDown(line, reason)
                    assert living.all(Acknowledged) == []
                    loop.wish([send(line, f"too late {n}")])
                    assert await living.first(NotSent, n) == NotSent(f"too late {n}")
                loop.wish([send((await living.first(LineUp, 3)).line, "c1")])
                assert (await living.first(Acknowledged)).correlation == "c1"
                assert living.counters.get("updates_not_sent") == 2
                assert living.counters.get("lines_bound") == 3

    in_loop(test)


def test_a_half_open_socket_is_found_dead_and_cut() -> None:
    ended = asyncio.Event()

    async def first(socket: Socket) -> None:
        await bind(socket)
        await silent(socket)  # not even a pong
        ended.set()

    async def test() -> None:
        policy = replace(HASTY, ping_after_s=(0.1, 0.2), dead_after_s=0.5)
        async with ScriptedGateway(first, obliging) as gateway:
            living = Living(gateway.url, policy=policy)
            async with living.running():
                down = await living.first(LineDown)
                assert down == LineDown(1, "no frame and no pong for 0.5 s")
                await asyncio.wait_for(ended.wait(), 10.0)

    in_loop(test)


def test_a_pong_is_a_sign_of_life() -> None:
    pings: list[int] = []

    async def script(socket: Socket) -> None:
        await bind(socket)
        while True:
            opcode, payload = await socket.receive()
            if opcode == CLOSE:
                return
            assert opcode == PING
            pings.append(opcode)
            socket.send_raw(frame(payload, PONG))

    async def test() -> None:
        policy = replace(HASTY, ping_after_s=(0.1,), dead_after_s=10.0)
        async with ScriptedGateway(script) as gateway:
            living = Living(gateway.url, policy=policy)
            async with living.running():
                await until(lambda: len(pings) >= 3)  # a second one is due only behind a pong
                assert living.all(LineDown) == []

    in_loop(test)


def test_malformed_frames_are_counted_told_once_and_harm_nothing() -> None:
    async def script(socket: Socket) -> None:
        await bind(socket)
        await next_update(socket)
        socket.send(b"{", b"[]", b'{"type":"presence.ack"}')
        socket.send_raw(frame(ack("c1"), BINARY))
        socket.send(ack("c1"))
        await silent(socket)

    async def test() -> None:
        async with ScriptedGateway(script) as gateway:
            living = Living(gateway.url)
            with structlog.testing.capture_logs() as lines:
                async with living.running() as loop:
                    loop.wish([send((await living.first(LineUp)).line)])
                    await living.first(Acknowledged)
                    assert living.all(LineDown) == []
        assert living.counters.get("malformed_frames") == 4
        told = [line for line in lines if line["event"] == "line.frame_malformed"]
        assert [line["reason"] for line in told] == ["not JSON"]

    in_loop(test)


# Users, webhooks and time


def test_users_are_checked_and_who_is_asked_for_twice_at_once_is_asked_once() -> None:
    async def test() -> None:
        async with ScriptedGateway() as gateway:
            gateway.users = {"nobody": 404, "not ours": 403, "broken": 500}
            living = Living(gateway.url)
            async with living.running() as loop:
                names = ["ann", "ann", "nobody", "not ours", "broken"]
                loop.wish([CheckUser(name) for name in names])
                await living.first(UserChecked, 4)
                verdicts = {each.user_id: each.verdict for each in living.all(UserChecked)}
                assert verdicts == {
                    "ann": "exists",
                    "nobody": "missing",
                    "not ours": "forbidden",
                    "broken": "failed",
                }
                assert sorted(gateway.asked) == ["ann", "broken", "nobody", "not ours"]
                loop.wish([CheckUser("ann")])
                assert await living.first(UserChecked, 5) == UserChecked("ann", "exists", "")
                await living.until_count("users_spared", 1)
                assert living.counters.get("users_asked") == 4

    in_loop(test)


def test_a_user_check_renews_a_refused_token_for_all() -> None:
    async def test() -> None:
        async with ScriptedGateway() as gateway:
            living = Living(gateway.url)
            async with living.running() as loop:
                await living.first(LineUp)
                gateway.rejected = {"tok/1+"}
                loop.wish([CheckUser("ann")])
                assert (await living.first(UserChecked)).verdict == "exists"
                assert gateway.asked == ["ann", "ann"]
                assert gateway.tokens == 2

    in_loop(test)


def test_a_webhook_that_hangs_delays_no_update() -> None:
    async def test() -> None:
        async with ScriptedGateway() as gateway, WebhookReceiver(b"") as receiver:
            settings = SenderSettings(webhook=WebhookSettings(url=receiver.url))
            living = Living(gateway.url, settings)
            async with living.running() as loop:
                up = await living.first(LineUp)
                loop.wish([Deliver("msg_1", b"{}", 1_767_225_600)])
                await until(lambda: receiver.posts)
                loop.wish([send(up.line)])
                await living.first(Acknowledged)
                assert living.all(Delivered) == []

    in_loop(test)


def test_a_webhook_is_delivered() -> None:
    async def test() -> None:
        async with ScriptedGateway() as gateway, WebhookReceiver(answer(202)) as receiver:
            settings = SenderSettings(webhook=WebhookSettings(url=receiver.url))
            living = Living(gateway.url, settings)
            async with living.running() as loop:
                loop.wish([Deliver("msg_1", b'{"a":1}', 1_767_225_600)])
                told = await living.first(Delivered)
            assert told == Delivered("msg_1", True, 202, "answered with 202")
            assert receiver.posts[0].body == b'{"a":1}'
            assert living.counters.get("webhook_posts") == 1

    in_loop(test)


def test_the_newest_alarm_replaces_the_others_and_never_rings_early() -> None:
    async def test() -> None:
        async with ScriptedGateway() as gateway:
            living = Living(gateway.url)
            async with living.running() as loop:
                start_s = living.clock.now_s()
                loop.wish([WakeAt(start_s + 0.01), WakeAt(start_s + 0.3)])
                await living.first(Due)
                assert living.clock.now_s() >= start_s + 0.3
                loop.wish([WakeAt(start_s - 1.0)])
                await living.first(Due, 2)
                loop._on_alarm(living.clock.now_s() + 600.0)  # the loop's time is coarser
                assert len(living.all(Due)) == 2

    in_loop(test)


# The life of the loop


def test_what_is_wished_before_the_loop_lives_waits_for_it() -> None:
    async def test() -> None:
        async with ScriptedGateway() as gateway:
            living = Living(gateway.url)
            living.loop.wish([CheckUser("ann")])
            living.loop.wish([send(1)])
            async with living.running():
                assert await living.first(NotSent) == NotSent("c1"), "no line is up yet"
                await living.first(UserChecked)

    in_loop(test)


def test_wishes_of_another_thread_are_granted_in_their_order() -> None:
    async def test() -> None:
        async with ScriptedGateway() as gateway:
            living = Living(gateway.url)
            async with living.running() as loop:
                up = await living.first(LineUp)
                for n in range(50):
                    await asyncio.to_thread(loop.wish, [send(up.line, f"{n:03}")])
                await living.first(Acknowledged, 50)
                order = [each.correlation for each in living.all(Acknowledged)]
                assert all(before < after for before, after in pairwise(order))

    in_loop(test)


def test_a_stop_says_goodbye_to_the_gateway() -> None:
    received: list[tuple[int, bytes]] = []

    async def script(socket: Socket) -> None:
        await bind(socket)
        received.append(await socket.receive())

    async def test() -> None:
        async with ScriptedGateway(script) as gateway:
            living = Living(gateway.url)
            async with living.running() as loop:
                await living.first(LineUp)
                loop.stop()
                loop.stop()
            assert received == [(CLOSE, (1000).to_bytes(2, "big"))]
            loop.wish([send(1)])
            assert living.all(NotSent) == [], "nobody is left to grant it"

    in_loop(test)


def test_a_stop_that_comes_before_the_life_ends_it_at_once() -> None:
    async def test() -> None:
        async with ScriptedGateway() as gateway:
            living = Living(gateway.url)
            living.loop.stop()
            async with asyncio.timeout(10.0):
                await living.loop.live()
            assert living.all(LineUp) == []

    in_loop(test)


def test_a_mistake_of_ours_ends_the_loop_and_is_raised() -> None:
    async def test() -> None:
        async with ScriptedGateway() as gateway:
            living = Living(gateway.url)

            def careless(signal: object) -> None:
                raise KeyError("ours")

            living.loop._tell = careless
            with pytest.raises(KeyError, match="ours"):
                async with asyncio.timeout(10.0):
                    await living.loop.live()

    in_loop(test)


def test_the_default_policy_is_the_one_of_the_contract() -> None:
    policy = SenderPolicy()
    assert (policy.even_attempts, policy.even_gap_s, policy.bind_timeout_s) == (5, 1.0, 5.0)
    assert (policy.ping_after_s[0], policy.dead_after_s, policy.answers_s) == (15.0, 35.0, 5.0)
