"""What a test of the web child needs: a data directory, the child, and a sender that pretends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from actors.web.arguments import WebArguments
from tests.actors.web.rig import FakeSender, Serving, Web, client, confirm, web_arguments


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


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    arguments = web_arguments(tmp_path_factory.mktemp("serving"))
    sender = FakeSender(arguments, confirm)
    web = Web(arguments)
    with client(arguments.data_dir) as http:
        yield Serving(sender, http)
    web.stop()
    sender.close()
    assert web.failure is None, web.failure
