"""Token replies: any life that a server tells is a sane one, and a refusal is told in words."""

from __future__ import annotations

import asyncio
import gzip
import random
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.genesys.http import GatewayAddress, read_bounded
from actors.genesys.tokens import (
    LIFE_DEFAULT_CLOUD_S,
    LIFE_DEFAULT_S,
    LIFE_LEAST_S,
    LIFE_MOST_S,
    TokenProvider,
    TokenUnavailableError,
    description_of,
    life_of,
    read_grant,
)
from runtime.clock import SystemClock
from runtime.errors import ConfigurationError

BOMB = gzip.compress(bytes(64 << 20))


def grant(life: str) -> bytes:
    return b'{"access_token":"abc","expires_in":%s}' % life.encode()


@pytest.mark.parametrize(
    ("told", "life_s"),
    [
        ("86400", 86_400.0),
        ("86399.5", 86_399.5),
        ('"86400"', 86_400.0),
        ('" 3600 "', 3600.0),
        ("300", 300.0),
        ('"3600s"', 3600.0),
        ('"1e3"', 1000.0),
        ('"1h"', LIFE_DEFAULT_S),
        ('"s"', LIFE_DEFAULT_S),
        ("30", 30.0),
        ("172800", LIFE_MOST_S),
        ("172801", LIFE_MOST_S),
        ("31536000000", LIFE_MOST_S),
        ("9223372036854775807", LIFE_MOST_S),
        ("1e400", LIFE_MOST_S),
        ("9" * 5000, LIFE_MOST_S),
        ("1e-300", LIFE_LEAST_S),
        ("0.001", LIFE_LEAST_S),
        ("0", LIFE_DEFAULT_S),
        ("-1", LIFE_DEFAULT_S),
        ("-1e400", LIFE_DEFAULT_S),
        ("NaN", LIFE_DEFAULT_S),
        ("null", LIFE_DEFAULT_S),
        ("true", LIFE_DEFAULT_S),
        ('"soon"', LIFE_DEFAULT_S),
        ("[3600]", LIFE_DEFAULT_S),
        ("{}", LIFE_DEFAULT_S),
    ],
)
def test_whatever_is_told_of_its_life_a_token_is_one(told: str, life_s: float) -> None:
    assert read_grant(grant(told), (), 0.0).life_s == life_s


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30))
def test_no_life_is_out_of_bounds(told: object) -> None:
    assert LIFE_LEAST_S <= life_of(told) <= LIFE_MOST_S


def test_nothing_told_and_a_byte_order_mark_are_no_mistake() -> None:
    body = b'\xef\xbb\xbf{"access_token":" abc\\n"}'
    found = read_grant(body, (), 0.0, LIFE_DEFAULT_CLOUD_S)
    assert (found.value.reveal(), found.life_s) == ("abc", 86_400.0)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error":"invalid_client"}', "invalid_client"),
        (b'{"error":"a","error_description":"b\\nc","description":"b c"}', "a: b c"),
        (b'{"message":"\\u001b[31mred"}', "?[31mred"),
        (b'{"message":"' + b"x" * 999 + b'"}', "x" * 300),
        (b'{"error":{"a":1}}', ""),
        (b'{"error":{"code":"invalid_client","message":"who?"}}', "invalid_client: who?"),
        (b'{"error":{"error":{"description":"deep"}}}', "deep"),
        (b'{"error":["a",{"message":"b"},5]}', "a: b"),
        (b'{"error":5,"error_description":{"description":"c"}}', "c"),
        (b'{"error":"a\tb","error_description":"a b"}', "a b"),
        (b'\x00{"errorMessage":"half \\ud83d"}', "half ?"),
        (b'{"errors":[{"code":"a","message":"b"},"c"]}', "a: b: c"),
        (b"<html>", ""),
        (b"[" * 9999, ""),
        (b"", ""),
    ],
)
def test_a_refusal_s_own_words_are_told_in_one_line(body: bytes, said: str) -> None:
    assert description_of(body) == said


Answer = tuple[int, dict[str, str], bytes]


