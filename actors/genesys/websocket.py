"""Owns how a WebSocket of Genesys is opened, and how one that is gone has ended.

It knows neither dialect nor session: whoever opens one brings the listener (protocol.md §1.2).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import quote, urlsplit

import picows
from picows import WSListener, WSTransport
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # its stub leaves it out
from picows.proxy import ConnectedSocket, connect_through_optional_proxy
from picows.url import parse_url

from actors.genesys.handshake import Answer, OddHandshakeError, read_answer, upgraded
from actors.genesys.http import Route, host_of, through
from actors.genesys.reconnect import CLOSED_WITHOUT_CODE, CLOSED_WITHOUT_FRAME, refusal_of
from actors.genesys.retry_after import retry_after_s
from actors.genesys.secret import Secret
from runtime.clock import SystemClock
from runtime.errors import RemoteError
from runtime.log import MASK

END_OF_STATUSES: Final = 600
CLOSED_OVER_PROTOCOL: Final = 1002
READ_BUFFER_BYTES: Final = 16_384
UNSENT_BYTES_MAX: Final = 16_384
"""Of what a peer has not read yet; while there is more, its PINGs are not answered."""
CONNECT_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 2.0  # after our close frame; then the connection is cut

# At its debug level picows writes the request, and the token is in it.
_SILENT = logging.Logger("picows", logging.CRITICAL + 1)


class HandshakeRefusedError(RemoteError):
    """The handshake was answered with an HTTP status that says no. `at`: by whom."""

    def __init__(self, status: int, after_s: float | None, at: str) -> None:
        super().__init__(refusal_of(status, at))
        self.at = at
        self.status = status
        self.retry_after_s = after_s


class UnreachableError(RemoteError):
    """No handshake: name, network, proxy, TLS, timeout, or no HTTP at all."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def open_socket(
    listener: WSListener,
    url: str,
    route: Route,
    *,
    token: Secret,
    frame_bytes_max: int,
    headers: Mapping[str, str] | None = None,
) -> WSTransport:
    """The transport of a done handshake; `listener` was told of it before this returns.

    Raises HandshakeRefusedError, UnreachableError, and what is our own mistake as it is. `token`
    stands in the URL or in a header, and in no error.
    """
    at = f"{host_of(url)}{through(route.proxy)}"

    def reader() -> _Reader:
        parts = urlsplit(url)
        return _Reader(
            at,
            WSProtocol(
                host_port=parts.netloc,
                ws_path=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
                is_client_side=True,
                ws_listener_factory=lambda _request, _response: listener,
                logger=_SILENT,
                disconnect_on_exception=True,
                websocket_handshake_timeout=None,  # ours holds for all that comes before as well
                enable_auto_ping=False,
                auto_ping_idle_timeout=None,
                auto_ping_reply_timeout=None,
                auto_ping_strategy=picows.WSAutoPingStrategy.PING_WHEN_IDLE,
                enable_auto_pong=False,  # a PING is a sign of life, and the listener answers it
                max_frame_size=frame_bytes_max,
                extra_headers=headers,
                read_buffer_init_size=READ_BUFFER_BYTES,
            ),
        )

    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            return await _opened(await _connected(url, route, reader))
    except TimeoutError:
        raise UnreachableError(f"{at}: no handshake within {CONNECT_TIMEOUT_S:g} s") from None
    except (OddHandshakeError, UnreachableError) as error:
        raise UnreachableError(_shown(at, str(error), token)) from None
    except (picows.WSError, OSError, ValueError, EOFError) as error:
        raise UnreachableError(_shown(at, f"{type(error).__name__}: {error}", token)) from None
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "python_socks":  # a proxy's refusal
            raise
        raise UnreachableError(_shown(at, f"{type(error).__name__}: {error}", token)) from None


