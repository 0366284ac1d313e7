"""Repair of the sinks' file. What is lost with it is how far each sink was."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from actors.file_repair import FileRepair
from actors.sinks.store import KIND, read_places, read_standings


def _read(path: Path) -> None:
    read_standings(path)
    read_places(path)


SINKS_REPAIR: Final = FileRepair(kind=KIND, read=_read)
