"""Promtool: Prometheus' own judgement of rules and metrics, where it is installed.

It belongs to Debian's package `prometheus`, which `tools/machine.sh install` brings.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = DEPLOY / "alerts.yml"
MISSING = (
    "promtool is not installed: apt-get install --no-install-recommends prometheus "
    "(make test does that where it may)"
)


def promtool(*arguments: str | Path, stdin: str | None = None) -> str:
    """What it says; an AssertionError if it is not content. It is never skipped in silence."""
    path = shutil.which("promtool")
    assert path is not None, MISSING
    done = subprocess.run(
        [path, *map(str, arguments)], input=stdin, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
