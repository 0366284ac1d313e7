"""Fixtures of the sender's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.actors.sender.drawer import Drawer


@pytest.fixture
def drawer(tmp_path: Path) -> Iterator[Drawer]:
    drawer = Drawer(tmp_path)
    yield drawer
    drawer.close()
