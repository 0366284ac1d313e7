from __future__ import annotations

import asyncio
import socket as sockets
from pathlib import Path
from typing import Any

from tests.gateway.bundled import CloudServed, in_loop, served
from tools.fake_gateway.cloud.faults import CloudFault
from tools.fake_gateway.ledger import read_ledger
from tools.fake_gateway.pacing import Load

HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def deaf(gateway: CloudServed, channel: dict[str, Any]) -> sockets.socket:
    """A socket on the channel that is never read from."""
    host, _, path = channel["connectUri"].removeprefix("ws://").partition("/")
    name, _, port = host.partition(":")
    client = sockets.socket()
    client.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, (name, int(port)))
    await loop.sock_sendall(client, HANDSHAKE.format(path=f"/{path}").encode())
    await gateway.eventually(lambda status: status["sockets"] == 1)
    return client


async def deaf_channel(gateway: CloudServed) -> sockets.socket:
    channel, users = await gateway.channel(), await gateway.users()
    await gateway.subscribe(channel, [f"v2.users.{user}.activity" for user in users])
    return await deaf(gateway, channel)


@in_loop
async def test_who_reads_nothing_for_too_long_is_cut(tmp_path: Path) -> None:
    async with served(tmp_path, backlog_bytes=1 << 14, slow_after_s=0.2) as gateway:
        client = await deaf_channel(gateway)
        gateway.gateway.start_load(Load(20_000.0, 0.0))
        status = await gateway.eventually(lambda status: status["sockets"] == 0)
        assert status["slow_cut"] == 1
        client.close()
        gateway.gateway.stop_load()
    (closed,) = (line for line in read_ledger(gateway.ledger) if line["kind"] == "closed")
    assert closed["reason"] == "slow"


@in_loop
async def test_a_stalled_socket_keeps_no_more_than_its_bound_in_memory(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        channel, client = await gateway.hear(await gateway.users())
        await gateway.control("/faults", {"kind": "stall"})
        gateway.gateway.start_load(Load(200_000.0, 0.0))
        status = await gateway.eventually(lambda status: status["slow_cut"] == 1)
        gateway.gateway.stop_load()
        assert 24 << 20 < status["sent_bytes"] < 64 << 20
        assert await client.end() is None
        assert channel["id"] in str(await gateway.control("/channels"))


@in_loop
async def test_at_full_speed_the_slowest_reader_sets_the_pace(tmp_path: Path) -> None:
    async with served(tmp_path, backlog_bytes=1 << 14, slow_after_s=60.0) as gateway:
        client = await deaf_channel(gateway)
        gateway.gateway.start_load(Load(None, 0.0))
        await gateway.eventually(lambda status: status["generated"] > 0)
        before = -1
        while before != (now := (await gateway.control("/status"))["generated"]):
            before = now
            await asyncio.sleep(0.05)
        assert now < 100_000  # what the buffers of one socket hold, not what a second would make
        received = 0
        while received < 1 << 20:
            received += len(await asyncio.get_running_loop().sock_recv(client, 1 << 16))
        await gateway.eventually(lambda status: status["generated"] > before)
        client.close()
        gateway.gateway.stop_load()


@in_loop
async def test_a_plan_and_a_timeline_take_their_course_while_a_load_runs(tmp_path: Path) -> None:
    schedule = ((0.05, CloudFault(kind="drop")), (0.1, CloudFault(kind="slow-rest")))
    async with served(tmp_path, schedule=schedule, faults="flaky") as gateway:
        assert gateway.gateway.platform is not None
        gateway.gateway.platform.variations.is_on = False  # they have tests of their own
        _, client = await gateway.hear(await gateway.users())
        assert (await gateway.control("/status"))["faults"] == {}
        await gateway.control("/faults", [{"at_s": 0.15, "kind": "expire-tokens"}])
        gateway.gateway.start_load(Load(1000.0, 0.0))
        assert await client.end() is None
        status = await gateway.eventually(lambda status: status["faults_left"] == 0)
        assert {"drop", "slow-rest", "expire-tokens"} <= status["faults"].keys()
        assert set(status["kinds_planned"]) > {"drop", "closing"}
        gateway.gateway.stop_load()


@in_loop
async def test_a_burst_profile_drops_every_socket(tmp_path: Path) -> None:
    async with served(tmp_path) as gateway:
        clients = [(await gateway.hear(await gateway.users()))[1] for _ in range(2)]
        gateway.gateway.start_load(Load(500.0, 0.0, "reconnect-storm"))
        assert [await client.end() for client in clients] == [None, None]
        gateway.gateway.stop_load()
