"""Preparation of the sinks: every journal gets an identity, and every sink a place in it.

Before any child runs. Knows no row and no target. Places are written before identities: after a
kill between the two, a sink is told of a gap that is none, not given everything once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import structlog

from actors.settings.sinks import SinkSettings
from actors.sinks import journals, store
from actors.sinks.positions import beginning
from actors.sinks.store import sinks_path


def prepare(data_dir: Path, run: str, configured: Sequence[SinkSettings]) -> None:
    """To be called at every start: once a directory has had a sink, whatever becomes of its
    journals is noticed, whether that sink is still configured or not."""
    path = sinks_path(data_dir)
    if not configured and not path.exists():
        return
    begins = {sink.name: sink.begin for sink in configured}
    targets = {sink.name: sink.target for sink in configured}
    store.prepare(path, run)
    known = store.read_places(path)
    files = journals.find(data_dir)
    taken = {file.identity for file in files}

    def fresh() -> str:
        identity = journals.new_identity(taken)
        taken.add(identity)
        return identity

    decided = beginning(files, known, begins, fresh)
    store.settle(path, targets, decided.places)
    for number, identity in decided.identities.items():
        journals.identify(files[number].path, identity)
    for name in begins.keys() - known.keys():
        structlog.get_logger().info("sink.begins", sink=name, begin=begins[name])
