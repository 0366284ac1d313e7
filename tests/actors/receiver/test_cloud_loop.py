"""A receiver of channels against the strict gateway: real calls, real sockets, real rings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

from actors.messages.control import (
    Gap,
    HistoryEnds,
    SessionBegins,
    SessionEnds,
    Unwatches,
    Vacates,
    Watches,
)
from actors.messages.partition import shard_of
from actors.receiver import channel_store
from actors.receiver.channel_line import ChannelPolicy
from tests.actors.receiver.cloud_rig import HASTY, CloudRig
from tests.actors.receiver.rig import in_loop, until
from tests.gateway.bundled import CloudServed, served


@asynccontextmanager
async def running(
    directory: Path,
    *,
    watched: int | None = None,
    policy: ChannelPolicy = HASTY,
    **more: Any,
) -> AsyncIterator[tuple[CloudServed, CloudRig, list[str]]]:
    """A receiver whose channels are all current, watching the first users of a gateway."""
    async with served(directory, calls_per_minute=3_000, **more) as gateway:
        users = (await gateway.users())[:watched]
        rig = CloudRig(gateway, directory, policy=policy)
        rig.watch(users)
        async with rig.living():
            await rig.until_current()
            yield gateway, rig, users


def recorded(rig: CloudRig) -> set[str]:
    """The ids of the channels that the receiver takes for its own."""
    connection = apsw.Connection(str(rig.path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return {id_ for (id_,) in connection.execute("SELECT id FROM channels")}
    finally:
        connection.close()


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


def assert_healed_by_a_session(rig: CloudRig, scope: str, gaps: int = 1) -> None:
    """The scope's newest session began after a gap, and its snapshot is whole."""
    for shard in range(rig.shards):
        begun = [each for each in rig.of(SessionBegins, shard) if each.scope == scope]
        told = [each for each in rig.of(Gap, shard) if each.scope == scope]
        ended = [each for each in rig.of(SessionEnds, shard) if each.scope == scope]
        whole = [each for each in rig.of(HistoryEnds, shard) if each.scope == scope]
        assert len(told) == len(ended) == gaps
        assert [each.session for each in ended] == [each.session for each in begun[:-1]]
        assert told[-1].session == whole[-1].session == begun[-1].session
        assert rig.controls(shard).index(told[-1]) < rig.controls(shard).index(begun[-1])


@pytest.mark.parametrize(
    ("fault", "is_same_channel"),
    [
        ({"kind": "drop"}, True),
        ({"kind": "close", "code": 1012}, True),
        ({"kind": "close", "code": None}, True),
        ({"kind": "expire-channel"}, False),
        ({"kind": "evict-channel"}, False),
        ({"kind": "unsubscribe"}, False),
        ({"kind": "revoke-channel"}, False),
        ({"kind": "lose-channel"}, False),
        ({"kind": "forget-channel"}, False),
    ],
    ids=lambda value: value.get("kind", "") if isinstance(value, dict) else "",
)
def test_what_a_channel_loses_is_a_gap_and_a_snapshot(
    tmp_path: Path, fault: dict[str, Any], is_same_channel: bool
) -> None:
    async def test() -> None:
        async with running(tmp_path, agents=15) as (gateway, rig, users):
            scope = "c0/0"
            before = await gateway.control("/channels")
            await gateway.control("/faults", fault)
            await rig.until_healed()
            gaps = rig.counters.get("gaps")
            assert_healed_by_a_session(rig, scope, gaps)
            assert gaps == 1 or fault["kind"] == "forget-channel"  # told at the next handshake
            assert min(rig.snapshots().values()) >= 2
            assert len(rig.snapshots()) == len(users)
            after = await gateway.control("/channels")
            assert len(after["channels"]) == 1
            same = after["channels"][0]["channel"] == before["channels"][0]["channel"]
            assert same is is_same_channel
            assert rig.counters.get("channels_lost") == (not is_same_channel)
            assert len(recorded(rig)) == 1

    in_loop(test)


def test_a_socket_that_is_told_to_close_is_replaced_without_a_gap(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path, agents=15) as (gateway, rig, users):
            await gateway.control("/faults", {"kind": "closing", "seconds": 5})
            await until(lambda: rig.counters.get("sessions_begun") == 2)
            await rig.until_current()
            await until(lambda: rig.counters.get("snapshots") == 2)
            assert rig.of(Gap) == []
            assert [each.session for each in rig.of(SessionEnds)] == [0]
            assert rig.snapshots() == dict.fromkeys(users, 2)
            status = await gateway.eventually(lambda status: status["sockets"] == 1)
            assert status["sockets_opened"] == 2
            assert status["channels"] == 1

    in_loop(test)


