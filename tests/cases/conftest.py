"""What cases that load the settings stand on: an empty folder, and no variable of the machine's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def bare_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the settings could read by themselves is away."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.upper().startswith(("PRESENCE_", "GENESYSCLOUD_")) or "PROXY" in name.upper():
            monkeypatch.delenv(name)
