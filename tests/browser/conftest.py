"""What every test of the page needs: Debian's Chromium, and pages that tell on themselves.

Chromium lives for a file: Playwright's loop would else be in the way of tests of other folders that
run between.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.sight import ARGUMENTS, Sight
from tests.browser.stub import Stub, serving

AGENTS = 300


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip(
            "there is no Chromium: `make test` installs it as root; else "
            "sudo apt-get install --no-install-recommends chromium"
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def look(chromium: Browser) -> Iterator[Callable[..., Sight]]:
    """Opens pages; none of them may have stumbled, or asked anybody but its own server."""
    opened: list[Sight] = []

    def opening(url: str, **context: Any) -> Sight:
        sight = Sight(chromium, url, **context)
        opened.append(sight)
        return sight

    yield opening
    for sight in opened:
        sight.close()
    for sight in opened:
        assert sight.errors == []
        assert sight.asked_elsewhere == []


@pytest.fixture
def stub() -> Stub:
    return Stub(AGENTS)


@pytest.fixture
def url(stub: Stub) -> Iterator[str]:
    with serving(stub) as address:
        yield address