class _Reader(asyncio.Protocol):
    """Stands before picows until the gateway has answered, and hands on what follows."""

    def __init__(self, at: str, behind: Any) -> None:
        self.behind = behind
        self._at = at
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.behind.connection_made(transport)  # which sends the request

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self.answered.done():
            return
        try:
            answer = read_answer(self._received)
            if answer is not None:
                self._judge(answer)
        except (OddHandshakeError, RemoteError) as error:
            self.answered.set_exception(error)

    def _judge(self, answer: Answer) -> None:
        assert self.transport is not None, "connected before it reads"
        if answer.status != HTTPStatus.SWITCHING_PROTOCOLS:
            raise _refusal(answer, self._at)
        words = upgraded(answer)
        self.transport.set_protocol(self.behind)
        self._hand_on(words + answer.rest)
        self.answered.set_result(None)

    def _hand_on(self, data: bytes) -> None:
        """As the transport would: as much at a time as there is room for."""
        while data:
            room = self.behind.get_buffer(-1)
            part, data = data[: len(room)], data[len(room) :]
            room[: len(part)] = part
            self.behind.buffer_updated(len(part))

    def connection_lost(self, error: Exception | None) -> None:
        self.behind.connection_lost(error)
        if not self.answered.done():
            lost = error or EOFError("the connection was closed before the handshake was answered")
            self.answered.set_exception(lost)

    def pause_writing(self) -> None:
        self.behind.pause_writing()

    def resume_writing(self) -> None:
        self.behind.resume_writing()


async def _connected(url: str, route: Route, reader: Callable[[], _Reader]) -> _Reader:
    """Over the proxy, if there is one, and TLS, if the URL says so."""
    loop = asyncio.get_running_loop()
    target = parse_url(url)
    tls = route.ssl_context if target.is_secure else None
    host = target.host.rstrip(".")  # certificates bear none, and some resolvers know none with it
    if route.proxy is None:
        _, found = await loop.create_connection(reader, host, target.port, ssl=tls)
        return found
    proxy = parse_url(route.proxy, check_scheme=False)
    tunnel = await connect_through_optional_proxy(
        loop, target, proxy, None, tls, route.proxy_ssl_context, {}, loop.create_connection
    )
    if isinstance(tunnel, ConnectedSocket):
        name = host if tls is not None else None
        _, found = await loop.create_connection(
            reader, sock=tunnel.sock, ssl=tls, server_hostname=name
        )
        return found
    transport: asyncio.Transport | None = tunnel.transport
    assert transport is not None
    try:
        if tls is not None:
            before = transport.get_protocol()
            transport = await loop.start_tls(transport, before, tls, server_hostname=host)
            if transport is None:
                raise ConnectionError("closed while TLS was started")
        found = reader()
        transport.set_protocol(found)
        found.connection_made(transport)
    except BaseException:
        tunnel.transport.abort()
        raise
    return found


async def _opened(reader: _Reader) -> WSTransport:
    try:
        await reader.answered
        await reader.behind.wait_until_handshake_complete()
    except BaseException:
        if reader.transport is not None:
            reader.transport.abort()
        raise
    return cast("WSTransport", reader.behind.transport)


def _refusal(answer: Answer, at: str) -> RemoteError:
    asked_s = retry_after_s(
        answer.headers.get("retry-after"),
        date=answer.headers.get("date"),
        wall_us=SystemClock().wall_us(),
    )
    if HTTPStatus.BAD_REQUEST <= answer.status < END_OF_STATUSES:
        return HandshakeRefusedError(answer.status, asked_s, at)
    return UnreachableError(f"handshake answered with {answer.status}")


def _shown(at: str, text: str, token: Secret) -> str:
    """For a log. Some errors quote the URL."""
    for spelt in (token.reveal(), quote(token.reveal(), safe="")):
        text = text.replace(spelt, MASK)
    return f"{at}: {text}"


def may_be_sent(code: int) -> bool:
    """Whether a close frame may bear it (RFC 6455 §7.4)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def close_code(transport: WSTransport) -> int:
    """Of whoever closed first; 1005: without a code, 1006: without a close frame."""
    # picows' stub knows neither that it may be None nor that codes are numbers.
    handshake = cast("Any", transport.close_handshake)
    if handshake is None:
        return CLOSED_WITHOUT_FRAME
    first = handshake.recv if handshake.recv_then_sent else handshake.sent
    code = int(first.code)
    if handshake.recv_then_sent and not may_be_sent(code):
        # 0 is also picows' word for none; what was answered then, or a reason, tells them apart.
        was_refused = (
            handshake.sent is not None and int(handshake.sent.code) == CLOSED_OVER_PROTOCOL
        )
        is_none = code == 0 and not first.reason and not was_refused
        return CLOSED_WITHOUT_CODE if is_none else CLOSED_OVER_PROTOCOL
    return code or CLOSED_WITHOUT_CODE
