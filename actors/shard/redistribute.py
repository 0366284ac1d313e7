"""Redistribution: the agents of one shard count's journals into the journals of another.

Runs before any child. Old journals are kept in an archive folder, where histories are still read.
Each step can be repeated after a crash, and none is begun before the one before it is done:

    build        redistribution.partial/                 begun anew after a crash
    rename it    redistribution-007-to-3.ready/          from here on it will be finished
    archive      shard-*.db  →  archive-007/
    move         redistribution-007-to-3.ready/shard-*.db  →  .
    record       the new shard count in `meta`
    remove       the empty folder
"""

from __future__ import annotations

import re
import shutil
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from actors.messages.control import RESUME_MARGIN, SCOPE_ALL, Dialect
from actors.messages.partition import shard_of
from actors.messages.transition import GapRow
from actors.shard.agent_table import Agent, AgentTable
from actors.shard.checkpoint import PAGE_AGENTS, encode_page
from actors.shard.journal import CheckpointPage, Journal, ShardProgress, Transaction, prepare
from actors.shard.merge import OUTCOMES
from actors.shard.sessions import Scope
from actors.shard.shard import Shard
from actors.storage.data_dir import DataDir, shard_path

_RUN = "redistribution"
_PARTIAL = "redistribution.partial"
_READY = re.compile(r"redistribution-(\d{3})-to-(\d+)\.ready")


def settle(data_dir: DataDir, shards: int) -> bool:
    """Gives the directory's journals this shard count; True if they had another one."""
    unfinished = [path for path in data_dir.path.iterdir() if _READY.fullmatch(path.name)]
    for ready in unfinished:
        _finish(data_dir, ready)
    if data_dir.meta.shards == shards:
        return bool(unfinished)
    _finish(data_dir, _build(data_dir, shards))
    return True


def _build(data_dir: DataDir, shards: int) -> Path:
    """The new journals, complete, in a folder whose name says what is to become of them."""
    root = data_dir.path
    partial = root / _PARTIAL
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(mode=0o700)
    old = [path for path in map(data_dir.shard_path, range(data_dir.meta.shards)) if path.exists()]
    gathered = _gather(old)
    for index in range(shards):
        _write(shard_path(partial, index), index, shards, gathered)
    serials = [int(path.name.removeprefix("archive-")) for path in root.glob("archive-*")]
    serial = max(serials, default=0) + 1
    return partial.rename(root / f"redistribution-{serial:03d}-to-{shards}.ready")


def _finish(data_dir: DataDir, ready: Path) -> None:
    matched = _READY.fullmatch(ready.name)
    assert matched is not None
    serial, shards = matched[1], int(matched[2])
    archive = data_dir.path / f"archive-{serial}"
    archive.mkdir(mode=0o700, exist_ok=True)
    if data_dir.meta.shards != shards:
        for path in map(data_dir.shard_path, range(data_dir.meta.shards)):
            if path.exists() and not (archive / path.name).exists():
                path.rename(archive / path.name)
        for path in ready.iterdir():
            path.rename(data_dir.path / path.name)
        data_dir.record(shards=shards)
    ready.rmdir()


class _Gathered(NamedTuple):
    """What the old journals hold together."""

    shards: Sequence[Shard]
    epoch: int
    mark: int
    next_row: int
    handled: array[int]
    counts: dict[str, int]
    scopes: dict[str, Scope]
    gaps: list[GapRow]
    dialect: Dialect | None


def _gather(paths: Sequence[Path]) -> _Gathered:
    shards = [_restore(path) for path in paths]
    epoch = max((shard.merge.epoch for shard in shards), default=0)
    for shard in shards:  # of an older gateway epoch: how that ended it will never be told
        shard.sessions.enter(epoch, SCOPE_ALL, shard.sessions.stale_since_us or 0)
    marks = [shard.merge.mark for shard in shards]
    gaps = [gap for shard in shards for gap in shard.agent_table.gaps]
    handled = array("q")
    counts = dict.fromkeys(OUTCOMES, 0)
    scopes: dict[str, Scope] = {}
    for shard in shards:
        handled.extend(sequence for sequence in shard.merge.window.slots if sequence)
        for outcome, count in shard.merge.counts.items():
            counts[outcome] = counts.get(outcome, 0) + count
        for name, scope in shard.sessions.scopes.items():
            known = scopes.setdefault(name, scope)
            if scope.epoch > known.epoch:
                scopes[name] = scope
            elif scope.epoch == known.epoch:
                _date_back(known, scope)
    mark = min(marks, default=0)
    # No resume reaches further back.
    handled = array("q", sorted(n for n in handled if n >= mark - RESUME_MARGIN))
    next_row = max((shard.agent_table.next_row for shard in shards), default=1)
    dialect = shards[0].dialect if shards else None
    return _Gathered(shards, epoch, mark, next_row, handled, counts, scopes, gaps, dialect)


def _date_back(scope: Scope, other: Scope) -> None:
    """The same one, as two journals know it: agents of both will stand in one, so that what holds
    for all of them is the earlier time."""
    known = [since for since in (scope.stale_since_us, other.stale_since_us) if since is not None]
    scope.stale_since_us = min(known, default=None)
    heard = [us for us in (scope.unheard_since_us, other.unheard_since_us) if us is not None]
    scope.unheard_since_us = min(heard, default=None)


def _restore(path: Path) -> Shard:
    prepare(path, _RUN)
    journal = Journal(path, _RUN)
    try:
        shard = Shard(0, 1, rings=0, now_s=0.0, dialect=journal.dialect)
        shard.restore(journal, 0.0, lambda: None)
    finally:
        journal.close()
    return shard


def _write(path: Path, index: int, shards: int, gathered: _Gathered) -> None:
    """One new journal, in one transaction."""
    agent_table = AgentTable()
    for old in gathered.shards:
        for agent in old.agent_table.by_id:
            if shard_of(agent.user_id, shards) == index:
                _adopt(agent_table, agent)
    last_row = gathered.next_row - 1
    agent_table.next_row = gathered.next_row
    for gap in gathered.gaps if index == 0 else ():
        agent_table.write_gap(gap._replace(row=agent_table.next_row), gap.at_us)
    pages = tuple(
        CheckpointPage(
            first // PAGE_AGENTS,
            last_row,
            encode_page(agent_table.by_id[first : first + PAGE_AGENTS]),
        )
        for first in range(0, len(agent_table.by_id), PAGE_AGENTS)
    )
    progress = ShardProgress(
        cursors=(),
        mark_epoch=gathered.epoch,
        mark_sequence=gathered.mark,
        next_row=agent_table.next_row,
        counts=gathered.counts if index == 0 else {},  # the sum stays exact
        sessions={name: scope.to_json() for name, scope in gathered.scopes.items()},
        replay_from=last_row,
    )
    prepare(path, _RUN)
    journal = Journal(path, _RUN, gathered.dialect)
    try:
        journal.commit(
            Transaction(agent_table.take(), progress, gathered.handled.tobytes(), (), pages)
        )
    finally:
        journal.close()


def _adopt(agent_table: AgentTable, old: Agent) -> None:
    """The same agent under a new number; its rows stay behind, so its chain begins anew."""
    agent = agent_table.admit(old.user_id)
    agent.state, agent.at_us = old.state, old.at_us
    agent.queue, agent.presence = old.queue, old.presence
    agent.epoch, agent.sequence = old.epoch, old.sequence
    agent.appointment, agent.native = old.appointment, old.native
    if old.native is not None and old.native.scope:
        agent_table.watched[agent.id] = (old.native.scope, 0)
