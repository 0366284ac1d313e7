"""Fixtures of the state tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.actors.shard.cloud_lending import watch
from tests.actors.shard.lending import A
from tests.actors.shard.rig import Rig


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "shard-00.db")


@pytest.fixture
def cloud(tmp_path: Path) -> Rig:
    """Of the cloud dialect; A is watched."""
    rig = Rig(tmp_path / "shard-00.db", "cloud")
    watch(rig, A)
    return rig
