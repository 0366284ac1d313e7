"""Stage: one peer and one gateway, from the start to the judgement. Knows no peer by name."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import apsw

from actors.demo.gateway import BundledGateway
from benchmarks.harness import ROOT, WrongResultError, verify
from benchmarks.peers.part import Given
from tools.fake_gateway.wsp.expectation import Expectation

LOOK_S = 0.01
QUIET_S = 0.3
"""Between ready and the load: whatever the start left behind is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What is to be played."""

    program: Sequence[str]
    agents: int
    seed: int
    tls: bool = False
    durable: bool = False
    has_folder: bool = False
    """Whether the program wants `--folder`."""
    holds_agents: bool = True
    """Else only its count of events is judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A run that was found right."""

    events: int
    seconds: float
    cpu_s: Mapping[str, float]
    ages_ms: Mapping[str, float]

    @property
    def per_s(self) -> float:
        return self.events / self.seconds

    def us(self, *roles: str) -> float:
        """CPU per event of these roles, or of all."""
        used = sum(self.cpu_s[role] for role in roles or self.cpu_s)
        return used * 1e6 / self.events


def play(act: Act, rate: float | str, seconds: float) -> Played:
    """Raises WrongResultError if the peer fails, or holds anything but the gateway's truth."""
    with tempfile.TemporaryDirectory(prefix="presence-peer-") as name:
        folder = Path(name)
        ledger = folder / "ledger"
        gateway = BundledGateway.start(ledger, agents=act.agents, seed=act.seed, tls=act.tls)
        try:
            given = Given(
                base_url=gateway.base_url,
                client_id=gateway.client_id,
                client_secret=gateway.client_secret,
                agents=act.agents,
                ca_file=None if gateway.ca_file is None else str(gateway.ca_file),
                journal=str(folder / "peer.db") if act.durable else None,
            )
            command = [*act.program, given.as_argument()]
            if act.has_folder:
                command += ["--folder", str(folder)]
            played, report = _with_peer(command, folder, gateway, rate, seconds)
            gateway.stop()
        finally:
            gateway.close()
        _judge(report, ledger, holds_agents=act.holds_agents)
        if given.journal is not None and Path(given.journal).exists():
            verify("rows made durable", _rows(given.journal), report["transitions"])
        return played


def _with_peer(
    command: Sequence[str],
    folder: Path,
    gateway: BundledGateway,
    rate: float | str,
    seconds: float,
) -> tuple[Played, dict[str, Any]]:
    with (folder / "stderr").open("wb") as errors:
        peer = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        )
    assert peer.stdin is not None
    assert peer.stdout is not None

    def ended() -> WrongResultError:
        said = (folder / "stderr").read_text(errors="replace")[:2_000]
        return WrongResultError(f"{command[0]} has ended with {peer.wait()}: {said}")

    def heard() -> dict[str, Any]:
        line = peer.stdout.readline()  # type: ignore[union-attr]
        if not line:
            raise ended()
        words: dict[str, Any] = json.loads(line)
        return words

    try:
        heard()  # ready
        time.sleep(QUIET_S)
        before = gateway.status()["generated"]
        started_s = time.monotonic()
        gateway.start_load(rate, seconds)  # type: ignore[arg-type]
        _until(lambda: gateway.status()["load"] == "done")
        status = gateway.status()
        try:
            peer.stdin.write(b"%d\n" % status["newest_sequence"])
            peer.stdin.close()
        except BrokenPipeError:
            raise ended() from None
        heard()  # finished
        took_s = time.monotonic() - started_s
        report = heard()
        verify(f"exit code of {command[0]}", peer.wait(), 0)
    finally:
        if peer.poll() is None:
            peer.kill()
            peer.wait()
        peer.stdout.close()
        with suppress(BrokenPipeError):
            peer.stdin.close()
    played = Played(
        events=status["generated"] - before,
        seconds=took_s,
        cpu_s=report["cpu_s"],
        ages_ms=report.get("ages_ms", {}),
    )
    return played, report


def _until(fact: Callable[[], bool]) -> None:
    while not fact():
        time.sleep(LOOK_S)


def _rows(journal: str) -> int:
    """Of a peer's own file."""
    with closing(apsw.Connection(journal)) as connection:
        count: int = connection.execute("SELECT count(*) FROM transitions").get
        return count


def _judge(report: Mapping[str, Any], ledger: Path, *, holds_agents: bool) -> None:
    """Every event was counted, and every agent is held as the gateway told it last."""
    truth = Expectation(ledger)
    verify("events", report["events"], truth.sent_events + truth.sent_history)
    if not holds_agents:
        return
    verify("transitions", report["transitions"], report["events"])  # each of them is a change
    expected = {}
    for agent, number in enumerate(truth.last_changes(truth.end)):
        fact = truth.fact(number) if number >= 0 else truth.initial(agent)
        expected[truth.script.users[agent]] = (fact.state, fact.at_us)
    found = {
        user: (state, round(datetime.fromisoformat(stamp).timestamp() * 1e6))
        for user, (state, stamp) in report["states"].items()
    }
    wrong = [user for user, fact in expected.items() if found.get(user) != fact]
    if wrong or len(found) != len(expected):
        example = [(found.get(user), expected[user]) for user in wrong[:3]]
        raise WrongResultError(
            f"{len(wrong)} of {len(expected)} agents are held wrongly: {example}"
        )


def python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"benchmarks.peers.{module}", *arguments)
