"""What the ways out share: one running scene of a file, and the browser of the page's own tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.conftest import chromium, look  # noqa: F401 - fixtures
from tests.ways_out.scene import WaysOutScene, scene


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WaysOutScene]:
    with scene(tmp_path_factory.mktemp("ways")) as ready:
        yield ready
