"""Reads from outside how each sink is, while the runtime runs or after. Knows no sink."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from actors.sinks import store
from actors.sinks.journals import JournalFile, find
from actors.sinks.positions import Places, SinkPosition
from actors.sinks.store import SinkStatus, sinks_path


class SinkState(NamedTuple):
    """One sink, and how far it is in each journal that it is not done with."""

    standing: SinkStatus
    at: tuple[tuple[str, int], ...]  # a journal's name, and the row up to which all was delivered
    behind_rows: int


def read(data_dir: Path) -> list[SinkState]:
    """Every sink that was ever configured, by name; none if there was never one. Raises LocalError,
    ConfigurationError or TemporaryError for files that cannot be read."""
    path = sinks_path(data_dir)
    if not path.exists():
        return []
    # In this order: a journal is never seen to end before a sink's place in it.
    standings, places = store.read_standings(path), store.read_places(path)
    files = find(data_dir)
    return [_state(each, places.get(each.name, {}), files) for each in standings]


def _state(standing: SinkStatus, places: Places, files: list[JournalFile]) -> SinkState:
    there = [(file, places.get(file.identity, SinkPosition(file.first_row - 1))) for file in files]
    undone = [(file, place) for file, place in there if not place.is_done]
    return SinkState(
        standing,
        tuple((file.name, place.row) for file, place in undone),
        sum(max(0, file.last_row - place.row) for file, place in undone),
    )
