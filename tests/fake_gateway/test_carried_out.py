"""Faults, carried out on real sockets: what the client sees, and what it sees afterwards."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import aiohttp
import orjson
import pytest

from tests.gateway.bundled import AGENTS, Client, WspServed, in_loop, serving, subscription, until
from tools.fake_gateway.ledger import read_ledger
from tools.fake_gateway.wsp.organisation import OrderSettings

NO_CODE = 0  # what aiohttp says to a close frame without a code, which others call 1005


async def listening(served: WspServed) -> Client:
    client = await served.subscribe()
    await client.history()
    return client


@pytest.mark.parametrize("code", [1000, 1001, 1012, 4999])
@in_loop
async def test_a_socket_can_be_closed_with_any_code(code: int, tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        client = await listening(served)
        await served.control("/faults", {"kind": "close", "code": code})
        assert await client.close_code() == code


@in_loop
async def test_a_close_without_a_code_is_1005(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        client = await listening(served)
        await served.control("/faults", {"kind": "close"})
        assert await client.close_code() == NO_CODE


@in_loop
async def test_a_drop_has_no_close_frame(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        client = await listening(served)
        await served.control("/faults", {"kind": "drop"})
        assert await client.close_code() is None
        assert client.socket.close_code == 1006


@in_loop
async def test_one_socket_of_several_can_be_meant(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        first, second = await listening(served), await listening(served)
        await served.control("/faults", {"kind": "drop", "socket": 1})
        assert await first.close_code() is None
        await served.control("/load", {"rate": 1000, "seconds": 0.01})
        assert len(await second.events(10)) == 10


@pytest.mark.parametrize("kind", ["stall", "pause"])
@in_loop
async def test_a_held_socket_gets_its_events_later(kind: str, tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        client = await listening(served)
        client.socket._autoping = False
        await served.control("/faults", {"kind": kind, "seconds": 0.3})
        await served.control("/load", {"rate": 10_000, "seconds": 0.01})
        await client.socket.ping(b"?")
        frame = await client.frame()
        if kind == "pause":
            assert frame.type is aiohttp.WSMsgType.PONG
            frame = await client.frame()
        assert orjson.loads(frame.data)["sequence"] == 10_000_001
        assert len(await client.events(99)) == 99


@in_loop
async def test_expired_tokens_close_their_sockets_with_1005(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        token = (await served.token())["access_token"]
        client = await served.connect(token)
        await client.socket.send_json(subscription())
        await served.control("/faults", {"kind": "expire-tokens", "seconds": 0.05})
        assert await client.close_code() == NO_CODE
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await served.connect(token)


@in_loop
async def test_a_token_that_runs_out_closes_its_socket(tmp_path: Path) -> None:
    async with serving(tmp_path, token_life_s=0.2, expiry_grace_s=0.1) as served:
        client = await listening(served)
        assert await client.close_code() == NO_CODE


@in_loop
async def test_a_gateway_that_numbers_anew_begins_an_epoch(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        client = await listening(served)
        await served.control("/load", {"rate": 10_000, "seconds": 0.02})
        events = await client.events(200)
        await served.control("/faults", {"kind": "renumber"})
        assert await client.close_code() is None
        again = await served.subscribe(epoch=client.acknowledgement["epoch"], sequence=10_000_200)
        assert again.acknowledgement["epoch"] != client.acknowledgement["epoch"]
        assert again.acknowledgement["sequence"] == AGENTS
        assert (await again.next())["type"] == "gap"
        history, _ = await again.history()
        assert sorted(event["sequence"] for event in history) == list(range(1, AGENTS + 1))
        held = {event["data"]["userId"]: event["data"] for event in history}
        for event in events:
            held_now = held[event["data"]["userId"]]
            assert held_now["timestamp"] >= event["data"]["timestamp"]
        await served.control("/load", {"rate": 10_000, "seconds": 0.01})
        assert (await again.next())["sequence"] == AGENTS + 1


@pytest.mark.parametrize(
    "kind", ["malformed", "truncated", "binary", "fragmented", "unknown-type", "unknown-state"]
)
@in_loop
async def test_broken_frames_are_additional(kind: str, tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        client = await listening(served)
        await served.control("/faults", {"kind": kind, "count": 2})
        await served.control("/load", {"rate": 10_000, "seconds": 0.01})
        frames = [await client.frame() for _ in range(102)]
        whole = []
        for frame in frames:
            try:
                event = orjson.loads(frame.data)
            except orjson.JSONDecodeError:
                continue
            if event.get("data", {}).get("state") != "Levitating" and "sequence" in event:
                whole.append(event["sequence"])
        assert set(whole) == set(range(10_000_001, 10_000_101))
        status = await served.control("/status")
        assert (status["sent_broken"], status["faults"]) == (2, {kind: 1})


@in_loop
async def test_a_client_that_does_not_read_is_cut(tmp_path: Path) -> None:
    async with serving(tmp_path, slow_after_s=0.2, backlog_bytes=1 << 16) as served:
        token = (await served.token())["access_token"]
        host, _, port = served.ready["base_url"].removeprefix("http://").partition(":")
        _, writer = await asyncio.open_connection(host, int(port), limit=1024)
        text = orjson.dumps(subscription())
        writer.write(
            f"GET /wsp/v2/notifications?access_token={token} HTTP/1.1\r\nHost: {host}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
            + b"\x81\xfe" + len(text).to_bytes(2, "big") + bytes(4) + text
        )  # fmt: skip
        await served.control("/load", {"rate": "max"})

        async def is_cut() -> bool:
            return bool((await served.control("/status"))["slow_cut"])

        await until(is_cut)
        assert (await served.control("/status"))["sockets"] == 0
        writer.close()
    slow = [line for line in read_ledger(served.ledger) if line.get("what") == "slow"]
    assert len(slow) == 1


@in_loop
async def test_a_client_that_is_slower_than_the_gateway_but_reads_is_not_cut(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path, slow_after_s=1.0, backlog_bytes=1 << 14) as served:
        client = await listening(served)
        await served.control("/load", {"rate": "max"})
        begun_s = time.monotonic()
        while time.monotonic() < begun_s + 2.0:  # twice as long as a full buffer is borne
            await client.events(1000)
        assert (await served.control("/status"))["slow_cut"] == 0


@in_loop
async def test_a_profile_carries_out_its_faults_while_a_load_runs(tmp_path: Path) -> None:
    async with serving(tmp_path, faults="hostile") as served:
        client = await listening(served)
        await served.control("/load", {"rate": 100, "seconds": 20})

        async def has_happened() -> bool:
            return bool((await served.control("/status"))["faults"])

        await until(has_happened)
        await client.socket.close()


@in_loop
async def test_a_reconnect_storm_drops_every_socket(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        client = await listening(served)
        await served.control("/load", {"rate": 100, "seconds": 5, "profile": "reconnect-storm"})
        assert await client.close_code() is None


@in_loop
async def test_a_trickle_sends_a_few_events_at_a_time(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        client = await listening(served)
        await served.control("/faults", {"kind": "trickle", "seconds": 0.4, "events": 5})
        assert (await served.control("/status"))["faults_left"] == 1
        await served.control("/load", {"rate": 10_000, "seconds": 0.02})
        assert [event["sequence"] for event in await client.events(200)] == list(
            range(10_000_001, 10_000_201)
        )
        sent = [line for line in read_ledger(served.ledger) if line["kind"] == "sent"]
    lines = [line for line in read_ledger(tmp_path / "ledger") if line["kind"] == "sent"]
    assert len(lines) >= max(5, len(sent))
    assert lines[0]["last"] - lines[0]["first"] < 5


@in_loop
async def test_a_poison_comes_again_until_it_is_left_behind(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        client = await listening(served)
        epoch = client.acknowledgement["epoch"]
        await served.control("/load", {"rate": 10_000, "seconds": 0.01})
        await client.events(100)
        await served.control("/faults", {"kind": "poison", "frame": "reserved-bits"})
        await served.control("/load", {"rate": 10_000, "seconds": 0.01})
        assert (await client.frame()).type is aiohttp.WSMsgType.ERROR

        async def is_generated() -> bool:  # else a part of it comes behind the history
            return bool((await served.control("/status"))["newest_sequence"] == 10_000_200)

        await until(is_generated)
        for _ in range(2):  # whoever resumes from before it meets it at the same place
            again = await served.subscribe(epoch=epoch, sequence=10_000_090)
            assert [event["sequence"] for event in await again.events(10)][-1] == 10_000_100
            assert (await again.frame()).type is aiohttp.WSMsgType.ERROR
        behind = await served.subscribe(epoch=epoch, sequence=10_000_101)
        events = await behind.events(99)
        assert [event["sequence"] for event in events] == list(range(10_000_102, 10_000_201))
    places = [line["place"] for line in read_ledger(tmp_path / "ledger") if line["kind"] == "fault"]
    assert places == [100, 100, 100]


@in_loop
async def test_a_gateway_may_number_anew_under_its_old_name(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        client = await listening(served)
        epoch = client.acknowledgement["epoch"]
        await served.control("/faults", {"kind": "renumber", "named": False})
        again = await served.subscribe(epoch=epoch, sequence=10_000_000)
        assert again.acknowledgement["epoch"] == epoch
        assert again.acknowledgement["sequence"] == AGENTS
        await again.history()  # and no gap: it believes that the client is ahead of it
        # From here nobody could tell a second one: it gets a name.
        await served.control("/faults", {"kind": "renumber", "named": False})
        last = await served.subscribe(epoch=epoch, sequence=AGENTS)
        assert last.acknowledgement["epoch"] != epoch


@in_loop
async def test_a_history_may_lack_its_end_or_agents_or_haste(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        await served.control("/faults", {"kind": "omit-agents", "count": 7})
        events, _ = await (await served.subscribe()).history()
        assert len(events) == AGENTS - 7
        await served.control("/faults", {"kind": "slow-history", "events": 10, "seconds": 0.05})
        begun_s = time.monotonic()
        events, _ = await (await served.subscribe()).history()
        assert len(events) == AGENTS
        assert time.monotonic() - begun_s >= 0.2
        await served.control("/faults", {"kind": "no-history-end"})
        client = await served.subscribe()
        assert all(event["history"] for event in await client.events(AGENTS))
        await served.control("/load", {"rate": 1_000, "seconds": 0.001})
        assert (await client.next())["sequence"] == 10_000_001


@in_loop
async def test_a_short_retention_may_pass(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        client = await listening(served)
        epoch = client.acknowledgement["epoch"]
        await served.control("/load", {"rate": 10_000, "seconds": 0.01})
        await client.events(100)
        await served.control("/faults", {"kind": "retention", "events": 10, "seconds": 0.2})
        gap = await (await served.subscribe(epoch=epoch, sequence=10_000_050)).next()
        assert (gap["type"], gap["from"]) == ("gap", 10_000_051)

        async def is_over() -> bool:
            again = await served.subscribe(epoch=epoch, sequence=10_000_050)
            return bool((await again.next())["type"] != "gap")

        await until(is_over)


@in_loop
async def test_a_timeline_is_carried_out_by_the_seconds_of_the_load(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        client = await listening(served)
        asked = [{"at_s": 0.05, "kind": "close", "code": 1012}, {"at_s": 3600, "kind": "drop"}]
        assert (await served.control("/faults", asked))["faults_left"] == 2
        await served.control("/load", {"rate": 100, "seconds": 0})
        assert await client.close_code() == 1012
        assert (await served.control("/status"))["faults"] == {"close": 1}
        await served.control("/load/stop")

        async def is_over() -> bool:  # what is left does not come without a load
            return bool((await served.control("/status"))["faults_left"] == 0)

        await until(is_over)
        await served.control("/faults", [{"kind": "drop"}], ok=False)


@in_loop
async def test_numbering_anew_in_mid_load_mixes_nothing(tmp_path: Path) -> None:
    """Neither duplicates nor broken frames of the old epoch reach the new one."""
    order = OrderSettings(window=100, duplicates=0.5)
    async with serving(tmp_path, order=order) as served:
        client = await listening(served)
        await served.control("/load", {"rate": 5_000, "seconds": 0})
        await client.events(500)
        await served.control("/faults", {"kind": "renumber"})
        assert await client.close_code() is None
        again = await served.subscribe()
        await again.history()
        await served.control("/faults", {"kind": "unknown-state"})
        events = await again.events(500)
        assert all(AGENTS < event["sequence"] < 10_000_000 for event in events)
        await served.control("/load/stop")