def test_a_silent_socket_is_dead_and_another_one_opened(tmp_path: Path) -> None:
    policy = ChannelPolicy(
        backoff_first_s=0.001, backoff_most_s=0.01, ping_after_s=(0.2, 0.3), dead_after_s=1.0
    )

    async def test() -> None:
        async with running(tmp_path, agents=15, policy=policy) as (gateway, rig, _):
            await gateway.control("/faults", {"kind": "stall", "seconds": 30})
            await rig.until_healed()
            assert_healed_by_a_session(rig, "c0/0")
            assert rig.of(Gap)[0].reason == "no frame and no pong for 1 s"
            status = await gateway.control("/status")
            assert status["pings"] >= 1

    in_loop(test)


def test_a_quiet_channel_lives_by_pings_and_heartbeats(tmp_path: Path) -> None:
    policy = ChannelPolicy(ping_after_s=(0.2, 0.3), dead_after_s=2.0)

    async def test() -> None:
        async with running(tmp_path, agents=15, policy=policy, heartbeat_s=0.5) as (_, rig, _):
            await until(lambda: rig.counters.get("control_frames") >= 8)
            assert rig.counters.get("gaps") == 0
            assert rig.counters.get("sessions_begun") == 1
            assert rig.counters.get("rejected") == 0

    in_loop(test)


def test_a_channel_is_rotated_before_its_time_without_a_gap(tmp_path: Path) -> None:
    policy = ChannelPolicy(rotate_after_s=1.0, backoff_first_s=0.001, backoff_most_s=0.01)

    async def test() -> None:
        async with running(tmp_path, agents=15, policy=policy) as (gateway, rig, _):
            first = (await gateway.control("/channels"))["channels"][0]["channel"]
            await until(lambda: rig.counters.get("rotations") >= 1)
            await rig.until_current()
            assert rig.of(Gap) == []
            assert rig.counters.get("channels_lost") == 0
            await until(lambda: len(recorded(rig)) == 1 or rig.counters.get("rotations") >= 2)
            status = await gateway.control("/channels")
            old = next((each for each in status["channels"] if each["channel"] == first), None)
            assert old is None or old["topics"] == 0

    in_loop(test)


def test_who_joins_or_leaves_touches_the_own_channel_only(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path, agents=30, watched=25) as (gateway, rig, users):
            everybody = await gateway.users()
            newcomer = next(user for user in everybody if user not in users)
            leaver = users[0]
            sessions = rig.counters.get("sessions_begun")
            rig.watch([*users[1:], newcomer])
            await rig.until_current()
            await until(lambda: newcomer in rig.snapshots())
            await until(lambda: rig.everywhere(Unwatches))
            assert rig.counters.get("sessions_begun") == sessions == 2
            assert rig.snapshots() == dict.fromkeys([*users, newcomer], 1)
            left = rig.everywhere(Unwatches)
            assert [each.user_id for each in left] == [leaver]
            told = {each.user_id: each.scope for each in rig.everywhere(Watches)}
            places = rig.plan.places()
            assert told[newcomer] == places[newcomer].scope
            status = await gateway.control("/status")
            assert status["topics"] == 25

    in_loop(test)


def test_a_slot_that_nobody_is_left_on_lets_its_channel_go(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path, agents=30, watched=25) as (gateway, rig, users):
            places = rig.plan.places()
            staying = [user for user in users if places[user].slot == 0]
            rig.watch(staying)
            await rig.until_current()
            await until(lambda: len(recorded(rig)) == 1)
            ended = [each for each in rig.of(SessionEnds) if each.scope == "c0/1"]
            assert [each.reason for each in ended] == ["no agent is monitored on this channel"]
            left = {each.user_id for each in rig.everywhere(Unwatches)}
            assert left == set(users) - set(staying)
            status = await gateway.eventually(lambda status: status["sockets"] == 1)
            assert status["topics"] == len(staying)

    in_loop(test)


def test_a_refused_topic_is_listed_and_takes_no_other_one_with_it(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path, agents=20, forbidden_every=5) as (gateway, rig, users):
            report = channel_store.read_report(rig.path)
            refused = {each.topic.split(".")[2] for each in report.refused}
            assert len(refused) == rig.counters.get("topics_refused") == 4
            assert {each.permissions for each in report.refused} == {("users:activity:view",)}
            watched = {each.user_id for each in rig.everywhere(Watches)}
            assert watched == set(users) - refused == rig.snapshots().keys()
            status = await gateway.control("/status")
            assert status["topics"] == len(watched)

    in_loop(test)


def test_foreign_channels_are_counted_and_never_touched(tmp_path: Path) -> None:
    async def test() -> None:
        async with served(tmp_path, agents=15, calls_per_minute=3_000) as gateway:
            users = await gateway.users()
            theirs, client = await gateway.hear(users[:3])
            rig = CloudRig(gateway, tmp_path)
            rig.watch(users)
            async with rig.living():
                await rig.until_current()
                await until(lambda: rig.counters.get("channels_foreign") == 1)
                await gateway.control("/updates", {"user": users[0], "state": "Meal"})
                assert (await client.next())["topicName"].startswith("v2.users.")
                assert theirs["id"] not in recorded(rig)

    in_loop(test)


