"""Repair: sets broken journals aside and puts fresh ones in their place, while no runtime runs.

Knows no actor. Nothing is deleted: a broken journal goes, with all that SQLite keeps beside it,
into a folder of its own. The fresh one holds no agent, a gap row that says so, and the mark of its
healthy neighbours, so that the shard is refilled by the next history and holds no resume back.

Each journal is done in three steps; after a kill between two of them the next repair goes on:

    build    repair.partial/shard-NN.db       begun anew after a crash
    aside    shard-NN.db*   →  broken-20261122T010203Z/
    move     repair.partial/shard-NN.db  →  .
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from actors.messages.control import SCOPE_ALL
from actors.messages.transition import GapRow
from actors.shard.agent_table import AgentTable
from actors.shard.journal import (
    KIND,
    Journal,
    ShardProgress,
    Transaction,
    damage_named,
    prepare,
)
from actors.shard.sessions import Scope
from actors.shard.shard import Shard
from actors.storage.data_dir import DataDir
from actors.storage.data_file import has_begun, run_of
from actors.storage.sqlite import DamagedFileError, FileFinding, check, set_aside

REASON: Final = "journal set aside"
_RUN: Final = "repair"
_PARTIAL: Final = "repair.partial"


@dataclass(frozen=True, slots=True)
class Known:
    """What a healthy journal says of the gateway."""

    epoch: int
    mark: int
    scopes: dict[str, Scope]


NOTHING_KNOWN: Final = Known(0, 0, {})


def repair(data_dir: DataDir, now_us: int) -> list[FileFinding]:
    """Examines every journal of a claimed directory and replaces the broken ones.

    Raises TemporaryError for a locked one and ConfigurationError for one of a newer version, both
    before anything is changed."""
    paths = [data_dir.shard_path(shard) for shard in range(data_dir.meta.shards)]
    examined = [(path, *examine(path)) for path in paths]
    if all(known is None and not path.exists() for path, known, _ in examined):
        return []  # no run has begun yet
    known = lowest(known for _, known, _ in examined if known is not None)
    findings = []
    for path, _, problem in examined:
        kept_in = replace(path, known, now_us) if problem else None
        findings.append(FileFinding(path, problem, kept_in))
    return findings


def examine(path: Path) -> tuple[Known | None, str]:
    """What a journal knows, or what is wrong with it."""
    if not path.exists():
        return None, "missing"
    try:
        check(path, KIND)
        with damage_named(path):
            return _restored(path), ""
    except DamagedFileError as error:
        return None, error.problem


def _restored(path: Path) -> Known:
    """As its shard would load it."""
    if not has_begun(path, KIND):
        return NOTHING_KNOWN
    journal = Journal(path, run_of(path, KIND))
    try:
        shard = Shard(0, 1, rings=0, now_s=0.0, dialect=journal.dialect)
        shard.restore(journal, 0.0, lambda: None)
    finally:
        journal.close()
    return Known(shard.merge.epoch, shard.merge.mark, shard.sessions.scopes)


def lowest(known: Iterable[Known]) -> Known:
    """Where a shard that holds nothing may stand without holding the others back: at the lowest
    mark among those of the newest gateway epoch."""
    candidates = list(known)
    epoch = max((each.epoch for each in candidates), default=0)
    newest = [each for each in candidates if each.epoch == epoch]
    return min(newest, key=lambda each: each.mark, default=NOTHING_KNOWN)


def replace(path: Path, known: Known, now_us: int) -> Path | None:
    """Puts a fresh journal in its place; the folder where the broken one is now."""
    root = path.parent
    partial = root / _PARTIAL
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(mode=0o700)
    _build(partial / path.name, known, now_us)
    kept_in = set_aside(path, now_us)
    (partial / path.name).rename(path)
    shutil.rmtree(partial)
    directory = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return kept_in


def _build(path: Path, known: Known, now_us: int) -> None:
    """A journal of no agents that was not confirmed since now."""
    agent_table = AgentTable()
    first = min(1, known.mark)
    gap = GapRow(agent_table.next_row, SCOPE_ALL, known.epoch, first, known.mark, now_us, REASON)
    agent_table.write_gap(gap, now_us)
    scopes = {
        name: Scope(
            epoch=scope.epoch,
            epoch_name=scope.epoch_name,
            newest=scope.newest,
            stale_since_us=now_us,
        ).to_json()
        for name, scope in known.scopes.items()
    }
    progress = ShardProgress((), known.epoch, known.mark, agent_table.next_row, {}, scopes, 0)
    prepare(path, _RUN)
    journal = Journal(path, _RUN)
    try:
        journal.commit(Transaction(agent_table.take(), progress))
    finally:
        journal.close()
