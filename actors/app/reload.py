"""Reload: what a supervisor reads again at SIGHUP, and what of it counts at once. Knows no signal.

Only how much is logged is taken over here; secrets that stand in files are read again by the
children that use them. All else needs a restart, and is named. What is wrong changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import structlog

from actors.settings.layers import Effective
from actors.settings.model import Settings
from runtime import log
from runtime.counters import Counters
from runtime.errors import RuntimeFault

LEVEL: Final = "log.level"


class Reload:
    """For `Supervisor(on_reload=…)`. On `page` stands the level for those who start later."""

    def __init__(
        self, effective: Effective, read_again: Callable[[], Effective], page: Counters
    ) -> None:
        self._held = effective.settings
        self._read_again = read_again
        self._page = page
        self._log = structlog.get_logger("actors.reload")
        show_level(page, self._held.log.level)

    def __call__(self) -> bool:
        try:
            effective = self._read_again()
        except RuntimeFault as fault:
            self._page.add("reload_failures")
            self._log.error("reload.refused", error=str(fault), kept="no settings were changed")
            return False
        found = effective.settings
        if others := changed(self._held, found):
            self._log.warning(
                "reload.incomplete", settings=others, what="these settings require a restart"
            )
        level = found.log.level
        self._held = self._held.model_copy(update={"log": found.log})
        show_level(self._page, level)
        log.set_level(level)
        self._page.add("reloads")
        self._log.info("reload.done", log_level=level)
        return True


def show_level(page: Counters, level: str) -> None:
    page.set("log_level", logging.getLevelNamesMapping()[level.upper()])


def changed(held: Settings, found: Settings) -> list[str]:
    """The settings that differ, but for the one that can follow at once; by name, as some values
    are secrets."""
    before, after = dict(_leaves(held.model_dump())), dict(_leaves(found.model_dump()))
    return sorted(
        key for key in before.keys() | after.keys()
        if key != LEVEL and before.get(key) != after.get(key)
    )  # fmt: skip


def _leaves(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
