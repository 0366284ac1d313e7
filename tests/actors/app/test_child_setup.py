"""What every child gets: the way to log, as it is by now."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from actors.app import child_setup
from actors.app.child_setup import ChildSetup
from actors.app.shared_memory import SUPERVISOR_WORDS
from actors.storage.data_dir import Lock
from runtime.counters import Counters
from runtime.log import LogArguments


@pytest.fixture
def page() -> Iterator[Counters]:
    ours = logging.getLogger("actors")
    before, handlers = ours.level, logging.getLogger().handlers[:]
    yield Counters.create("supervisor", SUPERVISOR_WORDS)
    ours.setLevel(before)
    logging.getLogger().handlers[:] = handlers


def level() -> str:
    return logging.getLevelName(logging.getLogger("actors").level)


def test_a_child_logs_as_much_as_its_supervisor_by_now(page: Counters) -> None:
    setup = ChildSetup(log=LogArguments(format="json", level="info"), lock=Lock(-1), page=page)
    child_setup.set_up("shard-0", setup)
    assert level() == "INFO"  # nobody has said anything since the start
    page.set("log_level", logging.WARNING)
    child_setup.reload("shard-0", setup)
    assert level() == "WARNING"
    child_setup.set_up("shard-0", setup)  # a successor
    assert level() == "WARNING"
