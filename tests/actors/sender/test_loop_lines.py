"""A sender's loop until its line is up: refusals, silence and tokens (protocol.md §1.1, §1.3)."""

from __future__ import annotations

from dataclasses import replace

import pytest
import structlog

from actors.sender.loop_life import TICK_S
from actors.sender.signals import (
    Acknowledged,
    LineDown,
    LineUp,
)
from runtime.errors import ConfigurationError
from tests.actors.receiver.rig import in_loop, until
from tests.actors.sender.living import HASTY, Living, send
from tests.gateway.loopback import Socket
from tests.gateway.scripted import (
    HANG,
    ScriptedGateway,
    ack,
    bind,
    next_update,
    obliging,
    refusal,
    silent,
)

# The handshake and the binding


def test_a_handshake_401_costs_one_more_token() -> None:
    async def test() -> None:
        async with ScriptedGateway() as gateway:
            gateway.rejected = {"tok/1+"}
            living = Living(gateway.url)
            async with living.running():
                await living.first(LineUp)
                host = gateway.url.partition("//")[2]
                said = f"{host}: handshake refused with 401"
                assert living.all(LineDown) == [LineDown(1, said)]
                assert gateway.authorizations == ["Bearer tok/1+", "Bearer tok/2+"]
                assert living.counters.get("handshake_refusals") == 1

    in_loop(test)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (
            403,
            "PORT: handshake refused with 403: the client lacks the scope presence:write",
        ),
        (429, "PORT: handshake refused with 429"),
        (500, "PORT: handshake refused with 500"),
        (302, "PORT: handshake answered with 302"),
    ],
)
def test_a_refused_handshake_says_why_and_is_tried_again(status: int, reason: str) -> None:
    async def test() -> None:
        async with ScriptedGateway() as gateway:
            gateway.statuses = [status]
            gateway.retry_after = "0"
            living = Living(gateway.url)
            async with living.running():
                await living.first(LineUp)
                expected = reason.replace("PORT", gateway.url.partition("//")[2])
                assert living.all(LineDown) == [LineDown(1, expected)]

    in_loop(test)


def test_a_handshake_429_is_not_repeated_before_it_may_be() -> None:
    async def test() -> None:
        async with ScriptedGateway() as gateway:
            gateway.statuses = [429]
            gateway.retry_after = "600"
            living = Living(gateway.url)
            with structlog.testing.capture_logs() as lines:
                async with living.running():
                    await living.first(LineDown)
            retries = [line["delay_s"] for line in lines if line["event"] == "line.retry"]
            assert retries == [600.0]
            assert len(gateway.targets) == 1

    in_loop(test)


def test_a_handshake_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.genesys.websocket.CONNECT_TIMEOUT_S", 0.2)

    async def test() -> None:
        async with ScriptedGateway() as gateway:
            gateway.statuses = [HANG]
            living = Living(gateway.url)
            async with living.running():
                down = await living.first(LineDown)
                host = gateway.url.partition("//")[2]
                assert down == LineDown(1, f"{host}: no handshake within 0.2 s")
                await living.first(LineUp)

    in_loop(test)


def test_a_binding_that_is_refused_or_not_answered_ends_the_line() -> None:
    async def refuses(socket: Socket) -> None:
        await socket.receive()
        socket.send(b'{"type":"error","message":"no such channel"}')
        await silent(socket)

    async def test() -> None:
        policy = replace(HASTY, bind_timeout_s=0.3)
        async with ScriptedGateway(refuses, silent, obliging) as gateway:
            living = Living(gateway.url, policy=policy)
            async with living.running():
                await living.first(LineUp)
        assert [each.reason for each in living.all(LineDown)] == [
            "not bound: neither a binding nor an acknowledgement",
            "not bound within 0.3 s",
            "stopped",
        ]

    in_loop(test)


# The token


def test_a_renewed_token_moves_the_line_when_its_answers_are_in() -> None:
    acknowledged = Acknowledged("c1", True, 200, "", "", None)
    policy = replace(HASTY, linger_s=0.0, answers_s=600.0)

    async def test() -> None:
        async def first(socket: Socket) -> None:
            await bind(socket)
            gateway.expires_in = 3600.0
            await next_update(socket)
            await until(lambda: LineUp(2) in living.told)
            since_s = living.loop.ticked_s
            await until(lambda: living.loop.ticked_s > since_s + 3 * TICK_S)
            socket.send(ack("c1"))
            await silent(socket)

        async with ScriptedGateway(first, obliging) as gateway:
            gateway.expires_in = 3.0
            living = Living(gateway.url, policy=policy)
            async with living.running() as loop:
                loop.wish([send((await living.first(LineUp)).line)])
                await living.first(LineDown)
                replaced = LineDown(1, "replaced")
                assert living.told == [LineUp(1), LineUp(2), acknowledged, replaced]
                assert living.counters.get("connected") == 1
                before, after = gateway.authorizations
                assert before != after

    in_loop(test)


def test_an_update_that_is_answered_with_401_brings_another_token() -> None:
    async def first(socket: Socket) -> None:
        await bind(socket)
        await next_update(socket)
        socket.send(refusal("c1", 401))
        await silent(socket)

    async def test() -> None:
        async with ScriptedGateway(first, obliging) as gateway:
            living = Living(gateway.url, policy=replace(HASTY, proven_after_s=0.0))
            async with living.running() as loop:
                loop.wish([send((await living.first(LineUp)).line)])
                await living.first(LineUp, 2)
                assert gateway.authorizations == ["Bearer tok/1+", "Bearer tok/2+"]

    in_loop(test)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_client_that_is_refused_at_the_start_is_a_mistake_in_the_settings(status: int) -> None:
    async def test() -> None:
        async with ScriptedGateway() as gateway:
            gateway.token_statuses = [status]
            living = Living(gateway.url)
            with pytest.raises(ConfigurationError, match=f"refused with {status}"):
                await living.loop.live()
            assert gateway.targets == []

    in_loop(test)


def test_a_client_that_is_refused_in_service_is_waited_for() -> None:
    async def test() -> None:
        async with ScriptedGateway() as gateway:
            gateway.token_statuses = [401]
            living = Living(gateway.url)
            living.counters.set("token_refreshes", 1)  # by a predecessor
            living.loop = living.make()
            async with living.running():
                down = await living.first(LineDown)
                host = gateway.url.partition("//")[2]
                assert down == LineDown(1, f"{host}: the token request was refused with 401")
                await living.until_count("token_failures", 1)

    in_loop(test)


def test_the_token_is_in_no_line_of_the_log() -> None:
    async def test() -> None:
        async with ScriptedGateway() as gateway:
            gateway.statuses = [401, 403, 500, 302]
            living = Living(gateway.url)
            with structlog.testing.capture_logs() as lines:
                async with living.running():
                    await living.first(LineUp)
                    gateway.sockets[-1].drop()
                    await living.first(LineUp, 2)
        assert len(lines) > 10
        assert "tok/" not in str(lines)
        assert "tok/" not in str(living.told)
        assert "hunter2" not in str(lines)

    in_loop(test)
