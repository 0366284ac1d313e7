"""Owns how Genesys is reached: address, TLS and proxy, decided once for HTTP and sockets alike.

It knows no token and no dialect. httpx would trust certifi and read the environment, picows would
trust the system and read nothing (protocol.md §1.1): both are given the same decision instead.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from actors.genesys.proxy import proxy_for, without_password
from actors.storage.text_file import LATIN, EncodingError, text_of
from runtime.errors import ConfigurationError

REQUEST_TIMEOUT_S = 10.0
READ_BYTES = 16_384
ENCODINGS = "gzip, deflate"  # those that are unpacked in steps
GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
BODY_TIMEOUT_S = 1.0  # for a body that nobody reads


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayAddress:
    """Where the gateway is and who we are. Travels to the children, so it holds no secret itself.

    `credentials()` gives client id and client secret as they stand now: files are read again at
    each call. It raises ConfigurationError for a file that it cannot read.
    """

    api_url: str  # without a trailing slash
    credentials: Callable[[], tuple[str, str]] = field(repr=False)
    token_url: str | None = None  # None: where the wsp dialect has tokens, below `api_url`
    ca_file: Path | None = None  # trusted beside the system's certificates
    proxy: str | None = field(
        default=None, repr=False
    )  # may hold a password; wins over HTTPS_PROXY

    @property
    def websocket_url(self) -> str:
        """The same host for sockets: ws for http, wss for https."""
        assert self.api_url.startswith(("http://", "https://")), "checked by the settings"
        return "ws" + self.api_url.removeprefix("http")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The one decision about TLS and proxy."""

    ssl_context: ssl.SSLContext = field(repr=False)
    proxy: str | None = field(repr=False)

    @property
    def proxy_ssl_context(self) -> ssl.SSLContext | None:
        """For a proxy that itself speaks TLS; picows wants none for any other."""
        is_secure = self.proxy is not None and self.proxy.lower().startswith("https://")
        return self.ssl_context if is_secure else None


def host_of(url: str) -> str:
    """Host, and port if it is no usual one: for messages. Of nothing else in a URL is that safe."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "?", parts.port
    except ValueError:
        return "?"
    host = f"[{host}]" if ":" in host else host
    return host if port is None else f"{host}:{port}"


def through(proxy: str | None) -> str:
    """How a message goes on that has named a host: by which proxy, if there is one."""
    return f" through the proxy {without_password(proxy)}" if proxy else ""


def reach(address: GatewayAddress, environment: Mapping[str, str] = os.environ) -> Route:
    """Decide how to get to this address. Raises ConfigurationError for a bad `ca_file` or
    `HTTPS_PROXY`."""
    return Route(
        ssl_context=_ssl_context(address.ca_file),
        proxy=proxy_for(address.api_url, address.proxy, environment),
    )


def place_of(address: GatewayAddress, url: str | None = None) -> str:
    """Whom a failed request was to reach, and by which proxy: for its message."""
    proxy = proxy_for(address.api_url, address.proxy, os.environ)
    return f"{host_of(url or address.api_url)}{through(proxy)}"


def _ssl_context(ca_file: Path | None) -> ssl.SSLContext:
    """The system's certificates, ours beside them, TLS 1.2 or newer."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        try:
            context.load_verify_locations(cadata=_certificates(ca_file))
        except (OSError, ValueError) as error:  # of TLS as well
            raise ConfigurationError(
                f"ca_file = {ca_file}: contains no valid certificates: {error}"
            ) from None
    return context


def _certificates(path: Path) -> str:
    """The text of a PEM file, whatever editor has saved it; comments beside the certificates may
    be in any 8-bit encoding. Raises OSError, and EncodingError for UTF-16."""
    content = path.read_bytes()
    try:
        text = text_of(content)
    except EncodingError as error:
        if error.encoding != LATIN:
            raise
        text = content.decode("latin-1")
    return text.encode("ascii", "replace").decode()


def http_client(route: Route) -> httpx.AsyncClient:
    """A client that decides nothing of this by itself. The caller closes it."""
    proxy = route.proxy and httpx.Proxy(route.proxy, ssl_context=route.proxy_ssl_context)
    return httpx.AsyncClient(
        verify=route.ssl_context,
        proxy=proxy or None,
        trust_env=False,
        headers={"Accept-Encoding": ENCODINGS},
        follow_redirects=False,
        timeout=REQUEST_TIMEOUT_S,
    )


async def read_bounded(reply: httpx.Response, bytes_max: int) -> bytes:
    """The body of a streamed reply, decoded in steps, because a few bytes may stand for gigabytes.
    Raises ValueError if it is longer than that, or is no body of the encoding that it bears."""
    encoding = reply.headers.get("Content-Encoding", "").strip().lower()
    if encoding in ("", "identity"):
        unpacker = None
    elif encoding in ("gzip", "x-gzip", "deflate"):
        unpacker = _Unpacker(bytes_max)
    else:
        raise ValueError("it uses a content encoding that was not requested")
    body = bytearray()
    async for part in _parts(reply):
        body += part if unpacker is None else unpacker.unpacked(part)
        if len(body) > bytes_max:
            raise ValueError(f"it is longer than {bytes_max:,} bytes")
    return bytes(body)


async def _parts(reply: httpx.Response) -> AsyncIterator[bytes]:
    """As they come; of a reply that a transport without a network has whole, all at once."""
    if reply.is_stream_consumed:
        yield reply.content
        return
    async for part in reply.aiter_raw(READ_BYTES):
        yield part


class _Unpacker:
    """gzip, of any number of members, or either kind of deflate."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_left = bytes_max + 1
        self._is_new = True
        self._stream = zlib.decompressobj(GZIP_OR_ZLIB)

    def unpacked(self, part: bytes) -> bytes:
        found = bytearray()
        while part and self._bytes_left > 0:
            try:
                some = self._stream.decompress(part, self._bytes_left)
            except zlib.error as error:
                if not self._is_new:
                    raise ValueError(f"it does not match its content encoding: {error}") from None
                self._stream, self._is_new = zlib.decompressobj(-zlib.MAX_WBITS), False
                continue
            self._is_new = False
            found += some
            self._bytes_left -= len(some)
            part = self._stream.unconsumed_tail
            if self._stream.eof and self._stream.unused_data:
                part, self._stream = self._stream.unused_data, zlib.decompressobj(GZIP_OR_ZLIB)
        return bytes(found)


async def read_away(reply: httpx.Response, bytes_max: int) -> None:
    """Of a reply whose status says it all: a connection is kept only behind the body's end. Not
    decoded, because a few bytes may stand for gigabytes; whoever leaves the reply cuts the rest."""
    taken = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for part in reply.aiter_raw():
                taken += len(part)
                if taken > bytes_max:
                    return
    except (TimeoutError, httpx.HTTPError):
        return
