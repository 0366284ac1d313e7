"""A receiver of channels whose rings are full: it pauses every socket, spills in order, and begins
anew when too much is spilled. Real sockets."""

from __future__ import annotations

from pathlib import Path

import pytest

from actors.messages.control import Gap, HistoryEnds, SessionBegins, SessionEnds
from actors.receiver.channel_socket import ChannelSocket
from actors.receiver.ring_writer import SPILL_BYTES_MAX
from runtime.ring import KIND_EVENT
from tests.actors.receiver.cloud_rig import CloudRig
from tests.actors.receiver.rig import in_loop, until
from tests.gateway.bundled import served
from tools.fake_gateway.pacing import Load

SMALL_RING = 1 << 16
AGENTS = 45  # on three channels
DEADLINE_S = 60.0


def events(rig: CloudRig) -> int:
    return sum(each.kind == KIND_EVENT for taken in rig.read() for each in taken)


def test_a_full_ring_pauses_every_channel_and_nothing_is_lost_by_it(tmp_path: Path) -> None:
    async def test() -> None:
        async with served(tmp_path, agents=AGENTS, calls_per_minute=3_000) as gateway:
            rig = CloudRig(gateway, tmp_path, capacity=SMALL_RING)
            rig.watch(await gateway.users())
            async with rig.living():
                await rig.until_current()
                rig.read()
                gateway.gateway.start_load(Load(4_000.0, 1.0))
                await until(lambda: rig.counters.get("pauses") > 0)
                await gateway.eventually(lambda status: status["load"] == "done")
                generated = (await gateway.control("/status"))["generated"]
                await until(lambda: events(rig) == AGENTS + generated, DEADLINE_S)
                assert rig.of(Gap) == []
                assert [each.session for each in rig.of(SessionEnds)] == [0]
                assert rig.counters.get("spill_bytes") == 0

    in_loop(test)


def test_too_much_spill_ends_all_sessions_and_each_is_made_up_for_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transport that still brings whatever is sent: picows was seen to bring 46,000 frames."""
    monkeypatch.setattr(ChannelSocket, "pause", lambda _: None)

    async def test() -> None:
        async with served(tmp_path, agents=AGENTS, calls_per_minute=3_000) as gateway:
            rig = CloudRig(gateway, tmp_path, capacity=SMALL_RING)
            rig.watch(await gateway.users())
            async with rig.living():
                await rig.until_current()
                rig.read()
                gateway.gateway.start_load(Load(None, 0.0))
                await until(lambda: rig.counters.get("spill_dropped") > 0, DEADLINE_S)
                gateway.gateway.stop_load()
                assert rig.counters.get("spill_bytes") < SPILL_BYTES_MAX // 100
                scopes = {slot.scope for slot in rig.plan.slots}
                await until(lambda: {each.scope for each in rig.of(Gap)} == scopes, DEADLINE_S)
                await until(lambda: len(rig.of(HistoryEnds)) == 2 * len(scopes), DEADLINE_S)
                assert len(rig.of(SessionBegins)) == 2 * len(scopes)
                ends = [each for each in rig.of(SessionEnds) if each.session]
                assert {each.reason for each in ends} == {"the spill limit is exceeded"}
                assert set(rig.snapshots().values()) == {2}

    in_loop(test)
