"""Handshakes as gateways and what stands before them answer: valid ones open, others are named.

Also what a server may not send after one: close codes and control frames are answered as RFC 6455
says, by the sockets of the product.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable

import pytest

from actors.sender import line_signals
from tests.actors.receiver.rig import Rig, in_loop, until
from tests.actors.sender.socket_line import open_line
from tests.cases.raw_server import HEARTBEAT, Answer, opening_of, switching
from tests.gateway.loopback import CLOSE, PING, Socket, frame
from tests.gateway.scripted import ScriptedGateway, bind


def lower_names(request: bytes) -> bytes:
    return switching(
        request, upgrade=b"upgrade: WebSocket", connection=b"connection: upgrade"
    ).replace(b"Sec-WebSocket-Accept", b"sec-websocket-accept")


def cookies(request: bytes) -> bytes:
    lines = (b"Set-Cookie: c%d=%s\r\n" % (i, b"x" * 1000) for i in range(30))
    return switching(request, more=b"".join(lines))


def bare_feeds(request: bytes) -> bytes:
    return switching(request).replace(b"\r\n", b"\n")


def with_headers(lines: bytes) -> Answer:
    return lambda request: switching(request, more=lines)


def with_status(line: bytes) -> Answer:
    return lambda request: switching(request, status=line)


def before(interim: bytes) -> Answer:
    return lambda request: interim + switching(request)


def with_frames(frames: bytes) -> Answer:
    return lambda request: switching(request, then=frames)


def only(answer: bytes) -> Answer:
    return lambda request: answer


def refusing(status: bytes, *lines: bytes, body: bytes = b"") -> Answer:
    return only(b"HTTP/1.1 " + b"\r\n".join((status, *lines)) + b"\r\n\r\n" + body)


EMPTY = b"Content-Length: 0"
COMPRESSION = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"


# -- what is valid opens ---------------------------------------------------------------------------

VALID = [
    pytest.param(switching, id="plain"),
    pytest.param(with_status(b"HTTP/1.1 101 null"), id="101 null"),
    pytest.param(with_status(b"HTTP/1.1 101 "), id="101 with an empty reason"),
    pytest.param(lower_names, id="header names in lower case"),
    pytest.param(
        lambda request: switching(
            request, upgrade=b"Upgrade:websocket", connection=b"Connection:upgrade"
        ),
        id="no space after the colon",
    ),
    pytest.param(
        lambda request: switching(request, connection=b"Connection: keep-alive, Upgrade"),
        id="Connection as a list",
    ),
    pytest.param(with_headers(b"X-Server: caf\xe9\r\n"), id="Latin-1 in a header"),
    pytest.param(
        before(b"HTTP/1.1 100 Continue\r\n\r\n"), id="100 before the 101"
    ),
    pytest.param(
        before(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"),
        id="103 before the 101",
    ),
    pytest.param(
        lambda request: switching(request, connection=b"Connection: x\r\nConnection: Upgrade"),
        id="Connection in two lines",
    ),
    pytest.param(lambda request: [bytes([c]) for c in switching(request)], id="byte by byte"),
]  # fmt: skip


@pytest.mark.parametrize("answer", VALID)
def test_a_valid_handshake_opens(answer: Answer) -> None:
    opening = opening_of(answer)
    assert opening.is_open, opening
    assert opening.has_heartbeat, opening
    assert opening.code == 1006, "it ended without a close frame"


@pytest.mark.parametrize("host", ["localhost", "localhost."])
def test_a_host_is_found_by_its_name_or_named_as_unreachable(host: str) -> None:
    opening = opening_of(switching, host)
    if opening.is_open or host == "localhost":
        assert opening.has_heartbeat, opening
    else:  # a resolver may not know the trailing dot of a host in a file
        assert "gaierror" in opening.refusal


# -- what is not valid is named --------------------------------------------------------------------

NAMED = [
    pytest.param(with_headers(b"garbage\r\n"), "garbage", id="a header without a colon"),
    pytest.param(
        with_headers(COMPRESSION), "xtension", id="an extension not offered"
    ),
    pytest.param(
        lambda request: switching(
            request, more=COMPRESSION, then=frame(b"abc", rsv=4)
        ),
        "xtension",
        id="an extension not offered and a frame of it",
    ),
    pytest.param(
        with_headers(b"Sec-WebSocket-Protocol: mqtt\r\n"),
        "rotocol",
        id="a subprotocol not asked for",
    ),
    pytest.param(lambda request: switching(request, accept=b"AAAA"), "accept", id="wrong accept"),
    pytest.param(
        with_status(b"HTTP/1.0 101 Switching Protocols"), "1.0", id="HTTP/1.0 101"
    ),
    pytest.param(
        refusing(b"200 OK", b"Content-Type: text/html", b"Content-Length: 13",
                 body=b"<html></html>"),
        "200",
        id="200 of a captive portal",
    ),
    pytest.param(refusing(b"999 What", EMPTY), "999", id="999"),
    pytest.param(refusing(b"abc What", EMPTY), "abc", id="a status that is no number"),
    pytest.param(
        refusing(b"301 Moved", b"Location: ws://127.0.0.1:1/x", EMPTY), "301", id="301"
    ),
    pytest.param(only(b""), "", id="closes without a word"),
    pytest.param(only(b"\x15\x03\x01\x00\x02\x02\x28"), "", id="a TLS alert"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "word"), NAMED)
def test_an_answer_that_is_no_valid_handshake_is_named(answer: Answer, word: str) -> None:
    opening = opening_of(answer)
    assert not opening.is_open, opening
    assert opening.refusal, "neither open nor refused"
    assert word in opening.refusal
    assert opening.status is None


LENIENT = [
    pytest.param(with_status(b"HTTP/1.1 101"), "status line", id="101 without a reason and space"),
    pytest.param(with_headers(b"X-Proxy: a\r\n b\r\n"), "olded", id="a folded header"),
    pytest.param(cookies, "headers", id="30 kB of cookies"),
    pytest.param(bare_feeds, "", id="bare line feeds"),
]


@pytest.mark.parametrize(("answer", "word"), LENIENT)
def test_what_a_lenient_client_may_read_opens_or_is_named(answer: Answer, word: str) -> None:
    opening = opening_of(answer)
    if opening.is_open:
        assert opening.has_heartbeat, opening
    else:
        assert opening.refusal, "neither open nor refused"
        assert word in opening.refusal


REFUSALS = [
    pytest.param(
        refusing(b"426 Upgrade Required", b"Content-Length: 2", body=b"no"), 426, id="426"
    ),
    pytest.param(refusing(b"429 Too Many", b"Retry-After: 0", EMPTY), 429, id="429 after 0"),
    pytest.param(
        refusing(b"429 Too Many", b"Retry-After: Wed, 21 Oct 2026 07:28:00 GMT", EMPTY),
        429,
        id="429 after a date",
    ),
    pytest.param(
        refusing(b"503 Unavailable", b"Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n"),
        503,
        id="503 in chunks",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "status"), REFUSALS)
def test_a_refusal_says_its_status(answer: Answer, status: int) -> None:
    opening = opening_of(answer)
    assert (opening.is_open, opening.status) == (False, status)
    assert str(status) in opening.refusal
    assert "127.0.0.1:" in opening.refusal


def test_a_refusal_until_a_date_says_how_long() -> None:
    line = b"Retry-After: Fri, 31 Dec 2060 23:59:59 GMT"
    opening = opening_of(refusing(b"429 Too Many", line, EMPTY))
    assert opening.retry_after_s is not None
    assert opening.retry_after_s >= 60.0


# -- frames that break the protocol ----------------------------------------------------------------


def closing(payload: bytes) -> bytes:
    return HEARTBEAT + frame(payload, CLOSE)


BROKEN = [
    pytest.param(closing(b"\x03"), 1002, id="close with one byte"),
    pytest.param(closing(struct.pack(">H", 1001) + b"\xff\xfe"), 1007, id="close reason no UTF-8"),
    pytest.param(closing(struct.pack(">H", 1001) + b"x" * 200), 1002, id="close reason of 200"),
    pytest.param(frame(b"x" * 200, PING) + HEARTBEAT, 1002, id="ping of 200"),
    pytest.param(
        frame(b"x", PING, fin=False) + frame(b"y", 0) + HEARTBEAT, 1002, id="fragmented ping"
    ),
    pytest.param(frame(b"x", 3) + HEARTBEAT, 1002, id="opcode 3"),
    pytest.param(b"\x81\x82\0\0\0\0{}" + HEARTBEAT, 1002, id="a masked frame"),
]


@pytest.mark.parametrize(("frames", "code"), BROKEN)
def test_a_frame_that_breaks_the_protocol_ends_the_socket_with_a_code(
    frames: bytes, code: int
) -> None:
    opening = opening_of(with_frames(frames))
    assert opening.is_open
    assert opening.code == code


SENDABLE = (*range(1000, 1004), *range(1007, 1015), 3000, 4000, 4001, 4999)
REFUSED_BY_PICOWS = (1004, 1005, 1015, 1016, 2999)
GIVEN_BACK = (1006, 5000, 0, 65535)
UNSENDABLE = [
    *(pytest.param(code, id=str(code)) for code in REFUSED_BY_PICOWS),
    *(pytest.param(code, id=str(code)) for code in GIVEN_BACK),
]

Ends = Callable[[int], Awaitable[int]]
"""From the code of the server's close frame to that of the client's answer."""


async def answer_to(socket: Socket, code: int) -> int:
    socket.send_raw(frame(struct.pack(">H", code) + b"why", CLOSE))
    while True:
        opcode, payload = await socket.receive()
        if opcode == CLOSE:
            return int(struct.unpack(">H", payload[:2])[0]) if payload else 1005


async def sender_answers(code: int) -> int:
    answers: list[int] = []

    async def script(socket: Socket) -> None:
        await bind(socket)
        answers.append(await answer_to(socket, code))

    async with open_line(script) as (line, _):
        end = await line.end()
        assert isinstance(end, line_signals.Lost)
        await until(lambda: answers)
    return answers[0]


async def receiver_answers(code: int) -> int:
    answers: list[int] = []

    async def script(socket: Socket) -> None:
        await socket.acknowledge(100)
        answers.append(await answer_to(socket, code))
        await asyncio.Event().wait()

    async with ScriptedGateway(script) as gateway, Rig(gateway.url).living():
        await until(lambda: answers)
    return answers[0]


def answered(ends: Ends, code: int) -> int:
    answers: list[int] = []

    async def run() -> None:
        answers.append(await ends(code))

    in_loop(run)
    return answers[0]


SOCKETS = [
    pytest.param(sender_answers, id="sender"),
    pytest.param(receiver_answers, id="receiver"),
]


@pytest.mark.parametrize("ends", SOCKETS)
@pytest.mark.parametrize("code", SENDABLE)
def test_a_close_code_that_may_be_sent_is_given_back(ends: Ends, code: int) -> None:
    assert answered(ends, code) == code


@pytest.mark.parametrize("ends", SOCKETS)
@pytest.mark.parametrize("code", UNSENDABLE)
def test_a_close_code_that_may_not_be_sent_is_answered_with_1002(ends: Ends, code: int) -> None:
    assert answered(ends, code) == 1002