def test_a_successor_uses_the_channels_of_its_predecessor(tmp_path: Path) -> None:
    async def test() -> None:
        async with served(tmp_path, agents=25, calls_per_minute=3_000) as gateway:
            rig = CloudRig(gateway, tmp_path)
            rig.watch(await gateway.users())
            async with rig.living():
                await rig.until_current()
                held = recorded(rig)
            assert len(held) == 2
            await gateway.eventually(lambda status: status["sockets"] == 0)
            async with rig.living():
                await until(lambda: rig.counters.get("sessions_begun") == 4)
                await rig.until_current()
                status = await gateway.control("/status")
                assert status["channels"] == 2
                assert recorded(rig) == held
                assert rig.counters.get("channels_reused") == 2
                assert rig.counters.get("channels_created") == 2
            gaps = {each.scope: each.reason for each in rig.of(Gap)}
            assert gaps == {"c0/0": "the receiver starts", "c0/1": "the receiver starts"}

    in_loop(test)


def test_a_recorded_channel_that_leads_elsewhere_is_replaced_and_never_opened(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        async with served(tmp_path, agents=15, calls_per_minute=3_000) as gateway:
            rig = CloudRig(gateway, tmp_path)
            rig.watch(await gateway.users())
            async with rig.living():
                await rig.until_current()
                held = recorded(rig)
            await gateway.eventually(lambda status: status["sockets"] == 0)
            file = apsw.Connection(str(rig.path))
            file.execute("UPDATE channels SET connect_uri = 'ws://evil.example/channels/x'")
            file.close()
            async with rig.living():
                await until(lambda: rig.counters.get("channels_created") == len(held) + 1)
                await rig.until_current()
                await until(lambda: not held & recorded(rig))
                assert rig.counters.get("channels_reused") == 0

    in_loop(test)


def test_a_channel_that_is_not_planned_any_more_is_let_go_by_a_successor(tmp_path: Path) -> None:
    async def test() -> None:
        async with served(tmp_path, agents=25, calls_per_minute=3_000) as gateway:
            users = await gateway.users()
            rig = CloudRig(gateway, tmp_path)
            places = rig.watch(users).places()
            async with rig.living():
                await rig.until_current()
            rig.watch([user for user in users if places[user].slot == 1])
            async with rig.living():
                await rig.until_current()
                await until(lambda: len(recorded(rig)) == 1)
                told = [each.scope for each in rig.of(Vacates, shard=1)]
                assert told.count("c0/0") == 1, "its agents have nobody else to tell of them"
                assert "c0/1" not in told
                status = await gateway.eventually(lambda status: status["sockets"] == 1)
                assert status["topics"] == len(rig.plan.places())
                assert rig.counters.get("channels_reused") == 1

    in_loop(test)


def test_a_shard_that_lost_its_way_is_given_another_snapshot_once(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path, agents=25) as (_, rig, users):
            rig.pages[1].set("wants_history", 1)
            await until(lambda: rig.counters.get("sessions_begun") == 4)
            await until(lambda: rig.counters.get("snapshots") == 4)
            await until(lambda: rig.snapshots() == dict.fromkeys(users, 2))
            assert rig.of(Gap) == []

    in_loop(test)


def test_refusals_by_rate_and_failures_are_waited_for(tmp_path: Path) -> None:
    async def test() -> None:
        async with served(tmp_path, agents=25, calls_per_minute=3_000) as gateway:
            rig = CloudRig(gateway, tmp_path)
            rig.watch(await gateway.users())
            refusal = {"kind": "refuse-rest", "status": 429, "retry_after_s": 1, "count": 2}
            await gateway.control("/faults", refusal)
            await gateway.control("/faults", {"kind": "refuse-rest", "status": 503, "count": 3})
            await gateway.control("/faults", {"kind": "refuse-sockets", "status": 500, "count": 2})
            async with rig.living():
                await rig.until_current()
            assert rig.counters.get("requests_refused") == 2
            assert len(rig.snapshots()) == 25
            assert rig.of(Gap) == []

    in_loop(test)


def test_odd_frames_are_set_aside_and_end_nothing(tmp_path: Path) -> None:
    kinds = ("malformed", "truncated", "binary", "unknown-topic", "fragmented")

    async def test() -> None:
        async with running(tmp_path, agents=15) as (gateway, rig, users):
            for kind in kinds:
                await gateway.control("/faults", {"kind": kind})
                await gateway.control("/updates", {"user": users[0], "state": "Meal"})
            await until(lambda: rig.counters.get("rejected") >= 3)
            assert rig.counters.get("sessions_begun") == 1

    in_loop(test)
