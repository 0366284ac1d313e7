"""ChildSetup: what every child gets before its entry. Knows no role."""

from __future__ import annotations

from dataclasses import dataclass

from actors import log
from actors.data_dir import Lock
from actors.log import LogArguments


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildSetup:
    """The way to log, and a share in the claim on the data directory: its descriptor is inherited,
    so the claim lasts until the last child is gone."""

    log: LogArguments
    lock: Lock


def set_up(name: str, setup: ChildSetup) -> None:
    """The hook that a child runs first."""
    log.setup_child(name, setup.log)
