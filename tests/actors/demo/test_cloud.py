"""The demo of the cloud dialect, verified by the gateway's program, faults and kills included."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from actors.demo.main import DemoPlan
from tests.actors.demo.test_main import ROOT, demo, report, small, verified


def test_a_demo_of_the_cloud_has_clients_enough_and_keeps_to_the_rate_limit(
    tmp_path: Path,
) -> None:
    out, kept = tmp_path / "out.json", tmp_path / "kept"
    done = demo("--dialect", "cloud", *small(out, "--data-dir", str(kept)))
    result = verified(done, out)
    assert result["received"] > 1_100  # everybody's snapshot, and what came behind it
    assert (result["cloud"]["clients"], result["cloud"]["channels"]) == (1, 1)
    assert result["cloud"]["too_many_requests"] == 0
    assert 0 < result["cloud"]["fullest_window"] < 300
    assert 0 < result["ready_s"] < 60
    commands = result["commands"]
    assert sum(commands["ends"].values()) == commands["placed"] >= 2
    assert sum(commands["found"][kind] for kind in commands["found"]["examples"]) == 0
    told = subprocess.run(
        [sys.executable, "-m", "runtime", "topics", "--json", "--data-dir", str(kept)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    topics = json.loads(told.stdout)
    assert (topics["agents"], topics["unmonitored"], topics["refused"]) == (200, [], [])


def test_a_demo_of_the_cloud_with_faults_and_kills_verifies(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = demo(
        *("--dialect", "cloud", "--agents", "300", "--rate", "1000", "--seconds", "6"),
        *("--faults", "hostile", "--kill-every", "1.2", "--seed", "17", "--json", str(out)),
        *("--commands-per-s", "0"),
    )
    result = verified(done, out)
    assert result["faults_by_kind"]
    assert result["restarts"] == len(result["kills"]) > 0
    assert "kills, " in done.stdout


def test_commands_that_go_out_in_bulk_survive_kills_of_the_sender(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = demo(
        *("--dialect", "cloud", "--agents", "200", "--rate", "50", "--seconds", "8"),
        *("--commands-per-s", "5", "--kill", "sender", "--kill-every", "2", "--seed", "3"),
        *("--json", str(out)),
    )
    commands = verified(done, out)["commands"]
    assert sum(commands["ends"].values()) == commands["placed"] > 10
    assert commands["ends"]["confirmed"] > 0
    assert sum(commands["found"][kind] for kind in commands["found"]["examples"]) == 0


def test_a_demo_of_topics_that_tell_parts_of_an_agent_verifies_under_faults(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = demo(
        *("--dialect", "cloud", "--topics", "combined", "--agents", "200", "--rate", "500"),
        *("--seconds", "6", "--faults", "hostile", "--seed", "17", "--json", str(out)),
    )
    result = verified(done, out)
    assert result["faults_by_kind"]


def test_a_demo_gives_every_agent_a_place_on_a_channel() -> None:
    assert DemoPlan(agents=1_000_000).clients == 1
    cloud = {
        agents: DemoPlan(dialect="cloud", agents=agents).clients for agents in (1, 17_100, 20_000)
    }
    assert cloud == {1: 1, 17_100: 1, 20_000: 2}
    assert DemoPlan(dialect="cloud", topics="combined", agents=20_000).clients == 2


def test_only_what_the_gateway_does_has_to_be_made_good_in_time() -> None:
    late: dict[str, Any] = {
        "longest_stale_s": 9.0,
        "longest_behind_s": None,  # nothing is journalled
        "stale_s_max": 8.0,
        "faults": {},
    }
    behind = late | {"longest_stale_s": 0.0, "longest_behind_s": 8.1}
    assert report(cloud=late, fault_profile="flaky").is_too_stale
    assert report(cloud=behind, fault_profile="flaky").is_too_stale
    assert not report(cloud=late | {"stale_s_max": 9.0}, fault_profile="flaky").is_too_stale
    assert not report(cloud=late).is_too_stale
    assert not report(cloud=late, fault_profile="flaky", kill_every_s=1.0).is_too_stale
    assert not report(fault_profile="flaky").is_too_stale
