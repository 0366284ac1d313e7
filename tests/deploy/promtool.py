"""Promtool: Prometheus' own judgement of rules and metrics, where it is.

`make test` unpacks it beside the environment's Python out of Debian's package `prometheus`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = DEPLOY / "alerts.yml"
BESIDE_PYTHON = Path(sys.executable).with_name("promtool")
MISSING = (
    "there is no promtool: `make test` unpacks it where there is apt-get; else put the one of "
    f"Prometheus' releases on PATH, or at {BESIDE_PYTHON}"
)


def rules() -> list[dict[str, Any]]:
    """The alerts, as they are written."""
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def promtool(*arguments: str | Path, stdin: str | None = None) -> str:
    """What it says; an AssertionError if it is not content. Skips the test where there is none."""
    path = shutil.which(BESIDE_PYTHON) or shutil.which("promtool")
    if path is None:
        pytest.skip(MISSING)
    done = subprocess.run(
        [path, *map(str, arguments)], input=stdin, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
