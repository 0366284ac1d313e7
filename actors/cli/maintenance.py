"""Maintenance: the commands `backup` and `repair`. Knows no table of any file."""

from __future__ import annotations

import shlex
from pathlib import Path

from actors.app import data_files
from actors.app.data_files import DATA_FILES
from actors.cli import tables
from actors.shard import reader
from actors.storage.data_dir import DataDir, GatewayIdentity, copy_meta, read_meta
from actors.storage.sqlite import FileFinding
from runtime.clock import SystemClock
from runtime.errors import LocalError


def backup(path: Path, target: Path, *, as_json: bool) -> None:
    """Journals, store and meta, so that the copy can be used as a data directory itself."""
    _make_target(target)
    reader.journal_paths(path)  # raises if there are none
    copies = [
        files.file.copy(each, target / each.relative_to(path))
        for files in DATA_FILES
        if files.is_backed_up
        for each in files.find(path)
    ]
    copy_meta(path, target)
    if as_json:
        tables.show_json([{"path": str(copy), "bytes": copy.stat().st_size} for copy in copies])
    else:
        tables.show(
            f"copied to {target}",
            ("journal", "bytes"),
            [(copy.relative_to(target), copy.stat().st_size) for copy in copies],
        )


def _make_target(target: Path) -> None:
    """Raises LocalError for a folder that cannot take a backup."""
    try:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_used = any(each.name != "lost+found" for each in target.iterdir())
    except OSError as error:
        raise LocalError(f"cannot write a backup to {target}: {error.strerror}") from None
    if is_used:
        new = f"presence-runtime backup {shlex.quote(str(target))}/$(date +%F)"
        raise LocalError(
            f"{target} is not empty, and a backup does not overwrite files; specify a new "
            f"directory, for example: {new}"
        )


def show_repair(path: Path, *, as_json: bool) -> None:
    """Examines journals and store, sets the broken ones aside, and tells of each."""
    meta = read_meta(path)
    identity = GatewayIdentity(
        dialect=meta.dialect, gateway=meta.gateway, organisation=meta.organisation
    )
    data_dir = DataDir.claim(path, identity, shards=meta.shards, journal=meta.journal)
    try:
        findings = data_files.repair(data_dir, SystemClock().wall_us())
    finally:
        data_dir.lock.release()
    if as_json:
        tables.show_json(
            [
                {
                    "journal": str(each.path),
                    "problem": each.problem or None,
                    "kept_in": None if each.kept_in is None else str(each.kept_in),
                }
                for each in findings
            ]
        )
        return
    tables.show("", ("journal", "was", "kept in"), map(_finding_row, findings))
    broken = [each for each in findings if each.problem]
    if broken:
        print(
            "No files were deleted. The next history refills a shard; the other stores start empty."
        )
    else:
        print("Nothing to repair.")


def _finding_row(finding: FileFinding) -> tuple[object, ...]:
    return finding.path.name, finding.problem or "healthy", finding.kept_in
