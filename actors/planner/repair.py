"""Repair of the planner's file.

What is lost with it are the places that agents had on channels, and the names of those who are
gone; everything else is read again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from actors.file_repair import FileRepair
from actors.planner.store import KIND, read_names, read_roster


def _read(path: Path) -> None:
    read_roster(path)
    read_names(path)


ROSTER_REPAIR: Final = FileRepair(kind=KIND, read=_read)
