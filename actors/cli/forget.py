"""Forget: takes one person out of all files of a data directory, while no runtime runs.

What happened stays, as that of nobody; the audit's chain stays whole. Knows no table. What others
were given (webhooks, sinks, exports, backups, logs) is theirs to forget.
"""

from __future__ import annotations

import mmap
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from actors.app.data_files import DATA_FILES, DataFiles
from actors.cli import tables
from actors.messages.mention import TRACE, Mention, mentions, spellings, written_ways
from actors.storage import sqlite
from actors.storage.data_dir import DataDir, GatewayIdentity, holder, read_meta
from runtime.errors import EXIT_CLEAN, EXIT_FAILURE, TemporaryError

SEARCHED_LENGTH_MIN: Final = 6
"""A shorter id is found in any file by chance."""
LEFTOVERS: Final = "leftovers in free pages"
"""Of rows that were deleted earlier, or by a call that was interrupted."""
COLUMNS: Final = ("file", "what", "forgotten")
ELSEWHERE: Final = (
    "Not removed: backups, exports, logs, and data already delivered by webhooks and "
    "sinks. A person whom the gateway still knows reappears with its next history; "
    "remove them there first."
)


class ErasedFinding(NamedTuple):
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
        if not agreed(f"Permanently remove {tables.cell(user_id)} from {path}?"):
            return EXIT_FAILURE
        traces = _traces(path, user_id)
        mentioned = mentions(user_id, *traces)
        findings = [
            _taken_out(path, files, each, user_id, mentioned)
            for files in DATA_FILES
            if files.forget is not None
            for each in files.found(path)
        ]
        left = [each for each in _all_files(path) if _is_left(user_id, traces, each)]
    found = [each for each in findings if each.total]
    _tell(path, found, left, as_json=as_json)
    return EXIT_CLEAN if found and not left else EXIT_FAILURE


@contextmanager
def _claimed(path: Path) -> Iterator[None]:
    meta = read_meta(path)
    identity = GatewayIdentity(
        dialect=meta.dialect, gateway=meta.gateway, organisation=meta.organisation
    )
    try:
        data_dir = DataDir.claim(path, identity, shards=meta.shards, journal=meta.journal)
    except TemporaryError:
        if (pid := holder(path)) is None:
            raise
        raise TemporaryError(
            f"process {pid} is using {path} and would record the person again; stop the runtime "
            "first"
        ) from None
    try:
        yield
    finally:
        data_dir.lock.release()


# -- in every file ---------------------------------------------------------------------------------


def _taken_out(
    path: Path, files: DataFiles, file: Path, user_id: str, mentioned: Mention
) -> ErasedFinding:
    assert files.forget is not None
    counts: Counter[str] = Counter()
    for spelt in spellings(user_id):
        counts.update(files.forget(file, spelt, mentioned))
    if not any(counts.values()) and is_mentioned(user_id, file, mentioned):
        counts = Counter({LEFTOVERS: 1})
    if any(counts.values()):
        sqlite.purge(file, files.file.kind)
    return ErasedFinding(file.relative_to(path), dict(counts))


# -- what mentions somebody ------------------------------------------------------------------------


def is_mentioned(user_id: str, path: Path, mentioned: Mention) -> bool:
    """Whether the bytes of a file mention somebody whose id is long enough to be looked for."""
    if len(user_id) < SEARCHED_LENGTH_MIN or path.stat().st_size == 0:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return bool(mentioned.search(content))  # type: ignore[arg-type]  # a map is as good


def _is_left(user_id: str, traces: Iterable[str], path: Path) -> bool:
    """Whether a file mentions somebody by the id or by what else they may be found by. Large files
    are searched for texts as they are and in lower case: for a pattern that takes minutes."""
    if is_mentioned(user_id, path, mentions(user_id)):
        return True
    texts = {each for trace in traces for each in (trace, trace.lower())}
    written = {each for text in texts for each in written_ways(text)}
    if not written or path.stat().st_size == 0:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return any(_is_a_word(content, text) for text in written)


def _is_a_word(content: mmap.mmap, text: bytes) -> bool:
    word, at = re.compile(TRACE % re.escape(text)), content.find(text)
    while at >= 0:
        if word.match(content, at):
            return True
        at = content.find(text, at + 1)
    return False


def _traces(path: Path, user_id: str) -> list[str]:
    return [
        trace
        for files in DATA_FILES
        if files.traces is not None
        for each in files.found(path)
        for trace in files.traces(each, user_id)
        if len(trace) >= SEARCHED_LENGTH_MIN
    ]


def _all_files(path: Path) -> list[Path]:
    return sorted(each for each in path.rglob("*") if each.is_file() and not each.is_symlink())


# -- what is told ----------------------------------------------------------------------------------


def _tell(path: Path, found: list[ErasedFinding], left: list[Path], *, as_json: bool) -> None:
    if as_json:
        told: dict[str, Any] = {
            "files": {str(each.path): each.counts for each in found},
            "still_mentioned_in": [str(each) for each in left],
        }
        tables.show_json(told)
        return
    if not found:
        print(f"No file in {path} contains this person.")
    else:
        rows = [
            (each.path, what, count)
            for each in found
            for what, count in each.counts.items()
            if count
        ]
        tables.show("", COLUMNS, rows)
    for each in left:
        print(f"! {each} still contains this person; inspect it, and delete it if it is not needed")
    print(ELSEWHERE)
