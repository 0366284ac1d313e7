"""A receiver against a gateway of a page: real sockets, real rings, one event loop."""

from __future__ import annotations

import asyncio

import pytest
import structlog

from actors.messages.control import (
    Gap,
    HistoryEnds,
    SessionBegins,
    SessionEnds,
)
from actors.messages.partition import shard_of
from runtime.errors import ConfigurationError, TemporaryError
from runtime.ring import KIND_EVENT
from tests.actors.receiver.rig import Rig, in_loop, until
from tests.gateway.loopback import CLOSE, Socket
from tests.gateway.scripted import NEWEST, ScriptedGateway, event, history_complete, stay


def test_from_the_token_to_the_rings() -> None:
    async def script(socket: Socket) -> None:
        await socket.acknowledge(NEWEST)
        socket.send(*(event(n, f"a{n % 7}", history=True) for n in range(94, NEWEST + 1)))
        socket.send(history_complete(NEWEST))
        socket.send(*(event(n, f"a{n % 7}") for n in range(NEWEST + 1, NEWEST + 1001)))
        while (await socket.receive())[0] != CLOSE:
            pass

    async def test() -> None:
        async with ScriptedGateway(script) as gateway:
            rig = Rig(gateway.url)
            async with rig.living():
                await until(lambda: rig.watermark(0) == rig.watermark(1) == NEWEST + 1000)
                assert rig.counters.get("connected") == 1
                assert rig.counters.get("stale_since_us") == 0
            assert "sequence" not in gateway.sockets[0].subscription
        for shard in range(2):
            starts, begins, ends, stops = rig.controls(shard)
            assert isinstance(starts, SessionEnds)
            assert starts.session == 0
            assert isinstance(begins, SessionBegins)
            assert begins[:6] == (1, "all", 1, "e1", NEWEST, None)
            assert isinstance(ends, HistoryEnds)
            assert ends.complete
            assert isinstance(stops, SessionEnds)
            assert (stops.session, stops.reason) == (1, "stopped")
            events = [each for each in rig.taken[shard] if each.kind == KIND_EVENT]
            expected = [n for n in range(94, NEWEST + 1001) if shard_of(f"a{n % 7}", 2) == shard]
            assert [each.sequence for each in events] == expected
            assert {each.epoch for each in events} == {1}
        counters = rig.counters.snapshot()
        assert counters["events_routed"] == 1007
        assert counters["rejected"] == 0
        assert counters["control_frames"] == 2
        assert (counters["connected"], counters["session"], counters["gateway_epoch"]) == (0, 1, 1)
        assert counters["stale_since_us"] > 0
        assert rig.counters.note == "e1"

    in_loop(test)


def test_a_lost_connection_is_resumed_behind_the_lowest_mark() -> None:
    async def first(socket: Socket) -> None:
        await socket.acknowledge(5000)
        socket.send(history_complete(5000), event(5001, "A"))
        await asyncio.Event().wait()

    async def second(socket: Socket) -> None:
        await socket.acknowledge(6000)
        socket.send(*(event(n, "A") for n in range(3000, 6001)), history_complete(6000))
        while (await socket.receive())[0] != CLOSE:
            pass

    async def test() -> None:
        async with ScriptedGateway(first, second) as gateway:
            rig = Rig(gateway.url)
            async with rig.living():
                await until(lambda: rig.counters.get("events_routed") == 1)
                rig.set_mark(1, 5001)
                rig.pages[1].set("mark_sequence", 4000)
                gateway.sockets[0].drop()
                await until(lambda: rig.watermark(1) == 6000)
            asked = gateway.sockets[1].subscription
        assert (asked["sequence"], asked["epoch"]) == (2999, "e1")
        kinds = [type(record) for record in rig.controls()]
        assert kinds == [
            SessionEnds, SessionBegins, HistoryEnds, SessionEnds, SessionBegins, HistoryEnds,
            SessionEnds,
        ]  # fmt: skip
        assert rig.counters.get("reconnects") == 1

    in_loop(test)


def test_a_successor_resumes_with_the_kept_epoch_and_session() -> None:
    async def test() -> None:
        async with ScriptedGateway(stay) as gateway:
            rig = Rig(gateway.url)
            async with rig.living():
                await until(lambda: rig.watermark(0) == NEWEST)
            rig.set_mark(1, 5)
            async with rig.living():
                await until(lambda: rig.counters.get("session") == 2)
            assert gateway.sockets[1].subscription["sequence"] == 0
            assert gateway.sockets[1].subscription["epoch"] == "e1"

    in_loop(test)


def test_a_gateway_that_numbers_anew_is_asked_from_0_with_a_gap() -> None:
    async def anew(socket: Socket) -> None:
        await socket.acknowledge(7, "e2")
        socket.send(event(1, "A"), history_complete(7))
        while (await socket.receive())[0] != CLOSE:
            pass

    async def test() -> None:
        async with ScriptedGateway(anew) as gateway:
            rig = Rig(gateway.url)
            rig.counters.set("gateway_epoch", 3)
            rig.counters.note = "e1"
            rig.set_mark(3, 9000)
            async with rig.living():
                await until(lambda: rig.watermark(0) == 7)
            asked = [socket.subscription for socket in gateway.sockets]
        assert [each["sequence"] for each in asked] == [7999, 0]
        assert [each["epoch"] for each in asked] == ["e1", "e2"]
        gap, begins = rig.controls()[1:3]
        assert isinstance(begins, SessionBegins)
        assert (begins.epoch, begins.epoch_name, begins.resumed_after) == (4, "e2", 0)
        assert isinstance(gap, Gap)
        assert (gap.epoch, gap.first, gap.last) == (3, 8000, 2**62 - 1)
        assert rig.counters.get("gateway_epoch") == 4
        assert {each.epoch for each in rig.read()[0] if each.kind == KIND_EVENT} <= {4}

    in_loop(test)


