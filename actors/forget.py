"""Forget: takes one person out of all files of a data directory, while no runtime runs.

What happened stays, as that of nobody; the audit's chain stays whole. Knows no table. What others
were given (webhooks, sinks, exports, backups, logs) is theirs to forget.
"""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from actors import sqlite, tables
from actors.data_dir import DataDir, Identity, holder, read_meta, sender_path
from actors.planner import forgetting as planner_forgetting
from actors.planner.store import KIND as PLANNER
from actors.planner.store import roster_path
from actors.preparation import channel_files
from actors.receiver import forgetting as receiver_forgetting
from actors.receiver.channel_store import KIND as CHANNELS
from actors.sender import forgetting as sender_forgetting
from actors.sender.store import KIND as SENDER
from actors.sqlite import Kind
from actors.state import forgetting as journal_forgetting
from actors.state.journal import KIND as JOURNAL
from runtime.errors import EXIT_CLEAN, EXIT_FAILURE, TemporaryError

JOURNALS: Final = (
    "shard-[0-9][0-9].db",
    "archive-*/shard-[0-9][0-9].db",
    "redistribution*/shard-[0-9][0-9].db",  # one that was interrupted
)
SEARCHED_LENGTH_MIN: Final = 6
"""A shorter id is found in any file by chance."""
TELLING_LENGTH: Final = 16
"""An id of such a length, a UUID say, is never a part of another one."""
LEFTOVERS: Final = "leftovers in free pages"
"""Of rows that were deleted earlier, or by a call that was interrupted."""
COLUMNS: Final = ("file", "what", "forgotten")
ELSEWHERE: Final = (
    "Not touched: backups, exports, logs, and what webhooks and sinks have handed on. Whoever is"
    " still known to the gateway comes back with its next history: take them out there first."
)


class Finding(NamedTuple):
    """What was taken out of one file, by what it was."""

    path: Path
    counts: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def forget(
    path: Path, user_id: str, *, agreed: Callable[[str], bool], as_json: bool = False
) -> int:
    """0: forgotten; 1: nobody knows them, it was not agreed to, or a file still mentions them."""
    with _claimed(path):
        if not agreed(f"Take {tables.cell(user_id)} out of {path} for good?"):
            return EXIT_FAILURE
        mentioned = mentions(user_id)
        findings = [_taken_out(path, each, user_id, mentioned) for each in _files(path)]
        left = [each for each in _all_files(path) if is_mentioned(user_id, each, mentioned)]
    found = [each for each in findings if each.total]
    _tell(path, found, left, as_json=as_json)
    return EXIT_CLEAN if found and not left else EXIT_FAILURE


@contextmanager
def _claimed(path: Path) -> Iterator[None]:
    meta = read_meta(path)
    identity = Identity(dialect=meta.dialect, gateway=meta.gateway, organisation=meta.organisation)
    try:
        data_dir = DataDir.claim(path, identity, shards=meta.shards, journal=meta.journal)
    except TemporaryError:
        if (pid := holder(path)) is None:
            raise
        raise TemporaryError(
            f"the runtime must be stopped first: process {pid} writes in {path}, and would write "
            "down again whom it still knows"
        ) from None
    try:
        yield
    finally:
        data_dir.lock.release()


# -- which files, and what of them -----------------------------------------------------------------


class _File(NamedTuple):
    path: Path
    kind: Kind
    forget: Callable[[Path, str, re.Pattern[bytes]], dict[str, int]]


def _files(path: Path) -> list[_File]:
    """All that may hold somebody."""
    journals = [each for pattern in JOURNALS for each in sorted(path.glob(pattern))]
    files = [_File(each, JOURNAL, _in_journal) for each in journals]
    files.append(_File(sender_path(path), SENDER, _in_store))
    files.append(_File(roster_path(path), PLANNER, _in_roster))
    files += [_File(each, CHANNELS, _in_channels) for each in channel_files(path)]
    return [each for each in files if each.path.exists()]


def _taken_out(path: Path, file: _File, user_id: str, mentioned: re.Pattern[bytes]) -> Finding:
    counts = file.forget(file.path, user_id, mentioned)
    if not any(counts.values()) and is_mentioned(user_id, file.path, mentioned):
        counts = {LEFTOVERS: 1}
    if any(counts.values()):
        sqlite.purge(file.path, file.kind)
    return Finding(file.path.relative_to(path), counts)


def _in_journal(path: Path, user_id: str, mentioned: re.Pattern[bytes]) -> dict[str, int]:
    told = journal_forgetting.forget(path, user_id, mentioned)
    return {
        "agents": told.agents,
        "transitions, now of nobody": told.transitions,
        "frames in quarantine": told.quarantined,
    }


def _in_store(path: Path, user_id: str, _mentioned: re.Pattern[bytes]) -> dict[str, int]:
    told = sender_forgetting.forget(path, user_id)
    return {
        "commands": told.commands - told.unsettled,
        "commands without an end": told.unsettled,
        "webhook messages": told.letters,
        "details of the audit": told.audit_rows,
    }


def _in_roster(path: Path, user_id: str, _mentioned: re.Pattern[bytes]) -> dict[str, int]:
    return {"names": planner_forgetting.forget(path, user_id)}


def _in_channels(path: Path, user_id: str, _mentioned: re.Pattern[bytes]) -> dict[str, int]:
    return {"refused topics": receiver_forgetting.forget(path, user_id)}


# -- what mentions somebody ------------------------------------------------------------------------


def mentions(user_id: str) -> re.Pattern[bytes]:
    """Finds the id as it is, or as JSON may write it. A short one as a word of its own: others may
    begin with it. A long one wherever it is: in a table, columns follow without anything between.
    """
    plain, ascii_only = orjson.dumps(user_id)[1:-1], json.dumps(user_id)[1:-1].encode()
    ways = {user_id.encode(), plain, ascii_only, _upper(ascii_only)}
    ways |= {way.replace(b"/", b"\\/") for way in ways}
    either = b"|".join(sorted(map(re.escape, ways)))
    if len(user_id) >= TELLING_LENGTH:
        return re.compile(either)
    return re.compile(rb"(?<![0-9A-Za-z_-])(?:%s)(?![0-9A-Za-z_-])" % either)


def _upper(escaped: bytes) -> bytes:
    return re.sub(rb"\\u[0-9a-f]{4}", lambda found: b"\\u" + found[0][2:].upper(), escaped)


def is_mentioned(user_id: str, path: Path, mentioned: re.Pattern[bytes]) -> bool:
    """Whether the bytes of a file mention somebody whose id is long enough to be looked for."""
    if len(user_id) < SEARCHED_LENGTH_MIN or path.stat().st_size == 0:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return mentioned.search(content) is not None


def _all_files(path: Path) -> list[Path]:
    return sorted(each for each in path.rglob("*") if each.is_file() and not each.is_symlink())


# -- what is told ----------------------------------------------------------------------------------


def _tell(path: Path, found: list[Finding], left: list[Path], *, as_json: bool) -> None:
    if as_json:
        told: dict[str, Any] = {
            "files": {str(each.path): each.counts for each in found},
            "still_mentioned_in": [str(each) for each in left],
        }
        tables.show_json(told)
        return
    if not found:
        print(f"No file of {path} knows them.")
    else:
        rows = [
            (each.path, what, count)
            for each in found
            for what, count in each.counts.items()
            if count
        ]
        tables.show("", COLUMNS, rows)
    for each in left:
        print(f"! {each} still mentions them: look, and delete it if it is of no use")
    print(ELSEWHERE)
