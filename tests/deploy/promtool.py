"""Promtool: Prometheus' own judgement of rules and metrics, where it is installed.

It belongs to Debian's package `prometheus`, which `tools/machine.sh install` brings.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = DEPLOY / "alerts.yml"
MISSING = (
    "promtool is not installed: apt-get install --no-install-recommends prometheus "
    "(make test does that where it may)"
)


def rules() -> list[dict[str, Any]]:
    """The alerts, as they are written."""
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def promtool(*arguments: str | Path, stdin: str | None = None) -> str:
    """What it says; an AssertionError if it is not content. It is never skipped in silence."""
    path = shutil.which("promtool")
    assert path is not None, MISSING
    done = subprocess.run(
        [path, *map(str, arguments)], input=stdin, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
