"""Handshake: what a gateway's answer to the request for a WebSocket says, read by our own rules.

Pure: bytes in, an answer out (RFC 6455 §4.1, RFC 9112). picows takes one spelling of each header
and no interim answer; what stands between us and a gateway (proxies, balancers) writes lists,
`103 Early Hints` and folded lines. So the answer is judged here, and picows gets it in its own
words; what depends on its key it checks itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, NamedTuple

HEAD_BYTES_MAX: Final = 65_536  # of all answers together, whatever cookies they set
INTERIM_MAX: Final = 16
SHOWN_MAX: Final = 80
_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_STATUS_LINE: Final = re.compile(rb"HTTP/([0-9]\.[0-9]) +([0-9]{3})(?: .*)?", re.DOTALL)
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class OddHandshakeError(Exception):
    """It is none that HTTP knows, or promises what was not asked for. Its text is for a log."""


class Answer(NamedTuple):
    """The last answer. Headers by lower-case names; several of one name are one list."""

    status: int
    headers: Mapping[str, str]
    rest: bytes  # what follows the head: the first frames, of an upgrade


def read_answer(received: bytes) -> Answer | None:
    """None: more is to come. Raises OddHandshakeError."""
    for _ in range(INTERIM_MAX + 1):
        received = received.lstrip(b"\r\n")
        if received and not b"HTTP/".startswith(received[:5]) and not received.startswith(b"HTTP/"):
            raise OddHandshakeError(f"the response is not HTTP: {_shown(received)}")
        end = _HEAD_END.search(received)
        if end is None or end.start() > HEAD_BYTES_MAX:
            if len(received) > HEAD_BYTES_MAX:
                raise OddHandshakeError(
                    f"the response headers are longer than {HEAD_BYTES_MAX} bytes"
                )
            return None
        answer = _parsed(received[: end.start()], received[end.end() :])
        is_interim = 100 <= answer.status < 200
        if not is_interim or answer.status == HTTPStatus.SWITCHING_PROTOCOLS:
            return answer
        received = answer.rest
    raise OddHandshakeError(f"more than {INTERIM_MAX} interim responses without a final one")


def upgraded(answer: Answer) -> bytes:
    """A 101 in the words that picows understands. Raises OddHandshakeError for one that
    does not lead to the WebSocket that was asked for."""
    headers = answer.headers
    if "websocket" not in _tokens(headers, "upgrade"):
        raise OddHandshakeError("answered with 101, but the header Upgrade is not websocket")
    if "upgrade" not in _tokens(headers, "connection"):
        raise OddHandshakeError(
            "answered with 101, but the header Connection does not contain Upgrade"
        )
    for name in ("sec-websocket-extensions", "sec-websocket-protocol"):
        if chosen := headers.get(name, ""):
            raise OddHandshakeError(
                f"answered with {name}, which was not requested: {chosen[:SHOWN_MAX]}"
            )
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        raise OddHandshakeError("answered with 101 and a body")
    accept = headers.get("sec-websocket-accept", "").encode("latin-1")
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def _parsed(head: bytes, rest: bytes) -> Answer:
    lines = re.split(rb"\r?\n", head)
    status_line = _STATUS_LINE.fullmatch(lines[0])
    if status_line is None:
        raise OddHandshakeError(f"invalid status line in the response: {_shown(lines[0])}")
    version, status = status_line[1].decode(), int(status_line[2])
    if status == HTTPStatus.SWITCHING_PROTOCOLS and version != "1.1":
        raise OddHandshakeError(f"answered with 101 in HTTP/{version}, which cannot be upgraded")
    headers: dict[str, str] = {}
    name = ""
    for line in lines[1:]:
        text = line.decode("latin-1")
        if text[:1] in (" ", "\t") and name:  # folded, as of old
            headers[name] = f"{headers[name]} {text.strip()}".strip()
            continue
        name, colon, value = text.partition(":")
        if not colon or not _NAME.fullmatch(name):
            raise OddHandshakeError(f"invalid header line in the response: {_shown(line)}")
        name, value = name.lower(), value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return Answer(status, headers, rest)


def _tokens(headers: Mapping[str, str], name: str) -> set[str]:
    return {each.strip().lower() for each in headers.get(name, "").split(",")}


def _shown(line: bytes) -> str:
    """In one line, whatever it was."""
    return repr(line[:SHOWN_MAX])
