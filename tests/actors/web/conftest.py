"""What a test of the web child needs: a data directory, the child, and a sender that pretends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from actors.web.arguments import WebArguments
from tests.actors.web.rig import FakeSender, Web, client, confirm, web_arguments


@pytest.fixture
def arguments(tmp_path: Path) -> WebArguments:
    return web_arguments(tmp_path)


@pytest.fixture
def sender(arguments: WebArguments) -> Iterator[FakeSender]:
    sender = FakeSender(arguments, confirm)
    yield sender
    sender.close()


@pytest.fixture
def web(arguments: WebArguments) -> Iterator[Web]:
    web = Web(arguments)
    yield web
    web.stop()
    assert web.failure is None, web.failure


@pytest.fixture
def http(web: Web) -> Iterator[httpx.Client]:
    with client(web.arguments.data_dir) as opened:
        yield opened
