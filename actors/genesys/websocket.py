"""Owns how a WebSocket of Genesys is opened, and how one that is gone has ended.

It knows neither dialect nor session: whoever opens one brings the listener (protocol.md §1.2).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, cast
from urllib.parse import quote

import picows
from picows import WSListener, WSTransport

from actors.genesys.http import Reach, retry_after_s
from actors.genesys.reconnect import CLOSED_WITHOUT_CODE, CLOSED_WITHOUT_FRAME
from actors.genesys.secret import Secret
from actors.log import MASK
from runtime.errors import RemoteError

CONNECT_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 2.0  # after our close frame; then the connection is cut

# At its debug level picows writes the request, and the token is in it.
_SILENT = logging.Logger("picows", logging.CRITICAL + 1)


class HandshakeRefusedError(RemoteError):
    """The handshake was answered with an HTTP status that says no."""

    def __init__(self, status: int, after_s: float | None) -> None:
        super().__init__(f"handshake refused with {status}")
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
    way: Reach,
    *,
    token: Secret,
    frame_bytes_max: int,
    headers: Mapping[str, str] | None = None,
) -> WSTransport:
    """The transport of a done handshake; `listener` was told of it before this returns.

    Raises HandshakeRefusedError, UnreachableError, and what is our own mistake as it is. `token`
    stands in the URL or in a header, and in no error.
    """
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            transport, _ = await picows.ws_connect(
                lambda _request, _response: listener,
                url,
                ssl_context=way.ssl_context,
                proxy=way.proxy,
                proxy_ssl_context=way.proxy_ssl_context,
                websocket_handshake_timeout=CONNECT_TIMEOUT_S,
                enable_auto_pong=False,  # a PING is a sign of life, and the listener answers it
                max_frame_size=frame_bytes_max,
                max_redirects=0,  # a redirect would be logged, and the token with it
                extra_headers=headers,
                logger_name=_SILENT,
            )
    except picows.WSInvalidStatusError as error:
        raise _refusal(error) from None
    except TimeoutError:
        raise UnreachableError(f"no handshake within {CONNECT_TIMEOUT_S:g} s") from None
    except (picows.WSError, OSError, ValueError, EOFError) as error:
        raise UnreachableError(_shown(error, token)) from None
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "python_socks":  # a proxy's refusal
            raise
        raise UnreachableError(_shown(error, token)) from None
    return transport


def _refusal(error: picows.WSInvalidStatusError) -> RemoteError:
    assert error.response is not None, error
    status = int(error.response.status)
    if status < HTTPStatus.BAD_REQUEST:
        return UnreachableError(f"handshake answered with {status}")
    return HandshakeRefusedError(status, retry_after_s(error.response.headers.get("Retry-After")))


def _shown(error: Exception, token: Secret) -> str:
    """For a log. Some of picows' errors quote the URL."""
    text = str(error)
    for spelt in (token.reveal(), quote(token.reveal(), safe="")):
        text = text.replace(spelt, MASK)
    return f"{type(error).__name__}: {text}"


def close_code(transport: WSTransport) -> int:
    """Of whoever closed first; 1005: without a code, 1006: without a close frame."""
    # picows' stub knows neither that it may be None nor that codes are numbers.
    handshake = cast("Any", transport.close_handshake)
    if handshake is None:
        return CLOSED_WITHOUT_FRAME
    first = handshake.recv if handshake.recv_then_sent else handshake.sent
    return int(first.code) or CLOSED_WITHOUT_CODE
