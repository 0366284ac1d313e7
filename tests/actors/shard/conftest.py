"""Fixtures of the state tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.actors.shard.rig import Rig


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "shard-00.db")
