"""ChildSetup: what every child gets before its entry. Knows no role."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from actors.storage.data_dir import Lock
from runtime import log
from runtime.counters import Counters
from runtime.log import LogArguments


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSetup:
    """The way to log, and a share in the claim on the data directory: its descriptor is inherited,
    so the claim lasts until the last child is gone. On `page`, the supervisor's, stands how much is
    logged by now; 0: as `log` says."""

    log: LogArguments
    lock: Lock
    page: Counters


def set_up(name: str, setup: ChildSetup) -> None:
    """The hook that a child runs first."""
    log.setup_child(name, setup.log)
    reload(name, setup)


def reload(_name: str, setup: ChildSetup) -> None:
    """The hook that a child runs at SIGHUP."""
    if level := setup.page.get("log_level"):
        log.set_level(logging.getLevelName(level))
