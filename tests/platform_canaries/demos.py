"""Owns how a demo is run with a cure switched off, and what became of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.platform_canaries.canaries import SEED, Canary

HERE: Final = Path(__file__).parent
AGENTS: Final = 250
RATE: Final = 200
TIMEOUT_S: Final = 220.0
"""One that is neither ready nor finished by then has failed."""


class Verdict(NamedTuple):
    """What a demo said; `report` is empty if it did not come that far."""

    is_verified: bool
    said: str
    report: dict[str, Any]


def demo_without(canary: Canary) -> Verdict:
    environment = os.environ | {
        "PYTHONPATH": str(HERE / "hook"),
        "CANARY_BREAKS": canary.breaks,
        "CANARY_FILE": str(HERE / "broken.py"),
    }
    return demo(environment, canary.seconds, canary.more, canary.seed)


def demo(
    environment: dict[str, str], seconds: float, more: tuple[str, ...] = (), seed: int = SEED
) -> Verdict:
    with tempfile.TemporaryDirectory(prefix="presence-canary-") as folder:
        target = Path(folder) / "report.json"
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "runtime", "demo", "--dialect", "cloud"),
                *("--faults", "platform", "--agents", str(AGENTS), "--rate", str(RATE)),
                *("--seconds", str(seconds), "--seed", str(seed), "--json", str(target), *more),
            ],
            cwd=HERE.parent.parent,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        try:
            said, _ = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            said = _ended(process) + f"\nnot finished within {TIMEOUT_S:g} s"
        report = json.loads(target.read_bytes()) if target.exists() else {}
        return Verdict(process.returncode == 0 and report["verified"], said, report)


def _ended(process: subprocess.Popen[str]) -> str:
    """Its children end with it."""
    for number in (signal.SIGINT, signal.SIGINT, signal.SIGKILL):
        process.send_signal(number)
        try:
            return process.communicate(timeout=10.0)[0]
        except subprocess.TimeoutExpired:
            continue
    return process.communicate()[0]
