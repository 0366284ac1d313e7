"""What a SIGHUP changes of the settings, and what it only names."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from actors.app.reload import Reload, changed
from actors.app.shared_memory import SUPERVISOR_WORDS
from actors.settings.layers import Effective
from actors.settings.model import LogSettings, Settings
from runtime.counters import Counters
from runtime.errors import ConfigurationError


def settings(**fields: Any) -> Settings:
    given: dict[str, Any] = {
        "client_id": "c",
        "client_secret": SecretStr("s"),
        "base_url": "http://127.0.0.1:1",
    }
    return Settings(**(given | fields))


def effective(**fields: Any) -> Effective:
    return Effective(settings=settings(**fields), origins={}, warnings=())


@pytest.fixture
def page() -> Iterator[Counters]:
    ours = logging.getLogger("actors")
    before = ours.level
    yield Counters.create("supervisor", SUPERVISOR_WORDS)
    ours.setLevel(before)


def reloads(page: Counters) -> tuple[int, ...]:
    return tuple(map(page.get, ("log_level", "reloads", "reload_failures")))


def test_only_the_level_of_the_log_follows_at_once(page: Counters) -> None:
    reload = Reload(effective(), lambda: effective(log=LogSettings(level="debug"), shards=3), page)
    assert reloads(page) == (logging.INFO, 0, 0)
    assert reload()
    assert reloads(page) == (logging.DEBUG, 1, 0)
    assert logging.getLogger("actors").level == logging.DEBUG


def test_what_is_wrong_in_a_file_changes_nothing(page: Counters) -> None:
    wrong = [ConfigurationError("log.level = loud: no such level")]

    def read_again() -> Effective:
        if wrong:
            raise wrong.pop()
        return effective()

    reload = Reload(effective(), read_again, page)
    assert not reload()
    assert reloads(page) == (logging.INFO, 0, 1)
    assert reload()


def test_settings_that_need_a_restart_are_named_by_their_keys() -> None:
    held = settings(shards=2)
    found = settings(
        shards=3, client_secret=SecretStr("t"), log=LogSettings(level="error", format="json")
    )
    assert changed(held, found) == ["client_secret", "log.format", "shards"]
    assert changed(held, settings()) == []
