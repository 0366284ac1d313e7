"""Token and socket go the same way: the same certificates, the same proxy."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme

from tests.actors.receiver.rig import Rig, in_loop, until
from tests.actors.receiver.small_gateway import SmallGateway, stay


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


class Proxy:
    """Opens the tunnels that CONNECT asks for, and remembers where to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, target, _ = (await reader.readuntil(b"\r\n\r\n")).decode().split(" ", 2)
        self.asked.append(f"{method} {target}")
        host, _, port = target.rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 ok\r\n\r\n")
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            self._tasks.add(asyncio.ensure_future(self._pump(source, sink)))

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while piece := await source.read(65536):
                sink.write(piece)
        finally:
            sink.transport.abort()


def test_both_go_over_tls_with_our_own_authority(tls: ssl.SSLContext, tmp_path: Path) -> None:
    async def test() -> None:
        async with SmallGateway(stay, tls=tls) as gateway:
            rig = Rig(gateway.url, ca_file=tmp_path / "ca.pem")
            async with rig.living():
                await until(lambda: rig.counters.get("session") == 1)

    in_loop(test)


def test_an_unknown_authority_is_not_believed(tls: ssl.SSLContext) -> None:
    async def test() -> None:
        async with SmallGateway(stay, tls=tls) as gateway:
            rig = Rig(gateway.url)
            async with rig.living():
                await until(lambda: rig.counters.get("token_failures") >= 1)
            assert gateway.sockets == []

    in_loop(test)


def test_both_go_through_the_one_proxy(tls: ssl.SSLContext, tmp_path: Path) -> None:
    async def test() -> None:
        proxy = Proxy()
        async with SmallGateway(stay, tls=tls) as gateway, proxy as url:
            rig = Rig(gateway.url, ca_file=tmp_path / "ca.pem", proxy=url)
            async with rig.living():
                await until(lambda: rig.counters.get("session") == 1)
            assert proxy.asked == [f"CONNECT 127.0.0.1:{gateway.port}"] * 2

    in_loop(test)
