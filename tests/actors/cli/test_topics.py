"""What `topics` tells: who is watched where, who is not, which topics were refused and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from actors import main as cli
from actors.genesys.channel_plan import ChannelPlan, Limits, Slot, plan
from actors.genesys.cloud import subscribed_topic
from actors.genesys.cloud_answers import RejectedTopic
from actors.genesys.secret import Secret
from actors.planner import store as planner_store
from actors.receiver import channel_store
from actors.receiver.channel_store import ChannelRecord, ChannelStore
from actors.storage.data_dir import DataDir, GatewayIdentity
from runtime.errors import EXIT_CONFIGURATION

RUN = "run"
AGENTS = {f"user-{n}": f"Agent {n}" for n in range(5)}
CLOUD = GatewayIdentity(dialect="cloud", gateway="https://api.mypurecloud.de")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Five agents, a client with room for four of them; one topic is refused."""
    path = tmp_path / "data"
    DataDir.claim(path, CLOUD, shards=1).lock.release()
    roster_path = path / planner_store.FILE
    planner_store.prepare(roster_path, RUN)
    roster = planner_store.RosterStore(roster_path, RUN)
    limits = Limits(topics_per_channel_max=2, channels_per_client_max=2)
    roster.commit(plan(ChannelPlan(), list(AGENTS), 1, 1, limits), AGENTS, 1_790_000_000_000_000)
    roster.close()
    channels_path = path / "channels-0.db"
    channel_store.prepare(channels_path, RUN)
    channels = ChannelStore(channels_path, RUN)
    for slot in (0, 1):
        record = ChannelRecord(Secret(f"id{slot}"), Slot(0, slot), Secret("ws://x"), 1, None)
        channels.add(record)
    refused = RejectedTopic(subscribed_topic("user-2", "activity"), "not permitted", ("users:see",))
    channels.refuse(Slot(0, 1), [refused], 1_790_000_000_000_000)
    channels.refuse(Slot(7, 0), [refused], 1_790_000_000_000_000)  # of a client that is gone
    channels.close()
    return path


def told(path: Path, capsys: pytest.CaptureFixture[str], *more: str) -> Any:
    assert cli.main(["topics", "--data-dir", str(path), "--json", *more]) == 0
    return json.loads(capsys.readouterr().out)


def test_it_tells_where_everybody_is_and_how_many_clients_are_needed(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = told(path, capsys)
    assert (found["agents"], found["clients_needed"]) == (5, 2)
    assert found["unmonitored"] == [{"user_id": "user-4", "name": "Agent 4"}]
    assert [(each["scope"], each["agents"], each["channels"]) for each in found["channels"]] == [
        ("c0/0", 2, 1),
        ("c0/1", 2, 1),
    ]


def test_a_refused_topic_names_its_agent_and_the_permission_that_is_missing(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = told(path, capsys)
    (refused,) = found["refused"]
    assert (refused["user_id"], refused["name"]) == ("user-2", "Agent 2")
    assert (refused["reason"], refused["missing_permissions"]) == ("not permitted", ["users:see"])
    assert refused["since"] == "2026-09-21T14:13:20.000Z"
    assert found["missing_permissions"] == ["users:see"]


def test_people_are_told_the_same_and_what_to_do(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["topics", "--data-dir", str(path)]) == 0
    out = capsys.readouterr().out
    assert "not monitored\t1" in out
    assert "user-4\tAgent 4" in out
    assert "1 agents are not monitored: 2 OAuth clients are needed" in out
    assert "missing permissions: users:see" in out
    assert "id0" not in out  # a channel's id is a secret
    assert "ws://x" not in out


def test_a_long_list_is_cut_where_it_is_shown_and_nowhere_else(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(told(path, capsys, "--limit", "1")["unmonitored"]) == 1
    assert cli.main(["topics", "--data-dir", str(path), "--limit", "0"]) == 0
    assert "user-4" in capsys.readouterr().out


def test_before_any_plan_and_in_the_other_dialect_it_says_why_there_is_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    DataDir.claim(tmp_path / "new", CLOUD, shards=1).lock.release()
    wsp = GatewayIdentity(dialect="wsp", gateway="https://x")
    DataDir.claim(tmp_path / "wsp", wsp, shards=1).lock.release()
    for name, said in (("new", "no planner has run"), ("wsp", "uses dialect wsp")):
        assert cli.main(["topics", "--data-dir", str(tmp_path / name)]) == EXIT_CONFIGURATION
        assert said in capsys.readouterr().err