def test_a_rejected_token_is_dropped_and_a_fresh_one_tried_at_once() -> None:
    async def test() -> None:
        async with ScriptedGateway(stay) as gateway:
            gateway.rejected = {"tok/1+"}
            rig = Rig(gateway.url)
            async with rig.living():
                await until(lambda: rig.counters.get("session") == 1)
            assert gateway.sockets[0].token == "tok/2+"
            assert gateway.tokens == 2
        assert rig.counters.get("handshake_refusals") == 1
        assert rig.counters.get("token_refreshes") == 2

    in_loop(test)


def test_a_token_that_ends_is_renewed_and_the_session_replaced() -> None:
    async def test() -> None:
        async with ScriptedGateway(stay) as gateway:
            gateway.expires_in = 1.0  # so it is renewed after half a second
            rig = Rig(gateway.url)
            async with rig.living():
                await until(lambda: rig.watermark(0) == NEWEST)
                gateway.expires_in = 3600.0
                rig.set_mark(1, NEWEST)
                await until(lambda: rig.counters.get("session") == 2)
                await until(lambda: len(rig.controls()) == 7)
                assert rig.counters.get("connected") == 1
            tokens = [socket.token for socket in gateway.sockets]
        assert tokens == ["tok/1+", "tok/2+"]
        begins, gap, history, ends = rig.controls()[3:7]
        assert isinstance(begins, SessionBegins)
        assert isinstance(gap, Gap)  # this gateway replays nothing
        assert isinstance(history, HistoryEnds)
        assert history.session == 2
        assert isinstance(ends, SessionEnds)
        assert (ends.session, ends.reason) == (1, "replaced")

    in_loop(test)


def test_exhaustion_says_so_in_every_ring_and_exits_temporarily() -> None:
    async def test() -> None:
        async with ScriptedGateway(stay) as gateway:
            gateway.statuses = [503, 503, 503]
            rig = Rig(gateway.url, attempts_max=3)
            with pytest.raises(
                TemporaryError, match=r"3 consecutive attempts failed.* refused with 503"
            ):
                async with rig.living() as life:
                    await asyncio.wait([life])
        for shard in range(2):
            ends = rig.controls(shard)[-1]
            assert isinstance(ends, SessionEnds)
            assert ends.reason == "exhausted"
        assert rig.counters.get("exhausted") == 1

    in_loop(test)


def test_a_subscription_that_is_never_accepted_is_a_mistake_in_the_settings() -> None:
    async def cut(socket: Socket) -> None:
        await socket.receive()
        socket.drop()

    async def test() -> None:
        async with ScriptedGateway(cut) as gateway:
            rig = Rig(gateway.url)
            with pytest.raises(ConfigurationError, match="resource"):
                async with rig.living() as life:
                    await asyncio.wait([life])
            assert len(gateway.sockets) == 3

    in_loop(test)


def test_a_refusal_of_our_credentials_at_the_start_is_a_mistake_in_the_settings() -> None:
    async def test() -> None:
        async with ScriptedGateway(stay) as gateway:
            gateway.token_statuses = [401]
            rig = Rig(gateway.url)
            with pytest.raises(ConfigurationError, match="client_id"):
                async with rig.living() as life:
                    await asyncio.wait([life])

    in_loop(test)


def test_a_full_ring_pauses_the_line_and_nothing_is_lost_or_reordered() -> None:
    events = [event(n, "A") for n in range(NEWEST + 1, NEWEST + 20_001)]

    async def script(socket: Socket) -> None:
        await socket.acknowledge(NEWEST)
        socket.send(history_complete(NEWEST), *events)
        while (await socket.receive())[0] != CLOSE:
            pass

    async def test() -> None:
        async with ScriptedGateway(script) as gateway:
            rig = Rig(gateway.url, capacity=1 << 16)
            async with rig.living():
                await until(lambda: rig.counters.get("pauses") == 1)
                await until(lambda: rig.watermark(0) == rig.watermark(1) == NEWEST + 20_000)
                assert rig.counters.get("spilled") == rig.counters.get("spill_bytes") == 0
        assert rig.payloads(KIND_EVENT) == events

    in_loop(test)


@pytest.mark.parametrize("met", [0, 1])
def test_a_shard_that_wants_a_history_gets_one_by_a_second_line(met: int) -> None:
    async def test() -> None:
        async with ScriptedGateway(stay) as gateway:
            rig = Rig(gateway.url)
            async with rig.living():
                await until(lambda: rig.watermark(0) == NEWEST)
                rig.set_mark(1, NEWEST)
                rig.pages[1].set("session", met)
                rig.pages[1].set("wants_history", 1)
                await until(lambda: rig.counters.get("session") == 2)
                await until(lambda: type(rig.controls()[-2]) is HistoryEnds)

    in_loop(test)


def test_no_token_reaches_a_log_line() -> None:
    async def test() -> None:
        with structlog.testing.capture_logs() as lines:
            async with ScriptedGateway(stay) as gateway:
                gateway.rejected = {"tok/1+"}
                gateway.statuses = [500, 301]
                rig = Rig(gateway.url)
                async with rig.living():
                    await until(lambda: rig.counters.get("session") == 1)
        text = str(lines)
        assert "session.begins" in text
        assert "hunter2" not in text
        assert "tok/" not in text
        assert "tok%2F" not in text

    in_loop(test)
