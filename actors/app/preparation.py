"""Preparation: what must be true of a data directory before a child may touch it.

Knows no child: it makes the files of a run, gives them to it, and says what is missing.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import structlog

from actors.app.data_files import channel_files, channels_path
from actors.app.file_watch import SUSPECT
from actors.planner import store as planner_store
from actors.receiver import channel_store
from actors.receiver.channel_store import ChannelRecord, ChannelStore
from actors.sender import store
from actors.settings.model import Settings
from actors.shard import journal, losses, reader, redistribute
from actors.shard import repair as journal_repair
from actors.sinks import preparation as sinks_preparation
from actors.storage.committed_rows import CommittedRows
from actors.storage.data_dir import DataDir, Journalling, as_fault, sender_path
from actors.storage.sqlite import TRANSIENT_ERRORS
from runtime.clock import SystemClock
from runtime.counters import Counters
from runtime.errors import TemporaryError


def prepare(data_dir: DataDir, settings: Settings) -> str:
    """Gives all files of the directory to a new run, whose id it returns. Raises TemporaryError or
    ConfigurationError that names the directory."""
    with _disk_named(data_dir.path):
        run = _prepare_journals(data_dir, settings.shards, settings.journal)
        if settings.sender.enabled:
            _prepare_store(data_dir, run)
        if settings.dialect == "cloud":
            roster = planner_store.roster_path(data_dir.path)
            planner_store.prepare(roster, run)
            planner_store.keep_fields(roster, settings.cloud.agent_fields)
            _prepare_channels(data_dir.path, settings.receivers, run)
        if settings.journal == "full":
            sinks_preparation.prepare(data_dir.path, run, settings.sinks)
    return run


def _prepare_channels(path: Path, receivers: int, run: str) -> None:
    """A file for each receiver, with the channels of its own OAuth clients: after a change of their
    number it would take its own for somebody else's, and they count all the same."""
    own = [channels_path(path, index) for index in range(receivers)]
    for each in {*own, *channel_files(path)}:
        channel_store.prepare(each, run)
    for each in channel_files(path):
        source = ChannelStore(each, run)
        try:
            for record in source.channels():
                target = own[record.slot.client % receivers]
                if target != each:
                    _move(record, source, target, run)
        finally:
            source.close()
        if each not in own:
            for file in path.glob(f"{each.name}*"):  # the log beside it
                file.unlink()


def _move(record: ChannelRecord, source: ChannelStore, path: Path, run: str) -> None:
    target = ChannelStore(path, run)
    try:
        target.add(record)
    finally:
        target.close()
    source.forget(record.id)  # behind the other: a crash between them leaves it twice, not never


def _prepare_journals(data_dir: DataDir, shards: int, journalling: Journalling) -> str:
    """Gives the journals this shard count and a new run id, which it returns: from now on no shard
    of an earlier run can commit anything."""
    before = data_dir.meta.shards
    _settle_losses(data_dir)
    if data_dir.meta.journal == "off":
        # States of the last clean stop, of no use to a start: nobody knows what happened since.
        for path in data_dir.path.glob("shard-*.db*"):
            path.unlink()
        data_dir.record(shards=shards, journal=journalling)
    elif redistribute.settle(data_dir, shards):
        structlog.get_logger().info("agents.redistributed", shards=shards, before=before)
    run = uuid.uuid4().hex
    for index in range(shards):
        journal.prepare(data_dir.shard_path(index), run)
    if journalling == "full":
        rows = [losses.rows_of(data_dir.shard_path(index)) for index in range(shards)]
        CommittedRows.write(data_dir.path, rows)
        data_dir.record_journals()
    return run


def _settle_losses(data_dir: DataDir) -> None:
    """Journals that somebody has deleted, put back or written over. A first start misses none; a
    later one says so, and a gap row does. What cannot be gone on with is set aside."""
    paths = [data_dir.shard_path(index) for index in range(data_dir.meta.shards)]
    suspects = [path for path in paths if _mark(path).exists()]
    is_moving = any(data_dir.path.glob("redistribution-*.ready"))  # it was interrupted
    if is_moving or data_dir.meta.journal == "off":
        return
    now_us = SystemClock().wall_us()
    set_aside = _examine(paths, suspects, now_us)
    remembered = CommittedRows.read(data_dir.path)
    committed = remembered if len(remembered) == len(paths) else [0] * len(paths)
    were_made = data_dir.meta.has_journals or any(path.exists() for path in paths)
    for loss in losses.losses(paths, committed, were_made=were_made):
        if loss.path not in set_aside:
            _tell(loss)
        losses.note(loss, now_us)
    for path in suspects:  # behind what follows from it
        _mark(path).unlink(missing_ok=True)


def _mark(path: Path) -> Path:
    return path.with_name(path.name + SUSPECT)


def _examine(paths: list[Path], suspects: list[Path], now_us: int) -> set[Path]:
    """Those that were set aside."""
    set_aside = set()
    for path in suspects:
        if not path.exists() or not (problem := losses.examine(path)):
            continue
        healthy = (journal_repair.examine(each)[0] for each in paths if each not in suspects)
        known = journal_repair.lowest(each for each in healthy if each is not None)
        kept_in = journal_repair.replace(path, known, now_us)
        set_aside.add(path)
        structlog.get_logger().error(
            "journal.set_aside",
            path=str(path),
            problem=problem,
            kept_in=str(kept_in),
            what="it was written over while it was in use. The shard starts empty, the next "
            "history restores its states. To recover its rows: stop, restore a backup, start",
        )
    return set_aside


def _tell(loss: losses.Loss) -> None:
    if loss.reason == losses.MISSING:
        structlog.get_logger().warning(
            "journal.missing",
            path=str(loss.path),
            what="the history of its agents is lost; it starts empty, the next history restores "
            "their states. To recover the file: stop, restore it from a backup, start",
        )
        return
    structlog.get_logger().warning(
        "journal.older",
        path=str(loss.path),
        rows=losses.rows_of(loss.path),
        committed=loss.rows,
        what="it is an older copy: what was committed since is lost. A gap row says since when",
    )


def _prepare_store(data_dir: DataDir, run: str) -> None:
    path = sender_path(data_dir.path)
    if data_dir.meta.has_store and not path.exists():
        structlog.get_logger().warning(
            "sender.missing",
            path=str(path),
            what="its commands, their keys, the audit and the waiting webhook messages are lost; "
            "it starts empty. To recover the file: stop, restore it from a backup, start",
        )
    store.prepare(path, run)
    data_dir.record_store(is_there=True)


@contextmanager
def _disk_named(path: Path) -> Iterator[None]:
    """What a disk says while journals are made ready is a fault that names the directory."""
    try:
        yield
    except (*TRANSIENT_ERRORS, apsw.CantOpenError) as error:
        raise TemporaryError(f"cannot write the journals in {path}: {error}") from None
    except OSError as error:
        raise as_fault(path, error) from None


def remember_epoch(receiver: Counters, data_dir: DataDir) -> None:
    """Which numbering of the gateway the marks in the journals belong to: a receiver that knows it
    resumes behind them, one that does not begins anew."""
    scopes = [scope for shard in reader.summary(data_dir.path) for scope in shard.scopes.values()]
    if scopes:
        newest = max(scopes, key=lambda scope: int(scope["epoch"]))
        receiver.set("gateway_epoch", newest["epoch"])
        receiver.note = newest["epoch_name"]