def with_endpoint(
    answer: Answer,
    work: Callable[[TokenProvider, str, list[int]], Awaitable[None]],
    *,
    in_service: bool = False,
) -> None:
    """A real endpoint that always answers so."""

    async def main() -> None:
        asked: list[int] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            asked.append(1)
            status, headers, body = answer
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            head = f"HTTP/1.1 {status} X\r\nConnection: close\r\n{lines}\r\n"
            writer.write(head.encode() + body)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        url = f"http://{host}"
        address = GatewayAddress(
            api_url=url, credentials=lambda: ("id", "hunter2"), token_url=f"{url}/oauth/token"
        )
        async with httpx.AsyncClient(trust_env=False) as client:
            tokens = TokenProvider(
                address,
                (),
                client,
                clock=SystemClock(),
                rng=random.Random(1),
                in_service=in_service,
            )
            await work(tokens, host, asked)
            await tokens.close()
        server.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((400, {}, b'{"error_description":"client not found: 3f1c"}'), "(client not found: 3f1c)"),
        ((401, {}, b'{"error":"bad secret hunter2"}'), "(bad secret ********)"),
        ((404, {}, b"not found"), "check dialect: "),
        ((400, {"Content-Encoding": "gzip"}, BOMB), "was refused with 400; check client_id"),
    ],
)
def test_a_refusal_at_the_start_names_the_host_and_says_why(answer: Answer, said: str) -> None:
    async def work(tokens: TokenProvider, host: str, _: list[int]) -> None:
        with pytest.raises(ConfigurationError) as caught:
            await tokens.current()
        assert str(caught.value).startswith(f"{host}: the token request was ")
        assert said in str(caught.value)
        assert "hunter2" not in str(caught.value)

    with_endpoint(answer, work)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((404, {}, b"not found"), "answered with 404"),
        ((200, {}, b"<html>sign in</html>"), "HTML"),
        ((200, {}, b'{"access_token":"a\\u0000b"}'), "not valid in a header"),
        ((200, {}, b'{"access_token":"\\ud800"}'), "not valid in a header"),
        ((200, {}, b"x" * 70_000), "longer than 65,536 bytes"),
        ((200, {"Content-Encoding": "gzip"}, BOMB), "longer than 65,536 bytes"),
        ((200, {"Content-Encoding": "gzip"}, b"no gzip"), "does not match its content encoding"),
        ((200, {"Content-Encoding": "br"}, b"abc"), "was not requested"),
    ],
)
def test_in_service_whatever_comes_is_waited_for(answer: Answer, said: str) -> None:
    async def work(tokens: TokenProvider, host: str, _: list[int]) -> None:
        with pytest.raises(TokenUnavailableError, match=said) as caught:
            await tokens.current()
        assert caught.value.reason.startswith(f"{host}: ")

    with_endpoint(answer, work, in_service=True)


@pytest.mark.parametrize("after", ["0", "0.001", "-1"])
def test_a_server_that_asks_for_no_wait_is_not_asked_without_one(after: str) -> None:
    async def work(tokens: TokenProvider, _: str, asked: list[int]) -> None:
        waits = []
        for _try in range(12):
            tokens.renew_soon()
            with pytest.raises(TokenUnavailableError) as caught:
                await tokens.current()
            waits.append(caught.value.retry_s)
        assert len(asked) == 12
        assert sum(waits) > 60.0  # of twelve in a row, by the back-off of this seed

    with_endpoint((429, {"Retry-After": after}, b""), work, in_service=True)


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "deflate", "raw deflate", "identity", ""])
def test_a_bounded_body_is_read_in_any_encoding_that_was_asked_for(encoding: str) -> None:
    plain = b"a" * 1000
    packed = {
        "gzip": gzip.compress(plain),
        "x-gzip": gzip.compress(plain[:500]) + gzip.compress(plain[500:]),
        "deflate": zlib.compress(plain),
        "raw deflate": zlib.compress(plain)[2:-4],
    }.get(encoding, plain)

    async def body() -> bytes:
        async def parts() -> AsyncIterator[bytes]:
            for byte in packed:
                yield bytes([byte])

        headers = {"Content-Encoding": encoding.removeprefix("raw ")}
        return await read_bounded(httpx.Response(200, headers=headers, content=parts()), 1000)

    assert asyncio.run(body()) == b"a" * 1000


def test_a_few_bytes_that_stand_for_many_cost_little() -> None:
    async def read() -> None:
        async def parts() -> AsyncIterator[bytes]:
            yield BOMB

        headers = {"Content-Encoding": "gzip"}
        with pytest.raises(ValueError, match="longer than"):
            await read_bounded(httpx.Response(200, headers=headers, content=parts()), 65_536)

    tracemalloc.start()
    asyncio.run(read())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20
