"""The demo: everything together for a few seconds, in a clone. Wheels: test_distribution."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from actors.demo import report as demo_report
from actors.demo.gateway import BundledGateway
from actors.demo.main import DemoPlan, _judged, run
from actors.demo.report import FINDINGS, OUTCOMES, DemoReport
from actors.demo.wishes import wishes_noted
from runtime.errors import ConfigurationError

ROOT = Path(__file__).parents[3]
TIMEOUT_S = 110
KEYS = {
    "sent", "received", *OUTCOMES, "transitions", *FINDINGS, "restarts", "reconnects",
    "throughput_per_s", "cpu_us_per_event", "latency_ms",
}  # fmt: skip


def demo(
    *arguments: str,
    python: str = sys.executable,
    cwd: Path = ROOT,
    environment: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-m", "runtime", "demo", *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def small(json_path: Path, *more: str) -> Sequence[str]:
    return ("--agents", "200", "--rate", "500", "--seconds", "2", "--json", str(json_path), *more)


def verified(done: subprocess.CompletedProcess[str], json_path: Path) -> dict[str, Any]:
    assert done.returncode == 0, done.stdout + done.stderr
    result: dict[str, Any] = json.loads(json_path.read_text())
    assert result["verified"] is True
    assert {finding: result[finding] for finding in FINDINGS} == dict.fromkeys(FINDINGS, 0)
    assert result["received"] == sum(result[outcome] for outcome in OUTCOMES)
    assert result["applied"] >= 200
    return result


def test_a_demo_verifies_every_event_and_says_what_it_cost(tmp_path: Path) -> None:
    out, kept = tmp_path / "out.json", tmp_path / "kept"
    done = demo(*small(out, "--data-dir", str(kept)))
    result = verified(done, out)
    assert result.keys() >= KEYS
    assert result["sent"] >= result["received"] > 900
    assert result["cpu_us_per_event"].keys() == {"web", "sender", "receiver", "shard", "total"}
    assert all(cpu_us > 0 for cpu_us in result["cpu_us_per_event"].values())
    assert list(result["latency_ms"]) == ["p50", "p90", "p99", "p999", "max"]
    assert 0 < result["throughput_per_s"] < 600  # an open loop of 500/s
    assert result["restarts"] == result["reconnects"] == 0
    assert "verified: nothing lost" in done.stdout
    commands = result["commands"]
    assert commands["placed"] >= 2
    assert sum(commands["ends"].values()) == commands["placed"]
    assert commands["found"]["commands"] >= commands["ends"]["confirmed"] > 0
    assert commands["found"]["webhooks"]["received"] >= commands["ends"]["confirmed"]
    assert "load: sent" in done.stdout
    assert done.stderr == ""
    # What it kept can be read, and verified again.
    subprocess.run(
        [
            *(sys.executable, "-m", "tools.fake_gateway", "verify"),
            *("--ledger", str(kept / "ledger"), "--data", str(kept)),
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )


def test_it_works_over_tls_and_without_a_journal_and_without_a_pause(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = demo(
        *("--agents", "200", "--rate", "max", "--seconds", "1", "--shards", "3"),
        *("--journal", "off", "--tls", "--json", str(out)),
    )
    result = verified(done, out)
    assert result["shards"] == 3
    assert result["received"] > 200  # more than the history


def test_a_demo_with_faults_and_kills_tells_each_and_still_verifies(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = demo(
        *("--agents", "300", "--rate", "1000", "--seconds", "8", "--json", str(out)),
        *("--faults", "flaky", "--kill-every", "1.2", "--seed", "17"),
    )
    result = verified(done, out)
    assert result["faults_by_kind"], "a plan without faults"
    assert all(fault["back_s"] > 0 for fault in result["faults"] if fault["back_s"] is not None)
    killed = [kill["child"] for kill in result["kills"]]
    assert {name.split("-")[0] for name in killed} == {"web", "sender", "receiver", "shard"}
    assert result["restarts"] == len(killed)
    assert result["reconnects"] > 0
    assert any(kill["event_s"] for kill in result["kills"])
    assert result["duplicates"] > 0
    assert result["stale_s"] > 0
    series = result["memory"]["bytes"]
    assert series.keys() == {"web", "sender", "shard-0", "shard-1", "receiver-0", "gateway"}
    assert all(len(points) == len(result["memory"]["at_s"]) > 5 for points in series.values())
    assert result["memory_growth"] is None  # too short a run to say
    assert "kills, receiver" in done.stdout
    assert "outcome" in done.stdout


def test_commands_outlive_killed_senders_and_lost_acknowledgements(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = demo(
        *("--agents", "200", "--rate", "200", "--seconds", "8", "--json", str(out)),
        *("--commands-per-s", "4", "--kill", "sender", "--kill-every", "2", "--seed", "11"),
        *("--ack-loss", "0.3"),
    )
    result = verified(done, out)
    assert {kill["child"] for kill in result["kills"]} == {"sender"}
    found = result["commands"]["found"]
    assert found["applied"] > found["acknowledged"], "every acknowledgement came"
    assert sum(result["commands"]["ends"].values()) == result["commands"]["placed"]


def test_a_hostile_gateway_loses_nothing_but_what_a_gap_row_tells(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = demo(
        *("--agents", "300", "--rate", "1000", "--seconds", "8", "--json", str(out)),
        *("--faults", "hostile", "--kill-every", "4", "--seed", "3"),
    )
    result = verified(done, out)
    assert len(result["faults_by_kind"]) >= 2
    assert result["reconnects"] > 0
    assert set(result["faults_by_kind"]).isdisjoint(result["faults_that_never_came"])
    assert result["gap_events"] == 0 or result["gap_rows"] > 0


def test_ctrl_c_ends_the_load_and_still_drains_and_verifies() -> None:
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "runtime", "demo"),
            *("--agents", "100", "--rate", "200", "--seconds", "0"),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        lines = [next(line for line in process.stdout if line.startswith("load:"))]
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        lines += process.stdout.read().splitlines()
        assert process.wait(TIMEOUT_S) == 0, "\n".join(lines)
        assert lines[-1].startswith("verified")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_it_begins_with_an_empty_directory_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ConfigurationError, match="not empty"):
        run(DemoPlan(data_dir=tmp_path))


@pytest.mark.timeout(400)  # it compiles
@pytest.mark.parametrize(
    ("wrong", "option"),
    [
        ({"json_path": Path("/nonexistent/x.json")}, "--json"),
        ({"json_path": Path("/")}, "--json"),
        ({"seconds": float("inf")}, "--seconds"),
        ({"seconds": float("nan")}, "--seconds"),
        ({"kill_every_s": float("inf")}, "--kill-every"),
        ({"kill_role": "sender"}, "--kill"),
        ({"commands_per_s": float("inf")}, "--commands-per-s"),
        ({"data_dir": Path("/dev/null")}, "--data-dir"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_starts(
    wrong: dict[str, Any], option: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{option} "):
        run(DemoPlan(**wrong))


def test_it_needs_nobody_who_reads_along(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    shell = f'exec "$0" -m runtime demo {" ".join(small(path))} <&- >&-'
    done = subprocess.run(
        ["/bin/sh", "-c", shell, sys.executable],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(path.read_text())["verified"] is True


def test_a_terminal_that_goes_away_is_a_wish_to_end() -> None:
    with wishes_noted() as wishes:
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.raise_signal(number)
    assert wishes.count == 3


def test_its_gateway_is_given_no_secret_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENESYSCLOUD_OAUTHCLIENT_SECRET", "s3cret-of-the-client")
    gateway = BundledGateway.start(tmp_path / "ledger", agents=10, seed=7, tls=False)
    try:
        environment = Path(f"/proc/{gateway.pid}/environ").read_bytes()
    finally:
        gateway.close()
    assert b"PATH=" in environment
    assert b"GENESYSCLOUD" not in environment


# -- what is shown -----------------------------------------------------------------------------


def report(**fields: Any) -> DemoReport:
    counts = dict.fromkeys(("sent", "received", *OUTCOMES, "transitions", *FINDINGS), 0)
    given: dict[str, Any] = {
        **counts,
        "restarts": 0,
        "reconnects": 0,
        "throughput_per_s": 1_999.5,
        "cpu_us_per_event": {"receiver": 0.5, "total": 5.5},
        "gateway_cpu_us_per_event": None,
        "latency_ms": {"p50": 1.25},
        "verified": True,
        "problems": (),
        "dialect": "wsp",
        "ready_s": 1.5,
        "cloud": None,
        "agents": 5,
        "rate": "max",
        "seconds": 1.0,
        "shards": 2,
        "seed": 7,
        "journal": "full",
        "tls": False,
        "faults": (),
        "faults_that_never_came": (),
        "kills": (),
        "recovery_s": {},
        "gap_rows": 0,
        "gap_events": 0,
        "unknown_rows": 0,
        "quarantined_by_reason": {},
        "stale_s": 0.0,
        "memory": {},
        "memory_growth": None,
        "fault_profile": "none",
        "kill_every_s": None,
        "lives": None,
        "commands_per_s": 0.0,
        "commands": None,
    }
    return DemoReport(**(given | fields))


def test_the_sum_of_the_outcomes_is_checked() -> None:
    exact = {outcome: number for number, outcome in enumerate(OUTCOMES, 1)}
    assert report(received=21, **exact).sum_is_exact
    assert not report(received=22, **exact).sum_is_exact


@pytest.mark.parametrize(
    ("fields", "problems", "is_content"),
    [({"received": 1}, [], True), ({}, ["shard-1 is behind"], True), ({}, [], False)],
)
def test_one_problem_is_enough_not_to_be_verified(
    fields: dict[str, Any],
    problems: list[str],
    is_content: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    judged = _judged(report(**fields), problems, is_content=is_content)
    assert not judged.verified
    assert len(judged.problems) == 1
    demo_report.show(judged)
    out = capsys.readouterr().out
    assert f"problem: {judged.problems[0]}" in out
    assert out.endswith("NOT verified\n")


def test_a_report_without_problems_is_verified(capsys: pytest.CaptureFixture[str]) -> None:
    judged = _judged(report(verified=False), [], is_content=True)
    assert judged.verified
    demo_report.show(judged)
    out = capsys.readouterr().out
    assert "CPU per event, receiver, µs\t0.5" in out
    assert "latency p50, ms\t1.25" in out
    assert "CPU per event, gateway, µs\t\n" in out
