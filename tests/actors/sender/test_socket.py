"""One line's socket against a gateway of a page: how it is opened, bound and ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from actors.genesys import presence
from actors.genesys.presence import InvalidPresenceFrame
from actors.genesys.tokens import TokenUnavailableError
from actors.sender import line_signals as words
from actors.sender.socket import PresenceSocket
from tests.actors.receiver.rig import in_loop, until
from tests.actors.sender.socket_line import Line, open_line, then
from tests.gateway.loopback import BINARY, CLOSE, Socket, frame
from tests.gateway.scripted import BOUND, HANG, ack, bind, silent

# Opening


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_refused_handshake_says_its_status(status: int) -> None:
    async def test() -> None:
        async with open_line() as (line, gateway):
            gateway.statuses = [status]
            gateway.retry_after = "17"
            host = gateway.url.partition("//")[2]
            assert await line.end() == words.Refused(7, status, 17.0, host)
            assert line.told == []

    in_loop(test)


def test_a_redirect_is_not_followed() -> None:
    async def test() -> None:
        async with open_line() as (line, gateway):
            gateway.statuses = [302]
            host = gateway.url.partition("//")[2]
            reason = f"{host}: handshake answered with 302"
            assert await line.end() == words.Unreachable(7, reason)
            assert len(gateway.targets) == 1

    in_loop(test)


def test_a_handshake_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.genesys.websocket.CONNECT_TIMEOUT_S", 0.1)

    async def test() -> None:
        async with open_line() as (line, gateway):
            gateway.statuses = [HANG]
            host = gateway.url.partition("//")[2]
            assert await line.end() == words.Unreachable(7, f"{host}: no handshake within 0.1 s")

    in_loop(test)


def test_a_gateway_that_is_not_there_is_unreachable() -> None:
    async def test() -> None:
        async with open_line() as (line, gateway):
            assert gateway._server is not None
            gateway._server.close()
            await gateway._server.wait_closed()
            end = await line.end()
        assert isinstance(end, words.Unreachable)
        assert "refused" in end.reason.lower()

    in_loop(test)


def test_a_connection_that_ends_before_the_answer_is_unreachable() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    async def test() -> None:
        async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
            line = Line(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            end = await line.end()
        assert isinstance(end, words.Unreachable)

    in_loop(test)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 999 x\r\n\r\n",
    ],
)
def test_an_answer_that_is_no_handshake_shows_no_token(answer: bytes) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        assert b"Bearer tok/1+" in request
        writer.write(answer.replace(b"x\r\n", b"Bearer tok/1+\r\n"))
        await reader.read()
        writer.close()

    async def test() -> None:
        async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
            line = Line(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            end = await line.end()
        assert isinstance(end, words.Unreachable), end
        assert "tok/1+" not in end.reason

    in_loop(test)


def test_without_a_token_no_socket_is_opened() -> None:
    async def test() -> None:
        async with open_line() as (line, gateway):
            line.tokens.failure = TokenUnavailableError("no token within 10 s", 3.5)
            assert await line.end() == words.TokenMissing(7, "no token within 10 s", 3.5)
            assert gateway.targets == []

    in_loop(test)


# Binding


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (frame(b"no"), presence.REASON_NOT_JSON),
        (frame(BOUND, BINARY), presence.REASON_BINARY),
        (frame(b'{"type":"subscribed","channel":"x"}'), presence.REASON_NOT_BOUND),
        (frame(b'{"type":"error"}'), presence.REASON_NO_TYPE),
    ],
)
def test_a_first_frame_that_binds_nothing_is_told_with_its_reason(
    first: bytes, reason: str
) -> None:
    async def script(socket: Socket) -> None:
        await socket.receive()
        socket.send_raw(first)
        await silent(socket)

    async def test() -> None:
        async with open_line(script) as (line, _):
            end = asyncio.ensure_future(line.end())
            await until(lambda: len(line.told) == 3)
            assert line.told[1:] == [InvalidPresenceFrame(reason), words.NotBound(7, reason)]
            assert not line.socket.can_send
            line.socket.close(1002)
            assert await end == words.Lost(7, 1002)

    in_loop(test)


def test_an_acknowledgement_before_the_binding_is_none() -> None:
    async def script(socket: Socket) -> None:
        await socket.receive()
        socket.send(ack("c1"))
        await silent(socket)

    async def test() -> None:
        async with open_line(script) as (line, _):
            end = asyncio.ensure_future(line.end())
            await until(lambda: len(line.told) == 2)
            assert line.told[1] == words.NotBound(7, "unexpected acknowledgement")
            line.socket.abort()
            assert await end == words.Lost(7, 1006)

    in_loop(test)


# What we do


def test_an_update_is_one_binary_frame() -> None:
    received: list[tuple[int, bytes]] = []

    async def script(socket: Socket) -> None:
        await bind(socket)
        received.append(await socket.receive())
        socket.drop()

    async def test() -> None:
        async with open_line(script) as (line, _):
            end = asyncio.ensure_future(line.end())
            await until(lambda: line.socket.can_send)
            line.socket.send(b"{}|corr:c1")
            await end
            assert not line.socket.can_send

    in_loop(test)
    assert received == [(BINARY, b"{}|corr:c1")]


@pytest.mark.parametrize(
    "act", [lambda socket: socket.close(1000), lambda socket: socket.abort()], ids=["close", "cut"]
)
def test_a_line_that_we_end_hands_on_nothing_more(act: Callable[[PresenceSocket], None]) -> None:
    async def script(socket: Socket) -> None:
        await bind(socket)
        while (await socket.receive())[0] != CLOSE:
            socket.send(ack("c1"))
        socket.send(ack("behind our close"))
        await asyncio.Event().wait()

    async def test() -> None:
        async with open_line(script) as (line, _):
            end = asyncio.ensure_future(line.end())
            await until(lambda: line.socket.can_send)
            act(line.socket)
            assert not line.socket.can_send
            line.socket.send(b"dropped")
            assert isinstance(await end, words.Lost)
            assert line.heard == []

    in_loop(test)


def test_a_line_that_was_given_up_during_its_handshake_is_cut_when_it_opens() -> None:
    async def test() -> None:
        async with open_line() as (line, gateway):
            end = asyncio.ensure_future(line.end())
            line.socket.close(1000)
            assert isinstance(await end, words.Unreachable)
            assert line.told == []
            assert gateway.targets == ["/api/v2/ws"]

    in_loop(test)


def test_the_token_goes_into_a_header_and_not_into_the_url() -> None:
    async def test() -> None:
        async with open_line(then(frame(b"", CLOSE))) as (line, gateway):
            await line.end()
            assert gateway.targets == ["/api/v2/ws"]
            assert gateway.authorizations == ["Bearer tok/1+"]

    in_loop(test)
