"""Handshakes: what is valid leads to a socket, and what is not is named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.genesys.handshake import HEAD_BYTES_MAX, OddHandshakeError, read_answer, upgraded
from actors.genesys.websocket import may_be_sent

LINES = (
    b"HTTP/1.1 101 Switching Protocols",
    b"Upgrade: websocket",
    b"Connection: Upgrade",
    b"Sec-WebSocket-Accept: abc",
)
FRAME = b"\x81\x02{}"
CANONICAL = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: abc\r\n\r\n"
)


def head(*changes: tuple[int, bytes], more: bytes = b"") -> bytes:
    lines = list(LINES)
    for index, line in changes:
        lines[index] = line
    return b"\r\n".join(lines) + b"\r\n" + more + b"\r\n"


INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        head(),
        head((0, b"HTTP/1.1 101")),
        head((0, b"HTTP/1.1 101 ")),
        head((0, b"HTTP/1.1 101 null")),
        head((1, b"upgrade:WebSocket")),
        head((1, b"Upgrade: h2c, websocket")),
        head((2, b"Connection: keep-alive, Upgrade")),
        head((2, b"Connection: keep-alive\r\nConnection: upgrade")),
        head(more=b"X-Proxy: a\r\n b\r\n"),
        head(more=b"X-Server: caf\xe9\r\n"),
        head(more=b"Content-Length: 0\r\n"),
        head(more=b"Sec-WebSocket-Extensions:\r\n"),
        head(more=b"".join(b"Set-Cookie: c%d=%s\r\n" % (n, b"x" * 1000) for n in range(60))),
        b"HTTP/1.1 100 Continue\r\n\r\n" + head(),
        INTERIM * 3 + b"HTTP/1.1 102 P\r\n\r\n" + head(),
        b"\r\n" + head(),
        head().replace(b"\r\n", b"\n"),
    ],
)
def test_a_valid_answer_is_said_again_in_one_way_and_the_frames_are_kept(answer: bytes) -> None:
    found = read_answer(answer + FRAME)
    assert found is not None
    assert (upgraded(found), found.rest) == (CANONICAL, FRAME)


@pytest.mark.parametrize("answer", [INTERIM + head(), head()])
def test_it_may_come_byte_by_byte(answer: bytes) -> None:
    assert [read_answer(answer[:length]) for length in range(len(answer))] == [None] * len(answer)
    assert read_answer(answer) is not None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"\x15\x03\x01\x00\x02\x02\x28", "response is not HTTP"),
        (b"SSH-2.0-OpenSSH\r\n", "response is not HTTP"),
        (head((0, b"HTTP/1.1 abc What")), "status line"),
        (head((0, b"HTTP/1.0 101 S")), "HTTP/1.0"),
        (head(more=b"garbage\r\n"), "invalid header line in the response: b'garbage'"),
        (head(more=b"a b: c\r\n"), "invalid header line"),
        (head((1, b"Upgrade: h2c")), "Upgrade"),
        (head((2, b"Connection: close")), "Connection"),
        (head(more=b"Sec-WebSocket-Extensions: permessage-deflate\r\n"), "not requested: permess"),
        (head(more=b"Sec-WebSocket-Protocol: mqtt\r\n"), "not requested: mqtt"),
        (head(more=b"Transfer-Encoding: chunked\r\n"), "a body"),
        (head(more=b"Content-Length: 3\r\n"), "a body"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * HEAD_BYTES_MAX, "longer than"),
        (INTERIM * 20, "interim"),
    ],
)
def test_what_is_wrong_with_an_answer_is_named(answer: bytes, said: str) -> None:
    def judged() -> None:
        found = read_answer(answer)
        assert found is not None
        upgraded(found)

    with pytest.raises(OddHandshakeError, match=said):
        judged()


def test_of_a_refusal_status_and_headers_are_told() -> None:
    found = read_answer(b"HTTP/1.1 429 Too Many\r\nRetry-After: 5\r\nretry-after: 7\r\n\r\nbody")
    assert found is not None
    assert (found.status, found.headers["retry-after"], found.rest) == (429, "5, 7", b"body")


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda some: head() + some))
def test_no_bytes_raise_anything_else(received: bytes) -> None:
    try:
        answer = read_answer(received)
        if answer is not None and answer.status == 101:
            assert upgraded(answer).endswith(b"\r\n\r\n")
    except OddHandshakeError:
        pass


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4000, 4999])
def test_a_code_that_a_close_frame_may_bear(code: int) -> None:
    assert may_be_sent(code)


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535])
def test_and_one_that_none_may(code: int) -> None:
    assert not may_be_sent(code)
