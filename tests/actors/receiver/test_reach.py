"""Token and socket go the same way: the same certificates, the same proxy."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from tests.actors.receiver.rig import Rig, in_loop, until
from tests.gateway.scripted import ScriptedGateway, stay
from tools.fake_gateway.proxy import Proxy


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_both_go_over_tls_with_our_own_authority(tls: ssl.SSLContext, tmp_path: Path) -> None:
    async def test() -> None:
        async with ScriptedGateway(stay, tls=tls) as gateway:
            rig = Rig(gateway.url, ca_file=tmp_path / "ca.pem")
            async with rig.living():
                await until(lambda: rig.counters.get("session") == 1)

    in_loop(test)


def test_an_unknown_authority_is_not_believed(tls: ssl.SSLContext) -> None:
    async def test() -> None:
        async with ScriptedGateway(stay, tls=tls) as gateway:
            rig = Rig(gateway.url)
            async with rig.living():
                await until(lambda: rig.counters.get("token_failures") >= 1)
            assert gateway.sockets == []

    in_loop(test)


def test_both_go_through_the_one_proxy(tls: ssl.SSLContext, tmp_path: Path) -> None:
    async def test() -> None:
        proxy = Proxy()
        await proxy.start("127.0.0.1")
        async with ScriptedGateway(stay, tls=tls) as gateway:
            rig = Rig(gateway.url, ca_file=tmp_path / "ca.pem", proxy=proxy.url)
            async with rig.living():
                await until(lambda: rig.counters.get("session") == 1)
            assert proxy.connected == [f"127.0.0.1:{gateway.port}"] * 2
        await proxy.close()

    in_loop(test)
