"""Proxies as they answer in the wild, and the variables of the environment that name them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from urllib.parse import urlsplit

import pytest

from actors.genesys.proxy import proxy_for
from runtime.errors import ConfigurationError
from tests.cases.raw_server import Opening, RawServer, Serve, opened, send, switching

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
STREAMING = "ws://streaming.example:80/channels/streaming-0-abc"
API = "https://api.mypurecloud.de"

Answer = bytes | Sequence[bytes]


def tunnelling(answer: Answer, asked: list[bytes]) -> Serve:
    """Answers a CONNECT so; after any 2xx it is the host at the other end of the tunnel itself."""
    said = answer if isinstance(answer, bytes) else b"".join(answer)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        await send(writer, answer)
        if said[9:10] == b"2":
            writer.write(switching(await reader.readuntil(b"\r\n\r\n")))
        writer.write_eof()
        await reader.read()
        writer.close()

    return serve


def through(
    answer: Answer, url: str = "http://127.0.0.1:{port}"
) -> tuple[Opening, list[bytes], int]:
    """What becomes of a socket through a proxy, what the proxy was asked, and its port."""
    asked: list[bytes] = []

    async def run() -> tuple[Opening, int]:
        async with RawServer(tunnelling(answer, asked)) as server:
            return await opened(STREAMING, url.format(port=server.port)), server.port

    opening, port = asyncio.run(run())
    return opening, asked, port


GOOD = [
    pytest.param(ESTABLISHED, id="200 Connection established"),
    pytest.param(b"HTTP/1.0 200 Connection established\r\nProxy-agent: x\r\n\r\n", id="HTTP/1.0"),
    pytest.param(b"HTTP/1.1 200\r\n\r\n", id="200 without a reason"),
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", id="200 with a length"),
    pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", id="200 in chunks"),
    pytest.param(b"HTTP/1.1 201 Created\r\n\r\n", id="201"),
    pytest.param((b"HTTP/1.1 2", b"00 Connection est", b"ablished\r\n\r\n"), id="200 in pieces"),
]


@pytest.mark.parametrize("answer", GOOD)
def test_a_tunnel_that_is_granted_is_used(answer: Answer) -> None:
    opening, asked, _ = through(answer)
    assert opening.is_open, opening
    assert opening.has_heartbeat, opening
    assert asked[0].startswith(b"CONNECT streaming.example:80 HTTP/1.1\r\n")


def test_user_and_password_of_the_url_are_given_as_they_are_meant() -> None:
    opening, asked, _ = through(ESTABLISHED, "http://us%40er:p%3Ass@127.0.0.1:{port}")
    assert opening.has_heartbeat, opening
    assert base64.b64encode(b"us@er:p:ss") in asked[0]


BAD = [
    pytest.param(
        b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: NTLM\r\n"
        b"Content-Length: 0\r\n\r\n",
        "407",
        id="407",
    ),
    pytest.param(
        b"HTTP/1.1 503 Unavailable\r\nContent-Length: 3\r\n\r\nabc",
        "503",
        id="503",
    ),
    pytest.param(b"", "closed", id="closes"),
    pytest.param(b"\x05\x00\r\n\r\n", "invalid", id="response is not HTTP"),
]


@pytest.mark.parametrize(("answer", "word"), BAD)
def test_a_proxy_that_refuses_is_named_and_its_password_is_not(answer: Answer, word: str) -> None:
    opening, _, port = through(answer, "http://user:hunter2@127.0.0.1:{port}")
    assert not opening.is_open
    assert word in opening.refusal
    assert "hunter2" not in opening.refusal
    assert f"127.0.0.1:{port}" in opening.refusal
    assert "proxy" in opening.refusal.lower()


def test_a_proxy_without_a_port_that_cannot_be_reached_is_named() -> None:
    opening = asyncio.run(opened(STREAMING, "http://127.0.0.1"))
    assert not opening.is_open
    assert "127.0.0.1" in opening.refusal
    assert "proxy" in opening.refusal.lower()


# -- the environment -------------------------------------------------------------------------------

EXEMPTIONS = [
    pytest.param(API, "10.0.0.0/8", False, id="a network exempts no name"),
    pytest.param(API, "*.mypurecloud.de", True, id="star and dot"),
    pytest.param(API, "mypurecloud.de", True, id="domain"),
    pytest.param(API, ".mypurecloud.de", True, id="dot and domain"),
    pytest.param(API, "MYPURECLOUD.DE", True, id="upper case"),
    pytest.param(API, "api.mypurecloud.de:443", True, id="with the port"),
    pytest.param(API, "api.mypurecloud.de:8443", False, id="with another port"),
    pytest.param(API, "*", True, id="star"),
    pytest.param(API, " , ,", False, id="commas"),
    pytest.param(API, "api.mypurecloud.de.", True, id="trailing dot"),
    pytest.param(API, "streaming.mypurecloud.de", False, id="another host"),
    pytest.param("https://10.1.2.3", "10.0.0.0/8", True, id="network"),
    pytest.param("https://11.1.2.3", "10.0.0.0/8", False, id="another network"),
    pytest.param("https://[fd00::1]", "x, fd00::/8", True, id="IPv6 network"),
]


@pytest.mark.parametrize(("url", "no_proxy", "is_exempt"), EXEMPTIONS)
def test_no_proxy_exempts_whom_it_names(url: str, no_proxy: str, is_exempt: bool) -> None:
    environment = {"HTTPS_PROXY": "http://p:3128", "NO_PROXY": no_proxy}
    assert proxy_for(url, None, environment) == (None if is_exempt else "http://p:3128")


UNDERSTOOD = [
    pytest.param("p:3128", ("p", 3128), id="without a scheme"),
    pytest.param("http://p:3128/", ("p", 3128), id="slash at the end"),
    pytest.param("HTTP://p:3128", ("p", 3128), id="scheme in capitals"),
    pytest.param("http://p", ("p", None), id="without a port"),
    pytest.param("http://[::1]:3128", ("::1", 3128), id="IPv6"),
    pytest.param("http://u:p@ss@p:1", ("p", 1), id="at sign in the password"),
]


@pytest.mark.parametrize(("value", "meant"), UNDERSTOOD)
def test_https_proxy_is_understood(value: str, meant: tuple[str, int | None]) -> None:
    proxy = proxy_for(API, None, {"https_proxy": value})
    assert proxy is not None
    parts = urlsplit(proxy)
    assert (parts.scheme, parts.hostname, parts.port) == ("http", *meant)


def understood_or_refused(environment: dict[str, str]) -> str:
    """The proxy, or why it cannot be used."""
    try:
        return proxy_for(API, None, environment) or ""
    except ConfigurationError as error:
        return str(error)


@pytest.mark.parametrize(
    ("value", "scheme"),
    [
        pytest.param("socks5h://p:1080", "socks5", id="socks5h"),
        pytest.param("socks4://p:1", "socks4", id="socks4"),
    ],
)
def test_a_socks_proxy_is_understood_or_refused_by_its_name(value: str, scheme: str) -> None:
    said = understood_or_refused({"https_proxy": value})
    is_understood = said.startswith(f"{scheme}") and urlsplit(said).hostname == "p"
    assert is_understood or scheme in said.replace(value, ""), said


@pytest.mark.parametrize("name", ["ALL_PROXY", "all_proxy"])
def test_all_proxy_is_understood_or_refused_by_its_name(name: str) -> None:
    said = understood_or_refused({name: "http://p:3128"})
    assert said == "http://p:3128" or name in said
