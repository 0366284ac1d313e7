"""The cloud dialect's topology: planner, receivers, clients dealt in turn, files handed over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from actors.app.data_files import channel_files
from actors.app.topology import Runtime
from actors.genesys.channel_plan import Slot
from actors.genesys.secret import Secret
from actors.planner.arguments import WatchSelection
from actors.planner.store import RosterStore
from actors.receiver import cloud_arguments
from actors.receiver.channel_store import ChannelRecord, ChannelStore, read_report
from actors.settings.cloud import (
    CLIENTS_OF_A_RECEIVER_MAX,
    ROTATE_AFTER_S,
    ClientSettings,
    CloudSettings,
)
from actors.settings.model import Settings
from runtime.child_spec import assert_consistent
from runtime.errors import EXIT_CONFIGURATION, ConfigurationError, LocalError
from tests.actors.app.test_topology import LOG, SECRET, named, settings


def cloud(tmp_path: Path, **fields: Any) -> Settings:
    more = tuple(
        ClientSettings(client_id=name, client_secret=SecretStr(SECRET)) for name in ("d", "e")
    )
    given = {"dialect": "cloud", "clients": more, "receivers": 2, "region": "eu-central-1"}
    return settings(tmp_path, **(given | {"base_url": None} | fields))


@pytest.fixture
def in_cloud(tmp_path: Path) -> Iterator[Runtime]:
    runtime = Runtime.assemble(cloud(tmp_path), LOG)
    yield runtime
    runtime.data_dir.lock.release()


def test_in_the_cloud_a_planner_stands_between_the_shards_and_several_receivers(
    in_cloud: Runtime,
) -> None:
    assert_consistent(in_cloud.specs)
    names = ["web", "sender", "shard-0", "shard-1", "planner", "receiver-0", "receiver-1"]
    assert [spec.name for spec in in_cloud.specs] == names
    assert all(spec.needs == ("shard-0", "shard-1", "planner") for spec in in_cloud.specs[-2:])
    assert named(in_cloud, "web").arguments.dialect == "cloud"
    assert named(in_cloud, "web").arguments.sender_enabled


def test_the_planner_has_a_ring_to_every_shard(in_cloud: Runtime) -> None:
    planner = named(in_cloud, "planner").arguments
    assert [ring.name for ring in planner.shard_rings] == [
        "planner to shard-0", "planner to shard-1",
    ]  # fmt: skip
    for index in range(2):
        shard = named(in_cloud, f"shard-{index}").arguments
        assert shard.roster is planner.shard_rings[index]
        assert shard.doorbell is planner.shard_doorbells[index]


def test_every_receiver_has_a_ring_of_its_own_to_every_shard(in_cloud: Runtime) -> None:
    receivers = [named(in_cloud, f"receiver-{n}").arguments for n in range(2)]
    for index in range(2):
        shard = named(in_cloud, f"shard-{index}").arguments
        assert shard.dialect == "cloud"
        assert shard.rings == tuple(receiver.rings[index] for receiver in receivers)
        assert shard.producer_doorbells == tuple(each.own_doorbell for each in receivers)
        assert all(each.shard_doorbells[index] is shard.doorbell for each in receivers)
    rings = {id(ring) for receiver in receivers for ring in receiver.rings}
    assert len(rings) == 4


def test_clients_are_dealt_to_the_receivers_in_turn_and_the_first_is_the_planners(
    in_cloud: Runtime,
) -> None:
    planner = named(in_cloud, "planner").arguments
    sender = named(in_cloud, "sender").arguments
    assert (sender.dialect, sender.address) == ("cloud", planner.address)
    receivers = [named(in_cloud, f"receiver-{n}").arguments for n in range(2)]
    dealt = [[client.number for client in each.clients] for each in receivers]
    assert dealt == [[0, 2], [1]]
    assert [client.address.credentials()[0] for client in receivers[0].clients] == ["c", "e"]
    assert planner.clients == 3
    assert planner.address.credentials() == ("c", SECRET)
    assert planner.address.api_url == "https://api.mypurecloud.de"
    assert planner.address.token_url == "https://login.mypurecloud.de/oauth/token"
    assert planner.receiver_doorbells == tuple(each.own_doorbell for each in receivers)
    assert all(each.planner_counters is in_cloud.planner for each in receivers)
    assert {each.roster_path for each in receivers} == {planner.path}
    assert len({each.path for each in receivers}) == 2


def test_what_the_settings_say_of_the_cloud_reaches_planner_and_receivers(tmp_path: Path) -> None:
    chosen = CloudSettings(
        watch="queues",
        watch_ids=("Sales",),
        topics="combined",
        topics_per_channel_max=100,
        requests_per_minute=60,
        rotate_after_s=3600,
        roster_every_s=20,
    )
    runtime = Runtime.assemble(cloud(tmp_path, cloud=chosen), LOG)
    planner = named(runtime, "planner").arguments
    receiver = named(runtime, "receiver-1").arguments
    assert planner.watch == WatchSelection(kind="queues", ids=("Sales",))
    assert (planner.topics_per_agent, planner.limits) == (1, chosen.limits)
    assert (planner.requests_per_minute, planner.roster_every_s) == (60, 20)
    assert (receiver.topics, receiver.requests_per_minute) == ("combined", 60)
    assert receiver.rotate_after_s == 3600
    assert named(runtime, "sender").arguments.requests_per_minute == 60
    runtime.data_dir.lock.release()


def test_the_bounds_of_the_settings_are_those_of_the_receiver() -> None:
    assert cloud_arguments.ROTATE_AFTER_S == ROTATE_AFTER_S
    assert cloud_arguments.CLIENTS_MAX == CLIENTS_OF_A_RECEIVER_MAX


def test_each_run_takes_the_roster_from_the_one_before(tmp_path: Path) -> None:
    first = Runtime.assemble(cloud(tmp_path), LOG)
    arguments = named(first, "planner").arguments
    first.data_dir.lock.release()
    Runtime.assemble(cloud(tmp_path), LOG).data_dir.lock.release()
    with pytest.raises(LocalError, match="is owned by run"):
        RosterStore(arguments.path, arguments.run)


def test_a_directory_of_one_dialect_is_not_opened_with_the_other(tmp_path: Path) -> None:
    api_url = "https://api.mypurecloud.de"
    Runtime.assemble(settings(tmp_path, base_url=api_url), LOG).data_dir.lock.release()
    with pytest.raises(ConfigurationError, match="was created with dialect = wsp") as caught:
        Runtime.assemble(cloud(tmp_path), LOG)
    assert caught.value.exit_code == EXIT_CONFIGURATION
    assert "set a different data_dir" in str(caught.value)


def test_no_spec_of_the_cloud_holds_a_secret(in_cloud: Runtime) -> None:
    for spec in in_cloud.specs:
        assert SECRET not in spec.title + spec.name + repr(spec)


def test_channels_follow_their_oauth_client_when_the_number_of_receivers_changes(
    tmp_path: Path,
) -> None:
    first = Runtime.assemble(cloud(tmp_path, receivers=2), LOG)
    path, run = first.data_dir.path, named(first, "planner").arguments.run
    for index, clients in enumerate([(0, 2), (1,)]):
        store = ChannelStore(path / f"channels-{index}.db", run)
        for client in clients:
            text = Secret(f"channel of {client}")
            store.add(ChannelRecord(text, Slot(client, 0), text, 1, None))
        store.close()
    first.data_dir.lock.release()

    def held(receivers: int) -> list[list[int]]:
        runtime = Runtime.assemble(cloud(tmp_path, receivers=receivers), LOG)
        runtime.data_dir.lock.release()
        assert len(list(path.glob("channels-*"))) >= receivers
        return [
            sorted(slot.client for slot in read_report(each).channels)
            for each in channel_files(path)
        ]

    assert held(1) == [[0, 1, 2]]
    assert held(3) == [[0], [1], [2]]
    assert held(2) == [[0, 2], [1]]


def test_a_receiver_of_an_earlier_run_can_record_no_channel(tmp_path: Path) -> None:
    first = Runtime.assemble(cloud(tmp_path), LOG)
    arguments = named(first, "receiver-1").arguments
    first.data_dir.lock.release()
    Runtime.assemble(cloud(tmp_path), LOG).data_dir.lock.release()
    with pytest.raises(LocalError, match="is owned by run"):
        ChannelStore(arguments.path, arguments.run)
