"""A receiver of channels against the strict gateway: real calls, real sockets, real rings."""

from __future__ import annotations

from pathlib import Path

from actors.events import Watches
from actors.partition import shard_of
from tests.actors.receiver.cloud_rig import CloudRig
from tests.actors.receiver.rig import in_loop, until
from tests.fake_gateway.cloud.clients import served


def test_a_plan_becomes_channels_whose_agents_and_events_stand_in_the_rings(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        async with served(tmp_path, clients=2, calls_per_minute=3_000) as gateway:
            users = await gateway.users()
            rig = CloudRig(gateway, tmp_path)
            planned = rig.watch(users)
            async with rig.living():
                await rig.until_current()
                told = await gateway.control("/updates", {"user": users[0], "state": "Meal"})
                await until(lambda: len(rig.events()) == len(users) + 1)
                status = await gateway.control("/status")
                assert status["topics"] == len(users)
                assert status["channels"] == status["sockets"] == len(planned.slots) == 3
                assert status["too_many_requests"] == 0
            assert rig.snapshots() == dict.fromkeys(users, 1)
            live = next(each for each in rig.events() if each["topicName"].endswith("activity"))
            assert live["eventBody"]["presence"]["modifiedDate"] == told["modifiedDate"]
            assert {each.user_id: each.scope for each in rig.everywhere(Watches)} == {
                user: slot.scope for user, slot in planned.places().items()
            }
            for shard in range(rig.shards):
                owned = [u.user_id for u in rig.of(Watches, shard)]
                assert all(shard_of(user, rig.shards) == shard for user in owned)

    in_loop(test)
